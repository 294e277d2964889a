//! What the second sweep reads of each step, kept from the first where there is room, so that the steps need not run again.

use super::capture::{CapturedNetwork, CapturedPass};
use crate::Result;
use crate::gpu::{Buffer, Gpu};
use crate::nn::Parameters;

/// Bytes of the adapter's memory that are kept at most: above, running the steps again is what it takes.
const MOST_BYTES: u64 = 512 << 20;

/// Copies of what the steps of a range have left in the buffers of a capture.
#[derive(Debug)]
pub(super) struct Tape {
    sources: Vec<Buffer<f32>>,
    steps: Vec<Vec<Buffer<f32>>>,
    bytes_of_step: u64,
    room: u64,
    is_complete: bool,
}

impl Tape {
    /// An empty tape of what was captured.
    pub fn new(
        gpu: &Gpu,
        passes: &[CapturedPass],
        network: &CapturedNetwork,
        others: &[Parameters],
    ) -> Self {
        let values = passes.iter().flat_map(|pass| pass.values.values());
        let gradients = passes.iter().flat_map(|pass| pass.gradients.values());
        let own = [&network.start.values, &network.late.values];
        // With one pass, the state that it leaves is not read.
        let own = &own[..passes.len().min(2)];
        let others = others.iter().map(|parameters| &parameters.values);
        let sources = values.chain(gradients).chain(own.iter().copied());
        let sources: Vec<_> = sources.chain(others).cloned().collect();
        Self {
            bytes_of_step: sources.iter().map(|buffer| buffer.raw().size()).sum(),
            room: gpu
                .memory()
                .map_or(MOST_BYTES, |all| MOST_BYTES.min(all / 4)),
            sources,
            steps: Vec::new(),
            is_complete: true,
        }
    }

    /// Keeps the step that has just run, unless there is no room for it: then none is kept.
    ///
    /// # Errors
    /// The adapter has no memory left.
    pub fn record(&mut self, gpu: &Gpu) -> Result<()> {
        let bytes = (self.steps.len() as u64 + 1) * self.bytes_of_step;
        if !self.is_complete || bytes > self.room {
            self.is_complete = false;
            self.steps.clear();
            return Ok(());
        }
        let copies = self.sources.iter();
        let copies = copies.map(|source| gpu.buffer("step kept for credit", source.len()));
        let copies = copies.collect::<Result<Vec<_>>>()?;
        copy_all(gpu, &self.sources, &copies);
        self.steps.push(copies);
        Ok(())
    }

    /// Whether every step was kept.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Puts back what the step of an index had left.
    pub fn play(&self, gpu: &Gpu, index: usize) {
        copy_all(gpu, &self.steps[index], &self.sources);
    }
}

/// Copies buffers as bytes: labels among them are no float32.
fn copy_all(gpu: &Gpu, from: &[Buffer<f32>], to: &[Buffer<f32>]) {
    let mut encoder = gpu.encoder("tape");
    for (from, to) in from.iter().zip(to) {
        let size = from.raw().size().min(to.raw().size());
        encoder.copy_buffer_to_buffer(from.raw(), 0, to.raw(), 0, size);
    }
    gpu.queue.submit([encoder.finish()]);
}
