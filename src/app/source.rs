//! What a window is opened for.

use std::path::PathBuf;

use crate::Result;
use crate::diagnose::check_scenario_of;
use crate::gpu::Gpu;
use crate::trace::Severity;
use crate::train::{Run, Scenario};

/// What the window shows.
#[derive(Debug, Clone)]
pub enum Source {
    /// A run that is trained live.
    Training(Training),
    /// A run directory. Neither its model nor its data is needed; without them there are no images.
    Run(PathBuf),
}

/// A run that is trained live, and recorded.
#[derive(Debug, Clone)]
pub struct Training {
    /// Where it begins.
    pub start: Start,
    /// Whether a report is written at the end.
    pub writes_report: bool,
    /// The run ends at its first event of this severity or a worse one.
    pub stop_on: Option<Severity>,
}

/// Where a run begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// At the first step of a scenario.
    Scenario {
        /// What is trained.
        scenario: Box<Scenario>,
        /// The run's directory, which is made.
        dir: PathBuf,
        /// A safetensors file with the parameters to start from.
        init: Option<PathBuf>,
    },
    /// At the last checkpoint of a run.
    Resume {
        /// The run's directory.
        dir: PathBuf,
        /// How many steps there are to be in all; as many as before unless given.
        steps: Option<u64>,
    },
}

impl Source {
    /// What is shown, in a word or two.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Training(training) => match &training.start {
                Start::Scenario { scenario, .. } => scenario.name.clone(),
                Start::Resume { dir, .. } => dir.display().to_string(),
            },
            Self::Run(dir) => dir.display().to_string(),
        }
    }
}

impl Start {
    /// The run at its beginning. What is wrong with its scenario is kept in `run.json`.
    pub(super) fn run(&self, gpu: &Gpu) -> Result<Run> {
        match self {
            Self::Scenario {
                scenario,
                dir,
                init,
            } => {
                let mut run = Run::create(gpu, scenario, dir, init.as_deref())?;
                check_scenario_of(&mut run)?;
                Ok(run)
            }
            Self::Resume { dir, steps } => Run::resume(gpu, dir, *steps),
        }
    }
}
