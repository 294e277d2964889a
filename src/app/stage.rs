//! A run wherever it is: in training, ended while the window is open, or in a directory that somebody else wrote.

use std::path::{Path, PathBuf};

use super::history::History;
use crate::Result;
use crate::trace::{
    Event, Half, ModelDescription, RunView, Severity, TraceEntry, UnitSeries, UnitStatistics,
};
use crate::train::{Run, StepRecord};
use crate::view::UnitsOf;

/// A run and what is recorded of it.
pub(super) enum Stage {
    /// A run in training, or one that has ended while the window was open.
    Live(Box<Live>),
    /// A run directory.
    View(Box<RunView>),
}

/// A run that this process trains.
pub(super) struct Live {
    pub run: LiveRun,
    pub history: History,
    pub model: ModelDescription,
    /// Events so far.
    pub events: Vec<Event>,
}

pub(super) enum LiveRun {
    Training(Box<LiveTraining>),
    /// Saved and reported, in this directory.
    Ended(PathBuf),
    /// It failed; what it had recorded is kept in this directory.
    Failed(PathBuf),
}

/// A run in training, and how it ends.
pub(super) struct LiveTraining {
    pub run: Run,
    pub writes_report: bool,
    pub stop_on: Option<Severity>,
    /// Events that were held against `stop_on`.
    pub events_seen: usize,
}

impl LiveTraining {
    /// One step, or one that updates `half` alone; `false` at the end of the run, which an event may be.
    ///
    /// # Errors
    /// Whatever keeps a step from being trained or recorded.
    pub fn advance(&mut self, half: Option<Half>, history: &mut History) -> Result<bool> {
        let mut keep = |record: &StepRecord| {
            history.push(record.step, &record.scalars, record.statistics.as_deref());
        };
        let goes_on = match half {
            None => self.run.advance(&mut keep),
            Some(half) => self.run.advance_half(half, &mut keep),
        }?;
        let news = &self.run.events()[self.events_seen..];
        self.events_seen += news.len();
        let stops = |severity| self.stop_on.is_some_and(|stop_on| severity >= stop_on);
        Ok(goes_on && !news.iter().any(|event| stops(event.severity)))
    }
}

impl Live {
    pub fn new(training: LiveTraining) -> Self {
        let run = &training.run;
        let trainer = run.trainer();
        Self {
            history: History::new(trainer.layout().clone(), trainer.scalar_names()),
            model: trainer.describe(),
            events: run.events().to_vec(),
            run: LiveRun::Training(Box::new(training)),
        }
    }

    fn dir(&self) -> &Path {
        match &self.run {
            LiveRun::Ended(dir) | LiveRun::Failed(dir) => dir,
            LiveRun::Training(training) => training.run.dir(),
        }
    }
}

impl Stage {
    /// Its directory.
    pub fn dir(&self) -> &Path {
        match self {
            Self::View(run) => run.folder(),
            Self::Live(live) => live.dir(),
        }
    }

    pub fn model(&self) -> &ModelDescription {
        match self {
            Self::View(run) => run.model(),
            Self::Live(live) => &live.model,
        }
    }

    pub fn events(&self) -> &[Event] {
        match self {
            Self::View(run) => run.events(),
            Self::Live(live) => &live.events,
        }
    }

    /// The tensors that are recorded.
    pub fn entries(&self) -> &[TraceEntry] {
        match self {
            Self::View(run) => run.entries(),
            Self::Live(live) => live.history.entries(),
        }
    }

    /// The names of the scalars.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::View(run) => run.scalars().keys().cloned().collect(),
            Self::Live(live) => live.history.names().to_vec(),
        }
    }

    /// The values of the scalar with this index among the names, as (step, value).
    pub fn scalar(&self, index: usize) -> &[(u64, f64)] {
        match self {
            Self::View(run) => {
                let mut values = run.scalars().values();
                values.nth(index).map_or(&[], Vec::as_slice)
            }
            Self::Live(live) => live.history.scalar(index),
        }
    }

    /// All steps of which something is known, ascending: those of the scalar that has most.
    pub fn steps(&self) -> Vec<u64> {
        let count = match self {
            Self::View(run) => run.scalars().len(),
            Self::Live(live) => live.history.names().len(),
        };
        let longest = (0..count)
            .map(|index| self.scalar(index))
            .max_by_key(|values| values.len());
        let steps: Vec<u64> = longest
            .unwrap_or(&[])
            .iter()
            .map(|(step, _)| *step)
            .collect();
        match self {
            Self::View(run) if steps.is_empty() => {
                let bounds = run
                    .segments()
                    .flat_map(|steps| [steps.start, steps.end - 1]);
                let mut bounds: Vec<u64> = bounds.collect();
                bounds.dedup();
                bounds
            }
            _ => steps,
        }
    }

    /// A statistic of all units of a tensor over the recorded steps; `None` where the tensor is not recorded (yet).
    ///
    /// # Errors
    /// A file is damaged.
    pub fn series(&self, units: &UnitsOf) -> Result<Option<UnitSeries>> {
        let is_wanted =
            |entry: &&TraceEntry| entry.tensor == units.tensor && entry.kind == units.kind;
        let Some(entry) = self.entries().iter().find(is_wanted) else {
            return Ok(None);
        };
        match self {
            Self::View(run) => run
                .series(&units.tensor, units.kind, units.statistic)
                .map(Some),
            Self::Live(live) => Ok(Some(live.history.series(entry, units.statistic))),
        }
    }

    /// Calls `visit` with each recorded step and its statistics, in the order of the steps.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn each_record(&self, mut visit: impl FnMut(u64, &[UnitStatistics])) -> Result<()> {
        match self {
            Self::View(run) => run.each_record(visit),
            Self::Live(live) => {
                for (step, statistics) in live.history.records() {
                    visit(*step, statistics);
                }
                Ok(())
            }
        }
    }
}
