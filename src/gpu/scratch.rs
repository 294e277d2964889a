//! Memory that groups of dispatches share, because none of them needs it beyond its own submission.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::buffer::Buffer;
use crate::Result;

/// A request for shared memory ([`super::Gpu::scratch`]).
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

impl ScratchPool {
    /// At least `len` values under `label`, made by `make` where there are fewer.
    pub fn get(
        &self,
        label: &'static str,
        len: usize,
        make: impl FnOnce() -> Result<Buffer<f32>>,
    ) -> Result<Buffer<f32>> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = match buffers.get(label) {
            Some(buffer) if buffer.len() >= len => buffer.clone(),
            _ => make()?,
        };
        buffers.insert(label, buffer.clone());
        Ok(buffer.prefix(len))
    }
}
