//! What comes out of a network against what its loss reads.

use super::networks::{Network, Purpose, bounding, range, set_layers, word};
use super::{warning, with_set};
use crate::models::{DataShape, Layer};
use crate::nn::losses::GanObjective;
use crate::number::short;
use crate::trace::{Severity, Warning};
use crate::train::{ModelConfig, Scenario};

/// Logits that only reach this far from 0 on one side cannot say what they have to: at 3 a sigmoid gives 0.95.
const LOGIT_REACH: f64 = 3.0;

pub(super) fn check(
    scenario: &Scenario,
    networks: &[Network],
    data: Option<DataShape>,
) -> Vec<Warning> {
    let objective = match scenario.model() {
        ModelConfig::Gan(gan) => Some(gan.objective),
        _ => None,
    };
    let mut warnings = Vec::new();
    for network in networks {
        warnings.extend(match network.purpose {
            Purpose::Features | Purpose::MeansAndLogVariances => None,
            Purpose::Probabilities { of_classes } => probabilities(network, of_classes),
            Purpose::PixelLogits => pixel_logits(network),
            Purpose::ClassLogits => class_logits(network, data),
            Purpose::Score => score(network, objective.unwrap_or_default()),
            Purpose::Pixels => pixels(network, scenario.data.range()),
        });
    }
    warnings
}

/// The name of the last activation function and its index, where it bounds the output.
fn activation(network: &Network) -> Option<(String, usize)> {
    let index = bounding(&network.layers)?;
    Some((word(&network.layers[index]), index))
}

/// A warning that is removed by leaving out the layer at `index`.
fn without_layer(network: &Network, index: usize, text: String) -> Warning {
    let mut layers: Vec<Layer> = network.layers.clone();
    let name = word(&layers.remove(index));
    let fix = format!("leave out the {name:?} at the end, the loss needs values without bounds");
    with_set(
        warning(
            "output_activation",
            Severity::Serious,
            format!("{}.{index}", network.key),
            text,
            fix,
        ),
        set_layers(network.key, &layers),
    )
}

/// An end of a range, in words where there is none.
fn bound(value: f64) -> String {
    if value.is_finite() {
        short(value)
    } else {
        "any number".to_owned()
    }
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn is_bounded(low: f64, high: f64) -> bool {
    low > -LOGIT_REACH || high < LOGIT_REACH
}

fn pixel_logits(network: &Network) -> Option<Warning> {
    let (low, high) = range(&network.layers);
    let (name, index) = activation(network).filter(|_| is_bounded(low, high))?;
    let text = format!(
        "the loss applies a sigmoid to what comes out of {name}, which is {} to {}, so that every pixel is {:.2} to {:.2}",
        bound(low),
        bound(high),
        sigmoid(low),
        sigmoid(high)
    );
    Some(without_layer(network, index, text))
}

fn class_logits(network: &Network, data: Option<DataShape>) -> Option<Warning> {
    let (low, high) = range(&network.layers);
    let (name, index) = activation(network).filter(|_| is_bounded(low, high))?;
    let text = if high.is_finite() {
        let classes = data.map_or(10, |data| data.classes.max(2));
        let best = 1.0 / (1.0 + (classes - 1) as f64 * (low - high).exp());
        format!(
            "the loss applies a softmax to what comes out of {name}, which is {} to {}: with {classes} classes no \
             probability exceeds {best:.2}, and the loss stays above {:.2}",
            bound(low),
            bound(high),
            -best.ln()
        )
    } else {
        format!(
            "the loss applies a softmax to what comes out of {name}, which is never below {}: a class whose logit is \
             at that bound gets no gradient",
            bound(low)
        )
    };
    Some(without_layer(network, index, text))
}

/// What the loss takes logarithms of.
fn probabilities(network: &Network, of_classes: bool) -> Option<Warning> {
    let (low, high) = range(&network.layers);
    if low >= 0.0 && high <= 1.0 {
        return None;
    }
    let text = format!(
        "the loss takes logarithms of probabilities, and what comes out is {} to {}: below 0 there are none",
        bound(low),
        bound(high)
    );
    let (last, word) = if of_classes {
        (Layer::Softmax, "softmax")
    } else {
        (Layer::Sigmoid, "sigmoid")
    };
    let mut layers = network.layers.clone();
    layers.push(last);
    let fix = format!("end in {word:?}, or use a loss on logits");
    let found = warning(
        "output_activation",
        Severity::Serious,
        network.key,
        text,
        fix,
    );
    Some(with_set(found, set_layers(network.key, &layers)))
}

fn score(network: &Network, objective: GanObjective) -> Option<Warning> {
    let (low, high) = range(&network.layers);
    let reach = match objective {
        // Hinge loss asks for scores beyond -1 and 1.
        GanObjective::Hinge => 1.0,
        GanObjective::Wasserstein => f64::INFINITY,
        // Scores of 0 and 1 are what least squares ask for, and what even a sigmoid gives.
        GanObjective::LeastSquares => 0.0,
        GanObjective::CrossEntropy | GanObjective::Minimax => LOGIT_REACH,
    };
    let is_bounded = low > -reach || high < reach;
    let (name, index) = activation(network).filter(|_| is_bounded)?;
    let between = format!(
        "what comes out of {name} is {} to {}",
        bound(low),
        bound(high)
    );
    let text = match objective {
        GanObjective::CrossEntropy | GanObjective::Minimax => format!(
            "{between}, and the loss applies a sigmoid: a probability of \"real\" is {:.2} to {:.2}",
            sigmoid(low),
            sigmoid(high)
        ),
        GanObjective::Hinge => {
            format!("{between}, and the hinge loss asks for scores below -1 and above 1")
        }
        GanObjective::LeastSquares => return None,
        GanObjective::Wasserstein => {
            format!("{between}, and a critic's score needs no bound but that of its weights")
        }
    };
    Some(without_layer(network, index, text))
}

/// Values of pixels against the range of the data.
fn pixels(network: &Network, (least, greatest): (f64, f64)) -> Option<Warning> {
    let (low, high) = range(&network.layers);
    let (name, index) = activation(network)?;
    let key = format!("{}.{index}", network.key);
    let of_data = format!("pixels are {} to {}", short(least), short(greatest));
    let fitting = if (least, greatest) == (-1.0, 1.0) {
        "tanh"
    } else {
        "sigmoid"
    };
    if matches!(network.layers[index], Layer::Relu) {
        let text = format!(
            "a pixel whose input to the {name} at the end is below 0 for every sample gets no gradient and stays at 0; {of_data}"
        );
        let found = warning(
            "output_activation",
            Severity::Serious,
            key,
            text,
            format!("end in {fitting:?}"),
        );
        return Some(with_set(
            found,
            [format!("{}.{index}={fitting}", network.key)],
        ));
    }
    // A bound that cuts into the data, or one that leaves a quarter of the range or more unused.
    let cut = low > least + 1e-6 || high < greatest - 1e-6;
    let slack = (least - low).max(0.0) + (high - greatest).max(0.0);
    let loose = low.is_finite() && high.is_finite() && slack >= 0.25 * (greatest - least);
    if !cut && !loose {
        return None;
    }
    let text = format!(
        "what comes out of {name} is {} to {}, and {of_data}",
        bound(low),
        bound(high)
    );
    let severity = if cut {
        Severity::Serious
    } else {
        Severity::Warning
    };
    let found = warning(
        "output_activation",
        severity,
        key,
        text,
        format!("end in {fitting:?}"),
    );
    Some(with_set(
        found,
        [format!("{}.{index}={fitting}", network.key)],
    ))
}
