//! The position of training in its data, kept on the GPU so that a step is a static plan without writes from the CPU.

use super::permutation::Permutation;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::{Error, Result, gpu_struct};

static SHADER: Shader = crate::shader!("data/batch_cursor.wgsl");

gpu_struct! {
    struct BatchCursorUniforms in SHADER::Uniforms {
        count: u32,
        batch: u32,
    }
}

/// A buffer of four words on the GPU: the step, the epoch and the position in the epoch at which the step's batch
/// begins, and a spare one. Kernels that need the step (noise, Adam's bias correction) read its first word.
#[derive(Debug, Clone)]
pub struct BatchCursor {
    count: u32,
    batch: u32,
    state: Buffer<u32>,
    advance: Dispatch,
}

impl BatchCursor {
    /// A cursor at step 0 over `count` samples in batches of `batch`, which may exceed the count.
    ///
    /// # Errors
    /// No sample, an empty batch, or more than 2^30 of either.
    pub fn new(gpu: &Gpu, count: usize, batch: usize) -> Result<Self> {
        let bounded = |what: &str, value: usize| {
            u32::try_from(value)
                .ok()
                .filter(|value| (1..=Permutation::MAX_COUNT).contains(value))
                .ok_or_else(|| {
                    Error::input(
                        what,
                        format!("it is {value}"),
                        format!("choose 1 to {}", Permutation::MAX_COUNT),
                    )
                })
        };
        let count = bounded("number of samples", count)?;
        let batch = bounded("batch", batch)?;
        let state = gpu.buffer("cursor", 4)?;
        let parameters = BatchCursorUniforms { count, batch };
        let uniform = gpu.uniform("cursor", &parameters);
        let advance = gpu.kernel(&SHADER, "advance", &[]).bind(
            gpu,
            &[(0, uniform.binding()), (1, state.binding())],
            [1, 1, 1],
        );
        Ok(Self {
            count,
            batch,
            state,
            advance,
        })
    }

    /// Puts the cursor to the beginning of `step` (0 is the first).
    ///
    /// # Errors
    /// A step beyond 2^32 or an epoch beyond it.
    pub fn set_step(&self, gpu: &Gpu, step: u64) -> Result<()> {
        let (epoch, offset) = start_of(step, self.count, self.batch);
        match (u32::try_from(step), u32::try_from(epoch)) {
            (Ok(step), Ok(epoch)) => {
                gpu.write(&self.state, 0, &[step, epoch, offset, 0]);
                Ok(())
            }
            _ => Err(Error::input(
                format!("step {step}"),
                "steps and epochs are counted with 32 bits",
                "stay below 4,294,967,296 of both",
            )),
        }
    }

    /// Moves it one batch on: record this as the last dispatch of a step.
    pub fn advance(&self) -> Dispatch {
        self.advance.clone()
    }

    /// `[step, epoch, offset, 0]` on the GPU.
    pub fn buffer(&self) -> &Buffer<u32> {
        &self.state
    }

    /// Samples in the data set.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Samples in a batch.
    pub fn batch(&self) -> usize {
        self.batch as usize
    }
}

/// Epoch and position in it at which the batch of `step` begins.
pub(super) fn start_of(step: u64, count: u32, batch: u32) -> (u64, u32) {
    let position = u128::from(step) * u128::from(batch);
    let count = u128::from(count);
    // A remainder by a u32 fits one; an epoch that exceeds 64 bits is as good as the largest.
    let epoch = u64::try_from(position / count).unwrap_or(u64::MAX);
    (epoch, (position % count) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_wrap_into_epochs() {
        assert_eq!(start_of(0, 10, 4), (0, 0));
        assert_eq!(start_of(3, 10, 4), (1, 2));
        assert_eq!(start_of(5, 3, 7), (11, 2));
        assert_eq!(start_of(u64::MAX, 1, u32::MAX), (u64::MAX, 0));
    }
}
