//! [`Gpu`]: a device and its queue, the kernels built on it, and the first error it reported.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytemuck::Pod;
use wgpu::util::DeviceExt as _;

use super::adapter::{self, AdapterChoice};
use super::aliasing;
use super::binding::Uniform;
use super::buffer::Buffer;
use super::gpu_struct::{UniformData, to_bytes};
use super::kernel::{Dispatch, Kernel, KernelKey, Shader};
use super::pipeline_cache::PipelineCache;
use super::pipeline_pool::PipelinePool;
use super::texels::nothing;
use crate::{Error, Result};

/// A device, its queue and the kernels built on it. Cloning is cheap and shares all three.
#[derive(Clone)]
pub struct Gpu {
    /// The wgpu device.
    pub device: wgpu::Device,
    /// Its only queue.
    pub queue: wgpu::Queue,
    /// What the adapter says of itself.
    pub info: wgpu::AdapterInfo,
    /// The limits that the device was made with.
    pub limits: wgpu::Limits,
    kernels: Arc<Mutex<HashMap<KernelKey, Kernel>>>,
    pub(super) pool: Arc<PipelinePool>,
    scratch: Arc<Mutex<HashMap<&'static str, Buffer<f32>>>>,
    /// What is bound in place of texels where the device has none.
    pub(super) no_texels: Option<wgpu::TextureView>,
    failure: Arc<Mutex<Option<String>>>,
    pub(super) allocated: Arc<AtomicU64>,
    memory: Option<u64>,
    patience: Duration,
    pub(super) cache: Option<Arc<PipelineCache>>,
}

/// How long a submission may take before its adapter counts as hung: far longer than any that is meant.
const PATIENCE: Duration = Duration::from_secs(600);

impl Gpu {
    /// Chooses an adapter (see [`AdapterChoice`]) and makes a device on it.
    ///
    /// # Errors
    /// No adapter, none of that name, or an adapter that refuses a device.
    pub fn new(choice: &AdapterChoice) -> Result<Self> {
        let instance = adapter::instance();
        Self::on(&adapter::choose(&instance, choice, None)?)
    }

    /// Makes a device on `adapter` with WebGPU's default limits, raised to the adapter's own for sizes of
    /// buffers and textures, and with timestamps and subgroups where the adapter has them.
    ///
    /// # Errors
    /// The adapter is below WebGPU's default limits or refuses a device.
    pub fn on(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        let has = adapter.limits();
        let required_limits = wgpu::Limits {
            max_buffer_size: has.max_buffer_size,
            max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
            max_texture_dimension_2d: has.max_texture_dimension_2d,
            ..wgpu::Limits::default()
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("trainscope"),
            required_features: adapter.features()
                & (wgpu::Features::TIMESTAMP_QUERY
                    | wgpu::Features::PIPELINE_CACHE
                    | wgpu::Features::SUBGROUP),
            required_limits,
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
                Error::gpu(
                    format!("adapter '{}'", info.name),
                    format!("it refuses a device: {error}"),
                    "choose another with --adapter, or update its driver",
                )
            })?;
        let gpu = Self::from_wgpu(info, device, queue);
        let failure = gpu.failure.clone();
        gpu.device.on_uncaptured_error(Arc::new(move |error| {
            keep_first(&failure, error.to_string());
        }));
        let failure = gpu.failure.clone();
        gpu.device.set_device_lost_callback(move |reason, message| {
            let detail = match reason {
                _ if !message.is_empty() => message,
                wgpu::DeviceLostReason::Destroyed => "it was destroyed".to_owned(),
                wgpu::DeviceLostReason::Unknown => "the driver does not say why".to_owned(),
            };
            keep_first(&failure, format!("the device was lost: {detail}"));
        });
        Ok(gpu)
    }

    /// Wraps a device and queue that another application made. Its error callbacks are left as they are.
    pub fn from_wgpu(info: wgpu::AdapterInfo, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let limits = device.limits();
        let no_texels = (!aliasing::is_supported(&info, &device)).then(|| nothing(&device));
        Self {
            device,
            queue,
            info,
            limits,
            kernels: Arc::default(),
            pool: Arc::new(PipelinePool::new()),
            scratch: Arc::default(),
            no_texels,
            failure: Arc::default(),
            allocated: Arc::default(),
            memory: None,
            patience: PATIENCE,
            cache: None,
        }
    }

    /// The same device, which keeps compiled kernels in `folder` from one start to the next, where the adapter knows how.
    /// To be called before the first kernel is made.
    pub fn with_kernel_cache(self, folder: &Path) -> Self {
        let cache = PipelineCache::open(&self.device, &self.info, folder).map(Arc::new);
        Self { cache, ..self }
    }

    /// The same device, of which training may use so many bytes and no more. wgpu does not tell how much there is.
    pub fn with_memory(self, bytes: u64) -> Self {
        Self {
            memory: Some(bytes),
            ..self
        }
    }

    /// The same device, whose buffers are no texels, as on GPUs: to hold the kernels of both against each other. To be
    /// called before the first buffer is made.
    pub fn without_texels(self) -> Self {
        let no_texels = Some(nothing(&self.device));
        Self { no_texels, ..self }
    }

    /// The same device, which counts as hung when it takes longer than this for what was submitted; 10 minutes unless
    /// said.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What [`Gpu::with_memory`] allows, if anything was said.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Bytes of all storage buffers that were made here, those included that are gone.
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// The most bytes of a buffer that is bound as a whole: the adapter's limits, and what indices of 32 bits reach.
    pub fn most_in_one(&self) -> u64 {
        self.limits
            .max_buffer_size
            .min(self.limits.max_storage_buffer_binding_size)
            .min(1 << 32)
    }

    /// Whether the adapter runs on the CPU. Kernels with a variant for either choose by this.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Whether kernels can read buffers as texels ([`super::Binding::as_texels`]): true of llvmpipe, which reads texels far
    /// faster than buffers.
    pub fn has_texels(&self) -> bool {
        self.no_texels.is_none()
    }

    /// The constant that tells a kernel with a choice of both to read texels (`shaders/shared/texels.wgsl`).
    pub fn texels_constant(&self) -> (&'static str, f64) {
        ("TEXELS", f64::from(u8::from(self.has_texels())))
    }

    /// Invocations of a subgroup, where shaders may use subgroups and all of them have this size.
    pub fn subgroup_size(&self) -> Option<u32> {
        let wgpu::AdapterInfo {
            subgroup_min_size: least,
            subgroup_max_size: most,
            ..
        } = self.info;
        let usable = self.device.features().contains(wgpu::Features::SUBGROUP);
        (usable && least == most).then_some(most)
    }

    /// The adapter in one line (see [`adapter::describe`]).
    pub fn describe(&self) -> String {
        adapter::describe(&self.info)
    }

    /// The first error that the device reported since it was made, if any.
    ///
    /// # Errors
    /// That error, in a sentence.
    pub fn check(&self) -> Result<()> {
        match self.failure.lock().expect("never poisoned").as_ref() {
            None => Ok(()),
            Some(message) => {
                let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(Error::gpu(
                    format!("adapter '{}'", self.info.name),
                    message,
                    "resume the run from its last checkpoint, or choose another adapter with --adapter",
                ))
            }
        }
    }

    /// The kernel at `entry` of `shader` with these override constants; built once, by a thread of its own, then shared.
    ///
    /// # Errors
    /// None for shaders of this crate, which a test validates; a device error shows at [`Gpu::check`].
    pub fn kernel(
        &self,
        shader: &'static Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Kernel {
        let key = KernelKey::new(shader, entry, constants);
        let mut kernels = self.kernels.lock().expect("never poisoned");
        kernels
            .entry(key)
            .or_insert_with(|| Kernel::new(self, shader, entry, constants))
            .clone()
    }

    /// A zeroed storage buffer of `len` elements, which can be copied from and to.
    ///
    /// # Errors
    /// More bytes than the adapter allows in one buffer or one binding: says how much and what it has.
    pub fn buffer<T: Pod>(&self, label: &str, len: usize) -> Result<Buffer<T>> {
        Buffer::new(self, label, len)
    }

    /// Memory of `len` elements that everybody who asks under this label shares, for what one group of dispatches
    /// writes and reads within one submission: dispatches run in order, so nobody sees what another has left there.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn scratch(&self, label: &'static str, len: usize) -> Result<Buffer<f32>> {
        let mut all = self.scratch.lock().expect("never poisoned");
        let buffer = match all.get(label) {
            Some(buffer) if buffer.len() >= len => buffer.clone(),
            _ => self.buffer(label, len)?,
        };
        all.insert(label, buffer.clone());
        Ok(buffer.shortened(len))
    }

    /// A storage buffer that holds `data`.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn upload<T: Pod>(&self, label: &str, data: &[T]) -> Result<Buffer<T>> {
        let buffer = self.buffer(label, data.len())?;
        self.write(&buffer, 0, data);
        Ok(buffer)
    }

    /// Overwrites `buffer` from element `at` on.
    pub fn write<T: Pod>(&self, buffer: &Buffer<T>, at: usize, data: &[T]) {
        let offset = (at * size_of::<T>()) as u64;
        let bytes: &[u8] = bytemuck::cast_slice(data);
        // Queue writes move whole words; buffers are padded, so the last word may be filled up with zeros.
        let padded: Cow<'_, [u8]> = if bytes.len().is_multiple_of(4) {
            bytes.into()
        } else {
            let mut owned = bytes.to_vec();
            owned.resize(bytes.len().next_multiple_of(4), 0);
            owned.into()
        };
        self.queue.write_buffer(buffer.raw(), offset, &padded);
    }

    /// A small buffer with the settings of a kernel: uniform, or storage that is only read.
    pub fn uniform<T: UniformData>(&self, label: &str, data: &T) -> Uniform {
        self.uniforms(label, std::slice::from_ref(data))
    }

    /// The same for an array.
    pub fn uniforms<T: UniformData>(&self, label: &str, data: &[T]) -> Uniform {
        Uniform(
            self.device
                .create_buffer_init(&wgpu::util::BufferInitDescriptor {
                    label: Some(label),
                    contents: &to_bytes(data),
                    usage: wgpu::BufferUsages::UNIFORM
                        | wgpu::BufferUsages::STORAGE
                        | wgpu::BufferUsages::COPY_DST,
                }),
        )
    }

    /// Records `dispatches` in order into one compute pass.
    pub fn record<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        label: &str,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
    ) {
        self.record_timed(encoder, label, dispatches, None);
    }

    /// The same, with a timestamp at its start and another at its end, where there are `timestamps` for them.
    pub(super) fn record_timed<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        label: &str,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
        timestamps: Option<&wgpu::QuerySet>,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(label),
            timestamp_writes: timestamps.map(|query_set| wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            }),
        });
        for dispatch in dispatches {
            dispatch.record(&mut pass);
        }
    }

    /// Runs `dispatches` in order in a submission of their own, without waiting for them.
    pub fn run<'a>(&self, label: &str, dispatches: impl IntoIterator<Item = &'a Dispatch>) {
        let mut encoder = self.encoder(label);
        self.record(&mut encoder, label, dispatches);
        self.queue.submit([encoder.finish()]);
    }

    /// A labelled command encoder.
    pub fn encoder(&self, label: &str) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) })
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn wait(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::Wait {
            submission_index: None,
            timeout: Some(self.patience),
        });
        self.check()?;
        polled.map(|_| ()).map_err(|error| {
            let problem = match error {
                wgpu::PollError::Timeout => {
                    format!("it has not answered for {:?}", self.patience)
                }
                other => format!("waiting for it failed: {other}"),
            };
            Error::gpu(
                format!("adapter '{}'", self.info.name),
                problem,
                "resume the run from its last checkpoint",
            )
        })
    }

    /// Waits until all submitted work is done and `done` is true, which a callback of that work sets. Where several
    /// threads poll a device, another one may have taken the callback and be about to call it.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub(super) fn wait_until(&self, done: impl Fn() -> bool) -> Result<()> {
        self.wait()?;
        while !done() {
            std::thread::yield_now();
            self.wait()?;
        }
        Ok(())
    }

    /// Reads a whole buffer back and waits for it: for tests, checkpoints and results at the end of a command.
    /// Inside a loop use a [`super::ReadbackRing`].
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn read<T: Pod>(&self, buffer: &Buffer<T>) -> Result<Vec<T>> {
        let bytes = self.read_bytes(buffer.raw(), 0, buffer.raw().size())?;
        let used = &bytes[..buffer.len() * size_of::<T>()];
        Ok(bytemuck::pod_collect_to_vec(used))
    }

    /// Reads `size` bytes from `offset` (both multiples of 4) of any buffer with `COPY_SRC`, and waits.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn read_bytes(&self, source: &wgpu::Buffer, offset: u64, size: u64) -> Result<Vec<u8>> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.encoder("read");
        encoder.copy_buffer_to_buffer(source, offset, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        let is_mapped = Arc::new(AtomicBool::new(false));
        let shared = is_mapped.clone();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |_| {
            shared.store(true, Ordering::Release)
        });
        self.wait_until(|| is_mapped.load(Ordering::Acquire))?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| {
            Error::gpu(
                format!("adapter '{}'", self.info.name),
                format!("reading back failed: {error}"),
                "resume the run from its last checkpoint",
            )
        })?;
        Ok(view.to_vec())
    }
}

fn keep_first(failure: &Mutex<Option<String>>, message: String) {
    failure
        .lock()
        .expect("never poisoned")
        .get_or_insert(message);
}
