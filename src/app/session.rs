//! The worker's state: a run in training, or one that is looked at.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::layer_values::LayerCache;
use super::preview::Preview;
use super::source::{Source, Start, Training};
use super::stage::{Live, LiveRun, LiveTraining, Stage};
use super::status::{Pacing, RunStatus};
use super::worker::{Background, Progress, Turn};
use crate::gpu::Gpu;
use crate::report;
use crate::trace::{Half, RunView, Status};
use crate::train::Run;
use crate::{Error, ErrorKind, Result, panics};

/// A run that another process trains is looked at this often for something new.
const FOLLOW: Duration = Duration::from_secs(1);
/// A paused run is looked at this often for a change of its pacing.
const PAUSED: Duration = Duration::from_millis(50);

/// The next step.
enum DueStep {
    /// It updates all networks.
    Whole,
    /// It updates one of them.
    Half(Half),
    /// There is none before so much time has passed.
    None(Duration),
}

/// A run and what is shown of it.
pub(super) struct Session {
    pub(super) gpu: Gpu,
    pub(super) stage: Stage,
    pub(super) preview: Preview,
    /// What was read for the charts of layers.
    pub(super) layers: LayerCache,
    pacing: Arc<Mutex<Pacing>>,
    status: Arc<Mutex<RunStatus>>,
    /// Steps that were asked for one by one and are done.
    single_steps: u64,
    half_steps: [u64; 2],
    last_step: Instant,
    /// When the files of a run that another process trains were last written.
    written: Option<SystemTime>,
    /// Whether training has failed because the device was lost.
    pub(super) is_device_lost: bool,
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
                Stage::View(Box::new(RunView::open_overview(dir)?)),
                Preview::of_directory(dir),
            ),
        };
        let mut session = Self {
            gpu: gpu.clone(),
            stage,
            preview,
            layers: LayerCache::default(),
            pacing,
            status,
            single_steps: 0,
            half_steps: [0; 2],
            last_step: Instant::now(),
            written: None,
            is_device_lost: false,
        };
        session.publish();
        Ok(session)
    }

    fn train(gpu: &Gpu, training: &Training) -> Result<(Stage, Preview)> {
        let run = training.start.run(gpu)?;
        let preview = Preview::of_trainer(run.trainer());
        let mut live = Live::new(LiveTraining {
            run,
            writes_report: training.writes_report,
            stop_on: training.stop_on,
            events_seen: 0,
        });
        if let Start::Resume { dir, .. } = &training.start {
            live.history.recall(&RunView::open(dir)?)?;
        }
        Ok((Stage::Live(Box::new(live)), preview))
    }

    /// The run's directory, in which everything so far can be read and replayed.
    ///
    /// # Errors
    /// A run that trains cannot be saved.
    pub(super) fn saved_dir(&mut self) -> Result<PathBuf> {
        if let Stage::Live(live) = &mut self.stage {
            let Live { run, history, .. } = &mut **live;
            if let LiveRun::Training(training) = run {
                training.run.save_interim(&mut |record| {
                    history.push(record.step, &record.scalars, record.statistics.as_deref());
                })?;
            }
        }
        Ok(self.stage.dir().to_owned())
    }

    /// Verifies all segments of a run directory: what needs the statistics of all steps waits for that. `false` where it was
    /// cancelled.
    pub(super) fn complete(&mut self, progress: &Progress) -> bool {
        let Stage::View(run) = &mut self.stage else {
            return true;
        };
        if run.unread() == 0 {
            return true;
        }
        while run.unread() > 0 {
            if progress.is_cancelled() {
                return false;
            }
            progress.say(format!("reading the run: {} parts left", run.unread()));
            run.read_on();
        }
        self.publish();
        true
    }

    /// Saves a run that trains, with its report, and returns the directory.
    ///
    /// # Errors
    /// The run cannot be saved or its report cannot be written.
    pub fn close(mut self) -> Result<PathBuf> {
        self.end()?;
        Ok(self.stage.dir().to_owned())
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let Stage::Live(live) = &mut self.stage else {
            return Ok(());
        };
        let Live {
            run,
            history,
            events,
            ..
        } = &mut **live;
        let LiveRun::Training(training) = run else {
            return Ok(());
        };
        let failed = LiveRun::Failed(training.run.dir().to_owned());
        let LiveRun::Training(training) = std::mem::replace(run, failed) else {
            return Ok(());
        };
        let writes_report = training.writes_report;
        let mut finished = training.run.finish(false, &mut |record| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        })?;
        *run = LiveRun::Ended(finished.dir.clone());
        events.clone_from(&finished.events);
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

    /// Ends the run that is shown, and shows another one that trains from now on.
    ///
    /// # Errors
    /// The run before cannot be saved.
    pub(super) fn go_on_with(&mut self, run: Run) -> Result<()> {
        self.end()?;
        self.preview = Preview::of_trainer(run.trainer());
        self.stage = Stage::Live(Box::new(Live::new(LiveTraining {
            run,
            writes_report: true,
            stop_on: None,
            events_seen: 0,
        })));
        self.layers = LayerCache::default();
        *self.status.lock().unwrap_or_else(|e| e.into_inner()) = RunStatus::default();
        if let Ok(mut pacing) = self.pacing.lock() {
            pacing.is_stopped = false;
        }
        self.publish();
        Ok(())
    }

    /// What the pacing lets run now, and how long to wait where it lets nothing.
    fn due(&mut self) -> DueStep {
        let pacing = *self.pacing.lock().unwrap_or_else(|e| e.into_inner());
        if pacing.single_steps > self.single_steps {
            self.single_steps += 1;
            return DueStep::Whole;
        }
        let asked = self.half_steps.iter_mut().zip(pacing.half_steps);
        for ((done, asked), half) in asked.zip(Half::ALL) {
            if asked > *done {
                *done += 1;
                return DueStep::Half(half);
            }
        }
        if pacing.is_paused {
            return DueStep::None(PAUSED);
        }
        let due = Duration::try_from_secs_f32(1.0 / pacing.steps_per_second).unwrap_or_default();
        let rest = due.saturating_sub(self.last_step.elapsed());
        match rest.is_zero() {
            true => DueStep::Whole,
            false => DueStep::None(rest.min(PAUSED)),
        }
    }

    /// Tells the window how far the run is.
    fn publish(&mut self) {
        let mut status = self.status.lock().unwrap_or_else(|e| e.into_inner());
        match &mut self.stage {
            Stage::View(run) => status.of_view(run),
            Stage::Live(live) => {
                if let LiveRun::Training(training) = &live.run {
                    status.of_run(&training.run);
                    if live.events.len() != training.run.events().len() {
                        live.events = training.run.events().to_vec();
                    }
                }
            }
        }
    }

    /// Reads a run again that another process trains, where its files have changed.
    fn follow(&mut self) -> Result<Turn> {
        let Stage::View(run) = &mut self.stage else {
            return Ok(Turn::Never);
        };
        // Segments are verified one a turn, so that a large run is not in the way of what is asked for.
        if run.read_on() {
            if run.unread() == 0 {
                self.publish();
            }
            return Ok(Turn::Now);
        }
        let is_running = run
            .info()
            .is_some_and(|info| info.status == Status::Running);
        if !is_running {
            return Ok(Turn::Never);
        }
        let dir = run.folder().to_owned();
        let parts = ["run.json", "events.jsonl", "scalars", "trace"];
        let times = parts.iter().filter_map(|part| {
            let metadata = std::fs::metadata(dir.join(part)).ok()?;
            metadata.modified().ok()
        });
        let newest = times.max();
        if self.written.is_some() && newest != self.written {
            let newer = RunView::open_overview(&dir)?.known_from(run);
            **run = newer;
            self.layers = LayerCache::default();
            self.publish();
        }
        self.written = newest;
        Ok(Turn::After(FOLLOW))
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
        match &self.stage {
            Stage::View(_) => return self.follow(),
            Stage::Live(live) => {
                if !matches!(live.run, LiveRun::Training(_)) {
                    return Ok(Turn::Never);
                }
            }
        }
        let is_stopped = self.pacing.lock().is_ok_and(|pacing| pacing.is_stopped);
        if is_stopped {
            return match self.end() {
                Ok(()) => Ok(Turn::Never),
                Err(error) => {
                    self.fail(&error);
                    Err(error)
                }
            };
        }
        let half = match self.due() {
            DueStep::Whole => None,
            DueStep::Half(half) => Some(half),
            DueStep::None(pause) => {
                self.save_if_due()?;
                return Ok(Turn::After(pause));
            }
        };
        self.last_step = Instant::now();
        let advanced = match &mut self.stage {
            Stage::Live(live) => {
                let Live { run, history, .. } = &mut **live;
                match run {
                    LiveRun::Training(training) => training.advance(half, history),
                    LiveRun::Ended(_) | LiveRun::Failed(_) => Ok(false),
                }
            }
            Stage::View(_) => Ok(false),
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
        let Stage::Live(live) = &mut self.stage else {
            return Ok(());
        };
        let Live { run, history, .. } = &mut **live;
        let LiveRun::Training(training) = run else {
            return Ok(());
        };
        let saved = training.run.save_if_due(&mut |record| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        });
        if let Err(error) = &saved {
            self.fail(error);
        }
        saved
    }

    /// The run has failed: it has closed its directory itself.
    fn fail(&mut self, error: &Error) {
        self.is_device_lost |= error.kind() == ErrorKind::DeviceLost;
        if let Stage::Live(live) = &mut self.stage
            && let LiveRun::Training(training) = &live.run
        {
            live.run = LiveRun::Failed(training.run.dir().to_owned());
        }
        let mut status = self.status.lock().unwrap_or_else(|e| e.into_inner());
        status.is_training = false;
        status.state = format!("failed: {}", error.problem());
    }
}
