//! Data on its way between the CPU and the GPU.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytemuck::Pod;

use super::binding::Uniform;
use super::buffer::Buffer;
use super::device::Gpu;
use super::gpu_struct::{UniformData, to_bytes};
use crate::Result;

impl Gpu {
    /// A storage buffer that holds `data`.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn upload<T: Pod>(&self, label: &str, data: &[T]) -> Result<Buffer<T>> {
        let buffer = self.buffer(label, data.len())?;
        self.write(&buffer, 0, data);
        Ok(buffer)
    }

    /// Overwrites `buffer` from element `start` on.
    pub fn write<T: Pod>(&self, buffer: &Buffer<T>, start: usize, data: &[T]) {
        let offset = (start * size_of::<T>()) as u64;
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
        let usage = wgpu::BufferUsages::UNIFORM
            | wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST;
        Uniform(self.constant_buffer(label, data, usage))
    }

    /// A buffer that holds `data` from the start. Where the driver refuses it, that shows at [`Gpu::check`].
    pub(crate) fn constant_buffer<T: UniformData>(
        &self,
        label: &str,
        data: &[T],
        usage: wgpu::BufferUsages,
    ) -> wgpu::Buffer {
        let bytes = to_bytes(data);
        let size = (bytes.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: size.max(wgpu::COPY_BUFFER_ALIGNMENT),
            usage,
            mapped_at_creation: true,
        });
        if let Ok(mut mapped) = buffer.get_mapped_range_mut(..) {
            mapped.slice(..bytes.len()).copy_from_slice(&bytes);
            drop(mapped);
            buffer.unmap();
        }
        buffer
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
        self.check()?;
        let is_mapped = Arc::new(AtomicBool::new(false));
        let shared = is_mapped.clone();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |_| {
            shared.store(true, Ordering::Release)
        });
        self.wait_until(|| is_mapped.load(Ordering::Acquire))?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| {
            self.lost(
                format!("reading back failed: {error}"),
                "try again, or choose another adapter with --adapter",
            )
        })?;
        Ok(view.to_vec())
    }
}
