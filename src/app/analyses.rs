//! Analyses that the window asks for: why a run went as it did, whether a fix helps, and what moved a unit.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::worker::Progress;
use crate::credit::{Credit, CreditRequest, credit};
use crate::diagnose::{self, Explanation, Fix};
use crate::trace::{RunReader, RunView};
use crate::train::{Replay, Run};
use crate::{Error, Result};

/// Seconds that a trial of a fix may take.
const TRIAL_SECONDS: f64 = 120.0;
/// Where a trial of one fix leaves its run, below the run's directory.
const TRIAL: &str = "analysis/explain/1";

/// A fix that was tried.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    /// Which finding, and which of its fixes.
    pub finding: usize,
    pub fix: usize,
    /// The fix with what came of it.
    pub result: Fix,
    /// The loss of the trial, as (step, value).
    pub loss: Vec<(u64, f64)>,
}

/// Another run that is drawn over the one that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    pub name: String,
    /// Its loss, as (step, value).
    pub loss: Vec<(u64, f64)>,
}

impl Compared {
    fn of(run: &RunView) -> Self {
        let name = run.folder().file_name();
        Self {
            name: name.map_or_else(|| run.name(), |name| name.to_string_lossy().into_owned()),
            loss: run.scalars().get("loss").cloned().unwrap_or_default(),
        }
    }
}

/// A folder beside that of a run which does not exist yet.
fn free_folder(parent: &Path) -> PathBuf {
    let name = parent
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let named = |number: u32| parent.with_file_name(format!("{name}-branch-{number}"));
    (1..)
        .map(named)
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| named(0))
}

impl Session {
    /// Why the run went as it did, as far as it is recorded.
    ///
    /// # Errors
    /// A run that trains cannot be saved, or its directory cannot be read.
    pub fn explain(&mut self, progress: &Progress) -> Result<Explanation> {
        progress.say("explaining the run");
        let dir = self.saved_dir()?;
        Ok(diagnose::explain(&RunView::open(&dir)?))
    }

    /// Trains the run again with one fix alone; `None` where that was cancelled.
    ///
    /// # Errors
    /// The run has no scenario, or the trial cannot be written.
    pub fn try_fix(
        &mut self,
        explanation: &Explanation,
        [finding, fix]: [usize; 2],
        progress: &Progress,
    ) -> Result<Option<Tried>> {
        let dir = self.saved_dir()?;
        let run = RunView::open(&dir)?;
        let mut alone = explanation.clone();
        alone.findings = explanation
            .findings
            .get(finding)
            .cloned()
            .into_iter()
            .collect();
        if let Some(finding) = alone.findings.first_mut() {
            finding.fixes = finding.fixes.get(fix).cloned().into_iter().collect();
        }
        diagnose::verify(&self.gpu, &run, &mut alone, TRIAL_SECONDS, &mut |trial| {
            progress.say(format!(
                "trying: {} (step {} of {})",
                trial.change, trial.step, trial.steps
            ));
            !progress.is_cancelled()
        })?;
        if progress.is_cancelled() {
            return Ok(None);
        }
        let tried = alone
            .findings
            .first()
            .and_then(|finding| finding.fixes.first());
        let Some(result) = tried.cloned() else {
            return Ok(None);
        };
        let trial = RunView::open(&dir.join(TRIAL));
        let loss = trial
            .ok()
            .and_then(|trial| trial.scalars().get("loss").cloned());
        Ok(Some(Tried {
            finding,
            fix,
            result,
            loss: loss.unwrap_or_default(),
        }))
    }

    /// Ends the run, saved as it is, and goes on from its last checkpoint, or from the last one before `step`, with
    /// settings changed, in a directory of its own. Returns what is shown of the run that was left.
    ///
    /// # Errors
    /// As [`Run::branch`]; the run trains on then.
    pub fn branch(
        &mut self,
        settings: &[String],
        step: Option<u64>,
        progress: &Progress,
    ) -> Result<Compared> {
        progress.say("branching");
        let parent = self.saved_dir()?;
        let view = RunView::open(&parent)?;
        let last = RunReader::open(&parent)?.last_checkpoint()?;
        let earlier = step.and_then(|step| {
            let mut checkpoints = view.checkpoints().iter().rev();
            checkpoints.find(|checkpoint| **checkpoint <= step).copied()
        });
        let dir = free_folder(&parent);
        let run = Run::branch(&self.gpu, &parent, earlier.unwrap_or(last), settings, &dir)?;
        self.go_on_with(run)?;
        Ok(Compared::of(&view))
    }

    /// The loss of another run, to be drawn over that of this one.
    ///
    /// # Errors
    /// There is no run.
    pub fn compared(&self, dir: &Path) -> Result<Compared> {
        Ok(Compared::of(&RunView::open(dir)?))
    }

    /// What moved the mean of a unit of a layer over some steps.
    ///
    /// # Errors
    /// As [`credit`].
    pub fn credit(
        &mut self,
        layer: &str,
        unit: usize,
        range: Range<u64>,
        progress: &Progress,
    ) -> Result<Option<Credit>> {
        progress.say(format!("crediting unit {unit} of {layer}"));
        let dir = self.saved_dir()?;
        let mut request = CreditRequest::new(layer, vec![unit], range);
        // For the pictures of feature maps, and for curves that begin at pixels.
        request.maps = true;
        let replay = Replay::open(&self.gpu, &dir)?;
        let credits = credit(replay, &request, &mut |done, all| {
            progress.say(format!(
                "crediting unit {unit} of {layer}: {done} of {all} steps"
            ));
        })?;
        if progress.is_cancelled() {
            return Ok(None);
        }
        let first = credits.into_iter().next();
        first.map(Some).ok_or_else(|| {
            Error::input(
                format!("unit {unit} of {layer}"),
                "nothing was credited",
                "choose more steps",
            )
        })
    }
}
