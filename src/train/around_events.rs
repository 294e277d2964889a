//! What a run keeps around its events: the state before, and the records of every step, where `record.every` left them out.
//! They are run again from a state that is kept, because that costs nothing as long as nothing happens, and gives the same
//! bits. Afterwards the run goes on from where it was.

use super::event_windows::EventWindow;
use super::{Run, StepRecord};
use crate::Result;
use crate::trace::{LateRecord, RunReader};

impl Run {
    /// Keeps the state before the next step, if it is one that a window may begin with. What was noticed up to here is
    /// dealt with first: its window begins with states that this one replaces.
    pub(super) fn keep_state(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        if !self.windows.wants_state(self.trainer.steps_done()) {
            return Ok(());
        }
        while self.keep_next(true, each)? {}
        self.write_around_events(each)?;
        self.states.keep(&self.trainer)
    }

    /// Writes what belongs to the events that were noticed since the last call.
    pub(super) fn write_around_events(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        while self.keep_next(true, each)? {}
        let present = self.trainer.checkpoint()?;
        let pending = std::mem::take(&mut self.pending);
        let written = pending
            .iter()
            .try_for_each(|window| self.write_window(window));
        self.trainer.restore(&present, "the run's own state")?;
        written
    }

    fn write_window(&mut self, window: &EventWindow) -> Result<()> {
        let missing = self.windows.missing(window, self.taken);
        let reader = RunReader::open(self.writer.folder())?;
        let has_state = reader.checkpoints()?.contains(&window.state);
        if missing.is_empty() && has_state {
            return Ok(());
        }
        if !self.states.restore(&mut self.trainer, window.state)? {
            self.trainer.go_to(&reader, window.state)?;
        }
        let state = (!has_state)
            .then(|| self.trainer.checkpoint())
            .transpose()?;
        let records = self.run_again(&missing)?;
        // A driver that does not repeat its own bits would mix two runs.
        if !records.iter().all(|record| self.is_as_before(record)) {
            return Ok(());
        }
        let names = &self.scalar_names;
        let is_missing = |record: &StepRecord| missing.binary_search(&record.step).is_ok();
        let late = records.into_iter().filter(is_missing).filter_map(|record| {
            let scalars = names.iter().cloned();
            let values = record.scalars.iter().map(|value| f64::from(*value));
            Some(LateRecord {
                step: record.step,
                scalars: scalars.zip(values).collect(),
                statistics: record.statistics?,
            })
        });
        let late: Vec<LateRecord> = late.collect();
        self.writer.insert(&late)?;
        let Some(state) = state else {
            return Ok(());
        };
        // A run that is killed may resume here, so all that was recorded before is written first.
        self.writer.write_interim_segment(self.taken)?;
        state.write_earlier(self.writer.folder())?;
        Ok(())
    }

    /// Runs the steps from the present state up to the last of `recorded` again.
    fn run_again(&mut self, recorded: &[u64]) -> Result<Vec<StepRecord>> {
        let trainer = &mut self.trainer;
        let mut records = Vec::new();
        let end = recorded.last().map_or(0, |last| last + 1);
        while trainer.steps_done() < end {
            let is_recorded = recorded.binary_search(&trainer.steps_done()).is_ok();
            trainer.step(is_recorded)?;
            while let Some(record) = trainer.take(trainer.is_full())? {
                records.push(record);
            }
        }
        while let Some(record) = trainer.take(true)? {
            records.push(record);
        }
        Ok(records)
    }

    /// Whether a step that was run again has the loss that it had, as far as that is remembered.
    fn is_as_before(&self, record: &StepRecord) -> bool {
        let known = self.losses.iter().find(|(step, _)| *step == record.step);
        let again = record.scalars.first().map(|loss| loss.to_bits());
        known.is_none_or(|(_, loss)| Some(*loss) == again || f32::from_bits(*loss).is_nan())
    }

    /// Remembers the loss of a step, of as many steps as a window reaches back.
    pub(super) fn remember_loss(&mut self, record: &StepRecord) {
        let Some(loss) = record.scalars.first() else {
            return;
        };
        self.losses.push_back((record.step, loss.to_bits()));
        if self.losses.len() as u64 > 2 * self.windows.reach() {
            self.losses.pop_front();
        }
    }
}
