//! A cause is what, changed alone, cures the run. Because a run is a function of its scenario, an explanation can be tested:
//! the run is trained again with one change, and its detectors and causes are asked once more. The unchanged run needs no
//! second training; it would be the same bit for bit.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::explain::{explain, failure_headline, undecided};
use super::finding::{Cause, Explanation, Finding, Fix, Verdict};
use super::symptoms::STEPS_TO_LEARN;
use crate::gpu::Gpu;
use crate::number::short;
use crate::trace::{RunInfo, RunReader, RunView, RunWriter, Severity, Status};
use crate::train::{EventDetector, Scenario, StepRecord, Trainer};
use crate::{Error, Result, files};

/// Fixes that are tried.
const MOST_TRIALS: usize = 4;
/// Steps that a trial goes on behind the failure of the unchanged run.
const STEPS_BEHIND: u64 = 60;
/// The folder of trials and explanations in a run's directory.
const FOLDER: &str = "analysis/explain";
/// The explanation with what its trials showed, in that folder.
const EXPLANATION: &str = "explanation.json";
/// The largest such file that is read.
const MAX_BYTES: u64 = 16 << 20;
/// What a finding's confidence is worth once its fix has not cured the run.
const REFUTED: f64 = 0.5;
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

/// Tries the fixes of the leading findings within some seconds and notes in each whether it cured the run; a fix that did
/// brings its finding to the front. `go_on` sees the progress and may end it, which keeps what was found by then.
///
/// Each trial is kept below `analysis/explain` in the run's directory, as a run directory of its own, so that its curves
/// can be compared; `explanation.json` there holds the result.
///
/// # Errors
/// The run has no scenario, or a trial cannot be written.
pub fn verify(
    gpu: &Gpu,
    run: &RunView,
    explanation: &mut Explanation,
    seconds: f64,
    go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
) -> Result<()> {
    let text = run.scenario().ok_or_else(|| {
        Error::input(
            run.folder().display().to_string(),
            "it has no scenario, so that it cannot be trained again",
            "leave out --verify",
        )
    })?;
    let scenario = Scenario::parse(text, "scenario.toml", &[])?;
    let folder = run.folder().join(FOLDER);
    let is_tried = |finding: &&mut Finding| finding.severity >= Severity::Serious;
    let mut tried = 0;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut is_cured = false;
    // Findings whose fix did less than it should; a fix that leaves only something less severe is no evidence against.
    let mut refuted = Vec::new();
    for finding in explanation.findings.iter_mut().filter(is_tried) {
        let (since, severity) = (finding.since.unwrap_or(0), finding.severity);
        for fix in finding.fixes.iter_mut().filter(|fix| !fix.set.is_empty()) {
            if tried == MOST_TRIALS || Instant::now() >= end {
                continue;
            }
            tried += 1;
            // What is left is shared with one more trial, unless one has cured the run already.
            let left = end.saturating_duration_since(Instant::now());
            let share = if is_cured { left } else { left.mul_f64(0.6) };
            let trial = Trial {
                gpu,
                run,
                dir: folder.join(tried.to_string()),
                since,
                end: Instant::now() + share,
            };
            let outcome = trial.run(&scenario, fix, go_on);
            if outcome.is_ok() {
                fix.trial = Some(format!("{FOLDER}/{tried}"));
            }
            match outcome {
                Ok(Some(left)) if left >= severity => refuted.push(finding.cause),
                Ok(_) => {}
                Err(error) if error.is_gpu() => return Err(error),
                Err(error) => fix.result = Some(format!("It could not be tried: {error}.")),
            }
            is_cured |= fix.verified == Some(true);
        }
    }
    rank(explanation, &refuted);
    write(run, explanation)
}

/// Keeps an explanation for the run's report and window. One whose fixes were tried stays.
///
/// # Errors
/// The run's folder cannot be written.
pub fn keep(run: &RunView, explanation: &Explanation) -> Result<()> {
    let kept = explain_with_trials(run);
    let mut fixes = kept.findings.iter().flat_map(|finding| &finding.fixes);
    if fixes.any(|fix| fix.result.is_some()) {
        return Ok(());
    }
    write(run, explanation)
}

fn write(run: &RunView, explanation: &Explanation) -> Result<()> {
    let folder = run.folder().join(FOLDER);
    files::make_folder(&folder)?;
    let json = serde_json::to_vec_pretty(explanation).expect("plain data");
    files::write_whole(&folder.join(EXPLANATION), &json)
}

/// Explains a run with what trials of its fixes showed, where [`verify`] has kept them and the run is still as it was then.
pub fn explain_with_trials(run: &RunView) -> Explanation {
    let fresh = explain(run);
    let path = run.folder().join(FOLDER).join(EXPLANATION);
    let kept = files::read_bounded(&path, MAX_BYTES).ok();
    let kept: Option<Explanation> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let of = |explanation: &Explanation| {
        let findings = explanation.findings.iter();
        let mut findings: Vec<_> = findings
            .map(|found| (found.cause, found.severity, found.since, found.step))
            .collect();
        findings.sort();
        (explanation.status.clone(), findings)
    };
    kept.filter(|kept| of(kept) == of(&fresh)).unwrap_or(fresh)
}

/// Findings whose fix cured the run come first; those that a trial refuted lose confidence. The verdict's sentence is
/// about the first.
fn rank(explanation: &mut Explanation, refuted: &[Cause]) {
    for finding in &mut explanation.findings {
        if finding.fixes.iter().any(|fix| fix.verified == Some(true)) {
            finding.confidence = finding.confidence.max(0.99);
        } else if refuted.contains(&finding.cause) {
            finding.confidence *= REFUTED;
        }
    }
    explanation.findings.sort_by(|a, b| {
        let by_confidence = b.confidence.total_cmp(&a.confidence);
        b.severity.cmp(&a.severity).then(by_confidence)
    });
    let is_wrong = explanation.verdict != Verdict::Healthy;
    if let Some(first) = explanation.findings.first().filter(|_| is_wrong) {
        explanation.headline = failure_headline(explanation.verdict, &explanation.findings, first);
    }
    explanation.undecided = undecided(&explanation.findings);
}

/// One change, tried.
struct Trial<'a> {
    gpu: &'a Gpu,
    run: &'a RunView,
    dir: PathBuf,
    /// Since when the cause acts.
    since: u64,
    end: Instant,
}

impl Trial<'_> {
    /// Trains with the change and writes what came of it into the fix; returns the worst that is still found, if the run
    /// is not healthy with it.
    fn run(
        &self,
        scenario: &Scenario,
        fix: &mut Fix,
        go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
    ) -> Result<Option<Severity>> {
        let changed = scenario.with(&fix.set)?;
        let mut trainer = Trainer::builder(self.gpu, &changed).build()?;
        let (from, to) = self.steps(&changed);
        let from = match from {
            0 => 0,
            from => match RunReader::open(self.run.folder())
                .and_then(|reader| trainer.restore_from(&reader, from))
            {
                Ok(()) => from,
                // The change may be one of the parameters' shapes: then it acts from the start.
                Err(_) => 0,
            },
        };
        let done = self.train(&mut trainer, &changed, from..to, &fix.text, go_on)?;
        let explained = explain(&RunView::open(&self.dir)?);
        let loss = |run: &RunView| {
            let losses = run.scalars().get("loss")?;
            let at = losses.iter().take_while(|(step, _)| *step < done);
            at.last().map(|(_, loss)| *loss)
        };
        let losses = (
            RunView::open(&self.dir).ok().as_ref().and_then(loss),
            loss(self.run),
        );
        let compared = match losses {
            (Some(with), Some(without)) => format!(
                " The loss at step {} is {} with the change and {} without.",
                done - 1,
                short(with),
                short(without)
            ),
            _ => String::new(),
        };
        let steps = done - from;
        let enough = done >= to || (from == 0 && steps >= STEPS_TO_LEARN);
        let is_cured = explained.verdict != Verdict::Failed;
        fix.verified = (enough || !is_cured).then_some(is_cured);
        let verdict = match fix.verified {
            Some(true) => format!(
                "Trained again with this change alone, steps {from} to {done}: nothing serious is found any more."
            ),
            Some(false) => format!(
                "Trained again with this change alone, steps {from} to {done}: {}",
                explained.headline
            ),
            None => format!(
                "Only {steps} steps fit into the time, too few to tell; give it more with --seconds."
            ),
        };
        // Where the finding is about what the change takes away, only the loss tells whether the run is better for it.
        let is_lower = match losses {
            (Some(with), Some(without)) => {
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

    /// The steps that show whether the change cures: from the last checkpoint before the cause acts, or the start, to
    /// some steps behind the failure, or the end.
    fn steps(&self, scenario: &Scenario) -> (u64, u64) {
        let done = self.run.info().map_or(0, |info| info.steps_done);
        let mut before = self
            .run
            .checkpoints()
            .iter()
            .copied()
            .filter(|step| *step < self.since);
        let from = before.next_back().unwrap_or(0);
        let failed_early = done < scenario.train.steps;
        let to = if failed_early {
            done.max(self.since + STEPS_BEHIND)
        } else {
            done
        };
        (from, to.min(scenario.train.steps).max(from + 1))
    }

    /// Trains over a range of steps and records it; returns the step behind the last.
    fn train(
        &self,
        trainer: &mut Trainer,
        scenario: &Scenario,
        steps: std::ops::Range<u64>,
        change: &str,
        go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
    ) -> Result<u64> {
        clear(&self.dir)?;
        let info = RunInfo::new(&scenario.name, self.gpu.info(), steps.end, scenario.seed);
        let mut writer = RunWriter::create(
            &self.dir,
            &scenario.to_toml(),
            info,
            &trainer.describe(),
            trainer.layout().clone(),
        )?;
        let names = trainer.scalar_names();
        let mut detector = EventDetector::new(
            trainer.layout(),
            &names,
            &trainer.describe(),
            &scenario.detect,
        );
        let mut keep = |writer: &mut RunWriter, record: &StepRecord| -> Result<bool> {
            for (name, value) in names.iter().zip(&record.scalars) {
                writer.scalar(record.step, name, f64::from(*value))?;
            }
            if let Some(statistics) = &record.statistics {
                writer.record(record.step, statistics)?;
            }
            for event in detector.observe(record) {
                writer.event(&event)?;
            }
            Ok(record.scalars.first().is_none_or(|loss| loss.is_finite()))
        };
        let mut done = steps.start;
        let mut is_finite = true;
        while done < steps.end && is_finite && Instant::now() < self.end {
            trainer.step(done.is_multiple_of(scenario.record.every))?;
            done += 1;
            while let Some(record) = trainer.take(trainer.is_full())? {
                is_finite &= keep(&mut writer, &record)?;
            }
            let progress = TrialProgress {
                change,
                step: done,
                steps: steps.end,
            };
            if !go_on(progress) {
                break;
            }
        }
        while let Some(record) = trainer.take(true)? {
            keep(&mut writer, &record)?;
        }
        writer.close_segment(done)?;
        writer.finish(Status::Done, done)?;
        Ok(done)
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
