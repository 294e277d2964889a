//! Graphs as earlier versions described them. The first one wrote no roles: what a layer means to its model followed from
//! its name and from the loss that reads it. Until properties and ranges were written, and while there were few of them,
//! they followed from the kind of a layer.

use crate::nn::{GraphDescription, LayerDescription, Property, Role, ValueRange};

/// Completes a graph of the first version: gives its layers roles, and the one kind that was spelled differently its
/// present name.
pub(super) fn update(graph: &mut GraphDescription) {
    for layer in &mut graph.layers {
        if layer.kind == "reparameterise" {
            layer.kind = "reparameterize".to_owned();
        }
    }
    let mut roles = Vec::new();
    for layer in &graph.layers {
        roles.extend(own_role(layer).map(|role| (layer.name.clone(), role)));
        let read = role_of_first_input(&layer.kind).zip(layer.inputs.first());
        roles.extend(read.map(|(role, input)| (input.clone(), role)));
    }
    // A GAN's discriminator reads the images of its generator.
    let mut layers = graph.layers.iter();
    let discriminator = layers.find(|layer| layer.name.starts_with("discriminator."));
    let images = discriminator.and_then(|layer| layer.inputs.first());
    roles.extend(images.map(|images| (images.clone(), Role::Image)));
    for (name, role) in roles {
        let layer = graph.layers.iter_mut().find(|layer| layer.name == name);
        if let Some(layer) = layer {
            layer.role.get_or_insert(role);
        }
    }
}

/// Gives the layers of a graph the properties and ranges that follow from their kinds, beside those that they have.
pub(super) fn add_properties(graph: &mut GraphDescription) {
    for layer in &mut graph.layers {
        let has_spectral_norm = layer.state.iter().any(|s| s.name.ends_with(".weight_u"));
        let norm = has_spectral_norm.then_some(Property::SpectralNorm);
        for &property in properties_of_kind(&layer.kind).iter().chain(&norm) {
            if !layer.has(property) {
                layer.properties.push(property);
            }
        }
        if layer.range.is_unbounded() {
            layer.range = range_of_kind(&layer.kind);
        }
    }
}

fn properties_of_kind(kind: &str) -> &'static [Property] {
    use Property::{
        Affine, BatchStatistics, Bernoulli, Categorical, CrossEntropy, Dropout, LogVariance, Nats,
        Normalization, Rectifier, Saturating, SquaredError, TransposedWeight, WeightedSum,
    };
    match kind {
        "dense" | "conv2d" => &[WeightedSum],
        "conv_transpose2d" => &[WeightedSum, TransposedWeight],
        "reshape" | "affine" | "avg_pool2d" | "global_avg_pool" | "upsample" => &[Affine],
        "dropout" => &[Affine, Dropout],
        "batch_norm" => &[Affine, Normalization, BatchStatistics],
        "layer_norm" => &[Normalization],
        "relu" => &[Rectifier],
        "sigmoid" | "tanh" => &[Saturating],
        "bounded_log_variance" | "softplus_log_variance" => &[LogVariance],
        "softmax_cross_entropy" => &[CrossEntropy, Categorical, Nats],
        "binary_cross_entropy" => &[CrossEntropy, Bernoulli, Nats],
        "adversarial_cross_entropy" | "minimax" => &[CrossEntropy],
        "squared_error" => &[SquaredError],
        "gaussian_kl" => &[Nats],
        _ => &[],
    }
}

/// The range of a kind; without a bound where it depends on a setting.
fn range_of_kind(kind: &str) -> ValueRange {
    match kind {
        "sigmoid" => ValueRange::new(0.0, 1.0),
        "tanh" => ValueRange::new(-1.0, 1.0),
        "gelu" | "silu" => ValueRange::new(-0.3, f64::INFINITY),
        "relu"
        | "softplus"
        | "softmax_cross_entropy"
        | "binary_cross_entropy"
        | "squared_error"
        | "gaussian_kl" => ValueRange::NOT_NEGATIVE,
        _ => ValueRange::UNBOUNDED,
    }
}

fn own_role(layer: &LayerDescription) -> Option<Role> {
    match (layer.name.as_str(), layer.kind.as_str()) {
        ("x", "input") => Some(Role::Input),
        ("label", "input") => Some(Role::Label),
        ("mu", "dense") => Some(Role::LatentMean),
        ("logvar", "dense") => Some(Role::LatentLogVariance),
        ("z", _) => Some(Role::Latent),
        (_, "accuracy" | "exact_match") => Some(Role::Metric),
        (_, "gaussian_kl") => Some(Role::Loss),
        (_, kind) => role_of_first_input(kind).map(|_| Role::Loss),
    }
}

/// What a loss of this kind reads first.
fn role_of_first_input(kind: &str) -> Option<Role> {
    match kind {
        "softmax_cross_entropy" | "binary_cross_entropy" => Some(Role::Logits),
        "squared_error" => Some(Role::Image),
        "adversarial_cross_entropy" | "minimax" | "wasserstein" | "hinge" => Some(Role::Score),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::losses::{ElementwiseLoss, GanLoss, GanObjective, GanRole, GaussianKl};
    use crate::nn::losses::{GaussianLikelihood, SoftmaxCrossEntropy};
    use crate::nn::metrics::Accuracy;
    use crate::nn::ops::{
        Activation, Add, BatchNorm, Concat, Conv2d, ConvTranspose2d, Dense, Dropout, Embedding,
        LayerNorm, Pool, Reparameterize, Reshape, Slice, StandardNormal, Upsample,
    };
    use crate::nn::{Conv2dGeometry, Operation};

    fn operations() -> Vec<Box<dyn Operation>> {
        let geometry = Conv2dGeometry::new(3);
        let gan = |objective| {
            let role = GanRole::Real;
            Box::new(GanLoss::new(objective, role))
        };
        vec![
            Box::new(Activation::Relu),
            Box::new(Activation::LeakyRelu { slope: 0.2 }),
            Box::new(Activation::Tanh),
            Box::new(Activation::Sigmoid),
            Box::new(Activation::Softplus),
            Box::new(Activation::BoundedLogVariance),
            Box::new(Activation::SoftplusLogVariance),
            Box::new(Activation::Gelu),
            Box::new(Activation::Silu),
            Box::new(Activation::Elu { alpha: 1.0 }),
            Box::new(Activation::Affine {
                scale: 2.0,
                shift: -1.0,
            }),
            Box::new(Dense::new(2)),
            Box::new(Conv2d::new(2, geometry)),
            Box::new(ConvTranspose2d::new(2, geometry)),
            Box::new(BatchNorm::default()),
            Box::new(LayerNorm::default()),
            Box::new(Dropout { probability: 0.5 }),
            Box::new(Pool::Max(geometry)),
            Box::new(Pool::Average(geometry)),
            Box::new(Pool::GlobalAverage),
            Box::new(Upsample { factor: 2.into() }),
            Box::new(Reshape { shape: vec![4] }),
            Box::new(Add),
            Box::new(Concat),
            Box::new(Slice { first: 0, count: 1 }),
            Box::new(StandardNormal { shape: vec![1] }),
            Box::new(Reparameterize::new(1.0)),
            Box::new(Embedding {
                classes: 2,
                width: 2,
            }),
            Box::new(SoftmaxCrossEntropy::default()),
            Box::new(ElementwiseLoss::BceWithLogits),
            Box::new(ElementwiseLoss::SquaredError),
            Box::new(GaussianKl),
            Box::new(GaussianLikelihood),
            gan(GanObjective::CrossEntropy),
            gan(GanObjective::Wasserstein),
            gan(GanObjective::Hinge),
            Box::new(Accuracy::TopOne),
        ]
    }

    #[test]
    fn properties_and_ranges_of_earlier_graphs_are_those_of_their_operations() {
        for operation in operations() {
            let kind = operation.kind();
            assert_eq!(properties_of_kind(kind), operation.properties(), "{kind}");
            // An interval that is wider than the operation's is true, too.
            let (known, exact) = (range_of_kind(kind), operation.range());
            assert!(
                known.least <= exact.least && known.greatest >= exact.greatest,
                "{kind}: {known:?} does not hold {exact:?}"
            );
        }
    }
}
