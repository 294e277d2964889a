//! Memory that groups of dispatches share, because none of them needs it beyond its own submission.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::buffer::Buffer;
use super::device::Gpu;
use crate::Result;

/// A request for shared memory ([`Gpu::scratch`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scratch {
    /// Requests of one label share their memory.
    pub label: &'static str,
    /// The number of values.
    pub elements: usize,
}

impl Scratch {
    /// `elements` values under `label`.
    pub fn new(label: &'static str, elements: usize) -> Self {
        Self { label, elements }
    }
}

/// The largest buffer of each label that was asked for. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct ScratchPool(Arc<Mutex<HashMap<&'static str, Buffer<f32>>>>);

impl Gpu {
    /// Memory of `len` elements that all requests under this label share, for what one group of dispatches writes and
    /// reads within one submission: dispatches run in order, so none reads what another group has left there.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn scratch(&self, label: &'static str, len: usize) -> Result<Buffer<f32>> {
        let mut buffers = self
            .scratch
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let buffer = match buffers.get(label) {
            Some(buffer) if buffer.len() >= len => buffer.clone(),
            _ => self.buffer(label, len)?,
        };
        buffers.insert(label, buffer.clone());
        Ok(buffer.prefix(len))
    }
}
