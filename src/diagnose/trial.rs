//! A change of a scenario, tried: the run is trained again with it, as far as the time allows, and explained.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::explain::explain;
use super::finding::{Fix, Verdict};
use super::symptoms::STEPS_TO_LEARN;
use crate::gpu::Gpu;
use crate::number::short;
use crate::trace::{RunInfo, RunReader, RunView, RunWriter, Severity, Status};
use crate::train::{EventDetector, Scenario, StepRecord, Trainer};
use crate::{Error, Result, files};

/// Steps that a trial goes on behind the failure of the unchanged run.
const STEPS_BEHIND: u64 = 60;
/// A loss that is lower than the unchanged run's by more than this share is clearly lower.
const CLEARLY: f64 = 0.02;

/// How a trial gets on.
#[derive(Debug, Clone, Copy)]
pub struct TrialProgress<'a> {
    /// The change that is tried, in words.
    pub change: &'a str,
    /// Steps that it has done.
    pub step: u64,
    /// Steps that it is to do at most.
    pub steps: u64,
}

/// A run with one change, in training.
pub(super) struct Trial<'a> {
    run: &'a RunView,
    dir: PathBuf,
    changed: Scenario,
    trainer: Trainer,
    writer: RunWriter,
    detector: EventDetector,
    names: Vec<String>,
    /// The change in words.
    change: String,
    /// The first step.
    pub from: u64,
    /// The step behind the last.
    pub done: u64,
    is_finite: bool,
}

impl<'a> Trial<'a> {
    /// Begins the trial of `fix` in the folder `dir`: at the last checkpoint before the step `since` which the cause acts, or
    /// at the start.
    pub fn start(
        gpu: &Gpu,
        run: &'a RunView,
        dir: &Path,
        (scenario, fix): (&Scenario, &Fix),
        since: u64,
    ) -> Result<Self> {
        let changed = scenario.with(&fix.set)?;
        let mut trainer = Trainer::builder(gpu, &changed).build()?;
        let mut before = run.checkpoints().iter().copied();
        let from = match before.rfind(|step| *step < since).unwrap_or(0) {
            0 => 0,
            from => match RunReader::open(run.folder())
                .and_then(|reader| trainer.restore_from(&reader, from))
            {
                Ok(()) => from,
                // The change may be one of the parameters' shapes: then it acts from the start.
                Err(_) => 0,
            },
        };
        clear(dir)?;
        let steps = changed.train.steps;
        let info = RunInfo::new(&changed.name, gpu.info(), steps, changed.seed);
        let (described, layout) = (trainer.describe(), trainer.layout().clone());
        let writer = RunWriter::create(dir, &changed.to_toml(), info, &described, layout)?;
        let names = trainer.scalar_names();
        let detector = EventDetector::new(trainer.layout(), &names, &described, &changed.detect);
        Ok(Self {
            run,
            dir: dir.to_owned(),
            changed,
            trainer,
            writer,
            detector,
            names,
            change: fix.text.clone(),
            from,
            done: from,
            is_finite: true,
        })
    }

    /// The step up to which it shows at least whether the change cures: some steps behind the failure, or the end.
    pub fn first_end(&self, since: u64) -> u64 {
        let done = self.run.info().map_or(0, |info| info.steps_done);
        let failed_early = done < self.last_end();
        let to = if failed_early {
            done.max(since + STEPS_BEHIND)
        } else {
            done
        };
        to.min(self.last_end()).max(self.from + 1)
    }

    /// The step at which the run was to end.
    pub fn last_end(&self) -> u64 {
        self.changed.train.steps
    }

    /// Trains on up to a step or a time, or until a value is not finite. Returns whether to go on at all.
    pub fn advance(
        &mut self,
        to: u64,
        end: Instant,
        go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
    ) -> Result<bool> {
        let mut is_wanted = true;
        while self.done < to && self.is_finite && is_wanted && Instant::now() < end {
            let is_probed = self.done.is_multiple_of(self.changed.record.every);
            self.trainer.step(is_probed)?;
            self.done += 1;
            while let Some(record) = self.trainer.take(self.trainer.is_full())? {
                self.keep(&record)?;
            }
            is_wanted = go_on(TrialProgress {
                change: &self.change,
                step: self.done,
                steps: to,
            });
        }
        while let Some(record) = self.trainer.take(true)? {
            self.keep(&record)?;
        }
        self.writer.finish(Status::Done, self.done)?;
        Ok(is_wanted)
    }

    fn keep(&mut self, record: &StepRecord) -> Result<()> {
        for (name, value) in self.names.iter().zip(&record.scalars) {
            self.writer.scalar(record.step, name, f64::from(*value))?;
        }
        if let Some(statistics) = &record.statistics {
            self.writer.record(record.step, statistics)?;
        }
        for event in self.detector.observe(record) {
            self.writer.event(&event)?;
        }
        let loss = record.scalars.first();
        self.is_finite &= loss.is_none_or(|loss| loss.is_finite());
        Ok(())
    }

    /// Explains it as far as it goes, and writes what came of it into the fix; returns the worst that is still found, if the
    /// run is not cured. Up to `to` is long enough.
    pub fn judge(&self, fix: &mut Fix, to: u64) -> Result<Option<Severity>> {
        let trial = RunView::open(&self.dir)?;
        let explained = explain(&trial);
        let Self { from, done, .. } = *self;
        let loss = |run: &RunView| {
            let losses = run.scalars().get("loss")?;
            let at = losses.iter().take_while(|(step, _)| *step < done);
            at.last().copied()
        };
        let (with, without) = (loss(&trial), loss(self.run));
        let compared = match (with, without) {
            (Some((step, with)), Some((other, without))) => {
                let at = match step == other {
                    true => String::new(),
                    false => format!(" at step {other}"),
                };
                format!(
                    " The loss at step {step} is {} with the change and {}{at} without.",
                    short(with),
                    short(without)
                )
            }
            _ => String::new(),
        };
        let steps = done - from;
        let enough = done >= to || (from == 0 && steps >= STEPS_TO_LEARN);
        let is_cured = explained.verdict != Verdict::Failed;
        fix.verified = (enough || !is_cured).then_some(is_cured);
        let again = format!("Trained again with this change alone, steps {from} to {done}:");
        let verdict = match fix.verified {
            Some(true) => format!("{again} nothing serious is found any more."),
            Some(false) => format!("{again} {}", explained.headline),
            None => format!(
                "Only {steps} steps fit into the time, too few to tell; give it more with --seconds."
            ),
        };
        // Where the finding is about what the change takes away, only the loss tells whether the run is better for it.
        let is_lower = match (with, without) {
            (Some((_, with)), Some((_, without))) => {
                !without.is_finite() || with < without - CLEARLY * without.abs()
            }
            _ => false,
        };
        let reserve = match fix.verified {
            Some(true) if !is_lower => {
                " The loss does not show that the model is better for it: compare the curves."
            }
            _ => "",
        };
        fix.result = Some(verdict + &compared + reserve);
        let worst = explained.findings.iter().map(|found| found.severity).max();
        Ok(worst.filter(|_| fix.verified == Some(false)))
    }
}

/// Makes room for a trial: an earlier one of the same number is removed.
fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)
            .map_err(|error| Error::io(dir, "remove the earlier trial", &error))?;
    }
    match dir.parent() {
        Some(parent) => files::make_folder(parent),
        None => Ok(()),
    }
}
