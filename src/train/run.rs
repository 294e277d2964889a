//! A run: a trainer whose records are watched and kept in a run directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::events::{EventDetector, first_nonfinite};
use super::{Scenario, StepRecord, Trainer, thresholds};
use crate::gpu::Gpu;
use crate::trace::{
    self, Checkpoint, Event, EventKind, RunInfo, RunReader, RunWriter, Status, UnitStatistics,
};
use crate::{Error, Result};

/// A run in progress.
pub struct Run {
    trainer: Trainer,
    writer: RunWriter,
    detector: EventDetector,
    scalar_names: Vec<String>,
    /// Results taken from the ring so far.
    taken: u64,
    /// The first step with a non-finite value.
    nonfinite_at: Option<u64>,
    recent_events: Vec<Event>,
    clock: TrainingClock,
}

/// The time spent in training: not the set-up, and no pauses.
struct TrainingClock {
    seconds: f64,
    since: Instant,
}

impl TrainingClock {
    /// Training time so far, up to now.
    fn now(&mut self) -> f64 {
        let now = Instant::now();
        self.seconds += now.duration_since(self.since).as_secs_f64();
        self.since = now;
        self.seconds
    }
}

impl Run {
    /// Starts a run in a new directory; with `init`, from the parameters of a safetensors file.
    ///
    /// # Errors
    /// Broken data or parameters, a model that does not fit, or a directory that cannot be made or is in use.
    pub fn create(gpu: &Gpu, scenario: &Scenario, dir: &Path, init: Option<&Path>) -> Result<Self> {
        let mut trainer = Trainer::new(gpu, scenario)?;
        if let Some(path) = init {
            let tensors = trace::read_safetensors(path)?;
            trainer.load_parameters(&tensors, &path.display().to_string())?;
        }
        let mut info = RunInfo::new(
            &scenario.name,
            gpu.info(),
            scenario.train.steps,
            scenario.seed,
        );
        info.kernels = trainer.kernel_choices();
        let model = trainer.model().describe();
        let layout = trainer.layout().clone();
        let start = trainer.checkpoint()?;
        let writer = RunWriter::create(dir, &scenario.to_toml(), info, &model, layout)?;
        start.write(dir)?;
        Ok(Self::around(trainer, writer))
    }

    /// Goes on with the run in `dir` from its last checkpoint, to `steps` in all where given.
    ///
    /// # Errors
    /// A directory that holds no run, a broken or newer one or one that goes on elsewhere, or fewer `steps` than are
    /// done.
    pub fn resume(gpu: &Gpu, dir: &Path, steps: Option<u64>) -> Result<Self> {
        let reader = RunReader::open(dir)?;
        let mut scenario = Scenario::of_run(&reader)?;
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
        let trainer = Trainer::restored(gpu, &scenario, &reader, last)?;
        let kept = kept_records(&reader, last, &trainer)?;
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
        })?;
        let mut run = Self::around(trainer, writer);
        run.taken = last;
        run.nonfinite_at = events
            .iter()
            .find(|event| event.kind == EventKind::Nonfinite && event.step < last)
            .map(|event| event.step);
        if run.nonfinite_at.is_some() {
            run.detector.skip_nonfinite();
        }
        // Recorded steps pass through the detector again, so that its averages and counters are restored.
        for record in &kept {
            run.look(record);
        }
        Ok(run)
    }

    fn around(trainer: Trainer, writer: RunWriter) -> Self {
        let scalar_names = trainer.scalar_names();
        let model = trainer.model().describe();
        Self {
            detector: EventDetector::new(trainer.layout(), &scalar_names, &model),
            scalar_names,
            trainer,
            clock: TrainingClock {
                seconds: writer.info().seconds,
                since: Instant::now(),
            },
            writer,
            taken: 0,
            nonfinite_at: None,
            recent_events: Vec::new(),
        }
    }

    /// Runs the next step and keeps what has arrived, which `each` sees first; `false` when the run has come to its
    /// end.
    ///
    /// # Errors
    /// A lost device or a full disk. What has come back before is kept, and the run resumes from its last checkpoint.
    pub fn advance(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        self.step(each).map_err(|error| self.give_up(error))
    }

    fn step(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        self.clock.since = Instant::now();
        if self.trainer.is_full() {
            self.keep_next(true, each)?;
        }
        let record = &self.trainer.scenario().record;
        let (every, checkpoint_every) = (record.every, record.checkpoint_every);
        let step = self.trainer.steps_done();
        self.trainer.step(step.is_multiple_of(every))?;
        while self.keep_next(false, each)? {}
        if (step + 1).is_multiple_of(checkpoint_every) {
            self.save_now(each)?;
        }
        self.clock.now();
        Ok(!self.is_over())
    }

    /// Whether all steps are done, or enough after the first non-finite value.
    fn is_over(&self) -> bool {
        let train = &self.trainer.scenario().train;
        let done = self.trainer.steps_done();
        let after = train.stop_after_nonfinite;
        let given_up = self
            .nonfinite_at
            .is_some_and(|first| after > 0 && done > first + after);
        done >= train.steps || given_up
    }

    /// Closes a run whose device has failed, and taken its state with it: what has come back so far stays, and the
    /// last checkpoint is where it goes on.
    fn give_up(&mut self, error: Error) -> Error {
        if !error.is_gpu() {
            return error;
        }
        let status = Status::Failed(format!("{}: {}", error.context(), error.problem()));
        if self.writer.finish(status, self.taken).is_err() {
            return error;
        }
        let dir = self.writer.folder().display();
        error.with_hint(format!(
            "what the run has recorded is kept; go on from its last checkpoint with --resume {dir}"
        ))
    }

    /// Takes one record out of the ring and keeps it.
    fn keep_next(&mut self, wait: bool, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        let Some(record) = self.trainer.take(wait)? else {
            return Ok(false);
        };
        each(&record);
        for (name, value) in self.scalar_names.iter().zip(&record.scalars) {
            self.writer.scalar(record.step, name, f64::from(*value))?;
        }
        if let Some(statistics) = &record.statistics {
            self.writer.record(record.step, statistics)?;
        }
        for event in self.look(&record) {
            if event.kind == EventKind::Nonfinite {
                self.nonfinite_at = Some(event.step);
            }
            self.writer.event(&event)?;
            self.recent_events.push(event);
        }
        self.taken = record.step + 1;
        Ok(true)
    }

    fn look(&mut self, record: &StepRecord) -> Vec<Event> {
        let mut events = self.detector.observe(record);
        // A spike comes from one batch: name its samples.
        for event in events
            .iter_mut()
            .filter(|event| event.kind == EventKind::Spike)
        {
            event.samples = self.trainer.batch_samples(event.step);
        }
        events
    }

    /// Waits for all steps so far, closes the open segment and writes a checkpoint.
    ///
    /// # Errors
    /// A lost device or a full disk.
    pub fn save(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        self.clock.since = Instant::now();
        self.save_now(each)
    }

    fn save_now(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        while self.keep_next(true, each)? {}
        let seconds = self.clock.now();
        self.writer.update(|info| info.seconds = seconds)?;
        self.writer.close_segment(self.taken)?;
        self.trainer.checkpoint()?.write(self.writer.folder())?;
        Ok(())
    }

    /// Saves and closes the run. `interrupted` says that the user stopped it.
    ///
    /// # Errors
    /// A lost device or a full disk.
    pub fn finish(
        mut self,
        interrupted: bool,
        each: &mut dyn FnMut(&StepRecord),
    ) -> Result<Finished> {
        let saved = self.save(each).and_then(|()| match self.unseen_steps() {
            Some((from, to)) if !interrupted => self.trace_nonfinite(from, to),
            _ => Ok(()),
        });
        saved.map_err(|error| self.give_up(error))?;
        let done = self.trainer.steps_done();
        let status = match self.nonfinite_at {
            _ if interrupted && !self.is_over() => Status::Stopped,
            Some(step) => Status::Failed(format!("non-finite values since step {step}")),
            None if done >= self.trainer.scenario().train.steps => Status::Done,
            None => Status::Stopped,
        };
        self.writer.finish(status.clone(), done)?;
        Ok(Finished {
            dir: self.writer.folder().to_owned(),
            trainer: self.trainer,
            status,
            events: self.recent_events,
        })
    }

    /// The steps among which the first non-finite value arose, where a scalar showed it and no unit was recorded: those
    /// behind the last record, the end excluded. [`Run::finish`] runs them once more, and all since the checkpoint
    /// before them.
    pub fn unseen_steps(&self) -> Option<(u64, u64)> {
        let first = self.nonfinite_at?;
        let is_nonfinite = |event: &Event| event.kind == EventKind::Nonfinite;
        let mut events = self.recent_events.iter();
        let is_blind =
            events.any(|event| is_nonfinite(event) && event.subject.unit_index().is_none());
        let every = self.trainer.scenario().record.every;
        let from = first / every * every + 1;
        (is_blind && from <= first).then_some((from, first + 1))
    }

    /// Runs the steps of [`Run::unseen_steps`] once more with every unit recorded, and tells of the first non-finite
    /// value among them. The trainer is afterwards where it was.
    fn trace_nonfinite(&mut self, from: u64, to: u64) -> Result<()> {
        let reader = RunReader::open(self.writer.folder())?;
        let before = |step: &&u64| **step <= from;
        let checkpoints = reader.checkpoints()?;
        let Some(&start) = checkpoints.iter().rev().find(before) else {
            return Ok(());
        };
        let place = format!("{}, checkpoint {start}", self.writer.folder().display());
        let last = self.trainer.checkpoint()?;
        let start = Checkpoint::read(self.writer.folder(), start)?;
        self.trainer.restore(&start, &place)?;
        let mut found = None;
        while self.trainer.steps_done() < to && found.is_none() {
            let step = self.trainer.steps_done();
            self.trainer.step(step >= from)?;
            while let Some(record) = self.trainer.take(step >= from || self.trainer.is_full())? {
                let event = first_nonfinite(&record, self.trainer.layout(), &self.scalar_names);
                let has_unit = |event: &Event| event.subject.unit_index().is_some();
                found = found.or(event.filter(has_unit));
            }
        }
        self.trainer.restore(&last, "the run's last state")?;
        if let Some(event) = found {
            self.writer.event(&event)?;
            self.recent_events.push(event);
        }
        Ok(())
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// Events since this run object was made.
    pub fn events(&self) -> &[Event] {
        &self.recent_events
    }

    /// The run directory.
    pub fn dir(&self) -> &Path {
        self.writer.folder()
    }
}

/// What a run has kept of the steps before `end`, in order; statistics of as many of the last as the detector needs.
fn kept_records(reader: &RunReader, end: u64, trainer: &Trainer) -> Result<Vec<StepRecord>> {
    let names = trainer.scalar_names();
    let scalars = reader.scalars()?;
    let reach = thresholds::memory_steps(trainer.scenario().record.every);
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
                });
                record.scalars.resize(index, 0.0);
                record.scalars.push(value as f32);
            }
        }
    }
    Ok(records.into_values().collect())
}

/// A run that was closed.
pub struct Finished {
    /// The trainer in its last state.
    pub trainer: Trainer,
    /// How it ended.
    pub status: Status,
    /// The run directory.
    pub dir: PathBuf,
    /// Events since the run object was made.
    pub events: Vec<Event>,
}
