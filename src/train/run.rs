//! A run: a trainer whose records pass through the event detector into a run directory.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::event_windows::{EventWindow, EventWindows};
use super::events::EventDetector;
use super::first_nonfinite::locate_first_nonfinite;
use super::kept_states::KeptStates;
use super::{Scenario, StepRecord, Trainer, ValidationResult, thresholds};
use crate::files;
use crate::gpu::Gpu;
use crate::trace::{
    self, Event, EventKind, Half, HalfStep, RunInfo, RunWriter, Status, TraceBudget, Warning,
};
use crate::{ByteSize, Error, ErrorKind, Result, panics};

/// A run that is killed loses no more than this much training, however far apart its checkpoints are.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Records on each side of an event that a budget leaves alone.
const RECORDS_AROUND_EVENT: u64 = 20;

/// A run in progress.
#[derive(Debug)]
pub struct Run {
    pub(super) trainer: Trainer,
    pub(super) writer: RunWriter,
    pub(super) detector: EventDetector,
    pub(super) scalar_names: Vec<String>,
    /// Results taken from the ring so far.
    pub(super) taken: u64,
    /// The first step with a non-finite value.
    pub(super) nonfinite_at: Option<u64>,
    recent_events: Vec<Event>,
    /// Which steps around events are recorded.
    pub(super) windows: EventWindows,
    /// Windows that were not written yet.
    pub(super) pending: Vec<EventWindow>,
    pub(super) states: KeptStates,
    /// The bits of the last losses.
    pub(super) losses: VecDeque<(u64, u32)>,
    /// What was measured on the validation data, until the records of these steps arrive.
    validations: VecDeque<ValidationResult>,
    /// What was taken off the names of the parameters that it began with.
    init_prefix: Option<String>,
    clock: TrainingClock,
    /// When it was saved last, and up to which step.
    pub(super) saved: (Instant, u64),
    save_interval: Duration,
}

/// The time spent in training: not the set-up, and no pauses.
#[derive(Debug)]
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
        let mut prefix = None;
        if let Some(path) = init {
            let tensors = trace::read_safetensors(path)?;
            prefix = trainer.load_initial_parameters(tensors, &path.display().to_string())?;
        }
        let mut info = RunInfo::new(
            &scenario.name,
            gpu.info(),
            scenario.train.steps,
            scenario.seed,
        );
        info.kernels = trainer.kernel_choices();
        info.parameters = Some(trainer.parameter_count() as u64);
        info.data = Some(trainer.data().clone());
        let model = trainer.describe();
        let layout = trainer.layout().clone();
        let start = trainer.checkpoint()?;
        let writer = RunWriter::create(dir, &scenario.to_toml(), info, &model, layout)?;
        start.write(dir)?;
        Ok(Self {
            init_prefix: prefix,
            ..Self::new(trainer, writer)
        })
    }

    pub(super) fn new(trainer: Trainer, writer: RunWriter) -> Self {
        let scalar_names = trainer.scalar_names();
        let model = trainer.describe();
        let first = writer.info().origin.as_ref().map_or(0, |from| from.step);
        Self {
            windows: EventWindows::new(&trainer.scenario().record, first),
            pending: Vec::new(),
            states: KeptStates::default(),
            losses: VecDeque::new(),
            detector: EventDetector::new(
                trainer.layout(),
                &scalar_names,
                &model,
                &trainer.scenario().detect,
            ),
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
            validations: VecDeque::new(),
            init_prefix: None,
            saved: (Instant::now(), 0),
            save_interval: SAVE_INTERVAL,
        }
    }

    /// Saves the run this often between its checkpoints; a minute unless given. Such a save is replaced by the next one
    /// and by the next checkpoint: it changes neither the run nor what its directory holds in the end.
    #[must_use]
    pub fn with_save_interval(self, save_interval: Duration) -> Self {
        Self {
            save_interval,
            ..self
        }
    }

    /// Runs the next step and keeps what has arrived, which `each` sees first; `false` at the end of the run.
    ///
    /// # Errors
    /// A lost device or a full disk. What had returned by then is kept, and the run resumes from its last checkpoint.
    pub fn advance(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        self.guarded(|run| run.step(each))
    }

    /// As [`Run::advance`], with a step that updates one network of a GAN alone. `run.json` says so before the step is done:
    /// the run is resumed and replayed with the same halves.
    ///
    /// # Errors
    /// As [`Run::advance`], or the model is no GAN.
    pub fn advance_half(&mut self, half: Half, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        self.trainer.update_only(half)?;
        let step = self.trainer.steps_done();
        self.writer.update(|info| {
            info.half_steps.retain(|other| other.step != step);
            let updated = half;
            info.half_steps.push(HalfStep { step, updated });
        })?;
        self.guarded(|run| run.step(each))
    }

    /// Does `work`. Where the adapter fails, or wgpu panics over that, the run is closed first.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        panics::caught(|| work(self)).map_err(|error| {
            // The device's first error is the reason for whatever failed after it.
            let first = self.trainer.gpu().check().err();
            let reason = first.filter(|_| error.is_gpu()).unwrap_or(error);
            abort(&mut self.writer, self.taken, reason)
        })
    }

    fn step(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<bool> {
        self.clock.since = Instant::now();
        if self.trainer.is_full() {
            self.keep_next(true, each)?;
        }
        let record = &self.trainer.scenario().record;
        let (every, checkpoint_every) = (record.every, record.checkpoint_every);
        let step = self.trainer.steps_done();
        self.keep_state(each)?;
        if self.validates_at(step) {
            self.validations.extend(self.trainer.validate(false)?);
        }
        let is_recorded = step.is_multiple_of(every) || self.windows.is_inside(step);
        self.trainer.step(is_recorded)?;
        while self.keep_next(false, each)? {}
        self.write_around_events(each)?;
        if (step + 1).is_multiple_of(checkpoint_every) {
            self.save_now(each)?;
        } else {
            self.save_between(each)?;
        }
        self.clock.now();
        Ok(!self.is_over())
    }

    /// Whether the validation data are measured before `step`, with the parameters that its own loss is of.
    fn validates_at(&self, step: u64) -> bool {
        let scenario = self.trainer.scenario();
        let is_last = step + 1 == scenario.train.steps;
        let validate = scenario.validate.as_ref();
        validate.is_some_and(|validate| is_last || step.is_multiple_of(validate.every))
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

    /// Takes one record out of the ring and keeps it.
    pub(super) fn keep_next(
        &mut self,
        wait: bool,
        each: &mut dyn FnMut(&StepRecord),
    ) -> Result<bool> {
        let Some(record) = self.trainer.take(wait)? else {
            return Ok(false);
        };
        each(&record);
        for (name, value) in self.scalar_names.iter().zip(&record.scalars) {
            self.writer.scalar(record.step, name, f64::from(*value))?;
        }
        let is_due = |validation: &ValidationResult| validation.step <= record.step;
        while let Some(validation) = self.validations.pop_front_if(|next| is_due(next)) {
            for (name, value) in &validation.scalars {
                self.writer
                    .scalar(validation.step, &format!("validation/{name}"), *value)?;
            }
        }
        if let Some(statistics) = &record.statistics {
            self.writer.record(record.step, statistics)?;
        }
        for event in self.observe(&record) {
            if event.kind == EventKind::Nonfinite {
                self.nonfinite_at = Some(event.step);
            }
            self.writer.event(&event)?;
            self.pending.extend(self.windows.observe(&event));
            self.recent_events.push(event);
        }
        self.remember_loss(&record);
        self.taken = record.step + 1;
        Ok(true)
    }

    pub(super) fn observe(&mut self, record: &StepRecord) -> Vec<Event> {
        let every = self.trainer.scenario().record.every;
        let mut events = if record.step.is_multiple_of(every) {
            self.detector.observe(record)
        } else {
            // What is recorded because of an event must not change which events follow.
            let of_every_step = self.trainer.scalars_of_every_step();
            self.detector.observe(&StepRecord {
                step: record.step,
                scalars: record.scalars.iter().copied().take(of_every_step).collect(),
                statistics: None,
                outputs: Vec::new(),
            })
        };
        // A spike or a non-finite value comes from one batch: name its samples.
        for event in events
            .iter_mut()
            .filter(|event| matches!(event.kind, EventKind::Spike | EventKind::Nonfinite))
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
        self.take_all(each)?;
        self.write_around_events(each)?;
        self.writer.close_segment(self.taken)?;
        self.trainer.checkpoint()?.write(self.writer.folder())?;
        self.saved = (Instant::now(), self.taken);
        self.hold_budget()
    }

    /// Thins older records where the scenario has a budget for them.
    pub(super) fn hold_budget(&self) -> Result<()> {
        let Scenario { record, detect, .. } = self.trainer.scenario();
        let Some(ByteSize(bytes)) = record.budget else {
            return Ok(());
        };
        self.writer.hold_budget(&TraceBudget {
            bytes,
            recent: thresholds::memory_steps(record.every, detect).max(self.windows.reach()),
            around: record.every.saturating_mul(RECORDS_AROUND_EVENT),
            whole: self.windows.all(),
        })
    }

    /// Saves a run that rests between two steps, if the last save is a minute old and steps were done since.
    /// [`Run::advance`] does so by itself.
    ///
    /// # Errors
    /// A lost device or a full disk.
    pub fn save_if_due(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        self.clock.since = Instant::now();
        self.guarded(|run| run.save_between(each))
    }

    /// Saves a run that rests between two steps, so that its directory can be read and replayed up to here. The next
    /// checkpoint replaces what this writes.
    ///
    /// # Errors
    /// A lost device or a full disk.
    pub fn save_interim(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        self.clock.since = Instant::now();
        self.guarded(|run| run.save_interim_now(each))
    }

    /// Saves the run between two checkpoints, if that is due.
    fn save_between(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        if self.saved.0.elapsed() < self.save_interval {
            return Ok(());
        }
        self.save_interim_now(each)
    }

    fn save_interim_now(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        if self.saved.1 == self.trainer.steps_done() {
            return Ok(());
        }
        self.take_all(each)?;
        self.write_around_events(each)?;
        self.writer.write_interim_segment(self.taken)?;
        self.trainer
            .checkpoint()?
            .write_interim(self.writer.folder())?;
        self.saved = (Instant::now(), self.taken);
        Ok(())
    }

    /// Waits for all steps so far and keeps their records.
    fn take_all(&mut self, each: &mut dyn FnMut(&StepRecord)) -> Result<()> {
        while self.keep_next(true, each)? {}
        let seconds = self.clock.now();
        self.writer.update(|info| info.seconds = seconds)
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
        self.guarded(|run| run.save(each))?;
        if let Some(range) = self.unrecorded_failure_range().filter(|_| !interrupted) {
            let located =
                panics::caught(|| locate_first_nonfinite(self.trainer, &self.writer, range));
            let (trainer, event) = located
                .and_then(|(trainer, event)| {
                    event
                        .iter()
                        .try_for_each(|event| self.writer.event(event))?;
                    Ok((trainer, event))
                })
                .map_err(|error| abort(&mut self.writer, self.taken, error))?;
            self.recent_events.extend(event);
            self.trainer = trainer;
        }
        let done = self.trainer.steps_done();
        let status = match self.nonfinite_at {
            _ if interrupted && !self.is_over() => Status::Stopped,
            Some(step) => Status::Failed(format!("non-finite values since step {step}")),
            None if done >= self.trainer.scenario().train.steps => Status::Done,
            None => Status::Stopped,
        };
        let validation = if interrupted {
            None
        } else {
            self.guarded(Self::validate_at_end)?
        };
        self.writer.finish(status.clone(), done)?;
        Ok(Finished {
            warnings: self.writer.info().warnings.clone(),
            validation,
            dir: self.writer.folder().to_owned(),
            trainer: self.trainer,
            status,
            events: self.recent_events,
        })
    }

    /// Measures the validation data once more, after the last step, and keeps the result in `analysis/validation.json`.
    fn validate_at_end(&mut self) -> Result<Option<ValidationResult>> {
        let validation = self.trainer.validate(true)?;
        if let Some(validation) = &validation {
            let folder = self.writer.folder().join("analysis");
            files::make_folder(&folder)?;
            let text = serde_json::to_string_pretty(validation).expect("plain data");
            files::write_whole(&folder.join("validation.json"), text.as_bytes())?;
        }
        Ok(validation)
    }

    /// Keeps what was found wrong with the scenario before the first step in `run.json`.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn keep_warnings(&mut self, warnings: &[Warning]) -> Result<()> {
        self.writer.update(|info| info.warnings = warnings.to_vec())
    }

    /// The steps in which the first non-finite value may have arisen, where a scalar showed it and no unit was recorded:
    /// those after the last record, the end excluded. [`Run::finish`] replays them, from the checkpoint before.
    pub fn unrecorded_failure_range(&self) -> Option<Range<u64>> {
        let first = self.nonfinite_at?;
        let is_nonfinite = |event: &&Event| event.kind == EventKind::Nonfinite;
        let mut events = self.recent_events.iter().filter(is_nonfinite);
        let is_unlocated = events.any(|event| event.subject.unit_index().is_none());
        let every = self.trainer.scenario().record.every;
        let from = first / every * every + 1;
        (is_unlocated && from <= first).then_some(from..first + 1)
    }

    /// What every name in the file of [`Run::create`]'s `init` has before the model's own name, such as `module.`.
    pub fn init_prefix(&self) -> Option<&str> {
        self.init_prefix.as_deref()
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

/// Closes a run whose device has failed and lost its state. What had returned by then is kept, and the run resumes from
/// its last checkpoint.
fn abort(writer: &mut RunWriter, taken: u64, error: Error) -> Error {
    if !error.is_gpu() && error.kind() != ErrorKind::Internal {
        return error;
    }
    let status = Status::Failed(format!("{}: {}", error.context(), error.problem()));
    if writer.finish(status, taken).is_err() {
        return error;
    }
    let dir = writer.folder().display();
    error.with_hint(format!(
        "what the run has recorded is kept; resume it from its last checkpoint with --resume {dir}"
    ))
}

/// A run that was closed.
#[derive(Debug)]
pub struct Finished {
    /// The trainer in its last state.
    pub trainer: Trainer,
    /// How it ended.
    pub status: Status,
    /// The run directory.
    pub dir: PathBuf,
    /// Events since the run object was made.
    pub events: Vec<Event>,
    /// What was found wrong with the scenario before the first step.
    pub warnings: Vec<Warning>,
    /// What the model reached on the validation data, where the scenario has some and the run was not interrupted.
    pub validation: Option<ValidationResult>,
}
