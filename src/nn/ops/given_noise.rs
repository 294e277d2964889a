//! Noise that was drawn elsewhere, step by step: so a run that another framework has trained is repeated with its own draws.

use std::sync::Arc;

use crate::{Error, Result};

/// Noise of each step, `[steps, batch, latent units]`. Steps beyond the last one begin again at the first.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenNoise {
    steps: usize,
    /// Values of one step.
    size: usize,
    values: Arc<Vec<f32>>,
}

impl GivenNoise {
    /// The noise of `steps` steps, one after the other.
    ///
    /// # Errors
    /// There is none, or the steps have different amounts of it.
    pub fn new(steps: usize, values: Vec<f32>) -> Result<Self> {
        if steps == 0 || values.is_empty() || !values.len().is_multiple_of(steps) {
            return Err(Error::input(
                "given noise",
                format!("it has {} values for {steps} steps", values.len()),
                "give as many values for each step as a batch has latent values",
            ));
        }
        Ok(Self {
            steps,
            size: values.len() / steps,
            values: Arc::new(values),
        })
    }

    /// Steps that it has noise for.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Values of one step.
    pub fn step_size(&self) -> usize {
        self.size
    }

    /// The values of a step.
    pub(super) fn of_step(&self, step: u32) -> &[f32] {
        &self.values[(step as usize % self.steps) * self.size..][..self.size]
    }

    /// All steps, each on vectors of four of its own.
    pub(super) fn padded(&self) -> Vec<f32> {
        let padding = self.size.next_multiple_of(4) - self.size;
        let steps = self.values.chunks(self.size);
        let padded = steps.flat_map(|step| step.iter().copied().chain((0..padding).map(|_| 0.0)));
        padded.collect()
    }
}
