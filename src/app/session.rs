//! What stands behind the window: a run in training, or one that was read from its directory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Source;
use super::history::History;
use crate::gpu::Gpu;
use crate::trace::{Event, RunReader};
use crate::train::{Gallery, Run, Scenario, Trainer};
use crate::{Error, Result, report};

/// Training between two frames, so that the window stays alive.
const FRAME: Duration = Duration::from_millis(40);

/// Images in the gallery.
const IMAGES: usize = 32;

pub(super) struct Session {
    pub history: History,
    pub gallery: Option<Gallery>,
    pub paused: bool,
    /// Steps a second at most; infinite at full speed.
    pub speed: f32,
    state: State,
    /// One step is owed although the run is paused.
    single: bool,
    last_step: Instant,
}

enum State {
    Training(Box<Run>),
    /// A run that has ended or that was read.
    Still {
        trainer: Box<Trainer>,
        dir: PathBuf,
        status: String,
        events: Vec<Event>,
    },
    /// Only while a run is being closed.
    Closing,
}

impl Session {
    pub fn new(gpu: &Gpu, source: &Source) -> Result<Self> {
        let state = match source {
            Source::Scenario(scenario, dir) => {
                State::Training(Box::new(Run::create(gpu, scenario, dir, None)?))
            }
            Source::Run(dir) => Self::read(gpu, dir)?,
        };
        let trainer = state.trainer().expect("just made");
        let names = trainer.scalar_names();
        let mut history = History::new(trainer.layout().clone(), names);
        if let Source::Run(dir) = source {
            history.load(&RunReader::open(dir)?)?;
        }
        let gallery = Gallery::new(trainer, IMAGES)?;
        Ok(Self {
            history,
            gallery,
            paused: false,
            speed: f32::INFINITY,
            state,
            single: false,
            last_step: Instant::now(),
        })
    }

    fn read(gpu: &Gpu, dir: &Path) -> Result<State> {
        let reader = RunReader::open(dir)?;
        let scenario = Scenario::of_run(&reader)?;
        let trainer = Trainer::restored(gpu, &scenario, &reader, reader.last_checkpoint()?)?;
        Ok(State::Still {
            trainer: Box::new(trainer),
            dir: dir.to_owned(),
            status: reader.info().status.to_string(),
            events: reader.events()?,
        })
    }

    /// Trains for the length of a frame, at most at the chosen speed.
    pub fn advance(&mut self) -> Result<()> {
        let started = Instant::now();
        while self.wants_steps() && started.elapsed() < FRAME {
            if !self.single && self.last_step.elapsed().as_secs_f32() * self.speed < 1.0 {
                break;
            }
            self.last_step = Instant::now();
            self.single = false;
            let State::Training(run) = &mut self.state else {
                break;
            };
            let history = &mut self.history;
            if !run.advance(&mut |record| history.push(record))? {
                self.end()?;
            }
        }
        Ok(())
    }

    /// Saves a run that is training, with its report.
    fn end(&mut self) -> Result<()> {
        if let State::Training(run) = std::mem::replace(&mut self.state, State::Closing) {
            let history = &mut self.history;
            let finished = run.finish(false, &mut |record| history.push(record))?;
            report::write_report_of(&finished.trainer, &finished.dir)?;
            self.state = State::Still {
                status: finished.status.to_string(),
                trainer: Box::new(finished.trainer),
                dir: finished.dir,
                events: finished.events,
            };
        }
        Ok(())
    }

    /// Saves what is training and returns the run's directory.
    pub fn close(mut self) -> Result<PathBuf> {
        self.end()?;
        match self.state {
            State::Still { dir, .. } => Ok(dir),
            _ => Err(Error::gpu(
                "window",
                "the run was lost",
                "look into its directory",
            )),
        }
    }

    /// Whether there are steps to run.
    pub fn wants_steps(&self) -> bool {
        matches!(self.state, State::Training(_)) && (!self.paused || self.single)
    }

    pub fn is_training(&self) -> bool {
        matches!(self.state, State::Training(_))
    }

    /// Runs one step and stays paused.
    pub fn step_once(&mut self) {
        self.paused = true;
        self.single = true;
    }

    pub fn trainer(&self) -> &Trainer {
        self.state
            .trainer()
            .expect("closing happens inside one call")
    }

    pub fn events(&self) -> &[Event] {
        match &self.state {
            State::Training(run) => run.events(),
            State::Still { events, .. } => events,
            State::Closing => &[],
        }
    }

    pub fn dir(&self) -> &Path {
        match &self.state {
            State::Training(run) => run.dir(),
            State::Still { dir, .. } => dir,
            State::Closing => Path::new(""),
        }
    }

    pub fn status(&self) -> &str {
        match &self.state {
            State::Training(_) if self.paused => "paused",
            State::Training(_) => "training",
            State::Still { status, .. } => status,
            State::Closing => "closing",
        }
    }
}

impl State {
    fn trainer(&self) -> Option<&Trainer> {
        match self {
            Self::Training(run) => Some(run.trainer()),
            Self::Still { trainer, .. } => Some(trainer),
            Self::Closing => None,
        }
    }
}
