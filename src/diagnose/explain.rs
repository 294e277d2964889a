//! Why a run went as it did: all causes whose evidence is found, ranked by how much they explain, and the verdict.

use super::causes;
use super::causes::step_size::severity;
use super::facts::{Facts, Family};
use super::finding::{Cause, Evidence, Explanation, Finding, Verdict};
use super::static_checks::static_checks;
use super::symptoms::{STEPS_TO_LEARN, Symptoms};
use crate::number::short;
use crate::trace::{RunView, Severity};

/// Findings that are kept.
const MOST_FINDINGS: usize = 8;
/// The confidence of a cause that only the scenario shows.
const OF_SCENARIO: f64 = 0.45;

/// Explains a run from its directory; reads its data too, where they are still there.
///
/// ```no_run
/// use trainscope::{diagnose, trace::RunView};
///
/// # fn main() -> trainscope::Result<()> {
/// let run = RunView::open("runs/vae-logvar-explodes".as_ref())?;
/// let explanation = diagnose::explain(&run);
/// println!("{}", explanation.headline);
/// for finding in &explanation.findings {
///     println!("{}: {:?}", finding.title, finding.fixes);
/// }
/// # Ok(())
/// # }
/// ```
pub fn explain(run: &RunView) -> Explanation {
    let facts = Facts::new(run);
    let symptoms = Symptoms::new(&facts);
    let mut findings = Vec::new();
    findings.extend(causes::output::find(&facts, &symptoms));
    findings.extend(causes::data::find(&facts, &symptoms));
    findings.extend(causes::network::find(&facts, &symptoms));
    findings.extend(causes::vae::find(&facts, &symptoms));
    findings.extend(causes::likelihood::find(&facts, &symptoms));
    findings.extend(causes::gan::find(&facts, &symptoms));
    findings.extend(causes::step_size::find(&facts, &symptoms));
    let went_wrong =
        symptoms.nonfinite.is_some() || symptoms.exploded.is_some() || symptoms.learned_nothing;
    if went_wrong {
        let known: Vec<Cause> = findings.iter().map(|finding| finding.cause).collect();
        findings.extend(from_static_checks(&facts, &symptoms, &known));
    }
    if !findings
        .iter()
        .any(|finding| finding.severity >= Severity::Serious)
    {
        findings.extend(unexplained(&facts, &symptoms));
    }
    findings.sort_by(|a, b| {
        let by_confidence = b.confidence.total_cmp(&a.confidence);
        b.severity
            .cmp(&a.severity)
            .then(by_confidence)
            .then(a.cause.cmp(&b.cause))
    });
    findings.truncate(MOST_FINDINGS);
    if run.scenario().is_none() {
        // Settings are those of a scenario: what a recorded run can change is said in words.
        let fixes = findings.iter_mut().flat_map(|finding| &mut finding.fixes);
        fixes.for_each(|fix| fix.set.clear());
    }
    let verdict = verdict(&findings);
    let status = run
        .info()
        .map_or_else(|| "unknown".to_owned(), |info| info.status.to_string());
    Explanation {
        headline: headline(&facts, verdict, &findings),
        status,
        verdict,
        findings,
        unknown: facts.unknown,
    }
}

fn verdict(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Fatal | Severity::Serious) => Verdict::Failed,
        Some(Severity::Warning) => Verdict::Suspicious,
        Some(Severity::Note) | None => Verdict::Healthy,
    }
}

/// The verdict in one sentence.
fn headline(facts: &Facts<'_>, verdict: Verdict, findings: &[Finding]) -> String {
    let steps = facts.steps();
    let Some(first) = findings.first().filter(|_| verdict != Verdict::Healthy) else {
        return match steps {
            0 => "Healthy as far as it goes: no step is recorded yet.".to_owned(),
            1 => "Healthy as far as it goes: one step is too few to tell how it trains.".to_owned(),
            few if few < STEPS_TO_LEARN => {
                format!("Healthy as far as it goes: {few} steps are too few to tell how it trains.")
            }
            _ => format!("Healthy: nothing wrong was found in {steps} steps."),
        };
    };
    failure_headline(verdict, first)
}

/// The verdict on a run that is not healthy in one sentence: since when, because of what, and a fix, one that was tried
/// and helped if there is one.
pub(super) fn failure_headline(verdict: Verdict, first: &Finding) -> String {
    let word = match verdict {
        Verdict::Failed => "Failed",
        _ => "Suspicious",
    };
    let since = match first.since {
        Some(0) => " from the start".to_owned(),
        Some(step) => format!(" since step {step}"),
        None => String::new(),
    };
    let verified = first.fixes.iter().find(|fix| fix.verified == Some(true));
    let fix = verified
        .or(first.fixes.first())
        .map_or(String::new(), |fix| format!(" Try this: {}.", fix.text));
    format!("{word}{since}: {}.{fix}", first.title)
}

/// What is unusual about the scenario of a run that went wrong, where the records show nothing of it.
fn from_static_checks(facts: &Facts<'_>, symptoms: &Symptoms, known: &[Cause]) -> Vec<Finding> {
    let Some(scenario) = &facts.scenario else {
        return Vec::new();
    };
    let warnings = static_checks(scenario, None).into_iter();
    let unusual = warnings.filter(|warning| warning.severity > Severity::Note);
    let findings = unusual.filter_map(|warning| {
        let word = serde_json::Value::String(warning.cause.clone());
        let cause: Cause = serde_json::from_value(word).ok()?;
        let evidence = Evidence::new(warning.to_string());
        let finding = Finding::new(cause, severity(symptoms), OF_SCENARIO).evidence(evidence);
        (!known.contains(&cause)).then(|| finding.fix(warning.set, warning.fix))
    });
    findings.collect()
}

/// What is seen where no cause behind it is found: the symptom itself, with little confidence.
fn unexplained(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let (cause, severity, text) = if let Some(step) = symptoms.nonfinite {
        let text = format!(
            "A value became non-finite at step {step}, and no cause behind it was found in what is recorded."
        );
        (Cause::ExplodingGradients, Severity::Fatal, text)
    } else if let Some((step, loss)) = symptoms.exploded {
        let text = format!(
            "The loss rose to {} at step {step}, and no cause behind it was found.",
            short(loss)
        );
        (Cause::ExplodingGradients, Severity::Serious, text)
    } else if let Some((layer, _)) = symptoms
        .dead_layers
        .first()
        .filter(|_| symptoms.learned_nothing)
    {
        let text =
            format!("Nearly all units of {layer} are dead, and no cause behind it was found.");
        (Cause::DeadUnits, Severity::Serious, text)
    } else if symptoms.learned_nothing && facts.family != Family::Gan {
        let text = "The model answers as if it did not look at its input; weights, gradients and data show no cause.".to_owned();
        (Cause::LearningRateTooLow, Severity::Warning, text)
    } else {
        return None;
    };
    let step = symptoms
        .nonfinite
        .or(symptoms.exploded.map(|(step, _)| step))
        .unwrap_or(0);
    let rate = Finding::new(cause, severity, 0.3)
        .since(step)
        .evidence(Evidence::new(text));
    Some(rate.fix(
        [],
        "look at the events, and try a learning rate ten times smaller and ten times larger",
    ))
}
