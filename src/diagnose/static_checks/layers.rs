//! Layers that cannot learn together: weights without a nonlinear function between them, saturating chains, starts
//! from zero, normalization over too few samples.

use super::networks::{Network, Purpose, has_weights, is_affine, set_layers, word};
use super::{warning, with_set};
use crate::models::{DataShape, Layer};
use crate::nn::Initialization;
use crate::nn::losses::GanObjective;
use crate::number::short;
use crate::trace::{Severity, Warning};
use crate::train::{ModelConfig, Scenario};

/// Sigmoids in a row from which on their derivatives, at most 1/4 each, are a warning.
const SIGMOIDS: usize = 3;
/// Layers with weights from which on a network without normalization or shortcuts is one.
const DEEP: usize = 10;
/// The share of dropped values from which on dropout is one.
const DROPOUT: f32 = 0.8;
/// Samples below which the statistics of a batch are noise.
const NORMALIZED: usize = 8;

pub(super) fn check(
    scenario: &Scenario,
    networks: &[Network],
    data: Option<DataShape>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for network in networks {
        warnings.extend(missing_nonlinearity(network));
        warnings.extend(saturating(network));
        warnings.extend(zeros(network));
        warnings.extend(deep(network));
        warnings.extend(dropout(network));
        warnings.extend(bottleneck(network, data));
        warnings.extend(batch_norm(scenario, network));
    }
    warnings
}

/// Two layers with weights and nothing but affine functions between them are one.
fn missing_nonlinearity(network: &Network) -> Option<Warning> {
    let layers = &network.layers;
    let weighted: Vec<usize> = (0..layers.len())
        .filter(|&index| has_weights(&layers[index]))
        .collect();
    let pair = weighted
        .windows(2)
        .find(|pair| layers[pair[0]..pair[1]].iter().all(is_affine))?;
    let (first, second) = (pair[0], pair[1]);
    let text = format!(
        "{}.{first} ({}) and {}.{second} ({}) follow each other without a nonlinear function, so that both compute what \
         one linear layer could",
        network.key,
        word(&layers[first]),
        network.key,
        word(&layers[second])
    );
    let mut fixed = layers.clone();
    let normalized = matches!(layers.get(first + 1), Some(Layer::BatchNorm { .. }));
    fixed.insert(first + 1 + usize::from(normalized), Layer::Relu);
    let found = warning(
        "missing_nonlinearity",
        Severity::Warning,
        format!("{}.{second}", network.key),
        text,
        "put an activation function such as \"relu\" between them",
    );
    Some(with_set(found, set_layers(network.key, &fixed)))
}

/// Chains of sigmoids between weights.
fn saturating(network: &Network) -> Option<Warning> {
    let last = network.layers.iter().rposition(has_weights)?;
    let hidden = &network.layers[..last];
    if hidden.iter().any(is_normalizing) {
        return None;
    }
    let count = hidden
        .iter()
        .filter(|layer| matches!(layer, Layer::Sigmoid))
        .count();
    if count < SIGMOIDS {
        return None;
    }
    let text = format!(
        "{count} sigmoids in a row: the derivative of each is at most 1/4, so that at most {} of a gradient reaches the \
         first layer, times the weights",
        short(0.25_f64.powi(count as i32))
    );
    let mut fixed = network.layers.clone();
    for layer in &mut fixed[..last] {
        if matches!(layer, Layer::Sigmoid) {
            *layer = Layer::Relu;
        }
    }
    let found = warning(
        "saturating_activations",
        Severity::Warning,
        network.key,
        text,
        "use \"relu\" in the hidden layers",
    );
    Some(with_set(found, set_layers(network.key, &fixed)))
}

fn is_normalizing(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::BatchNorm { .. } | Layer::LayerNorm | Layer::Residual(_)
    )
}

fn initialization_mut(layer: &mut Layer) -> Option<&mut Initialization> {
    match layer {
        Layer::Dense { initialization, .. }
        | Layer::Conv2d { initialization, .. }
        | Layer::ConvTranspose2d { initialization, .. } => Some(initialization),
        _ => None,
    }
}

/// Hidden layers that start with zeros.
fn zeros(network: &Network) -> Option<Warning> {
    let mut fixed = network.layers.clone();
    let last = fixed.iter().rposition(has_weights)?;
    // The last layer may start with zeros: its own gradient is none. The features of an encoder have heads behind them.
    let hidden = match network.purpose {
        Purpose::Features => last + 1,
        _ => last,
    };
    let mut found = Vec::new();
    for (index, layer) in fixed[..hidden].iter_mut().enumerate() {
        if let Some(start) = initialization_mut(layer).filter(|start| start.is_constant()) {
            *start = Initialization::default();
            found.push(index);
        }
    }
    let first = *found.first()?;
    let text = format!(
        "{} of {} layers with weights start with one value in all weights: their units are alike and stay alike",
        found.len(),
        network
            .layers
            .iter()
            .filter(|layer| has_weights(layer))
            .count()
    );
    let key = format!(
        "{}.{first}.{}.init",
        network.key,
        word(&network.layers[first])
    );
    let found = warning(
        "zero_initialization",
        Severity::Serious,
        key,
        text,
        "leave out init",
    );
    Some(with_set(found, set_layers(network.key, &fixed)))
}

/// Many layers without normalization or shortcuts.
fn deep(network: &Network) -> Option<Warning> {
    let count = network
        .layers
        .iter()
        .filter(|layer| has_weights(layer))
        .count();
    if count < DEEP || network.layers.iter().any(is_normalizing) {
        return None;
    }
    let mut fixed = Vec::new();
    let last = network.layers.iter().rposition(has_weights)?;
    for (index, layer) in network.layers.iter().enumerate() {
        fixed.push(layer.clone());
        if has_weights(layer) && index != last {
            fixed.push(Layer::batch_norm());
        }
    }
    let found = warning(
        "missing_normalization",
        Severity::Warning,
        network.key,
        format!("{count} layers with weights have no normalization and no residual connection"),
        "put \"batch_norm\" after each of them but the last",
    );
    Some(with_set(found, set_layers(network.key, &fixed)))
}

fn dropout(network: &Network) -> Option<Warning> {
    let share = |layer: &Layer| match *layer {
        Layer::Dropout(share) if share >= DROPOUT => Some(share),
        _ => None,
    };
    let (index, share) = network
        .layers
        .iter()
        .enumerate()
        .find_map(|(index, layer)| Some((index, share(layer)?)))?;
    let key = format!("{}.{index}", network.key);
    let text = format!(
        "dropout of {} leaves {} of the values, and multiplies these by {}",
        short(share.into()),
        short(1.0 - f64::from(share)),
        short(1.0 / (1.0 - f64::from(share)))
    );
    let found = warning(
        "dropout_too_high",
        Severity::Warning,
        &key,
        text,
        "use 0.2 to 0.5",
    );
    Some(with_set(found, [format!("{key}.dropout=0.3")]))
}

/// A hidden layer of a classifier with hardly any units.
fn bottleneck(network: &Network, data: Option<DataShape>) -> Option<Warning> {
    if network.purpose != Purpose::ClassLogits {
        return None;
    }
    let last = network.layers.iter().rposition(has_weights)?;
    let classes = match (data, &network.layers[last]) {
        (Some(data), _) => data.classes,
        (None, &Layer::Dense { units, .. }) => units,
        _ => return None,
    };
    let narrow = |layer: &Layer| match *layer {
        Layer::Dense { units, .. } if units <= 2 && 2 * units < classes => Some(units),
        _ => None,
    };
    let (index, units) = network.layers[..last]
        .iter()
        .enumerate()
        .find_map(|(index, layer)| Some((index, narrow(layer)?)))?;
    let key = format!("{}.{index}.dense.units", network.key);
    let text =
        format!("all that the network knows passes {units} units, and there are {classes} classes");
    let found = warning(
        "bottleneck",
        Severity::Warning,
        &key,
        text,
        "use more units",
    );
    Some(with_set(found, [format!("{key}={}", 4 * classes)]))
}

fn batch_norm(scenario: &Scenario, network: &Network) -> Option<Warning> {
    let index = network
        .layers
        .iter()
        .position(|layer| matches!(layer, Layer::BatchNorm { .. }))?;
    let key = format!("{}.{index}", network.key);
    let batch = scenario.train.batch;
    if batch < NORMALIZED {
        let text = match batch {
            1 => "batch norm over one sample: a dense layer's outputs are then the same for every sample".to_owned(),
            _ => format!(
                "batch norm takes mean and variance from {batch} samples: their error is about {} of the standard \
                 deviation",
                short(1.0 / (batch as f64).sqrt())
            ),
        };
        let found = warning(
            "batch_too_small",
            Severity::Warning,
            key,
            text,
            "use batches of 32 or more, or \"layer_norm\"",
        );
        return Some(with_set(found, ["train.batch=32".to_owned()]));
    }
    let is_wasserstein = matches!(
        scenario.model(),
        ModelConfig::Gan(gan) if gan.objective == GanObjective::Wasserstein
    );
    if !is_wasserstein || network.purpose != Purpose::Score {
        return None;
    }
    let text = "batch norm in a Wasserstein critic makes the score of an image depend on the others of its batch, and \
                undoes the bound that the clipped weights are for";
    let mut fixed = network.layers.clone();
    fixed.retain(|layer| !matches!(layer, Layer::BatchNorm { .. }));
    let found = warning(
        "batch_norm_in_critic",
        Severity::Warning,
        key,
        text,
        "leave it out, or use \"layer_norm\"",
    );
    Some(with_set(found, set_layers(network.key, &fixed)))
}
