//! A storage buffer that knows what it holds.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytemuck::Pod;

use super::Gpu;
use super::aliasing::{self, Memory};
use super::binding::Binding;
use crate::{ByteSize, Error, Result};

/// What mends a lack of memory.
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
    /// Where the buffer can be bound as texels. Before the buffer itself, which keeps the device.
    memory: Option<Arc<Memory>>,
    raw: wgpu::Buffer,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    pub(super) fn new(gpu: &Gpu, label: &str, len: usize) -> Result<Self> {
        let size = bytes_of::<T>(len);
        let most = gpu.most_in_one();
        if size > most {
            return Err(too_large(
                gpu,
                format!("buffer '{label}'"),
                "it needs",
                size,
            ));
        }
        let made = if gpu.has_texels() {
            aliasing::buffer(&gpu.device, label, size).map(|(raw, memory)| (Some(memory), raw))
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
        gpu.allocated.fetch_add(size, Ordering::Relaxed);
        Ok(Self {
            memory,
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

    /// Elements, without the padding.
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
    pub fn shortened(&self, len: usize) -> Self {
        assert!(len <= self.len, "a buffer cannot grow");
        Self {
            memory: self.memory.clone(),
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
            memory: self.memory.clone(),
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
        Binding::new(&self.raw, offset, size, self.memory.as_ref())
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

/// More bytes than one binding holds; `what` leads up to their number.
pub(super) fn too_large(gpu: &Gpu, place: String, what: &str, bytes: u64) -> Error {
    Error::gpu(
        place,
        format!(
            "{what} {} in one buffer, the adapter '{}' has {}",
            ByteSize(bytes),
            gpu.info.name,
            ByteSize(gpu.most_in_one())
        ),
        SMALLER,
    )
}

fn no_memory(gpu: &Gpu, label: &str, bytes: u64) -> Error {
    Error::gpu(
        format!("adapter '{}'", gpu.info.name),
        format!(
            "it has no memory left for {} of '{label}', after {} of other buffers",
            ByteSize(bytes),
            ByteSize(gpu.allocated())
        ),
        SMALLER,
    )
}
