//! The last states of a run, kept on the GPU: what an event is about can be run again without going back to the last
//! checkpoint, and keeping them is a copy that no step waits for.

use std::collections::VecDeque;

use super::Trainer;
use crate::gpu::Buffer;
use crate::{ErrorKind, Result};

/// Two states: a window begins in the last interval between two of them, or in the one before.
const SLOTS: usize = 2;

/// States after some steps, the last one at the end.
#[derive(Debug, Default)]
pub(super) struct KeptStates {
    slots: VecDeque<KeptState>,
    /// The adapter has no memory for them. What they would give is then run again from a checkpoint.
    is_too_large: bool,
}

#[derive(Debug)]
struct KeptState {
    step: u64,
    /// Copies of [`TrainStep::state`](crate::models::TrainStep::state).
    buffers: Vec<Buffer<f32>>,
}

impl KeptStates {
    /// Keeps the present state of a trainer in place of the oldest one.
    ///
    /// # Errors
    /// The device was lost.
    pub fn keep(&mut self, trainer: &Trainer) -> Result<()> {
        if self.is_too_large {
            return Ok(());
        }
        let buffers = if self.slots.len() < SLOTS {
            self.make_room(trainer)?
        } else {
            self.slots.pop_front().map(|slot| slot.buffers)
        };
        let Some(buffers) = buffers else {
            self.is_too_large = true;
            self.slots.clear();
            return Ok(());
        };
        copy(trainer, trainer.train_step.state(), &buffers);
        let step = trainer.steps_done();
        self.slots.push_back(KeptState { step, buffers });
        trainer.gpu().check()
    }

    /// Buffers for one more state; `None` where there is no memory for them.
    fn make_room(&self, trainer: &Trainer) -> Result<Option<Vec<Buffer<f32>>>> {
        let gpu = trainer.gpu();
        let sizes: Vec<usize> = trainer.train_step.state().map(Buffer::len).collect();
        let bytes = (SLOTS * size_of::<f32>() * sizes.iter().sum::<usize>()) as u64;
        let has_room = gpu
            .memory()
            .is_none_or(|all| gpu.live_bytes().saturating_add(bytes) <= all);
        if self.slots.is_empty() && !has_room {
            return Ok(None);
        }
        let buffers = sizes.into_iter().map(|len| gpu.buffer("kept state", len));
        match buffers.collect::<Result<Vec<_>>>() {
            Ok(buffers) => Ok(Some(buffers)),
            Err(error) if error.kind() == ErrorKind::OutOfMemory => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts the state after `step` steps back in place; `false` where it is not kept.
    ///
    /// # Errors
    /// The device was lost.
    pub fn restore(&self, trainer: &mut Trainer, step: u64) -> Result<bool> {
        let Some(slot) = self.slots.iter().find(|slot| slot.step == step) else {
            return Ok(false);
        };
        copy(trainer, slot.buffers.iter(), trainer.train_step.state());
        trainer.set_step(step)?;
        Ok(true)
    }
}

/// Copies buffers to others of the same sizes.
fn copy<'b>(
    trainer: &Trainer,
    from: impl Iterator<Item = &'b Buffer<f32>>,
    to: impl IntoIterator<Item = &'b Buffer<f32>>,
) {
    let gpu = trainer.gpu();
    let mut encoder = gpu.encoder("kept state");
    for (from, to) in from.zip(to) {
        let bytes = (from.len() * size_of::<f32>()) as u64;
        encoder.copy_buffer_to_buffer(from.raw(), 0, to.raw(), 0, bytes);
    }
    gpu.queue.submit([encoder.finish()]);
}
