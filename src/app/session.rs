//! The worker's state: a run in training, or one that is looked at.

use std::borrow::Cow;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::history::History;
use super::past::{self, PastStep};
use super::preview::{Images, Preview};
use super::selection::Selection;
use super::source::{Source, Start, Training};
use super::status::{Pacing, RunStatus};
use super::worker::{Background, Progress, Turn};
use crate::gpu::Gpu;
use crate::report::{self, ScalarGroup, scalar_groups, scalars_within, series_within};
use crate::sample::{Budget, SampleOptions};
use crate::series::Scale;
use crate::trace::{RunView, Severity, TraceEntry};
use crate::train::{Run, TensorRequest};
use crate::view::{SampledChart, ScalarChart};
use crate::{Error, Result, panics};

/// A paused run is looked at this often for a change of its pacing.
const PAUSED: Duration = Duration::from_millis(50);

/// What the window has to know of a run before it can choose anything.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// The tensors that are recorded.
    pub entries: Vec<TraceEntry>,
    /// The charts that its scalars make.
    pub groups: Vec<ScalarGroup>,
    /// What is looked at first.
    pub selection: Selection,
    /// The steps that show how the run failed, where they are few.
    pub failure: Option<Range<u64>>,
}

/// A run and what is shown of it.
pub(super) struct Session {
    gpu: Gpu,
    stage: Stage,
    preview: Preview,
    pacing: Arc<Mutex<Pacing>>,
    status: Arc<Mutex<RunStatus>>,
    /// Steps that were asked for one by one and are done.
    single_steps: u64,
    last_step: Instant,
}

enum Stage {
    /// A run in training, or one that has ended while the window was open.
    Live { run: LiveRun, history: History },
    /// A run directory.
    View(Box<RunView>),
}

enum LiveRun {
    Training(Box<LiveTraining>),
    /// Saved and reported, in this directory.
    Ended(PathBuf),
    /// It failed; what it had recorded is kept in this directory.
    Failed(PathBuf),
}

/// A run in training, and how it ends.
struct LiveTraining {
    run: Run,
    writes_report: bool,
    stop_on: Option<Severity>,
    /// Events that were held against `stop_on`.
    events_seen: usize,
}

impl LiveTraining {
    /// One step; `false` at the end of the run, which an event may be.
    fn advance(&mut self, history: &mut History) -> Result<bool> {
        let goes_on = self.run.advance(&mut |record| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        })?;
        let news = &self.run.events()[self.events_seen..];
        self.events_seen += news.len();
        let stops = |severity| self.stop_on.is_some_and(|stop_on| severity >= stop_on);
        Ok(goes_on && !news.iter().any(|event| stops(event.severity)))
    }
}

impl Session {
    /// Opens a run directory, or creates the run of a scenario.
    ///
    /// # Errors
    /// A directory that is not a run, or whatever keeps a scenario from being trained.
    pub fn new(
        gpu: &Gpu,
        source: &Source,
        pacing: Arc<Mutex<Pacing>>,
        status: Arc<Mutex<RunStatus>>,
    ) -> Result<Self> {
        let (stage, preview) = match source {
            Source::Training(training) => Self::train(gpu, training)?,
            Source::Run(dir) => (
                Stage::View(Box::new(RunView::open(dir)?)),
                Preview::of_directory(dir),
            ),
        };
        let session = Self {
            gpu: gpu.clone(),
            stage,
            preview,
            pacing,
            status,
            single_steps: 0,
            last_step: Instant::now(),
        };
        session.publish();
        Ok(session)
    }

    fn train(gpu: &Gpu, training: &Training) -> Result<(Stage, Preview)> {
        let run = training.start.run(gpu)?;
        let trainer = run.trainer();
        let mut history = History::new(trainer.layout().clone(), trainer.scalar_names());
        if let Start::Resume { dir, .. } = &training.start {
            history.recall(&RunView::open(dir)?)?;
        }
        let preview = Preview::of_trainer(trainer);
        let run = LiveRun::Training(Box::new(LiveTraining {
            run,
            writes_report: training.writes_report,
            stop_on: training.stop_on,
            events_seen: 0,
        }));
        Ok((Stage::Live { run, history }, preview))
    }

    /// What can be chosen.
    pub fn contents(&self) -> Contents {
        let (entries, names, model, events) = match &self.stage {
            Stage::Live { run, history } => {
                let (model, events) = match run {
                    LiveRun::Training(live) => (live.run.trainer().describe(), live.run.events()),
                    LiveRun::Ended(_) | LiveRun::Failed(_) => Default::default(),
                };
                (history.entries(), history.names().to_vec(), model, events)
            }
            Stage::View(run) => {
                let names: Vec<String> = run.scalars().keys().cloned().collect();
                (run.entries(), names, run.model().clone(), run.events())
            }
        };
        Contents {
            selection: Selection::first(entries, &model, events),
            failure: match &self.stage {
                Stage::View(run) => report::failure_steps(run),
                Stage::Live { .. } => None,
            },
            entries: entries.to_vec(),
            groups: scalar_groups(&names, &model),
        }
    }

    /// The chart of some scalars, in a scale that suits them unless one is given, and of these steps only where some are;
    /// `None` before the first step.
    ///
    /// # Errors
    /// The device was lost.
    pub fn scalars(
        &self,
        group: &ScalarGroup,
        scale: Option<Scale>,
        steps: Option<&Range<u64>>,
    ) -> Result<Option<ScalarChart>> {
        // Members are indices in the list of names that `contents` has grouped.
        let values = |index: &usize| -> &[(u64, f64)] {
            match &self.stage {
                Stage::Live { history, .. } => history.scalar(*index),
                Stage::View(run) => run
                    .scalars()
                    .values()
                    .nth(*index)
                    .map_or(&[], Vec::as_slice),
            }
        };
        let labels = group.labels.iter().map(String::as_str);
        let shown = group.members.iter().map(|index| match steps {
            Some(steps) => Cow::Owned(scalars_within(values(index), steps)),
            None => Cow::Borrowed(values(index)),
        });
        let shown: Vec<Cow<'_, [(u64, f64)]>> = shown.collect();
        let recorded: Vec<_> = labels.zip(shown.iter().map(|values| &**values)).collect();
        ScalarChart::of_recorded(&self.gpu, group.title, group.y_title, &recorded, scale)
    }

    /// The chart of the selected units; `None` before the second recorded step.
    ///
    /// # Errors
    /// The tensor is not recorded, a file is damaged, or the device was lost.
    pub fn units(
        &self,
        selection: &Selection,
        keep: usize,
        scale: Scale,
        steps: Option<&Range<u64>>,
        progress: &Progress,
    ) -> Result<Option<SampledChart>> {
        let units = selection.series();
        progress.say(format!("reading {}", units.tensor));
        let mut series = match &self.stage {
            Stage::Live { history, .. } => {
                let is_wanted =
                    |entry: &&TraceEntry| entry.tensor == units.tensor && entry.kind == units.kind;
                let Some(entry) = history.entries().iter().find(is_wanted) else {
                    return Ok(None);
                };
                history.series(entry, units.statistic)
            }
            Stage::View(run) if units.tensor.is_empty() => {
                // Nothing is recorded yet.
                debug_assert!(run.entries().is_empty());
                return Ok(None);
            }
            Stage::View(run) => run.series(&units.tensor, units.kind, units.statistic)?,
        };
        if let Some(steps) = steps {
            series = series_within(series, steps);
        }
        if series.steps.len() < 2 || progress.is_cancelled() {
            return Ok(None);
        }
        progress.say(format!("sampling {} units", series.units));
        let options = SampleOptions {
            budget: Budget::Keep(keep),
            ..SampleOptions::default()
        };
        SampledChart::of_units(&self.gpu, &units, &series, Some(scale), &options)
    }

    /// The images that the model makes as it is.
    ///
    /// # Errors
    /// What is missing for them, such as the data, in a sentence.
    pub fn images(&mut self, progress: &Progress) -> Result<Option<Images>> {
        if let Stage::View(run) = &self.stage
            && !report::makes_images(run.model())
        {
            return Ok(None);
        }
        self.preview.images(&self.gpu, progress)
    }

    /// The run as an earlier step found it, by replaying it; `None` where that was cancelled.
    ///
    /// # Errors
    /// What keeps the run from being replayed, in a sentence.
    pub fn past(
        &mut self,
        step: u64,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<Option<PastStep>> {
        let request = TensorRequest {
            tensor: selection.tensor.clone(),
            kind: selection.kind,
        };
        let dir = match &mut self.stage {
            Stage::View(run) => run.folder().to_owned(),
            Stage::Live { run, history } => match run {
                LiveRun::Ended(dir) | LiveRun::Failed(dir) => dir.clone(),
                LiveRun::Training(live) => {
                    // What is replayed has to be in the directory.
                    live.run.save_interim(&mut |record| {
                        history.push(record.step, &record.scalars, record.statistics.as_deref());
                    })?;
                    live.run.dir().to_owned()
                }
            },
        };
        past::replay(&self.gpu, &dir, step, request, progress)
    }

    /// Saves a run that trains, with its report, and returns the directory.
    ///
    /// # Errors
    /// The run cannot be saved or its report cannot be written.
    pub fn close(mut self) -> Result<PathBuf> {
        self.end()?;
        Ok(match &self.stage {
            Stage::View(run) => run.folder().to_owned(),
            Stage::Live { run, .. } => match run {
                LiveRun::Ended(dir) | LiveRun::Failed(dir) => dir.clone(),
                LiveRun::Training(live) => live.run.dir().to_owned(),
            },
        })
    }

    fn end(&mut self) -> Result<()> {
        let Stage::Live { run, history } = &mut self.stage else {
            return Ok(());
        };
        let LiveRun::Training(live) = run else {
            return Ok(());
        };
        let failed = LiveRun::Failed(live.run.dir().to_owned());
        let LiveRun::Training(live) = std::mem::replace(run, failed) else {
            return Ok(());
        };
        let writes_report = live.writes_report;
        let mut finished = live.run.finish(false, &mut |record| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        })?;
        *run = LiveRun::Ended(finished.dir.clone());
        let mut status = self.status.lock().unwrap_or_else(|e| e.into_inner());
        status.state = finished.status.to_string();
        status.is_training = false;
        status.add_events(&finished.events);
        drop(status);
        if writes_report {
            report::write_report_of(&mut finished.trainer, &finished.dir)?;
        }
        Ok(())
    }

    /// Whether the pacing lets the next step run now, and how long to wait where it does not.
    fn pause(&mut self) -> Option<Duration> {
        let pacing = *self.pacing.lock().unwrap_or_else(|e| e.into_inner());
        if pacing.single_steps > self.single_steps {
            self.single_steps += 1;
            return None;
        }
        if pacing.is_paused {
            return Some(PAUSED);
        }
        let due = Duration::try_from_secs_f32(1.0 / pacing.steps_per_second).unwrap_or_default();
        let rest = due.saturating_sub(self.last_step.elapsed());
        (!rest.is_zero()).then_some(rest.min(PAUSED))
    }

    /// Tells the window how far the run is.
    fn publish(&self) {
        let mut status = self.status.lock().unwrap_or_else(|e| e.into_inner());
        match &self.stage {
            Stage::View(run) => status.of_view(run),
            Stage::Live {
                run: LiveRun::Training(live),
                ..
            } => status.of_run(&live.run),
            Stage::Live { .. } => {}
        }
    }
}

impl Drop for Session {
    /// Saves a run that trains, whatever has ended the window; a session that was closed has none any more.
    fn drop(&mut self) {
        // The worker says what failed where it can; here nobody listens any more.
        let _ = panics::caught(|| self.end());
    }
}

impl Background for Session {
    fn turn(&mut self) -> Result<Turn> {
        let is_training = matches!(
            self.stage,
            Stage::Live {
                run: LiveRun::Training(_),
                ..
            }
        );
        if !is_training {
            return Ok(Turn::Never);
        }
        if let Some(pause) = self.pause() {
            self.save_if_due()?;
            return Ok(Turn::After(pause));
        }
        self.last_step = Instant::now();
        let advanced = match &mut self.stage {
            Stage::Live {
                run: LiveRun::Training(live),
                history,
            } => live.advance(history),
            _ => Ok(false),
        };
        self.publish();
        let ended = match advanced {
            Ok(true) => return Ok(Turn::Now),
            Ok(false) => self.end(),
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            self.fail(&error);
            return Err(error);
        }
        Ok(Turn::Never)
    }
}

impl Session {
    /// A run that is paused is as safe as one that trains.
    fn save_if_due(&mut self) -> Result<()> {
        let Stage::Live {
            run: LiveRun::Training(live),
            history,
        } = &mut self.stage
        else {
            return Ok(());
        };
        let saved = live.run.save_if_due(&mut |record| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        });
        if let Err(error) = &saved {
            self.fail(error);
        }
        saved
    }

    /// The run has failed: it has closed its directory itself.
    fn fail(&mut self, error: &Error) {
        if let Stage::Live { run, .. } = &mut self.stage
            && let LiveRun::Training(live) = run
        {
            *run = LiveRun::Failed(live.run.dir().to_owned());
        }
        let mut status = self.status.lock().unwrap_or_else(|e| e.into_inner());
        status.is_training = false;
        status.state = format!("failed: {}", error.problem());
    }
}
