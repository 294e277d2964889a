//! Resuming a run: its last checkpoint, and what the event detector has to know of the steps before.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Run, Scenario, StepRecord, Trainer, thresholds};
use crate::gpu::Gpu;
use crate::models::{DataShape, Model};
use crate::trace::{EventKind, RunInfo, RunReader, RunWriter, UnitStatistics};
use crate::{Error, Result};

impl Run {
    /// Resumes the run in `dir` from its last checkpoint; `steps` changes the number of steps in all.
    ///
    /// # Errors
    /// The directory contains no run, or one that is damaged, newer than this version or locked by another process, or
    /// more than `steps` steps are done.
    pub fn resume(gpu: &Gpu, dir: &Path, steps: Option<u64>) -> Result<Self> {
        let reader = RunReader::open(dir)?;
        let scenario = Scenario::of_run(&reader)?;
        Self::resume_as(gpu, dir, steps, &reader, scenario)
    }

    /// The same for a run of a model of one's own, which `build` builds: see [`Scenario::with_model`].
    ///
    /// # Errors
    /// As [`Run::resume`].
    pub fn resume_with(
        gpu: &Gpu,
        dir: &Path,
        steps: Option<u64>,
        build: impl Fn(&Scenario, DataShape) -> Result<Box<dyn Model>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let reader = RunReader::open(dir)?;
        let scenario = Scenario::of_run(&reader)?.with_model(build);
        Self::resume_as(gpu, dir, steps, &reader, scenario)
    }

    fn resume_as(
        gpu: &Gpu,
        dir: &Path,
        steps: Option<u64>,
        reader: &RunReader,
        mut scenario: Scenario,
    ) -> Result<Self> {
        let last = reader.last_checkpoint()?;
        if let Some(steps) = steps.filter(|&steps| steps < last) {
            return Err(Error::usage(
                format!("--steps {steps}"),
                format!("{} has {last} steps already", dir.display()),
                "ask for more of them in all, or leave it out",
            ));
        }
        // What was asked for last: an earlier resume may have asked for more than the scenario.
        scenario.train.steps = steps.unwrap_or(reader.info().steps);
        let trainer = Trainer::restored(gpu, &scenario, reader, last)?;
        let kept = kept_records(reader, last, &trainer)?;
        let events = reader.events()?;
        let mut writer = RunWriter::resume(dir, last, trainer.layout().clone())?;
        let fresh = RunInfo::new(
            &scenario.name,
            gpu.info(),
            scenario.train.steps,
            scenario.seed,
        );
        writer.update(|info| {
            info.steps = fresh.steps;
            info.adapter = fresh.adapter;
            info.driver = fresh.driver;
            info.backend = fresh.backend;
            info.version = fresh.version;
            info.kernels = trainer.kernel_choices();
            info.data = Some(trainer.data().clone());
        })?;
        let mut run = Self::new(trainer, writer);
        run.taken = last;
        run.saved.1 = last;
        run.nonfinite_at = events
            .iter()
            .find(|event| event.kind == EventKind::Nonfinite && event.step < last)
            .map(|event| event.step);
        let earlier = events.into_iter().filter(|event| event.step < last);
        let earlier: Vec<_> = earlier.collect();
        run.detector.recall(&earlier);
        for event in &earlier {
            // What belongs to them is written already, and steps that are to come are recorded.
            run.windows.observe(event);
        }
        // Recorded steps pass through the detector again, so that its averages and counters are restored.
        for record in &kept {
            run.observe(record);
        }
        // The run may have been killed before it thinned its records at this checkpoint.
        run.hold_budget()?;
        Ok(run)
    }
}

/// What a run has kept of the steps before `end`, in order; statistics of as many of the last as the detector needs.
fn kept_records(reader: &RunReader, end: u64, trainer: &Trainer) -> Result<Vec<StepRecord>> {
    let names = trainer.scalar_names();
    let scalars = reader.scalars()?;
    let scenario = trainer.scenario();
    let reach = thresholds::memory_steps(scenario.record.every, &scenario.detect);
    let mut statistics: BTreeMap<u64, Vec<UnitStatistics>> = reader
        .statistics(end.saturating_sub(reach), end)?
        .into_iter()
        .collect();
    let mut records: BTreeMap<u64, StepRecord> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        for &(step, value) in scalars.get(name).into_iter().flatten() {
            if step < end {
                let record = records.entry(step).or_insert_with(|| StepRecord {
                    step,
                    scalars: Vec::new(),
                    statistics: statistics.remove(&step),
                    outputs: Vec::new(),
                });
                record.scalars.resize(index, 0.0);
                record.scalars.push(value as f32);
            }
        }
    }
    Ok(records.into_values().collect())
}
