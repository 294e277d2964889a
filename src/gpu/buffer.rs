//! A storage buffer that knows what it holds.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use super::allocation::Allocation;
use super::binding::Binding;

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

impl<T> Buffer<T> {
    /// A buffer of `len` elements whose wgpu buffer is made and counted.
    pub(super) fn new(raw: wgpu::Buffer, allocation: Arc<Allocation>, len: usize) -> Self {
        Self {
            allocation,
            raw,
            len,
            element: PhantomData,
        }
    }

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
