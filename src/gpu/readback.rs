//! Small results come back without stalling: a ring of mappable buffers, filled by copies in the step's own
//! submission and read some steps later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::device::Gpu;
use crate::Result;

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// A ring of `MAP_READ` buffers. [`ReadbackRing::copy`] takes a slot, [`ReadbackRing::submitted`] maps what was copied,
/// and [`ReadbackRing::take`] returns the bytes in order, each with the tag that it was copied under.
#[derive(Debug)]
pub struct ReadbackRing<Tag> {
    free: Vec<wgpu::Buffer>,
    copied: Vec<(Tag, wgpu::Buffer, u64)>,
    in_flight: VecDeque<PendingReadback<Tag>>,
}

#[derive(Debug)]
struct PendingReadback<Tag> {
    tag: Tag,
    buffer: wgpu::Buffer,
    size: u64,
    state: Arc<AtomicU8>,
}

impl<Tag> ReadbackRing<Tag> {
    /// A ring of `slots` buffers of `bytes` (rounded up to whole words) each.
    pub fn new(gpu: &Gpu, label: &str, slots: usize, bytes: u64) -> Self {
        let free = (0..slots.max(1))
            .map(|_| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: bytes.max(4).next_multiple_of(4),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
            .collect();
        Self {
            free,
            copied: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Whether [`ReadbackRing::copy`] would find no free slot.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether all results were taken.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.copied.is_empty()
    }

    /// Records copies of `sources` (buffer, offset, bytes), one after another, into a free slot.
    ///
    /// # Panics
    /// The ring is full or the sources are larger than a slot: mistakes of the caller.
    pub fn copy(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        tag: Tag,
        sources: &[(&wgpu::Buffer, u64, u64)],
    ) {
        let buffer = self
            .free
            .pop()
            .expect("take results before the ring is full");
        let mut size = 0;
        for (source, offset, bytes) in sources {
            encoder.copy_buffer_to_buffer(source, *offset, &buffer, size, *bytes);
            size += bytes;
        }
        self.copied.push((tag, buffer, size));
    }

    /// Call after the submission that holds the copies: asks for their mapping.
    pub fn submitted(&mut self) {
        for (tag, buffer, size) in self.copied.drain(..) {
            let state = Arc::new(AtomicU8::new(PENDING));
            let shared = state.clone();
            buffer
                .slice(..size)
                .map_async(wgpu::MapMode::Read, move |result| {
                    let next = if result.is_ok() { MAPPED } else { FAILED };
                    shared.store(next, Ordering::Release);
                });
            self.in_flight.push_back(PendingReadback {
                tag,
                buffer,
                size,
                state,
            });
        }
    }

    /// The oldest result, if it has arrived; with `wait`, waits for it (`None` only if there is none).
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn take(&mut self, gpu: &Gpu, wait: bool) -> Result<Option<(Tag, Vec<u8>)>> {
        let Some(oldest) = self.in_flight.front() else {
            return Ok(None);
        };
        let state = oldest.state.clone();
        // A poll that does not wait keeps wgpu's own bookkeeping small; unpolled loops grow without end.
        let polled = gpu.poll(wgpu::PollType::Poll);
        gpu.check()?;
        let _ = polled?;
        if state.load(Ordering::Acquire) == PENDING {
            if !wait {
                return Ok(None);
            }
            gpu.wait_until(|| state.load(Ordering::Acquire) != PENDING)?;
        }
        // Where the device was lost, that is the reason for all that fails after it.
        let failed = || match gpu.wait() {
            Err(error) => error,
            Ok(()) => gpu.lost(
                "reading back failed",
                "try again, or choose another adapter with --adapter",
            ),
        };
        if state.load(Ordering::Acquire) != MAPPED {
            return Err(failed());
        }
        let pending = self.in_flight.pop_front().expect("looked at above");
        let bytes = pending
            .buffer
            .slice(..pending.size)
            .get_mapped_range()
            .map_err(|_| failed())?
            .to_vec();
        pending.buffer.unmap();
        self.free.push(pending.buffer);
        Ok(Some((pending.tag, bytes)))
    }
}
