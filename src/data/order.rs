//! Which samples a step's batch holds, on the CPU: the reference implementation of the kernel `choose` of `shaders/data/batch.wgsl`.

use super::batch_cursor;
use super::permutation::Permutation;

/// The order of a data set's samples through all steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Samples in the data set: at least 1.
    pub count: u32,
    /// Samples in a batch: at least 1.
    pub batch: u32,
    /// Whether each epoch has an order of its own; else that of the file, wrapping round.
    pub shuffle: bool,
    /// Seed of the shuffling.
    pub seed: u64,
}

impl Order {
    /// The numbers of the samples in the rows of the batch of `step`.
    pub fn samples(&self, step: u64) -> Vec<u32> {
        let (first_epoch, offset) = batch_cursor::start_of(step, self.count, self.batch);
        let mut epoch = first_epoch;
        let mut order = Permutation::new(self.count, self.seed, epoch as u32);
        let mut index = offset;
        let mut samples = Vec::with_capacity(self.batch as usize);
        for _ in 0..self.batch {
            samples.push(if self.shuffle { order.at(index) } else { index });
            index += 1;
            if index == self.count {
                index = 0;
                epoch = epoch.wrapping_add(1);
                order = Permutation::new(self.count, self.seed, epoch as u32);
            }
        }
        samples
    }
}
