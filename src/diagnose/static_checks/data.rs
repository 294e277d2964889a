//! Data that a network will hardly learn from, as far as the scenario says.

use super::networks::{Network, has_weights};
use super::{warning, with_set};
use crate::models::{DataShape, Layer, ReconstructionLoss};
use crate::number::short;
use crate::trace::{Severity, Warning};
use crate::train::{BackgroundKind, ModelConfig, Scenario, Source};

/// Inputs beyond this many times the usual range, or below its inverse, are worth a word.
const UNSCALED: f64 = 10.0;

pub(super) fn check(
    scenario: &Scenario,
    networks: &[Network],
    data: Option<DataShape>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    warnings.extend(networks.iter().find_map(|network| scale(scenario, network)));
    warnings.extend(corrupt(scenario));
    warnings.extend(label_noise(scenario));
    warnings.extend(flat(scenario));
    warnings.extend(augment(scenario, data));
    warnings.extend(classes(networks, data));
    if !scenario.data.shuffle {
        let found = warning(
            "unshuffled_data",
            Severity::Warning,
            "data.shuffle",
            "batches follow the file: where it is sorted, each batch shows one class",
            "set it to true",
        );
        warnings.push(with_set(found, ["data.shuffle=true".to_owned()]));
    }
    warnings.extend(few(scenario));
    warnings
}

/// Fewer samples than a batch has.
fn few(scenario: &Scenario) -> Option<Warning> {
    let batch = scenario.train.batch;
    let counts = [
        ("data.count", scenario.data.count),
        ("data.limit", scenario.data.limit),
    ];
    let is_few = |count: &usize| *count < batch;
    let (key, count) = counts
        .into_iter()
        .find_map(|(key, count)| Some((key, count.filter(is_few)?)))?;
    let text = format!(
        "the {count} samples are fewer than a batch of {batch}, so that each batch shows samples again"
    );
    let fix = "use more samples";
    let found = warning("too_little_data", Severity::Warning, key, text, fix);
    Some(with_set(found, [format!("{key}={}", 64 * batch)]))
}

/// What the first layer with weights sees.
fn scale(scenario: &Scenario, network: &Network) -> Option<Warning> {
    let reads_samples = ["model.encoder", "model.layers", "model.discriminator"];
    if !reads_samples.contains(&network.key) {
        return None;
    }
    let first = network.layers.iter().position(has_weights)?;
    let (mut low, mut high) = scenario.data.range();
    let mut key = "data".to_owned();
    for (index, layer) in network.layers[..first].iter().enumerate() {
        match *layer {
            Layer::Affine { scale, shift } => {
                let map = |value: f64| f64::from(scale) * value + f64::from(shift);
                (low, high) = (map(low).min(map(high)), map(low).max(map(high)));
                key = format!("{}.{index}.affine", network.key);
            }
            Layer::Flatten | Layer::Reshape(_) => {}
            _ => return None,
        }
    }
    let reach = low.abs().max(high.abs());
    let (cause, severity) = if reach > UNSCALED {
        ("unscaled_inputs", Severity::Serious)
    } else if high - low < 1.0 / UNSCALED {
        ("faint_inputs", Severity::Warning)
    } else {
        return None;
    };
    let text = format!(
        "the first layer with weights sees values from {} to {}, and weights start for values of about 1",
        short(low),
        short(high)
    );
    let found = warning(
        cause,
        severity,
        &key,
        text,
        "bring them to [0, 1] or [-1, 1]",
    );
    let set = (key != "data").then(|| format!("{key}={{ scale = 1.0, shift = 0.0 }}"));
    Some(with_set(found, set))
}

fn corrupt(scenario: &Scenario) -> Option<Warning> {
    let corrupt = scenario.data.corrupt.as_ref()?;
    let count = match (&corrupt.samples, corrupt.count) {
        (Some(samples), _) => samples.len(),
        (None, count) => count.unwrap_or_default() as usize,
    };
    if count == 0 || (0.1..=4.0).contains(&corrupt.scale) {
        return None;
    }
    let text = format!(
        "{count} samples are multiplied by {} on purpose",
        short(corrupt.scale.into())
    );
    let found = warning(
        "corrupt_samples",
        Severity::Warning,
        "data.corrupt",
        text,
        "remove the key",
    );
    Some(with_set(found, ["data.corrupt={ count = 0 }".to_owned()]))
}

fn label_noise(scenario: &Scenario) -> Option<Warning> {
    let share = scenario.data.label_noise.filter(|&share| share >= 0.2)?;
    let text = format!("{} of the labels are drawn at random", short(share));
    let (key, fix) = ("data.label_noise", "set it to 0");
    let found = warning("label_noise", Severity::Warning, key, text, fix);
    Some(with_set(found, ["data.label_noise=0.0".to_owned()]))
}

/// Pixels that can be predicted exactly, before a loss that rewards every certainty.
fn flat(scenario: &Scenario) -> Option<Warning> {
    let ModelConfig::Vae(vae) = scenario.model() else {
        return None;
    };
    let is_flat = match (scenario.data.source, scenario.data.background) {
        (Source::Mnist, _) => true,
        (Source::Shapes, Some(BackgroundKind::Texture | BackgroundKind::Grain)) => {
            scenario.data.flat.unwrap_or(0.0) > 0.0
        }
        (Source::Shapes, _) => true,
        _ => false,
    };
    let is_unbounded =
        vae.reconstruction == ReconstructionLoss::Gaussian && vae.log_variance_floor.is_none();
    if !is_unbounded || !is_flat {
        return None;
    }
    let text = "parts of the images are one color and can be predicted exactly, and a Gaussian likelihood with a learned \
                variance has no lower bound there: each unit less of the log-variance of a pixel lowers the loss by 0.5";
    let fix = "set model.log_variance_floor, or use reconstruction = \"bce_with_logits\" or \"squared_error\" with one value for each pixel, or add noise";
    let key = "model.reconstruction";
    Some(warning(
        "unbounded_likelihood",
        Severity::Warning,
        key,
        text,
        fix,
    ))
}

fn augment(scenario: &Scenario, data: Option<DataShape>) -> Option<Warning> {
    let shift = scenario.data.augment?.shift;
    let [_, height, width] = data?.sample;
    let side = height.min(width);
    if 4 * shift <= side {
        return None;
    }
    let text = format!("images of {side} pixels move by up to {shift} pixels along each axis");
    let fitting = side / 10;
    let found = warning(
        "augmentation_too_strong",
        Severity::Warning,
        "data.augment.shift",
        text,
        format!("use up to {fitting}"),
    );
    Some(with_set(found, [format!("data.augment.shift={fitting}")]))
}

/// More outputs than classes: they are allowed, and learn to be never right.
fn classes(networks: &[Network], data: Option<DataShape>) -> Option<Warning> {
    let [network] = networks else {
        return None;
    };
    let classes = data?.classes;
    let index = network.layers.iter().rposition(has_weights)?;
    let Layer::Dense { units, .. } = network.layers[index] else {
        return None;
    };
    if network.key != "model.layers" || units <= classes || classes == 0 {
        return None;
    }
    let text =
        format!("{units} logits for the {classes} classes of the data: the others are never right");
    let key = format!("{}.{index}.dense.units", network.key);
    let found = warning(
        "class_count",
        Severity::Warning,
        &key,
        text,
        format!("use {classes}, unless a class is missing from this part of the data"),
    );
    Some(with_set(found, [format!("{key}={classes}")]))
}
