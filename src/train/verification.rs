//! Compares a replay with what the run has kept, bit for bit.

use std::collections::BTreeMap;

use super::{StepRecord, Trainer};
use crate::Result;
use crate::trace::{Checkpoint, RunReader, UnitStatistics};

/// What a verified replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Checkpoints whose digest was compared.
    pub checkpoints: usize,
    /// Recorded steps whose statistics were compared.
    pub records: usize,
    /// Scalars that were compared.
    pub scalars: usize,
    /// What differs from the run, in order of steps, checkpoints last; empty when the replay is bit-identical.
    pub differences: Vec<String>,
}

/// What the run has kept of the replayed steps.
#[derive(Debug)]
pub(super) struct Verifier {
    scalars: BTreeMap<String, Vec<(u64, f64)>>,
    statistics: BTreeMap<u64, Vec<UnitStatistics>>,
    scalar_names: Vec<String>,
    /// How many of the names every step has.
    of_every_step: usize,
    /// The run recorded every n-th step.
    every: u64,
    /// The run has left out statistics of older steps.
    is_thinned: bool,
    found: Verification,
    differing_checkpoints: Vec<u64>,
}

impl Verifier {
    /// Reads what the run has kept of the steps `from..to`.
    pub fn new(reader: &RunReader, trainer: &Trainer, from: u64, to: u64) -> Result<Self> {
        Ok(Self {
            scalars: reader.scalars()?,
            statistics: reader.statistics(from, to)?.into_iter().collect(),
            scalar_names: trainer.scalar_names(),
            of_every_step: trainer.scalars_of_every_step(),
            every: trainer.scenario().record.every,
            is_thinned: trainer.scenario().record.budget.is_some(),
            found: Verification::default(),
            differing_checkpoints: Vec::new(),
        })
    }

    /// Whether the run has statistics of a step.
    pub fn is_recorded(&self, step: u64) -> bool {
        step.is_multiple_of(self.every) || self.statistics.contains_key(&step)
    }

    /// Compares a replayed step.
    pub fn compare(&mut self, record: &StepRecord) {
        self.compare_scalars(record);
        self.compare_statistics(record);
    }

    fn compare_scalars(&mut self, record: &StepRecord) {
        // A replay records more steps than the run did.
        let known = if self.is_recorded(record.step) {
            self.scalar_names.len()
        } else {
            self.of_every_step
        };
        let Verification {
            scalars,
            differences,
            ..
        } = &mut self.found;
        for (name, &value) in self.scalar_names.iter().zip(&record.scalars).take(known) {
            let series = self.scalars.get(name).map_or(&[][..], Vec::as_slice);
            let Ok(at) = series.binary_search_by_key(&record.step, |(step, _)| *step) else {
                differences.push(format!("step {}: the run has lost its {name}", record.step));
                continue;
            };
            *scalars += 1;
            let kept = series[at].1;
            let both_nan = value.is_nan() && kept.is_nan();
            if f64::from(value).to_bits() != kept.to_bits() && !both_nan {
                let step = record.step;
                differences.push(format!(
                    "step {step}: {name} is {value}, the run has {kept}"
                ));
            }
        }
    }

    fn compare_statistics(&mut self, record: &StepRecord) {
        let kept = self.statistics.get(&record.step);
        let differences = &mut self.found.differences;
        if kept.is_none() && record.step.is_multiple_of(self.every) && !self.is_thinned {
            differences.push(format!(
                "step {}: the run has lost its statistics",
                record.step
            ));
        }
        let (Some(now), Some(kept)) = (&record.statistics, kept) else {
            return;
        };
        self.found.records += 1;
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let [now, kept] = [now, kept].map(|units| bytemuck::cast_slice::<_, f32>(units));
        if now.len() != kept.len() || !now.iter().zip(kept).all(same) {
            differences.push(format!("step {}: statistics differ", record.step));
        }
    }

    /// Compares the state after `step` steps with the run's checkpoint of it.
    pub fn compare_checkpoint(
        &mut self,
        trainer: &Trainer,
        reader: &RunReader,
        step: u64,
    ) -> Result<()> {
        let kept = Checkpoint::read(reader.folder(), step)?;
        self.found.checkpoints += 1;
        if trainer.checkpoint()?.digest() != kept.digest() {
            self.differing_checkpoints.push(step);
        }
        Ok(())
    }

    /// What was found so far.
    pub fn verification(&self) -> Verification {
        let mut found = self.found.clone();
        let differing = self.differing_checkpoints.iter();
        let texts = differing.map(|step| format!("checkpoint {step}: its digest differs"));
        found.differences.extend(texts);
        found
    }
}
