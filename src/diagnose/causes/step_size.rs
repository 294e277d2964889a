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
/// The ratio that another learning rate aims at ...
const USUAL: f64 = 5e-3;
/// ... and where each weight moves by about the rate, whatever its gradient is.
const USUAL_OF_ADAM: f64 = 0.03;
/// Steps from the beginning over which updates are compared with their weights.
const FIRST_STEPS: u64 = 30;
/// Momentum from which steps add up to thirty times the learning rate and more.
const HEAVY_MOMENTUM: f64 = 0.965;
/// How many times larger than the first one heavy momentum makes updates ...
const MOMENTUM_GROWTH: f64 = 8.0;
/// ... and from which share of their weights on that does harm.
const MOMENTUM_UPDATE: f64 = 0.05;
/// Shares of the learning rate below which a schedule has turned it off.
const TURNED_OFF: f64 = 0.02;
/// The share of its rate that a schedule must reach at all.
const NEVER_ON: f64 = 0.05;
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

/// Whether a first update replaced weights: what such a run does not learn, it may not learn for that reason alone.
pub(crate) fn replaces_at_first(facts: &Facts<'_>) -> bool {
    let largest = facts.largest_update(0, FIRST_STEPS);
    largest.is_some_and(|(_, _, ratio)| ratio >= REPLACES)
}

fn too_high(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let is_hurt = symptoms.any() || symptoms.learned_little || gan_diverged(facts);
    let end = failed_at(facts, symptoms)
        .max(FIRST_STEPS)
        .saturating_add(1);
    let (layer, step, ratio) = facts.largest_update(0, end)?;
    let optimizer = facts.optimizer(facts.network_of(&layer));
    let first = facts
        .update_ratios(&layer)
        .first()
        .map_or(f64::NAN, |(_, ratio)| *ratio);
    let momentum = optimizer.map_or(0.0, momentum);
    // A first step of usual size whose followers grow is the momentum's doing, not the rate's.
    let by_momentum = momentum >= HEAVY_MOMENTUM
        && first < 0.1
        && ratio > (MOMENTUM_GROWTH * first).max(MOMENTUM_UPDATE);
    if !is_hurt || !(by_momentum || ratio >= REPLACES) {
        return None;
    }
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
    let mut finding = Finding::new(cause, severity, confidence)
        .layer(&layer, "update")
        .since(step.min(facts.steps()));
    finding.evidence = update_evidence(facts, symptoms, (&layer, step, ratio));
    let Some(optimizer) = optimizer else {
        return Some(finding.fix([], "lower the learning rate, ten times to begin with"));
    };
    let section = facts.optimizer_key(facts.network_of(&layer));
    if by_momentum {
        let name = fixes::optimizer_name(optimizer);
        let key = match optimizer {
            Optimizer::Adam(_) | Optimizer::AdamW(_) => "beta1",
            _ => "momentum",
        };
        let set = format!("train.{section}.{name}.{key}=0.9");
        return Some(finding.fix([set], "use a momentum of 0.9"));
    }
    let rate = Facts::learning_rate(optimizer);
    let better = better_rate(optimizer, first);
    let set = fixes::learning_rate(section, optimizer, better);
    let text = format!(
        "lower the learning rate from {} to about {}",
        short(rate),
        short(better)
    );
    let title = format!("the learning rate of {} is too high", short(rate));
    Some(finding.title(title).fix([set], text))
}

/// What shows that updates replace their weights, and what followed.
fn update_evidence(
    facts: &Facts<'_>,
    symptoms: &Symptoms,
    (layer, step, ratio): (&str, u64, f64),
) -> Vec<Evidence> {
    let text = format!(
        "At step {step} the update of {layer}.weight was {} times the size of the weights themselves; updates of healthy runs are 0.001 to 0.05 of them.",
        short(ratio)
    );
    let command = format!(
        "trainscope sample {} --tensor {layer}.weight --kind update --quantity std --keep 8",
        facts.folder()
    );
    let mut evidence = vec![
        Evidence::new(text)
            .with("update_to_weight", ratio)
            .command(command),
    ];
    if let (Some((at, peak)), Some((_, start))) = (symptoms.exploded, facts.scalar("loss").first())
    {
        let text = format!(
            "The loss went from {} to {} at step {at}.",
            short(*start),
            short(peak)
        );
        evidence.push(Evidence::new(text).with("loss", peak));
    }
    for (layer, since) in &symptoms.dead_layers {
        evidence.push(Evidence::new(format!(
            "Nearly all units of {layer} give nothing but zeros since step {since}."
        )));
    }
    evidence
}

/// A learning rate with which the first update, `first` of its weights, is of usual size.
fn better_rate(optimizer: Optimizer, first: f64) -> f64 {
    // Momentum adds up the updates of many steps; the first one of RMSprop is larger than the others.
    let (usual, factor) = match optimizer {
        Optimizer::Sgd(sgd) => (USUAL, 1.0 / (1.0 - sgd.momentum)),
        Optimizer::Adam(_) | Optimizer::AdamW(_) => (USUAL_OF_ADAM, 1.0),
        Optimizer::RmsProp(rmsprop) => (USUAL_OF_ADAM, (1.0 - rmsprop.alpha).sqrt()),
    };
    let share = usual / (first * factor);
    let share = if share.is_finite() {
        share.min(0.1)
    } else {
        0.1
    };
    rounded(Facts::learning_rate(optimizer) * share)
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
    let (loss, norm) = (facts.late("loss")?, late_gradient_norm(facts));
    let is_unmoved = ratio < NOTHING_MOVES && ratio > 0.0 && norm > 0.0;
    let evidence = Evidence::new(format!(
        "No update was larger than {} of its weights (that of {layer}.weight at step {step}), while the gradients' norm was {} at the end; the loss ended at {}.",
        short(ratio),
        short(norm),
        short(loss)
    ))
    .with("update_to_weight", ratio)
    .with("gradient_norm", norm)
    .command(format!(
        "trainscope sample {} --tensor {layer}.weight --kind update --quantity std --keep 8",
        facts.folder()
    ));
    let by_schedule = schedule(facts, symptoms, is_unmoved);
    if by_schedule.is_some() || !is_unmoved {
        return by_schedule.map(|finding| finding.evidence(evidence));
    }
    if let Some((bound, cut)) = clipped(
        facts,
        facts
            .scenario
            .as_ref()
            .and_then(|scenario| scenario.train.clip),
    ) {
        let text = format!(
            "Gradients of a norm of {} meet a bound of {}.",
            short(cut),
            short(bound)
        );
        let clipping = Evidence::new(text)
            .with("gradient_norm", cut)
            .with("bound", bound);
        return Some(
            Finding::new(Cause::GradientClipTooTight, Severity::Serious, 0.9)
                .since(0)
                .evidence(clipping)
                .evidence(evidence)
                .fix(
                    ["train.clip={ norm = 1.0 }".to_owned()],
                    "clip gradients to a norm of 1",
                ),
        );
    }
    let optimizer = facts.optimizer(facts.network_of(&layer))?;
    let rate = Facts::learning_rate(optimizer);
    let better = rounded(rate * (USUAL / ratio).min(1e6));
    let set = fixes::learning_rate(
        facts.optimizer_key(facts.network_of(&layer)),
        optimizer,
        better,
    );
    let text = format!(
        "raise the learning rate from {} to about {}",
        short(rate),
        short(better)
    );
    Some(
        Finding::new(Cause::LearningRateTooLow, Severity::Serious, 0.9)
            .title(format!("the learning rate of {} is too low", short(rate)))
            .layer(&layer, "update")
            .since(0)
            .evidence(evidence)
            .fix([set], text),
    )
}

/// A schedule that never turns the learning rate on, or turns it off in the first half of a run that learned little.
fn schedule(facts: &Facts<'_>, symptoms: &Symptoms, is_unmoved: bool) -> Option<Finding> {
    let steps = facts.steps();
    let shares = rate_shares(facts)?;
    let greatest = shares.iter().copied().fold(0.0, f64::max);
    let last_on = shares.iter().rposition(|share| *share >= TURNED_OFF);
    let off_since = last_on.map_or(0, |last| last + 1);
    let hurt = symptoms.learned_nothing || symptoms.learned_little;
    let (since, text) = if off_since > 0 && off_since < shares.len() / 2 && hurt {
        let text = format!(
            "From step {off_since} on the schedule leaves less than {TURNED_OFF} of the learning rate, in a run of {steps} steps."
        );
        (off_since as u64, text)
    } else if greatest < NEVER_ON && is_unmoved {
        let text = format!(
            "The schedule reaches {} of the learning rate at most within the {steps} steps of the run.",
            short(greatest)
        );
        (0, text)
    } else {
        return None;
    };
    let evidence = Evidence::new(text).with("largest_share", greatest);
    let finding = Finding::new(Cause::ScheduleWrong, Severity::Serious, 0.95).since(since);
    Some(finding.evidence(evidence).fix(
        ["train.schedule={ constant = { warmup = 20 } }".to_owned()],
        "use a constant learning rate with a short warm-up",
    ))
}

/// The learning rate at each step as a share of what the optimizer was given, by the schedule or by what was recorded: a
/// recorded rate holds until the next record.
fn rate_shares(facts: &Facts<'_>) -> Option<Vec<f64>> {
    let steps = facts.steps();
    if let Some(scenario) = &facts.scenario {
        let schedule = scenario.train.schedule;
        return Some((0..steps as u32).map(|at| schedule.share(at)).collect());
    }
    let recorded = facts.scalar("learning_rate");
    let rates = recorded.iter().map(|(_, rate)| *rate);
    let most = rates.fold(0.0, f64::max);
    if recorded.first()?.0 != 0 || most <= 0.0 {
        return None;
    }
    let share = |step: u64| {
        let before = recorded.partition_point(|(at, _)| *at <= step);
        recorded[before.max(1) - 1].1 / most
    };
    Some((0..steps).map(share).collect())
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
    let optimizer = facts.optimizer(facts.network_of(&layer))?;
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
    let section = facts.optimizer_key(facts.network_of(&layer));
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
                .command(format!("trainscope sample {} --tensor {layer}.weight --kind weight --quantity std --keep 8", facts.folder())),
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
