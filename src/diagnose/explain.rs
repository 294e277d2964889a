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
/// A confidence that is lower by less than this is not clearly lower.
const CLEARLY: f64 = 0.03;
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
    findings.extend(causes::second_latent::find(&facts, &symptoms));
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
    let undecided = undecided(&findings);
    let status = run
        .info()
        .map_or_else(|| "unknown".to_owned(), |info| info.status.to_string());
    Explanation {
        headline: headline(&facts, verdict, &findings),
        undecided,
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
    failure_headline(verdict, findings, first)
}

/// The verdict on a run that is not healthy in one sentence: since when, because of what, and a fix, one that was tried
/// and helped if there is one.
pub(super) fn failure_headline(verdict: Verdict, findings: &[Finding], first: &Finding) -> String {
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
    let reserve = what_decides(findings).unwrap_or_default();
    format!("{word}{since}: {}.{fix}{reserve}", first.title)
}

/// The causes that speak as much for themselves as the first does: of its severity, and of a confidence that is not clearly
/// lower. None where the first stands out, or where a trial has decided.
pub(super) fn undecided(findings: &[Finding]) -> Vec<Cause> {
    let Some(first) = findings.first() else {
        return Vec::new();
    };
    let is_tried = |finding: &Finding| finding.fixes.iter().any(|fix| fix.verified.is_some());
    if first.severity < Severity::Serious || findings.iter().any(is_tried) {
        return Vec::new();
    }
    let weighs_as_much = |other: &&Finding| {
        other.severity == first.severity && first.confidence - other.confidence < CLEARLY
    };
    let mut causes: Vec<Cause> = findings
        .iter()
        .filter(weighs_as_much)
        .map(|finding| finding.cause)
        .collect();
    causes.dedup();
    if causes.len() < 2 { Vec::new() } else { causes }
}

/// That other causes weigh as much as the first, and the change that would tell them apart: one that removes the first
/// alone, or another alone.
fn what_decides(findings: &[Finding]) -> Option<String> {
    let undecided = undecided(findings);
    let (own, others) = undecided.split_first()?;
    let titles: Vec<&str> = findings
        .iter()
        .filter(|finding| others.contains(&finding.cause))
        .map(|finding| finding.title.as_str())
        .collect();
    let of_causes = findings
        .iter()
        .filter(|finding| undecided.contains(&finding.cause));
    let settings: Vec<(Cause, &[String])> = of_causes
        .flat_map(|finding| {
            finding
                .fixes
                .iter()
                .map(|fix| (finding.cause, &fix.set[..]))
        })
        .filter(|(_, set)| !set.is_empty())
        .collect();
    let is_shared = |(cause, set): &(Cause, &[String])| {
        let mut others = settings.iter();
        others.any(|(other, of_other)| other != cause && of_other == set)
    };
    let separates = settings.iter().find(|setting| !is_shared(setting));
    let change = separates.map_or_else(
        || " No setting of the scenario separates them.".to_owned(),
        |(cause, set)| {
            let sets: Vec<String> = set.iter().map(|set| format!("--set '{set}'")).collect();
            let about = match cause == own {
                true => "it was the first",
                false => "it was not the first",
            };
            format!(
                " Train again with {} alone: if that cures the run, {about} (explain --verify tries it).",
                sets.join(" ")
            )
        },
    );
    Some(format!(
        " As much speaks for this: {}; the run alone cannot tell them apart.{change}",
        titles.join("; ")
    ))
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
        // What holds a run back did not drive it away, and taking it off would make that worse.
        let is_contrary = cause.holds_back() && symptoms.diverged();
        let is_new = !known.contains(&cause) && !is_contrary;
        is_new.then(|| finding.fix(warning.set, warning.fix))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(cause: Cause, confidence: f64, set: &str) -> Finding {
        let sets = [set].into_iter().filter(|set| !set.is_empty());
        Finding::new(cause, Severity::Serious, confidence).fix(sets.map(str::to_owned), "change it")
    }

    #[test]
    fn causes_of_the_same_weight_are_not_told_apart() {
        let rate = || finding(Cause::LearningRateTooHigh, 0.80, "train.lr=1");
        let scale = finding(Cause::UnscaledInputs, 0.79, "data.scale=1");
        let alike = [rate(), scale.clone()];
        assert_eq!(undecided(&alike), [rate().cause, scale.cause]);
        let told = failure_headline(Verdict::Failed, &alike, &alike[0]);
        assert!(told.contains("cannot tell them apart"), "{told}");
        assert!(
            told.contains("--set 'train.lr=1' alone: if that cures the run, it was the first"),
            "{told}"
        );
        // A change that both name separates nothing, and where there is no other that is said.
        let shared = [rate(), finding(Cause::UnscaledInputs, 0.8, "train.lr=1")];
        let told = failure_headline(Verdict::Failed, &shared, &shared[0]);
        assert!(
            told.contains("No setting of the scenario separates them"),
            "{told}"
        );
        // A change of the data alone is no setting; that of the other cause separates.
        let data = [finding(Cause::CorruptSamples, 0.8, ""), rate()];
        let told = failure_headline(Verdict::Failed, &data, &data[0]);
        assert!(told.contains("it was not the first"), "{told}");
    }

    #[test]
    fn a_cause_that_stands_out_or_was_tried_is_decided() {
        let first = finding(Cause::LearningRateTooHigh, 0.9, "train.lr=1");
        let second = finding(Cause::UnscaledInputs, 0.8, "data.scale=1");
        assert!(undecided(&[]).is_empty());
        assert!(undecided(std::slice::from_ref(&first)).is_empty());
        assert!(undecided(&[first.clone(), second.clone()]).is_empty());
        let mut tried = finding(Cause::UnscaledInputs, 0.9, "data.scale=1");
        tried.fixes[0].verified = Some(true);
        assert!(undecided(&[tried, first]).is_empty());
    }
}
