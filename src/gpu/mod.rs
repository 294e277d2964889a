//! The GPU, as the rest of the crate sees it: a device, typed buffers, kernels and dispatches.
//!
//! Data goes one way: [`adapter`] picks an adapter, [`Gpu`] holds the device, [`Buffer`]s hold the data, a
//! [`Kernel`] (a WGSL file plus constants) bound to buffers is a [`Dispatch`], dispatches are recorded into a
//! pass and submitted, and small results come back through a [`ReadbackRing`].
//!
//! This is the only home of `unsafe` in the library (three: shaders without run-time checks, cached pipelines, and on one
//! driver memory that is bound twice) and of device creation. It knows nothing of networks or pictures. Nor does it hide wgpu: fields are public, so that other
//! applications can mix their own wgpu calls with ours, and [`Gpu::from_wgpu`] takes a device and queue that somebody
//! else made.

pub mod adapter;
#[cfg(target_os = "linux")]
mod aliasing;
#[cfg(not(target_os = "linux"))]
#[path = "no_aliasing.rs"]
mod aliasing;
mod binding;
mod buffer;
mod context;
mod gpu_struct;
mod kernel;
mod memory_estimate;
mod pipeline_cache;
mod pipeline_pool;
mod readback;
mod texels;
mod timing;

pub use adapter::AdapterChoice;
pub use binding::{Binding, Uniform};
pub use buffer::Buffer;
pub use context::Gpu;
pub use gpu_struct::UniformData;
pub(crate) use gpu_struct::to_bytes;
#[doc(hidden)]
pub use gpu_struct::{assert_layout, padded_size};
pub use kernel::{Dispatch, Kernel, Shader, expand, grid, groups};
pub use memory_estimate::{MemoryEstimate, Scratch};
pub use readback::ReadbackRing;
pub use timing::Timer;
