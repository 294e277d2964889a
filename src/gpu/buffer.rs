//! A storage buffer that knows what it holds.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use super::aliasing;
use super::allocation::Allocation;
use super::binding::Binding;
use super::device::Gpu;
use crate::{ByteSize, Error, ErrorKind, Result};

/// The hint for a lack of memory.
pub(super) const SMALLER: &str =
    "make the layers or the batch smaller, or choose a larger adapter with --adapter";

/// What storage buffers are for.
pub(super) const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// A storage buffer of `len` elements of `T`, padded to a multiple of 16 bytes so that shaders may read it as
/// `array<vec4f>`. Cloning shares the memory.
#[derive(Debug, Clone)]
pub struct Buffer<T> {
    /// Before the buffer itself, which keeps the device.
    allocation: Arc<Allocation>,
    raw: wgpu::Buffer,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    pub(super) fn new(gpu: &Gpu, label: &str, len: usize) -> Result<Self> {
        let size = bytes_of::<T>(len);
        let max = gpu.max_binding_size();
        if size > max {
            return Err(too_large(
                gpu,
                format!("buffer '{label}'"),
                "requires",
                size,
            ));
        }
        let made = if gpu.profile().image_loads {
            aliasing::buffer(&gpu.device, label, size, USAGE)
                .map(|(raw, memory)| (Some(memory), raw))
        } else {
            // Without a scope of its own, running out of memory would show as an error of some later call.
            let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let raw = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: USAGE,
                mapped_at_creation: false,
            });
            let is_made = pollster::block_on(scope.pop()).is_none();
            is_made.then_some((None, raw))
        };
        let Some((memory, raw)) = made else {
            return Err(no_memory(gpu, label, size));
        };
        Ok(Self {
            allocation: Allocation::new(memory, size, &gpu.memory_use),
            raw,
            len,
            element: PhantomData,
        })
    }
}

impl<T> Buffer<T> {
    /// The wgpu buffer.
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.raw
    }

    /// The number of elements, without the padding.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same memory as a buffer of its first `len` elements.
    ///
    /// # Panics
    /// It holds fewer.
    pub fn prefix(&self, len: usize) -> Self {
        assert!(len <= self.len, "a buffer cannot grow");
        Self {
            allocation: self.allocation.clone(),
            raw: self.raw.clone(),
            len,
            element: PhantomData,
        }
    }

    /// The same memory, read as elements of another type of the same size.
    ///
    /// # Panics
    /// The sizes differ.
    pub fn cast<U: Pod>(&self) -> Buffer<U> {
        assert_eq!(size_of::<T>(), size_of::<U>(), "elements of one size");
        Buffer {
            allocation: self.allocation.clone(),
            raw: self.raw.clone(),
            len: self.len,
            element: PhantomData,
        }
    }

    /// All its elements as a binding, padded to 16 bytes.
    pub fn binding(&self) -> Binding<'_> {
        self.binding_of(0..self.len)
    }

    /// Elements `range` as a binding, padded to 16 bytes. The start must lie on the device's storage offset
    /// alignment (256 bytes at most).
    pub fn binding_of(&self, range: Range<usize>) -> Binding<'_> {
        let size = ((range.len() * size_of::<T>()) as u64)
            .max(16)
            .next_multiple_of(16);
        let offset = (range.start * size_of::<T>()) as u64;
        Binding::new(&self.raw, offset, size, Some(&self.allocation))
    }
}

/// Bytes of a buffer of `len` elements.
pub(super) fn bytes_of<T>(len: usize) -> u64 {
    (len as u64)
        .saturating_mul(size_of::<T>() as u64)
        .max(16)
        .checked_next_multiple_of(16)
        .unwrap_or(u64::MAX)
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
