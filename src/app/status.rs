//! How a run is doing and how fast it may train: what the window and the worker share.

use std::cmp::Reverse;
use std::path::PathBuf;

use crate::trace::{Event, RunView};
use crate::train::Run;

/// Events that are listed.
const MAX_LISTED: usize = 40;

/// How fast a run may train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pacing {
    /// Whether only single steps run.
    pub is_paused: bool,
    /// Whether the run is to end now, saved as it is.
    pub is_stopped: bool,
    /// Steps a second at most; infinite at full speed.
    pub steps_per_second: f32,
    /// Steps that were asked for one by one, in all.
    pub single_steps: u64,
    /// Steps that were asked for of the generator alone and of the discriminator alone, in all.
    pub half_steps: [u64; 2],
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            is_paused: false,
            is_stopped: false,
            steps_per_second: f32::INFINITY,
            single_steps: 0,
            half_steps: [0; 2],
        }
    }
}

/// How a run is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RunStatus {
    /// The run's name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Whether it trains.
    pub is_training: bool,
    /// In a word.
    pub state: String,
    /// Whether steps can update one network alone.
    pub has_halves: bool,
    /// Steps that are done.
    pub step: u64,
    /// Steps in all; 0 where that is not known.
    pub steps: u64,
    /// How many events there are.
    pub events: usize,
    /// Those that weigh most in words, the first of them first.
    pub first_events: Vec<String>,
    /// What is left out because it is damaged.
    pub problems: Vec<String>,
}

impl RunStatus {
    /// Takes over how a run in training is doing.
    pub fn of_run(&mut self, run: &Run) {
        let scenario = run.trainer().scenario();
        if self.name.is_empty() {
            self.name.clone_from(&scenario.name);
            run.dir().clone_into(&mut self.dir);
            self.steps = scenario.train.steps;
        }
        self.is_training = true;
        self.has_halves = run.trainer().has_halves();
        "training".clone_into(&mut self.state);
        self.step = run.trainer().steps_done();
        if self.events != run.events().len() {
            self.add_events(run.events());
        }
    }

    /// Takes over how a run directory is.
    pub fn of_view(&mut self, run: &RunView) {
        self.name = run.name();
        run.folder().clone_into(&mut self.dir);
        match run.info() {
            Some(info) => {
                self.state = info.status.to_string();
                (self.step, self.steps) = (info.steps_done, info.steps);
            }
            None => "its run.json is damaged".clone_into(&mut self.state),
        }
        self.add_events(run.events());
        self.problems = run.problems().iter().map(ToString::to_string).collect();
    }

    /// Lists the gravest of all events so far: what came first is nearest to the cause.
    pub fn add_events(&mut self, events: &[Event]) {
        let text = |event: &&Event| event.sentence();
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| (Reverse(event.severity), event.step));
        self.events = events.len();
        self.first_events = sorted.iter().take(MAX_LISTED).map(text).collect();
    }
}
