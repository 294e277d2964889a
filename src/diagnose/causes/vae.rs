//! What only variational autoencoders have: a log-variance that can run away, and a divergence that can win.

use super::step_size::{rounded, severity};
use crate::diagnose::facts::{Facts, Family};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::symptoms::{STEPS_TO_LEARN, Symptoms, latent_use};
use crate::diagnose::tensor_series::TensorSeries;
use crate::nn::{LayerDescription, Role};
use crate::number::short;
use crate::trace::{Severity, Statistic};

/// Above this the exponential of a float32 is infinite.
const OVERFLOW: f64 = 88.72;
/// Magnitudes of a log-variance that no data ask for: a standard deviation of 0.0005 or 2000.
const RUN_AWAY: f64 = 15.0;
/// Below this a log-variance has drifted: a standard deviation of 0.02.
const LOW: f64 = -8.0;
/// Steps before the failure that belong to the overshoot.
pub(super) const OVERSHOOT: u64 = 15;
/// Weights of the divergence from which it may win.
pub(super) const HEAVY: f64 = 1.5;

pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Vec<Finding> {
    if facts.family != Family::Vae {
        return Vec::new();
    }
    let mut findings = Vec::new();
    findings.extend(log_variance(facts, symptoms));
    findings.extend(collapse(facts, symptoms));
    findings
}

/// An unbounded log-variance whose exponential left the range of float32.
fn log_variance(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let failed = symptoms.nonfinite?;
    let (head, series) = unbounded_head(facts)?;
    let divergence = facts.scalar("kl_divergence");
    let infinite = divergence.iter().find(|(_, value)| !value.is_finite());
    let was_infinite = infinite.is_some_and(|(_, value)| value.is_infinite());
    let most = series.max.iter().copied().fold(f64::NAN, f64::max);
    let least = series.min.iter().copied().fold(f64::NAN, f64::min);
    let largest_divergence = divergence
        .iter()
        .map(|(_, v)| *v)
        .filter(|v| v.is_finite())
        .fold(0.0, f64::max);
    let ran_away = most > RUN_AWAY || least < -RUN_AWAY;
    if !was_infinite && !ran_away {
        return None;
    }
    // Quiet for a long time, while a few units went further and further down: a drift. Otherwise an overflow at once.
    let quiet = series.steps.iter().zip(&series.min);
    let quiet = quiet.filter(|(step, _)| **step + OVERSHOOT < failed);
    let sank = quiet.map(|(_, least)| *least).fold(f64::NAN, f64::min) < LOW;
    let drifted = failed > 2 * STEPS_TO_LEARN && sank && facts.early("loss")? > 0.0;
    let cause = if drifted {
        Cause::LogVarianceDrift
    } else {
        Cause::LogVarianceOverflow
    };
    // What divides by the variance overflows where that is small.
    let divides = head.role == Some(Role::PriorLogVariance);
    let overflows = most > OVERFLOW || (divides && least < -OVERFLOW);
    let confidence = if was_infinite || overflows { 0.92 } else { 0.8 };
    let limit = if divides {
        format!("the KL divergence takes exp of minus it, which is infinite below -{OVERFLOW}")
    } else {
        format!("exp of more than {OVERFLOW} is infinite")
    };
    let mut finding = Finding::new(cause, Severity::Fatal, confidence)
        .layer(&head.name, "activation")
        .since(failed)
        .evidence(
            Evidence::new(format!(
                "At step {failed} a value became non-finite; {} is not bounded, reached {} to {} in the recorded steps, and {limit}.",
                head.name, short(least), short(most)
            ))
            .with("least", least)
            .with("greatest", most)
            .command(format!(
                "trainscope replay {} --from {} --to {} --probe {} --out logvar.safetensors",
                facts.folder(),
                failed.saturating_sub(2),
                failed + 1,
                head.name
            )),
        )
        .evidence(
            Evidence::new(if was_infinite {
                "The KL divergence was infinite before anything else was NaN.".to_owned()
            } else {
                format!("The largest finite KL divergence was {}.", short(largest_divergence))
            })
            .with("kl_divergence", largest_divergence),
        );
    finding.units = farthest_units(facts, &head.name).unwrap_or_default();
    Some(finding.fix(
        ["model.variance=bounded".to_owned()],
        "bound the log-variance (variance = \"bounded\" or \"softplus\")",
    ))
}

/// The log-variance of latent units, or of their prior, that nothing bounds, and of several the one that went farthest.
fn unbounded_head<'f>(facts: &'f Facts<'_>) -> Option<(&'f LayerDescription, &'f TensorSeries)> {
    let model = facts.run.model();
    let roles = [Role::LatentLogVariance, Role::PriorLogVariance].into_iter();
    let heads = roles.flat_map(|role| model.all_with_role(role));
    let unbounded = heads.filter(|head| !model.is_bounded_later(head));
    let recorded = unbounded.filter_map(|head| Some((head, facts.output(&head.name)?)));
    let farthest = |series: &TensorSeries| {
        let values = series.min.iter().chain(&series.max);
        values.fold(0.0, |far: f64, value| far.max(value.abs()))
    };
    // The first of those that are as far.
    recorded.reduce(|best, next| match farthest(next.1) > farthest(best.1) {
        true => next,
        false => best,
    })
}

/// The units of a layer with the largest magnitudes before it became non-finite.
pub(super) fn farthest_units(facts: &Facts<'_>, layer: &str) -> Option<Vec<usize>> {
    use crate::tensor::TensorKind::Activation;
    let column = |statistic| facts.run.series(layer, Activation, statistic).ok();
    let (least, most) = (column(Statistic::Min)?, column(Statistic::Max)?);
    let farthest = |row: &[f32]| {
        row.iter()
            .filter(|v| v.is_finite())
            .fold(0.0f32, |far, v| far.max(v.abs()))
    };
    let far: Vec<f32> = least
        .rows()
        .zip(most.rows())
        .map(|(low, high)| farthest(low).max(farthest(high)))
        .collect();
    let greatest = far.iter().copied().fold(0.0, f32::max);
    let mut units: Vec<usize> = (0..far.len())
        .filter(|&unit| far[unit] > 0.5 * greatest)
        .collect();
    units.sort_by(|&a, &b| far[b].total_cmp(&far[a]));
    units.truncate(8);
    Some(units)
}

/// The weight of the divergence in the loss.
pub(super) fn divergence_weight(facts: &Facts<'_>) -> Option<f64> {
    let graph = facts.run.model().graphs.first()?;
    let names = [
        "kl_divergence",
        "first_kl_divergence",
        "annealed_divergence",
    ];
    let mut terms = graph.losses.iter();
    let divergence =
        terms.find(|term| term.weight != 0.0 && names.contains(&term.name.as_str()))?;
    Some(divergence.weight)
}

/// Which means are meant, where there are several latent layers.
fn of_first_layer(facts: &Facts<'_>) -> &'static str {
    let layers = facts.run.model().all_with_role(Role::LatentMean).count();
    if layers > 1 {
        " of the first layer"
    } else {
        ""
    }
}

/// No latent unit depends on the input.
fn collapse(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if !symptoms.posterior_collapsed {
        return None;
    }
    let mu = facts.role(Role::LatentMean)?;
    let (_, units) = latent_use(facts, mu)?;
    let (late, weight) = (facts.late("kl_divergence")?, divergence_weight(facts)?);
    let largest = facts
        .scalar("kl_divergence")
        .iter()
        .map(|(_, value)| *value)
        .fold(0.0, f64::max);
    let evidence = Evidence::new(format!(
        "None of the {units} latent means{} varies with the input at the end; the KL divergence is {} and weighs {}.",
        of_first_layer(facts),
        short(late),
        short(weight)
    ))
    .with("kl_divergence", late)
    .with("weight", weight)
    .command(format!("trainscope sample {} --tensor {} --quantity std --keep {units}", facts.folder(), mu.name));
    // A divergence that never rose was held down from the start; one that did was not.
    let held_down = weight > HEAVY && largest < 5.0;
    let (cause, confidence) = if held_down {
        (Cause::KlWeightTooHigh, 0.93)
    } else {
        (Cause::PosteriorCollapse, 0.5)
    };
    let finding = Finding::new(cause, severity(symptoms), confidence)
        .layer(&mu.name, "activation")
        .statistic(Statistic::Std)
        .since(
            facts
                .output(&mu.name)
                .and_then(|series| series.since(&series.std, |std| std < 0.1))
                .unwrap_or(0),
        )
        .evidence(evidence);
    Some(if held_down {
        finding
            .title(format!(
                "the KL divergence weighs too much ({})",
                short(weight)
            ))
            .fix(
                ["model.beta=1.0".to_owned()],
                "weigh the KL divergence with 1 or less",
            )
    } else {
        let less = rounded(weight * 0.1);
        finding.fix(
            [format!("model.beta={less:e}")],
            "weigh the KL divergence less, or make the decoder weaker",
        )
    })
}
