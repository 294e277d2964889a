//! A window whose device was lost: what is left of it, and the window that is made anew from the run.

use std::path::{Path, PathBuf};

use super::analyses::Compared;
use super::dashboard::Dashboard;
use super::panes::Arrangement;
use super::selection::Selection;
use super::session::Session;
use super::source::{Source, Start, Training};
use super::stage::{LiveRun, Stage};
use super::view_options::ViewOptions;
use crate::Error;
use crate::trace::RunReader;

/// A run as its worker has left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftRun {
    pub dir: PathBuf,
    /// Whether it was in training when the device was lost.
    pub was_training: bool,
}

/// What is left of a window.
#[derive(Debug)]
pub(super) struct Left {
    run: LeftRun,
    selection: Option<Selection>,
    options: ViewOptions,
    arrangement: Arrangement,
    compared: Vec<Compared>,
    /// How the device was lost.
    lost: Error,
}

impl Session {
    /// Ends the session, whose device may be lost. A run in training is saved where that can still be done.
    pub fn leave(mut self) -> LeftRun {
        let was_training = match &self.stage {
            Stage::Live(live) => matches!(live.run, LiveRun::Training(_)) || self.is_device_lost,
            Stage::View(_) => false,
        };
        let dir = self.stage.dir().to_owned();
        // Without a device there is nothing more to save than is saved already.
        let _ = crate::panics::caught(|| self.end());
        LeftRun { dir, was_training }
    }
}

impl Dashboard {
    /// Ends the worker of a window whose device was lost, and keeps what was looked at.
    pub fn leave(self, lost: Error) -> Left {
        let dir = self.status().dir;
        let Self {
            worker,
            selection,
            options,
            arrangement,
            compared,
            ..
        } = self;
        let run = worker
            .close(|session| session.map(Session::leave))
            .flatten();
        Left {
            run: run.unwrap_or(LeftRun {
                dir,
                was_training: false,
            }),
            selection,
            options,
            arrangement,
            compared,
            lost,
        }
    }

    /// Shows what the window before showed, and says in the bar what became of the run.
    pub fn take_up(&mut self, left: Left, source: &Source) {
        self.say(left.said(source));
        self.arrangement = left.arrangement;
        self.compared = left.compared;
        self.restored = left.selection.map(|selection| (selection, left.options));
    }
}

impl Left {
    /// What the window made anew shows: a run that was in training goes on from its last checkpoint, where it has one.
    pub fn source(&self, before: &Source) -> Source {
        let LeftRun { dir, was_training } = &self.run;
        if dir.as_os_str().is_empty() {
            // It was lost before there was a directory.
            return before.clone();
        }
        if !was_training || last_checkpoint(dir).is_none() {
            return Source::Run(dir.clone());
        }
        let (writes_report, stop_on) = match before {
            Source::Training(training) => (training.writes_report, training.stop_on),
            Source::Run(_) => (true, None),
        };
        Source::Training(Training {
            start: Start::Resume {
                dir: dir.clone(),
                steps: None,
            },
            writes_report,
            stop_on,
        })
    }

    /// What became of the run, in a sentence.
    fn said(&self, source: &Source) -> String {
        let LeftRun { dir, was_training } = &self.run;
        let run = match (source, was_training, last_checkpoint(dir)) {
            (Source::Training(_), true, Some(step)) => {
                format!("training goes on from the last checkpoint, after {step} steps")
            }
            (_, true, _) => {
                "training is stopped, since the run has no checkpoint to go on from".to_owned()
            }
            (_, false, _) => "the run was opened again".to_owned(),
        };
        format!(
            "{}: {}; the window was made anew and {run}",
            self.lost.context(),
            self.lost.problem()
        )
    }
}

fn last_checkpoint(dir: &Path) -> Option<u64> {
    RunReader::open(dir).ok()?.last_checkpoint().ok()
}
