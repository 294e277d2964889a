//! Counts of the memory that storage buffers take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::aliasing::Memory;

/// Bytes of the storage buffers of a device.
#[derive(Debug, Default)]
pub(super) struct MemoryUse {
    total: AtomicU64,
    live: AtomicU64,
}

impl MemoryUse {
    /// Bytes of all buffers that were ever made.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes of the buffers that exist.
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }
}

/// The memory of one buffer. All that refers to the buffer shares it, and the last one to go ends the count.
#[derive(Debug)]
pub(super) struct Allocation {
    /// Where the buffer can be read as an image too.
    pub memory: Option<Arc<Memory>>,
    bytes: u64,
    memory_use: Arc<MemoryUse>,
}

impl Allocation {
    /// Counts a buffer that was made.
    pub fn new(memory: Option<Arc<Memory>>, bytes: u64, memory_use: &Arc<MemoryUse>) -> Arc<Self> {
        memory_use.total.fetch_add(bytes, Ordering::Relaxed);
        memory_use.live.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Self {
            memory,
            bytes,
            memory_use: memory_use.clone(),
        })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.memory_use
            .live
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
