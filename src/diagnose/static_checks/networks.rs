//! The lists of layers of a scenario, and what their outputs can be.

use crate::models::{ClassifierLoss, Layer, ReconstructionLoss};
use crate::train::{ModelConfig, Scenario};

/// What a network's output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Features that dense heads read.
    Features,
    /// Logits of pixels, which the loss turns into probabilities.
    PixelLogits,
    /// Values of pixels.
    Pixels,
    /// Means of pixels and the logarithms of their variances.
    MeansAndLogVariances,
    /// Logits of classes.
    ClassLogits,
    /// Probabilities, of which the loss takes logarithms: of classes that exclude each other, or of yes or no.
    Probabilities {
        /// Whether they exclude each other.
        of_classes: bool,
    },
    /// The score of an image.
    Score,
}

/// A list of layers.
#[derive(Debug)]
pub(super) struct Network {
    /// Its key in the scenario.
    pub key: &'static str,
    pub layers: Vec<Layer>,
    pub purpose: Purpose,
}

/// The networks that a scenario writes as lists of layers.
pub(super) fn networks(scenario: &Scenario) -> Vec<Network> {
    let network = |key, layers, purpose| Network {
        key,
        layers,
        purpose,
    };
    match scenario.model() {
        ModelConfig::Vae(vae) => {
            let purpose = match vae.reconstruction {
                ReconstructionLoss::BceWithLogits => Purpose::PixelLogits,
                ReconstructionLoss::Bce => Purpose::Probabilities { of_classes: false },
                ReconstructionLoss::SquaredError => Purpose::Pixels,
                ReconstructionLoss::Gaussian => Purpose::MeansAndLogVariances,
            };
            let mut networks = vec![
                network("model.encoder", vae.encoder, Purpose::Features),
                network("model.decoder", vae.decoder, purpose),
            ];
            if let Some(second) = vae.second_latent {
                let lists = [
                    ("model.second_latent.encoder", second.encoder),
                    ("model.second_latent.decoder", second.decoder),
                ];
                networks.extend(lists.map(|(key, layers)| network(key, layers, Purpose::Features)));
            }
            networks
        }
        ModelConfig::Classifier(classifier) => {
            let purpose = match classifier.loss {
                ClassifierLoss::CrossEntropy | ClassifierLoss::BceWithLogits => {
                    Purpose::ClassLogits
                }
                ClassifierLoss::NegativeLogLikelihood => {
                    Purpose::Probabilities { of_classes: true }
                }
                ClassifierLoss::Bce => Purpose::Probabilities { of_classes: false },
                ClassifierLoss::SquaredError => Purpose::Features,
            };
            vec![network("model.layers", classifier.layers, purpose)]
        }
        ModelConfig::Gan(gan) => vec![
            network("model.generator", gan.generator, Purpose::Pixels),
            network("model.discriminator", gan.discriminator, Purpose::Score),
        ],
        ModelConfig::TwoStream(_) | ModelConfig::Custom(_) => Vec::new(),
    }
}

/// Whether a layer has weights that mix its inputs.
pub(super) fn has_weights(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::Dense { .. } | Layer::Conv2d { .. } | Layer::ConvTranspose2d { .. }
    )
}

/// Whether a layer computes a linear or affine function, or only moves values.
pub(super) fn is_affine(layer: &Layer) -> bool {
    has_weights(layer)
        || matches!(
            layer,
            Layer::Affine { .. }
                | Layer::AvgPool2d { .. }
                | Layer::GlobalAvgPool
                | Layer::Upsample { .. }
                | Layer::Flatten
                | Layer::Reshape(_)
                | Layer::BatchNorm { .. }
                | Layer::Dropout(_)
        )
}

/// The word for a layer in a scenario.
pub(super) fn word(layer: &Layer) -> String {
    match toml::Value::try_from(layer) {
        Ok(toml::Value::String(word)) => word,
        Ok(toml::Value::Table(table)) => table.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// The least and the greatest value that can come out of a list of layers, whatever goes in.
pub(super) fn range(layers: &[Layer]) -> (f64, f64) {
    let everything = (f64::NEG_INFINITY, f64::INFINITY);
    let Some((last, before)) = layers.split_last() else {
        return everything;
    };
    match *last {
        Layer::Sigmoid | Layer::Softmax => (0.0, 1.0),
        Layer::Tanh => (-1.0, 1.0),
        Layer::Relu | Layer::Softplus => (0.0, f64::INFINITY),
        Layer::Elu { alpha } => (-f64::from(alpha), f64::INFINITY),
        Layer::Gelu => (-0.17, f64::INFINITY),
        Layer::Silu => (-0.28, f64::INFINITY),
        Layer::Affine { scale, shift } => {
            let (low, high) = range(before);
            let map = |value: f64| f64::from(scale) * value + f64::from(shift);
            let (a, b) = (map(low), map(high));
            (a.min(b), a.max(b))
        }
        Layer::Flatten
        | Layer::Reshape(_)
        | Layer::Upsample { .. }
        | Layer::MaxPool2d { .. }
        | Layer::AvgPool2d { .. }
        | Layer::GlobalAvgPool => range(before),
        _ => everything,
    }
}

/// The index of the layer that bounds the output: the last one that is no mere rearrangement.
pub(super) fn bounding(layers: &[Layer]) -> Option<usize> {
    layers.iter().rposition(|layer| {
        !matches!(
            layer,
            Layer::Flatten | Layer::Reshape(_) | Layer::Upsample { .. } | Layer::Affine { .. }
        )
    })
}

/// The setting that writes a list of layers with a change.
pub(super) fn set_layers(key: &str, layers: &[Layer]) -> Option<String> {
    toml::Value::try_from(layers)
        .ok()
        .map(|value| format!("{key}={value}"))
}
