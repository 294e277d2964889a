//! The GPU, as the rest of the crate sees it: a device, typed buffers, kernels and dispatches.
//!
//! [`adapter`] picks an adapter, and [`Gpu`] holds the device. [`Buffer`]s hold the data. A [`Shader`] is a WGSL file, and
//! a [`Kernel`] one of its entry points, compiled with override constants. Bound to buffers, a kernel is a [`Dispatch`].
//! Dispatches are recorded into a pass and submitted, and small results come back through a [`ReadbackRing`]. Which
//! variants of the kernels run is the device's [`AdapterProfile`].
//!
//! This is the only module with `unsafe` code (shaders without run-time checks, cached pipelines, and on one driver
//! memory that is bound twice) and the only one that creates devices. It does not hide wgpu: [`Gpu::device`] and
//! [`Gpu::queue`] are public, so that applications can mix their own wgpu calls with ours, and [`Gpu::from_wgpu`] takes a
//! device and queue that were made elsewhere.
//!
//! # What is bound where
//! Every kernel has one bind group, `@group(0)`, made once per dispatch and never changed: all that varies from step to
//! step lies in buffers. So a step binds what it needs without writing anything from the CPU.
//!
//! | binding | holds | changes |
//! | --- | --- | --- |
//! | 0 | the kernel's [`gpu_struct!`](crate::gpu_struct): `var<uniform>`, or `var<storage, read>` where its values bound loops (Mesa compiles uniforms that decide branches into the kernel, once for each value) | never |
//! | the next | buffers that the kernel reads, then those that it writes, as `array<f32>` or `array<vec4f>` of the same memory: the padding to 16 bytes makes both valid | every step |
//! | the step counter | one word, which random numbers and schedules are keyed by; a kernel of its own advances it | every step |
//! | the last | the images of buffers that are bound before ([`Binding::as_image`]); placeholders where the profile has no image loads | with the buffers |
//!
//! A kernel declares all its bindings whatever its constants are. What a variant does not use is bound to a buffer that
//! it does not write, since WebGPU forbids a buffer that is read and written under two bindings of one dispatch.
//!
//! What stays the same for all dispatches of a kernel and decides its branches is a constant (`override`): the
//! transposition of an operand, whether there is a bias, the profile's choices. Shapes are uniforms, so that layers of
//! different sizes share a pipeline.

pub mod adapter;
mod adapter_profile;
#[cfg(target_os = "linux")]
mod aliasing;
#[cfg(not(target_os = "linux"))]
#[path = "no_aliasing.rs"]
mod aliasing;
mod allocation;
mod attention;
mod binding;
mod buffer;
mod device;
mod dispatch;
mod errors;
mod gpu_struct;
mod image_alias;
mod image_check;
mod kernel;
mod memory;
mod memory_estimate;
mod open;
mod pipeline_cache;
mod pipeline_pool;
mod readback;
mod refusal;
mod scratch;
mod shader;
mod submission;
mod timing;
mod transfers;

pub use adapter::AdapterChoice;
pub use adapter_profile::{AdapterProfile, MatmulKernel, Reduction};
pub use attention::{Attention, Frame};
pub use binding::{Binding, Uniform};
pub use buffer::Buffer;
pub use device::Gpu;
pub use dispatch::{Dispatch, grid, groups};
pub use gpu_struct::UniformData;
pub(crate) use gpu_struct::to_bytes;
#[doc(hidden)]
pub use gpu_struct::{assert_layout, padded_size};
pub use kernel::Kernel;
pub use memory_estimate::MemoryEstimate;
pub use readback::ReadbackRing;
pub use scratch::Scratch;
pub(crate) use shader::shader;
pub use shader::{Shader, expand};
pub use timing::Timer;
