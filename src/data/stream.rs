//! A data set in main memory, of which the GPU holds what the next steps need.
//!
//! The order of the samples is known for all times ([`Order`]), so a thread packs the images of coming steps, in the order
//! of their rows, into chunks of some steps each. The GPU holds two chunks: while steps read one, the next is
//! written into the other. Writes and steps go through one queue, which keeps them in order, so that no step ever waits
//! for the CPU unless packing is slower than training, and none reads what is not there yet.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::{Images, Order};
use crate::gpu::{Buffer, Gpu};
use crate::{ByteSize, Error, Result};

/// Chunks on the GPU.
const CHUNKS: u64 = 2;
/// Steps of a chunk at most.
const MAX_CHUNK_STEPS: u64 = 32;
/// Bytes of a chunk that are worth having: larger ones only cost memory.
const TARGET_CHUNK_BYTES: u64 = 4 << 20;

/// Bytes of one step's images in a ring.
fn step_bytes(images: &Images, batch: usize) -> u64 {
    let row = images.sample_size().div_ceil(4) as u64 + u64::from(!images.labels.is_empty());
    4 * row * batch as u64
}

/// Steps that a chunk holds where both chunks together may take `budget` bytes.
///
/// # Errors
/// Not even one step's images fit twice.
pub(super) fn chunk_steps(images: &Images, batch: usize, budget: u64) -> Result<u64> {
    let step = step_bytes(images, batch);
    let fitting = budget / (CHUNKS * step);
    if fitting == 0 {
        return Err(Error::input(
            format!("data set '{}'", images.name),
            format!(
                "streaming it needs {} on the adapter for two batches of {batch}, and the budget is {}",
                ByteSize(CHUNKS * step),
                ByteSize(budget)
            ),
            "make the batch smaller, or allow more memory (data.memory, --memory)",
        ));
    }
    let most = fitting
        .min(MAX_CHUNK_STEPS)
        .min((TARGET_CHUNK_BYTES / step).max(1));
    Ok(1 << most.ilog2())
}

/// Bytes on the GPU with chunks of `steps` steps.
pub(super) fn ring_bytes(images: &Images, batch: usize, steps: u64) -> u64 {
    CHUNKS * steps * step_bytes(images, batch)
}

/// What keeps the ring filled.
#[derive(Debug)]
pub(super) struct Stream {
    images: Arc<Images>,
    order: Order,
    /// Steps of a chunk.
    steps: u64,
    /// `[chunks, steps, batch]` images, each on words of its own.
    pub words: Buffer<u32>,
    /// `[chunks, steps, batch]`.
    pub labels: Option<Buffer<u32>>,
    /// The chunks that are on the GPU: the last two before this one, as far as there are.
    next: u64,
    /// The first chunk since the last jump.
    first: u64,
    packed: Option<Receiver<Chunk>>,
}

struct Chunk {
    words: Vec<u32>,
    labels: Vec<u32>,
}

impl Stream {
    pub fn new(gpu: &Gpu, images: &Arc<Images>, order: Order, steps: u64) -> Result<Self> {
        let rows = (CHUNKS * steps) as usize * order.batch as usize;
        let labels = (!images.labels.is_empty()).then(|| gpu.buffer("streamed labels", rows));
        Ok(Self {
            words: gpu.buffer("streamed images", rows * images.sample_size().div_ceil(4))?,
            labels: labels.transpose()?,
            images: images.clone(),
            order,
            steps,
            next: 0,
            first: 0,
            packed: None,
        })
    }

    /// Steps in the ring.
    pub fn ring(&self) -> u64 {
        CHUNKS * self.steps
    }

    /// Call before `step` is submitted: its images are then in the queue before it, and the next chunk's as soon as they
    /// are packed.
    pub fn prepare(&mut self, gpu: &Gpu, step: u64) -> Result<()> {
        let chunk = step / self.steps;
        let is_held = (self.first..self.next).contains(&chunk) && chunk + CHUNKS >= self.next;
        if self.packed.is_none() || !(is_held || chunk == self.next) {
            self.packed = Some(self.begin(chunk)?);
            (self.first, self.next) = (chunk, chunk);
        }
        while self.next <= chunk {
            let packed = self.packed.as_ref().and_then(|packed| packed.recv().ok());
            let packed = packed.ok_or_else(|| stopped(&self.images.name))?;
            self.write(gpu, &packed);
        }
        // Steps of the chunk before this one, which it overwrites, are all in the queue already.
        if self.next == chunk + 1 {
            match self.packed.as_ref().map(Receiver::try_recv) {
                Some(Ok(packed)) => self.write(gpu, &packed),
                Some(Err(TryRecvError::Empty)) => {}
                _ => return Err(stopped(&self.images.name)),
            }
        }
        Ok(())
    }

    fn write(&mut self, gpu: &Gpu, chunk: &Chunk) {
        let slot = (self.next % CHUNKS) as usize;
        gpu.write(&self.words, slot * chunk.words.len(), &chunk.words);
        if let Some(labels) = &self.labels {
            gpu.write(labels, slot * chunk.labels.len(), &chunk.labels);
        }
        self.next += 1;
    }

    /// A thread that packs from `chunk` on, as long as somebody takes what it packs.
    fn begin(&self, chunk: u64) -> Result<Receiver<Chunk>> {
        let (send, packed) = sync_channel(1);
        let (images, order, steps) = (self.images.clone(), self.order, self.steps);
        std::thread::Builder::new()
            .name("data stream".to_owned())
            .spawn(move || {
                let chunks = chunk..;
                for chunk in chunks {
                    if send.send(pack_chunk(&images, order, chunk, steps)).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| {
                Error::gpu(
                    format!("data set '{}'", self.images.name),
                    format!("no thread can be started to stream it: {error}"),
                    "free some memory",
                )
            })?;
        Ok(packed)
    }
}

fn stopped(name: &str) -> Error {
    Error::gpu(
        format!("data set '{name}'"),
        "the thread that streams it has stopped",
        "resume the run from its last checkpoint",
    )
}

fn pack_chunk(images: &Images, order: Order, chunk: u64, steps: u64) -> Chunk {
    let steps = chunk * steps..(chunk + 1) * steps;
    let samples: Vec<u32> = steps.flat_map(|step| order.samples(step)).collect();
    let (words, labels) = images.packed(&samples);
    Chunk { words, labels }
}
