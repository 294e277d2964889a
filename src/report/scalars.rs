//! The charts of a run's scalars: what its explanation is about first.

use super::chart::Chart;
use super::figures::is_mirrored;
use super::focus::failure_steps;
use super::html::slug;
use super::scalar_groups::{NORMS, ScalarGroup, scalar_groups};
use crate::diagnose::{Cause, Explanation, Finding, Fix};
use crate::nn::Role;
use crate::trace::{RunView, Severity, Subject};
use crate::view::merged;

/// Charts of all scalars of a run, those of one unit in one.
pub(super) fn scalar_charts(run: &RunView, explanation: &Explanation) -> Vec<Chart> {
    let names: Vec<&String> = run.scalars().keys().collect();
    let mut groups = scalar_groups(&names, run.model());
    let telling = telling_scalars(run, explanation);
    let holds = |group: &ScalarGroup, name: &str| {
        let mut members = group.members.iter();
        members.any(|&index| names[index].starts_with(name))
    };
    let rank = |group: &ScalarGroup| telling.iter().position(|name| holds(group, name));
    groups.sort_by_key(|group| rank(group).unwrap_or(telling.len()));
    groups
        .iter()
        // It would be the chart of the loss upside down.
        .filter(|group| group.labels != ["elbo"] || !is_mirrored(run, "elbo", "loss"))
        .filter_map(|group| scalar_chart(run, &names, group))
        .collect()
}

fn scalar_chart(run: &RunView, names: &[&String], group: &ScalarGroup) -> Option<Chart> {
    let values = group.members.iter();
    let values: Vec<&[(u64, f64)]> = values
        .map(|&index| run.scalars()[names[index]].as_slice())
        .collect();
    let labels = group.labels.iter().map(String::as_str);
    let recorded: Vec<(&str, &[(u64, f64)])> = labels.zip(values).collect();
    let lines = merged(&recorded).into_iter();
    let lines: Vec<_> = lines
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name, values.to_vec()))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut caption = String::new();
    if group.labels.iter().any(|label| label == "loss") && is_mirrored(run, "elbo", "loss") {
        caption.push_str("The evidence lower bound (ELBO) is the loss with the other sign. ");
    }
    if group.left_out > 0 {
        let shown = group.members.len();
        let all = shown + group.left_out;
        caption.push_str(&format!("{shown} of {all}; the others are in scalars/. "));
    }
    Some(Chart {
        id: format!("chart-{}", slug(group.title)),
        title: group.title.to_owned(),
        y_title: group.y_title.to_owned(),
        caption: caption.trim().to_owned(),
        focus: failure_steps(run),
        has_events: true,
        scalars: group
            .members
            .iter()
            .map(|&index| names[index].clone())
            .collect(),
        lines,
    })
}

/// The scalars that findings and grave events are about, by the beginnings of their names, the most telling first.
fn telling_scalars(run: &RunView, explanation: &Explanation) -> Vec<String> {
    let mut names: Vec<String> = explanation
        .findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Warning)
        .map(|finding| telling_scalar(run, finding))
        .collect();
    let grave = run
        .events()
        .iter()
        .filter(|event| event.severity >= Severity::Serious);
    names.extend(grave.filter_map(|event| match &event.subject {
        Subject::Scalar(name) => Some(name.clone()),
        _ => None,
    }));
    names.push("loss".to_owned());
    names
}

/// The divergence of the latent layer that a finding is about.
fn divergence_of(run: &RunView, finding: &Finding) -> &'static str {
    let first = run.model().with_role(Role::LatentMean);
    match (&finding.layer, first) {
        (Some(layer), Some(first)) if *layer != first.name => "second_kl_divergence",
        _ => "kl_divergence",
    }
}

/// The scalar that shows a finding best.
pub(super) fn telling_scalar(run: &RunView, finding: &Finding) -> String {
    let own = finding.quantity.as_ref();
    if let Some(name) = own.filter(|name| run.scalars().contains_key(*name)) {
        return name.clone();
    }
    let name = match finding.cause {
        Cause::ModeCollapse | Cause::NoiseIgnored => "diversity",
        Cause::DiscriminatorTooStrong
        | Cause::DiscriminatorTooWeak
        | Cause::WeightClipMissing
        | Cause::WeightClipTooSmall => "real_score",
        Cause::VanishingGradients | Cause::ExplodingGradients | Cause::GradientClipTooTight => {
            NORMS
        }
        Cause::PosteriorCollapse | Cause::KlWeightTooHigh => divergence_of(run, finding),
        _ => "loss",
    };
    let is_recorded = run.scalars().keys().any(|known| known.starts_with(name));
    if is_recorded { name } else { "loss" }.to_owned()
}

/// The loss of a run beside that of a trial of a fix; `None` where the trial was not made or its directory is gone.
pub(super) fn trial_chart(run: &RunView, fix: &Fix) -> Option<Chart> {
    let trial = fix.trial.as_ref()?;
    let tried = RunView::open(&run.folder().join(trial)).ok()?;
    let loss = |run: &RunView| run.scalars().get("loss").cloned();
    let (without, with) = (loss(run)?, loss(&tried).filter(|loss| !loss.is_empty())?);
    Some(Chart {
        id: format!("trial-{}", slug(trial.rsplit('/').next().unwrap_or(trial))),
        title: "Loss with the change and without".to_owned(),
        y_title: "loss per sample".to_owned(),
        caption: format!("The trial is a run directory of its own: {trial}."),
        focus: failure_steps(run),
        has_events: false,
        scalars: vec!["loss".to_owned()],
        lines: vec![
            ("unchanged".to_owned(), without),
            ("with the change".to_owned(), with),
        ],
    })
}
