//! Settings of the updates that are far from what is usual.

use super::{warning, with_set};
use crate::models::Layer;
use crate::nn::losses::GanObjective;
use crate::nn::{Clip, Optimizer, Schedule};
use crate::number::short;
use crate::trace::{Severity, Warning};
use crate::train::{ModelConfig, Scenario};

/// The usual learning rates of an optimizer, and the one to begin with. Optimizers that divide by the size of the gradient
/// move each weight by about their rate in each step, whatever the loss is.
struct Usual {
    least: f64,
    greatest: f64,
    start: f64,
}

const ADAPTIVE: Usual = Usual {
    least: 2e-6,
    greatest: 0.03,
    start: 1e-3,
};
/// Of a loss of about 1, such as a cross-entropy.
const SGD: Usual = Usual {
    least: 2e-5,
    greatest: 3.0,
    start: 0.1,
};
/// Of a VAE's loss, a sum over pixels.
const SGD_OF_SUMS: Usual = Usual {
    least: 1e-8,
    greatest: 5e-3,
    start: 1e-4,
};

pub(super) fn check(scenario: &Scenario) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let train = &scenario.train;
    let both = [
        ("train.optimizer", Some(train.optimizer)),
        (
            "train.discriminator_optimizer",
            train.discriminator_optimizer,
        ),
    ];
    for (key, optimizer) in both {
        if let Some(optimizer) = optimizer {
            warnings.extend(learning_rate(scenario, key, &optimizer));
            warnings.extend(weight_decay(key, &optimizer));
            warnings.extend(momentum(key, &optimizer));
        }
    }
    warnings.extend(schedule(scenario));
    warnings.extend(clip(scenario));
    warnings.extend(critic(scenario));
    warnings
}

/// The word, learning rate, weight decay and momentum of an optimizer.
fn settings(optimizer: &Optimizer) -> (&'static str, f64, f64, f64) {
    match optimizer {
        Optimizer::Sgd(sgd) => ("sgd", sgd.lr, sgd.weight_decay, sgd.momentum),
        Optimizer::Adam(adam) => (
            "adam",
            adam.lr,
            adam.weight_decay.unwrap_or(0.0),
            adam.beta1,
        ),
        Optimizer::AdamW(adam) => (
            "adamw",
            adam.lr,
            adam.weight_decay.unwrap_or(0.01),
            adam.beta1,
        ),
        Optimizer::RmsProp(rmsprop) => (
            "rmsprop",
            rmsprop.lr,
            rmsprop.weight_decay,
            rmsprop.momentum,
        ),
    }
}

fn learning_rate(scenario: &Scenario, key: &str, optimizer: &Optimizer) -> Option<Warning> {
    let (name, lr, _, momentum) = settings(optimizer);
    let is_sgd = matches!(optimizer, Optimizer::Sgd(_));
    let is_vae = matches!(scenario.model(), ModelConfig::Vae(_));
    let usual = match (is_sgd, is_vae) {
        (false, _) => ADAPTIVE,
        (true, true) => SGD_OF_SUMS,
        (true, false) => SGD,
    };
    // Momentum adds up the updates of many steps; Adam's moments are means.
    let is_mean = matches!(optimizer, Optimizer::Adam(_) | Optimizer::AdamW(_));
    let effective = if is_mean { lr } else { lr / (1.0 - momentum) };
    // A gradient that is cut to a norm bounds the updates of gradient descent, whatever the loss is.
    let is_clipped = is_sgd && scenario.train.clip.is_some();
    let key = format!("{key}.{name}.lr");
    let with_momentum = if effective > lr {
        format!(" ({} with its momentum)", short(effective))
    } else {
        String::new()
    };
    let (cause, comparison) = if effective > usual.greatest && !is_clipped {
        let comparison = format!(
            "is {} times the greatest usual rate of {name}, {}",
            short(effective / usual.greatest),
            short(usual.greatest)
        );
        ("learning_rate_too_high", comparison)
    } else if effective < usual.least {
        let comparison = format!(
            "is below the least usual rate of {name}, {}: {} steps move a weight by about {} times its gradient",
            short(usual.least),
            scenario.train.steps,
            short(effective * scenario.train.steps as f64)
        );
        ("learning_rate_too_low", comparison)
    } else {
        return None;
    };
    let text = format!(
        "a learning rate of {}{with_momentum} {comparison}",
        short(lr)
    );
    let start = usual.start * if is_mean { 1.0 } else { 1.0 - momentum };
    let fix = format!("begin with {}", short(start));
    let found = warning(cause, Severity::Serious, &key, text, fix);
    Some(with_set(found, [format!("{key}={start:e}")]))
}

/// Decay that pulls a weight to 0 faster than usual gradients hold it.
fn weight_decay(key: &str, optimizer: &Optimizer) -> Option<Warning> {
    let (name, lr, decay, momentum) = settings(optimizer);
    let (limit, usual) = match optimizer {
        Optimizer::AdamW(_) => (1.0, 0.01),
        _ => (0.05, 1e-4),
    };
    if decay < limit {
        return None;
    }
    let key = format!("{key}.{name}.weight_decay");
    let text = match optimizer {
        Optimizer::Sgd(_) => {
            let half_life = 2.0_f64.ln() * (1.0 - momentum) / (lr * decay);
            format!(
                "decay of {} halves a weight every {} steps that its gradient does not hold",
                short(decay),
                short(half_life)
            )
        }
        Optimizer::AdamW(_) => format!(
            "decay of {} halves a weight every {} steps that its gradient does not hold",
            short(decay),
            short(2.0_f64.ln() / (lr * decay))
        ),
        _ => format!(
            "decay of {} adds that share of each weight to its gradient; {} is usual",
            short(decay),
            short(usual)
        ),
    };
    let found = warning(
        "weight_decay_too_strong",
        Severity::Warning,
        &key,
        text,
        format!("use {}", short(usual)),
    );
    Some(with_set(found, [format!("{key}={usual:e}")]))
}

fn momentum(key: &str, optimizer: &Optimizer) -> Option<Warning> {
    let (name, _, _, momentum) = settings(optimizer);
    let (setting, usual) = match optimizer {
        Optimizer::Adam(_) | Optimizer::AdamW(_) => ("beta1", 0.9),
        _ => ("momentum", 0.9),
    };
    if momentum < 0.985 {
        return None;
    }
    let key = format!("{key}.{name}.{setting}");
    let text = format!(
        "{setting} = {} averages the gradients of about {} steps: the updates follow long after the loss has turned",
        short(momentum),
        short(1.0 / (1.0 - momentum))
    );
    let found = warning(
        "momentum_too_high",
        Severity::Warning,
        &key,
        text,
        "use 0.9",
    );
    Some(with_set(found, [format!("{key}={usual}")]))
}

/// A learning rate that is hardly ever the one that is written.
fn schedule(scenario: &Scenario) -> Option<Warning> {
    let schedule = scenario.train.schedule;
    let steps = u32::try_from(scenario.train.steps).unwrap_or(u32::MAX);
    // The mean share over the run, from at most a thousand of its steps.
    let samples = steps.min(1000);
    let at = |sample: u32| (u64::from(sample) * u64::from(steps) / u64::from(samples)) as u32;
    let mean = (0..samples)
        .map(|sample| schedule.share(at(sample)))
        .sum::<f64>()
        / f64::from(samples);
    let (name, warmup) = match schedule {
        Schedule::Constant { warmup } => ("constant", warmup),
        Schedule::Step { warmup, .. } => ("step", warmup),
        Schedule::Cosine { warmup, .. } => ("cosine", warmup),
    };
    if warmup > steps / 2 && steps >= 20 {
        let key = format!("train.schedule.{name}.warmup");
        let text = format!(
            "the warm-up takes {warmup} steps of {steps}: the run uses {} of its learning rate on average, and at most {}",
            short(mean),
            short(schedule.share(steps - 1))
        );
        let fitting = (steps / 20).max(1);
        let fix = format!("use about {fitting} steps");
        let found = warning("schedule_wrong", Severity::Warning, &key, text, fix);
        return Some(with_set(found, [format!("{key}={fitting}")]));
    }
    if mean >= 0.1 || warmup > 0 && steps < 20 {
        return None;
    }
    let text = format!(
        "the schedule {name} leaves {} of the learning rate on average, and {} halfway through the run",
        short(mean),
        short(schedule.share(steps / 2))
    );
    let found = warning(
        "schedule_wrong",
        Severity::Warning,
        "train.schedule",
        text,
        "let it decay over the whole run",
    );
    Some(with_set(
        found,
        [format!(
            "train.schedule={{ cosine = {{ steps = {steps} }} }}"
        )],
    ))
}

/// Clipping that makes every step of gradient descent tiny. Adam and RMSprop divide by the gradient's size again.
fn clip(scenario: &Scenario) -> Option<Warning> {
    let Optimizer::Sgd(sgd) = scenario.train.optimizer else {
        return None;
    };
    let Some(Clip::Norm(norm)) = scenario.train.clip else {
        return None;
    };
    let length = norm * sgd.lr / (1.0 - sgd.momentum) * scenario.train.steps as f64;
    if length >= 1.0 {
        return None;
    }
    let text = format!(
        "gradients of a norm of at most {}, times the learning rate {}, move all weights together by at most {} in {} steps",
        short(norm),
        short(sgd.lr),
        short(length),
        scenario.train.steps
    );
    let found = warning(
        "gradient_clip_too_tight",
        Severity::Warning,
        "train.clip.norm",
        text,
        "use a norm of 1 to 10",
    );
    Some(with_set(found, ["train.clip.norm=5.0".to_owned()]))
}

/// A Wasserstein critic needs a bound on its slope.
fn critic(scenario: &Scenario) -> Option<Warning> {
    let ModelConfig::Gan(gan) = scenario.model() else {
        return None;
    };
    if gan.objective != GanObjective::Wasserstein {
        return None;
    }
    let is_bounded = |layer: &Layer| {
        matches!(
            layer,
            Layer::Dense {
                spectral_norm: true,
                ..
            } | Layer::Conv2d {
                spectral_norm: true,
                ..
            }
        )
    };
    match gan.weight_clip {
        None if gan.gradient_penalty.is_none() && !gan.discriminator.iter().any(is_bounded) => {
            let found = warning(
                "weight_clip_missing",
                Severity::Serious,
                "model.weight_clip",
                "nothing bounds the critic's slope, so that the difference of its scores grows without end",
                "set it to 0.01 to 0.05, or set model.gradient_penalty to 10",
            );
            Some(with_set(found, ["model.weight_clip=0.03".to_owned()]))
        }
        Some(bound) if bound < 1e-3 => {
            let text = format!(
                "weights of at most {} make scores that hardly differ, and gradients for the generator that are as small",
                short(bound.into())
            );
            let found = warning(
                "weight_clip_too_small",
                Severity::Warning,
                "model.weight_clip",
                text,
                "use 0.01 to 0.05",
            );
            Some(with_set(found, ["model.weight_clip=0.03".to_owned()]))
        }
        _ => None,
    }
}
