//! Changes each of which cures a run: their trials go on in turn until all but one have failed, the run's planned end is
//! reached or the time is over, and what is said where they still tie.

use std::time::Instant;

use super::finding::{Cause, Explanation, Finding, Fix};
use super::trial::{Trial, TrialProgress};
use crate::Result;
use crate::trace::Severity;

/// A change that has cured the run so far.
pub(super) struct Candidate<'a> {
    /// Its finding and its fix among those of the explanation.
    pub place: [usize; 2],
    pub trial: Trial<'a>,
}

/// Goes on with all candidates in turn, each time to one common step that doubles what the longest of them has shown. Returns
/// the causes whose change has cured nothing after all, with what is left of each.
pub(super) fn lengthen(
    explanation: &mut Explanation,
    mut candidates: Vec<Candidate<'_>>,
    end: Instant,
    go_on: &mut dyn FnMut(TrialProgress<'_>) -> bool,
) -> Result<Vec<(Cause, Severity)>> {
    let mut failed = Vec::new();
    while candidates.len() > 1 && Instant::now() < end {
        let first = candidates.iter().map(|c| c.trial.from).min().unwrap_or(0);
        let reached = candidates.iter().map(|c| c.trial.done).max().unwrap_or(0);
        let to = reached + (reached - first);
        let may_go_on =
            |candidate: &Candidate<'_>| candidate.trial.done < candidate.trial.last_end();
        if !candidates.iter().any(may_go_on) {
            break;
        }
        let mut still = Vec::new();
        let mut left = candidates.len() as u32;
        let mut is_wanted = true;
        for mut candidate in candidates {
            let share = end.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            let to = to.min(candidate.trial.last_end());
            if is_wanted {
                is_wanted = candidate.trial.advance(to, Instant::now() + share, go_on)?;
            }
            let [finding, fix] = candidate.place;
            let finding = &mut explanation.findings[finding];
            // It has shown enough before: it only has to stay cured for as far as it comes.
            let done = candidate.trial.done;
            match candidate.trial.judge(&mut finding.fixes[fix], done)? {
                Some(severity) => failed.push((finding.cause, severity)),
                None => still.push(candidate),
            }
        }
        candidates = still;
        if !is_wanted {
            break;
        }
    }
    Ok(failed)
}

/// What a change reaches, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Part,
    Layers,
    AllUpdates,
    Data,
}

impl Reach {
    fn of(fix: &Fix) -> Self {
        let reach = fix.set.iter().map(|set| {
            let key = set.split('=').next().unwrap_or_default();
            let mut words = key.split('.');
            match (words.next(), words.next()) {
                (
                    Some("model"),
                    Some(
                        "encoder" | "decoder" | "second_latent" | "layers" | "generator"
                        | "discriminator",
                    ),
                ) => Self::Layers,
                (Some("model"), _) => Self::Part,
                (Some("data"), _) => Self::Data,
                _ => Self::AllUpdates,
            }
        });
        reach.max().unwrap_or(Self::Data)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Part => "one part of the model is changed",
            Self::Layers => "layers of the model are changed",
            Self::AllUpdates => "every update is changed",
            Self::Data => "the data are changed",
        }
    }
}

/// The fix of a finding that cured the run.
fn cure(finding: &Finding) -> Option<&Fix> {
    finding.fixes.iter().find(|fix| fix.verified == Some(true))
}

/// What is said where changes of several findings cure the run: which of them only delay the failure, and of the others that the
/// trials do not separate them, which is the smallest, and why the first stands first nevertheless.
pub(super) fn tie(findings: &[Finding], delayed: &[Vec<String>]) -> Option<String> {
    let cures: Vec<(&Finding, &Fix)> = findings
        .iter()
        .filter_map(|finding| Some((finding, cure(finding)?)))
        .collect();
    let (first, others) = cures.split_first()?;
    let others = others.iter().filter(|other| other.1.set != first.1.set);
    let (slower, others): (Vec<_>, Vec<_>) =
        others.partition(|(_, fix)| delayed.contains(&fix.set));
    let texts = |fixes: &[&(&Finding, &Fix)]| {
        let texts = fixes.iter().map(|(_, fix)| format!("\"{}\"", fix.text));
        texts.collect::<Vec<_>>().join(" and ")
    };
    let mut sentence = String::new();
    if !slower.is_empty() && !delayed.contains(&first.1.set) {
        sentence = format!(
            " The trials of {} are free of the failure, too, but what drifted drifts on there.",
            texts(&slower)
        );
    }
    let others = if delayed.contains(&first.1.set) {
        slower
    } else {
        others
    };
    if others.is_empty() {
        return Some(sentence).filter(|sentence| !sentence.is_empty());
    }
    let all = std::iter::once(first).chain(others.iter().copied());
    let reach = |entry: &(&Finding, &Fix)| (Reach::of(entry.1), entry.1.set.len());
    let least = all.clone().map(reach).min()?;
    let smallest: Vec<_> = all.filter(|entry| reach(entry) == least).copied().collect();
    let smallest = match smallest[..] {
        [only] => format!(
            "The smallest change is \"{}\", by which {}.",
            only.1.text,
            least.0.words()
        ),
        _ => format!(
            "None of them is the smallest alone: by {} of them {}.",
            smallest.len(),
            least.0.words()
        ),
    };
    Some(format!(
        "{sentence} {} cured it as well for as long as it was tried, so the trials do not separate these. {smallest} {}",
        texts(&others),
        why_first(first.0, &others)
    ))
}

/// Why the evidence prefers the first finding to others whose changes cure the run as well.
fn why_first(first: &Finding, others: &[&(&Finding, &Fix)]) -> String {
    let since = |finding: &Finding| finding.since.unwrap_or(u64::MAX);
    let next = others.iter().map(|(finding, _)| since(finding)).min();
    match (first.since, next) {
        (Some(own), Some(next)) if own < next && next != u64::MAX => format!(
            "The evidence prefers the first: what it is about began at step {own}, what the others are about at step {next}."
        ),
        _ if first.evidence.len() > others.iter().map(|(f, _)| f.evidence.len()).max().unwrap_or(0) => {
            "The evidence prefers the first: more that was measured speaks for it.".to_owned()
        }
        _ => "The evidence does not separate them either; the first is the one whose findings explain most.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Finding, Severity, tie};

    fn cured(cause: Cause, since: u64, set: &str, text: &str) -> Finding {
        let finding = Finding::new(cause, Severity::Serious, 0.9).since(since);
        let mut finding = finding.fix([set.to_owned()], text);
        finding.fixes[0].verified = Some(true);
        finding
    }

    #[test]
    fn what_cures_alike_is_said_to() {
        let rate = cured(
            Cause::LearningRateTooHigh,
            50,
            "train.optimizer.sgd.lr=1e-3",
            "lower the rate",
        );
        let bound = cured(
            Cause::LogVarianceOverflow,
            20,
            "model.variance=bounded",
            "bound it",
        );
        assert_eq!(tie(std::slice::from_ref(&rate), &[]), None);
        assert_eq!(tie(&[rate.clone(), rate.clone()], &[]), None);
        let both = [bound.clone(), rate.clone()];
        let said = tie(&both, &[]).expect("a tie");
        assert!(
            said.contains("\"lower the rate\" cured it as well"),
            "{said}"
        );
        assert!(
            said.contains("The smallest change is \"bound it\""),
            "{said}"
        );
        assert!(said.contains("began at step 20"), "{said}");
        // The smallest is not always the first.
        let said = tie(&[rate.clone(), bound.clone()], &[]).expect("a tie");
        assert!(
            said.contains("The smallest change is \"bound it\""),
            "{said}"
        );
        assert!(!said.contains("began at step"), "{said}");
        // One that only delays is no cure like the others.
        let said = tie(&both, &[rate.fixes[0].set.clone()]).expect("something to say");
        assert!(
            said.contains("drifts on") && !said.contains("do not separate"),
            "{said}"
        );
        // One that was not tried, or did not cure, does not count.
        let mut refuted = rate;
        refuted.fixes[0].verified = Some(false);
        assert_eq!(tie(&[bound, refuted], &[]), None);
    }
}
