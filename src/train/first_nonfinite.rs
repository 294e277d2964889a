//! The search for the first non-finite value of a run that did not record the steps in question.

use std::ops::Range;

use super::events::first_nonfinite;
use super::{Replay, Trainer};
use crate::Result;
use crate::trace::{Event, RunReader, RunWriter};

/// Replays some steps of the run that `writer` writes, with every unit recorded, up to the first non-finite value of a
/// unit. Returns the trainer in the state that it was in, and the event.
pub(super) fn locate_first_nonfinite(
    trainer: Trainer,
    writer: &RunWriter,
    range: Range<u64>,
) -> Result<(Trainer, Option<Event>)> {
    let reader = RunReader::open(writer.folder())?;
    let last = trainer.checkpoint()?;
    let scalar_names = trainer.scalar_names();
    let mut replay = Replay::with_trainer(trainer, reader, range, false)?;
    let mut found = None;
    while found.is_none()
        && let Some(record) = replay.step()?
    {
        found = first_nonfinite(&record, replay.trainer().layout(), &scalar_names);
        if let Some(event) = &mut found {
            event.samples = replay.trainer().batch_samples(event.step);
        }
    }
    let mut trainer = replay.into_trainer();
    trainer.restore(&last, "the run's last state")?;
    Ok((trainer, found))
}
