//! A cause is what, changed alone, cures the run. Because a run is a function of its scenario, an explanation can be tested:
//! the run is trained again with one change, and its detectors and causes are asked once more. The unchanged run needs no
//! second training; it would be the same bit for bit.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use super::explain::{explain, failure_headline, undecided};
use super::finding::{Cause, Explanation, Finding, Fix, Verdict};
use super::ties::{Candidate, lengthen, tie};
use super::trial::{Trial, TrialProgress};
use super::trial_drift::delayed;
use crate::gpu::Gpu;
use crate::trace::{RunView, Severity};
use crate::train::Scenario;
use crate::{Error, Result, files};

/// Fixes that are tried.
const MOST_TRIALS: usize = 4;
/// The folder of trials and explanations in a run's directory.
const FOLDER: &str = "analysis/explain";
/// The explanation with what its trials showed, in that folder.
const EXPLANATION: &str = "explanation.json";
/// The largest such file that is read.
const MAX_BYTES: u64 = 16 << 20;
/// The confidence of a finding whose fix cured the run, and of one whose fix left a drift that goes on.
const CURED: f64 = 0.99;
const DELAYED: f64 = 0.96;
/// What a finding's confidence is worth once its fix has not cured the run.
const REFUTED: f64 = 0.5;

/// Tries the fixes of the leading findings within some seconds and notes in each whether it cured the run; a fix that did
/// brings its finding to the front. Where several cure it, the rest of the time goes to longer trials of those. `go_on` sees the progress and may end it, which keeps what was found by then.
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
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let trials = Trials {
        gpu,
        run,
        scenario: &scenario,
        folder: &folder,
        end,
        is_wanted: Cell::new(true),
    };
    let go_on = &mut |progress: TrialProgress<'_>| {
        trials.is_wanted.set(go_on(progress));
        trials.is_wanted.get()
    };
    // Findings whose fix did less than it should; a fix that leaves only something less severe is no evidence against.
    let (mut cured, mut refuted) = trials.each(explanation, go_on)?;
    if !trials.is_wanted.get() {
        cured.clear();
    }
    let severities: Vec<(Cause, Severity)> = explanation
        .findings
        .iter()
        .map(|finding| (finding.cause, finding.severity))
        .collect();
    for (cause, left) in lengthen(explanation, cured, end, go_on)? {
        let own = severities.iter().find(|(own, _)| *own == cause);
        refuted.extend(own.filter(|(_, own)| left >= *own).map(|(own, _)| *own));
    }
    let delayed = delayed(run, explanation);
    rank(explanation, &refuted, &delayed);
    write(run, explanation)
}

/// What trials are made of.
struct Trials<'a> {
    gpu: &'a Gpu,
    run: &'a RunView,
    scenario: &'a Scenario,
    folder: &'a Path,
    end: Instant,
    /// Whether nobody has asked to end it.
    is_wanted: Cell<bool>,
}

impl<'a> Trials<'a> {
    /// Tries each leading fix once. Returns those that cured the run, and the causes whose fix did not.
    fn each(
        &self,
        explanation: &mut Explanation,
        go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
    ) -> Result<(Vec<Candidate<'a>>, Vec<Cause>)> {
        let (mut cured, mut refuted) = (Vec::new(), Vec::new());
        let mut tried = 0;
        let is_tried = |finding: &Finding| finding.severity >= Severity::Serious;
        for (place, finding) in explanation.findings.iter_mut().enumerate() {
            if !is_tried(finding) {
                continue;
            }
            let (since, severity) = (finding.since.unwrap_or(0), finding.severity);
            let fixes = finding.fixes.iter_mut().enumerate();
            for (of_fix, fix) in fixes.filter(|(_, fix)| !fix.set.is_empty()) {
                let is_over = Instant::now() >= self.end || !self.is_wanted.get();
                if tried == MOST_TRIALS || is_over {
                    continue;
                }
                tried += 1;
                let tried_fix = self.first(tried, fix, (since, cured.is_empty()), go_on);
                let (trial, left) = match tried_fix {
                    Ok(outcome) => outcome,
                    Err(error) if error.is_gpu() => return Err(error),
                    Err(error) => {
                        fix.result = Some(format!("It could not be tried: {error}."));
                        continue;
                    }
                };
                fix.trial = Some(format!("{FOLDER}/{tried}"));
                if left.is_some_and(|left| left >= severity) {
                    refuted.push(finding.cause);
                }
                if fix.verified == Some(true) {
                    let place = [place, of_fix];
                    cured.push(Candidate { place, trial });
                }
            }
        }
        Ok((cured, refuted))
    }

    /// The first trial of a fix: to behind the failure of the unchanged run. What is left of the time is shared with one more
    /// trial, unless one has cured the run already.
    fn first(
        &self,
        number: usize,
        fix: &mut Fix,
        (since, is_alone): (u64, bool),
        go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
    ) -> Result<(Trial<'a>, Option<Severity>)> {
        let left = self.end.saturating_duration_since(Instant::now());
        let share = if is_alone { left.mul_f64(0.6) } else { left };
        let dir = self.folder.join(number.to_string());
        let end = Instant::now() + share;
        let of_fix = (self.scenario, &*fix);
        let mut trial = Trial::start(self.gpu, self.run, &dir, of_fix, since)?;
        let to = trial.first_end(since);
        trial.advance(to, end, go_on)?;
        let left = trial.judge(fix, to)?;
        Ok((trial, left))
    }
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
fn rank(explanation: &mut Explanation, refuted: &[Cause], delayed: &[Vec<String>]) {
    for finding in &mut explanation.findings {
        let mut cures = finding
            .fixes
            .iter()
            .filter(|fix| fix.verified == Some(true));
        if let Some(first) = cures.next() {
            let all_delay =
                delayed.contains(&first.set) && cures.all(|fix| delayed.contains(&fix.set));
            let cured = if all_delay { DELAYED } else { CURED };
            finding.confidence = finding.confidence.max(cured);
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
        let tie = tie(&explanation.findings, delayed);
        explanation.headline += tie.as_deref().unwrap_or_default();
    }
    explanation.undecided = undecided(&explanation.findings);
}
