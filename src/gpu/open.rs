//! How a device is made.

use super::adapter::{self, AdapterChoice};
use super::device::Gpu;
use super::errors::FirstError;
use super::image_check;
use crate::{Error, Result};

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
                    format!("no device: {error}"),
                    "choose another with --adapter, or update its driver",
                )
            })?;
        let first_error = FirstError::default();
        first_error.watch(&device);
        let gpu = Self::with_errors(info, device, queue, first_error);
        gpu.check()?;
        if gpu.profile().image_loads && !image_check::shows_writes(&gpu)? {
            return Ok(gpu.without_image_loads());
        }
        Ok(gpu)
    }

    /// Wraps a device and queue that another application made. Its error callbacks are left as they are.
    pub fn from_wgpu(info: wgpu::AdapterInfo, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let gpu = Self::with_errors(info, device, queue, FirstError::default());
        match gpu.profile().image_loads && !image_check::shows_writes(&gpu).unwrap_or(false) {
            true => gpu.without_image_loads(),
            false => gpu,
        }
    }
}
