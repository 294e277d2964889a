//! How much memory a device has, and the buffers that take it.

use bytemuck::Pod;

use super::aliasing;
use super::allocation::Allocation;
use super::buffer::{Buffer, USAGE, bytes_of};
use super::device::Gpu;
use super::refusal::Refusal;
use crate::{ByteSize, Error, ErrorKind, Result};

/// The hint for a lack of memory.
pub(super) const SMALLER: &str =
    "make the layers or the batch smaller, or choose a larger adapter with --adapter";

impl Gpu {
    /// The same device, of whose memory training may use so many bytes. wgpu does not expose how much there is.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The same device, with bindings of at most so many bytes where it would allow more.
    pub fn with_max_binding_size(mut self, bytes: u64) -> Self {
        self.max_binding_size = self.max_binding_size.min(bytes);
        self
    }

    /// The limit of [`Gpu::with_memory`], if there is one.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Bytes of all storage buffers that were ever made on this device.
    pub fn total_allocated_bytes(&self) -> u64 {
        self.memory_use.total()
    }

    /// Bytes of the storage buffers that exist on this device.
    pub fn live_bytes(&self) -> u64 {
        self.memory_use.live()
    }

    /// The most bytes of a buffer that is bound as a whole: the adapter's limits, and what indices of 32 bits reach.
    pub fn max_binding_size(&self) -> u64 {
        self.max_binding_size
    }

    /// A zeroed storage buffer of `len` elements, which can be copied from and to.
    ///
    /// # Errors
    /// More bytes than the adapter allows in one buffer or one binding (the message gives both numbers), or no memory
    /// left.
    pub fn buffer<T: Pod>(&self, label: &str, len: usize) -> Result<Buffer<T>> {
        let size = bytes_of::<T>(len);
        if size > self.max_binding_size() {
            let context = format!("buffer '{label}'");
            return Err(too_large(self, context, "requires", size));
        }
        let made = if self.profile().image_loads {
            aliasing::buffer(&self.device, label, size, USAGE)
                .map(|(raw, memory)| (Some(memory), raw))
        } else {
            // Without a scope of its own, running out of memory would show as an error of some later call.
            let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: USAGE,
                mapped_at_creation: false,
            });
            match pollster::block_on(scope.pop()) {
                None => Ok((None, raw)),
                Some(_) => Err(Refusal::NoMemory),
            }
        };
        let (memory, raw) = made.map_err(|refusal| match refusal {
            Refusal::NoMemory => no_memory(self, label, size),
            Refusal::Failed(reason) => {
                let problem = format!("no buffer '{label}' can be made: {reason}");
                self.lost(
                    problem,
                    "try again, or choose another adapter with --adapter",
                )
            }
        })?;
        let allocation = Allocation::new(memory, size, &self.memory_use);
        Ok(Buffer::new(raw, allocation, len))
    }

    /// Memory of `len` elements that all requests under this label share, for what one group of dispatches writes and
    /// reads within one submission: dispatches run in order, so none reads what another group has left there.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn scratch(&self, label: &'static str, len: usize) -> Result<Buffer<f32>> {
        self.scratch.get(label, len, || self.buffer(label, len))
    }
}

/// More bytes than one binding holds; `what` names them.
pub(super) fn too_large(gpu: &Gpu, context: String, what: &str, bytes: u64) -> Error {
    Error::new(
        ErrorKind::OutOfMemory,
        context,
        format!(
            "{what} {} in one buffer, the adapter '{}' allows {}",
            ByteSize(bytes),
            gpu.info().name,
            ByteSize(gpu.max_binding_size())
        ),
        SMALLER,
    )
}

fn no_memory(gpu: &Gpu, label: &str, bytes: u64) -> Error {
    let problem = format!(
        "no memory left for {} of '{label}', next to {} of other buffers",
        ByteSize(bytes),
        ByteSize(gpu.live_bytes())
    );
    gpu.error(problem, SMALLER)
        .with_kind(ErrorKind::OutOfMemory)
}
