//! Learning rate, schedule, momentum, weight decay and the clipping of gradients.

use crate::diagnose::facts::{Facts, Family};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::Symptoms;
use crate::nn::{Clip, Optimizer};
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::Severity;

/// An update of more than this share of its weights does not improve a weight, it replaces it. Healthy runs stay below
/// 0.2 also in their first step.
const REPLACES: f64 = 0.3;
/// Where no update is larger than this share of its weights, a thousand steps change nothing that can be seen.
const NOTHING_MOVES: f64 = 3e-5;
/// The ratio that a smaller learning rate aims at.
const USUAL: f64 = 5e-3;
/// Steps from the beginning over which updates are compared with their weights.
const FIRST_STEPS: u64 = 30;
/// Momentum from which steps add up to thirty times the learning rate and more.
const HEAVY_MOMENTUM: f64 = 0.965;
/// Shares of the learning rate below which a schedule has turned it off.
const TURNED_OFF: f64 = 0.02;
/// Weights that end below this share of what they were at the beginning have been decayed away.
const DECAYED: f64 = 0.2;

pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(weight_decay(facts, symptoms));
    findings.extend(too_low(facts, symptoms));
    findings.extend(too_high(facts, symptoms));
    findings
}

/// The first step at which the run had failed: steps behind it show consequences.
fn failed_at(facts: &Facts<'_>, symptoms: &Symptoms) -> u64 {
    let dead = symptoms.dead_layers.iter().map(|(_, since)| *since);
    let exploded = symptoms.exploded.map(|(step, _)| step);
    let first = symptoms
        .nonfinite
        .into_iter()
        .chain(dead)
        .chain(exploded)
        .min();
    first.unwrap_or(u64::MAX).min(facts.steps())
}

fn too_high(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let is_hurt = symptoms.any() || symptoms.learned_little || gan_diverged(facts);
    let end = failed_at(facts, symptoms)
        .max(FIRST_STEPS)
        .saturating_add(1);
    let (layer, step, ratio) = facts.largest_update(0, end)?;
    if !is_hurt || ratio < REPLACES {
        return None;
    }
    let optimizer = facts.optimizer(&layer);
    let first = facts
        .update_ratios(&layer)
        .first()
        .map_or(f64::NAN, |(_, ratio)| *ratio);
    let momentum = optimizer.map_or(0.0, momentum);
    // A first step of usual size whose followers grow is the momentum's doing, not the rate's.
    let by_momentum = momentum >= HEAVY_MOMENTUM && first < 0.1;
    let cause = if by_momentum {
        Cause::MomentumTooHigh
    } else {
        Cause::LearningRateTooHigh
    };
    let severity = severity(symptoms);
    let confidence = if symptoms.diverged() || !symptoms.dead_layers.is_empty() {
        0.8
    } else {
        0.6
    };
    let evidence = Evidence::new(format!(
        "At step {step} the update of {layer}.weight was {} times the size of the weights themselves; updates of healthy runs are 0.001 to 0.05 of them.",
        short(ratio)
    ))
    .with("update_to_weight", ratio)
    .command(format!("trainscope sample {} --tensor {layer}.weight --kind update --statistic std --keep 8", facts.folder()));
    let mut finding = Finding::new(cause, severity, confidence)
        .layer(&layer, "update")
        .since(step.min(facts.steps()))
        .evidence(evidence);
    if let Some((peak_step, peak)) = symptoms.exploded {
        let start = facts
            .scalar("loss")
            .first()
            .map_or(f64::NAN, |(_, loss)| *loss);
        finding = finding.evidence(
            Evidence::new(format!(
                "The loss went from {} to {} at step {peak_step}.",
                short(start),
                short(peak)
            ))
            .with("loss", peak),
        );
    }
    for (layer, since) in &symptoms.dead_layers {
        finding = finding.evidence(Evidence::new(format!(
            "Nearly all units of {layer} give nothing but zeros since step {since}."
        )));
    }
    let optimizer = optimizer?;
    let section = section(facts, &layer);
    if by_momentum {
        let name = fixes::optimizer_name(optimizer);
        let key = if matches!(optimizer, Optimizer::Adam(_) | Optimizer::AdamW(_)) {
            "beta1"
        } else {
            "momentum"
        };
        return Some(finding.fix(
            [format!("train.{section}.{name}.{key}=0.9")],
            "use a momentum of 0.9",
        ));
    }
    let rate = Facts::learning_rate(optimizer);
    let better = rounded(rate * (USUAL / ratio.max(first)).min(0.1));
    Some(
        finding
            .title(format!("the learning rate of {} is too high", short(rate)))
            .fix(
                [fixes::learning_rate(section, optimizer, better)],
                format!(
                    "lower the learning rate from {} to about {}",
                    short(rate),
                    short(better)
                ),
            ),
    )
}

/// The scores of a GAN grow without bound, or its generator's loss does.
fn gan_diverged(facts: &Facts<'_>) -> bool {
    facts.family == Family::Gan && facts.first_nonfinite().is_some()
}

fn too_low(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if !facts.has_start() || symptoms.diverged() || facts.steps() < 20 {
        return None;
    }
    let (layer, step, ratio) = facts.largest_update(0, u64::MAX)?;
    let scenario = facts.scenario.as_ref()?;
    let (loss, norm) = (facts.late("loss")?, late_gradient_norm(facts));
    let unmoved = ratio < NOTHING_MOVES && ratio > 0.0 && norm > 0.0;
    let shares: Vec<f64> = (0..facts.steps() as u32)
        .map(|at| scenario.train.schedule.share(at))
        .collect();
    let greatest = shares.iter().copied().fold(0.0, f64::max);
    let off_since = shares
        .iter()
        .rposition(|share| *share >= TURNED_OFF)
        .map_or(0, |last| last + 1);
    let too_soon = off_since > 0 && off_since < shares.len() / 2;
    let optimizer = facts.optimizer(&layer)?;
    let rate = Facts::learning_rate(optimizer);
    let evidence = Evidence::new(format!(
        "No update was larger than {} of its weights (that of {layer}.weight at step {step}), while the gradients' norm was {} at the end; the loss ended at {}.",
        short(ratio),
        short(norm),
        short(loss)
    ))
    .with("update_to_weight", ratio)
    .with("gradient_norm", norm)
    .command(format!("trainscope sample {} --tensor {layer}.weight --kind update --statistic std --keep 8", facts.folder()));
    let severity = if symptoms.learned_nothing || unmoved {
        Severity::Serious
    } else {
        Severity::Warning
    };
    if (greatest < 0.05 && unmoved)
        || (too_soon && (symptoms.learned_nothing || symptoms.learned_little))
    {
        let text = if too_soon {
            format!(
                "From step {off_since} on the schedule leaves less than {TURNED_OFF} of the learning rate, in a run of {} steps.",
                facts.steps()
            )
        } else {
            format!(
                "The schedule reaches {} of the learning rate at most within the {} steps of the run.",
                short(greatest),
                facts.steps()
            )
        };
        let schedule = Evidence::new(text).with("largest_share", greatest);
        let finding = Finding::new(Cause::ScheduleWrong, severity, 0.95).since(if too_soon {
            off_since as u64
        } else {
            0
        });
        return Some(finding.evidence(schedule).evidence(evidence).fix(
            ["train.schedule.constant.warmup=20".to_owned()],
            "use a constant learning rate with a short warm-up",
        ));
    }
    if !unmoved {
        return None;
    }
    if let Some((bound, cut)) = clipped(facts, scenario.train.clip) {
        return Some(
            Finding::new(Cause::GradientClipTooTight, severity, 0.9)
                .since(0)
                .evidence(
                    Evidence::new(format!(
                        "Gradients of a norm of {} are cut to {}.",
                        short(cut),
                        short(bound)
                    ))
                    .with("gradient_norm", cut)
                    .with("bound", bound),
                )
                .evidence(evidence)
                .fix(
                    ["train.clip.norm=1.0".to_owned()],
                    "clip gradients to a norm of 1",
                ),
        );
    }
    let better = rounded(rate * (USUAL / ratio).min(1e6));
    Some(
        Finding::new(Cause::LearningRateTooLow, severity, 0.9)
            .title(format!("the learning rate of {} is too low", short(rate)))
            .layer(&layer, "update")
            .since(0)
            .evidence(evidence)
            .fix(
                [fixes::learning_rate(
                    section(facts, &layer),
                    optimizer,
                    better,
                )],
                format!(
                    "raise the learning rate from {} to about {}",
                    short(rate),
                    short(better)
                ),
            ),
    )
}

/// The bound of clipping and the norm that it cuts, where it takes nearly all of the gradients.
fn clipped(facts: &Facts<'_>, clip: Option<Clip>) -> Option<(f64, f64)> {
    let norm = late_gradient_norm(facts);
    match clip? {
        Clip::Norm(bound) => (norm > 30.0 * bound).then_some((bound, norm)),
        // A bound on each element acts where the norm is far above what that many elements at the bound have.
        Clip::Value(bound) => {
            let elements: usize = facts
                .weighted()
                .iter()
                .flat_map(|layer| &layer.parameters)
                .map(|parameter| parameter.shape.iter().product::<usize>())
                .sum();
            let most = bound * (elements as f64).sqrt();
            (norm > 3.0 * most).then_some((bound, norm))
        }
    }
}

/// The norm of the gradient over all parameters at the last step that recorded it.
fn late_gradient_norm(facts: &Facts<'_>) -> f64 {
    let norms = facts
        .run
        .scalars()
        .iter()
        .filter(|(name, _)| name.starts_with("gradient_norm/"));
    let last = norms.filter_map(|(_, values)| values.last());
    last.map(|(_, norm)| norm * norm).sum::<f64>().sqrt()
}

fn weight_decay(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if !facts.has_start()
        || !(symptoms.learned_nothing || symptoms.learned_little || symptoms.posterior_collapsed)
    {
        return None;
    }
    let mut worst: Option<(String, f64)> = None;
    let mut kept = 0;
    for layer in facts.weighted() {
        let weight = facts.tensor(&format!("{}.weight", layer.name), TensorKind::Weight)?;
        let (first, last) = (*weight.rms.first()?, *weight.rms.last()?);
        if first == 0.0 {
            continue;
        }
        kept += u32::from(last > DECAYED * first);
        let share = last / first;
        if worst.as_ref().is_none_or(|(_, least)| share < *least) {
            worst = Some((layer.name.clone(), share));
        }
    }
    let (layer, share) = worst?;
    let optimizer = facts.optimizer(&layer)?;
    let decay = match optimizer {
        Optimizer::Sgd(sgd) => sgd.weight_decay,
        Optimizer::Adam(adam) => adam.weight_decay.unwrap_or(0.0),
        Optimizer::AdamW(adam) => adam.weight_decay.unwrap_or(0.01),
        Optimizer::RmsProp(rmsprop) => rmsprop.weight_decay,
    };
    if decay <= 0.0 || kept > 0 || share > DECAYED {
        return None;
    }
    let name = fixes::optimizer_name(optimizer);
    let section = section(facts, &layer);
    Some(
        Finding::new(Cause::WeightDecayTooStrong, Severity::Serious, 0.93)
            .title(format!("the weight decay of {} is too strong", short(decay)))
            .layer(&layer, "weight")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "The weights of every layer shrank; those of {layer} ended at {} of what they were at the beginning.",
                    short(share)
                ))
                .with("share_left", share)
                .with("weight_decay", decay)
                .command(format!("trainscope sample {} --tensor {layer}.weight --kind weight --statistic std --keep 8", facts.folder())),
            )
            .fix([format!("train.{section}.{name}.weight_decay=1e-4")], "use a weight decay of 1e-4 or none"),
    )
}

fn momentum(optimizer: Optimizer) -> f64 {
    match optimizer {
        Optimizer::Sgd(sgd) => sgd.momentum,
        Optimizer::Adam(adam) | Optimizer::AdamW(adam) => adam.beta1,
        Optimizer::RmsProp(rmsprop) => rmsprop.momentum,
    }
}

/// The key of the optimizer that updates a layer.
pub(crate) fn section(facts: &Facts<'_>, layer: &str) -> &'static str {
    let has_own = facts
        .scenario
        .as_ref()
        .is_some_and(|scenario| scenario.train.discriminator_optimizer.is_some());
    if has_own && layer.starts_with("discriminator") {
        "discriminator_optimizer"
    } else {
        "optimizer"
    }
}

/// How bad what is seen is.
pub(crate) fn severity(symptoms: &Symptoms) -> Severity {
    if symptoms.nonfinite.is_some() {
        Severity::Fatal
    } else if symptoms.any() {
        Severity::Serious
    } else {
        Severity::Warning
    }
}

/// The number with one significant digit.
pub(crate) fn rounded(value: f64) -> f64 {
    let magnitude = 10f64.powf(value.abs().log10().floor());
    (value / magnitude).round() * magnitude
}
