//! Graphs as earlier versions described them. The first one wrote no roles: what a layer means to its model followed from
//! its name and from the loss that reads it. Until properties were written, they followed from the kind of a layer.

use crate::nn::{GraphDescription, LayerDescription, Property, Role};

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

/// Gives the layers of a graph without properties those that follow from their kinds.
pub(super) fn add_properties(graph: &mut GraphDescription) {
    for layer in &mut graph.layers {
        layer.properties = match layer.kind.as_str() {
            "dense" | "conv2d" | "conv_transpose2d" => vec![Property::WeightedSum],
            "relu" => vec![Property::Rectifier],
            "softmax_cross_entropy"
            | "binary_cross_entropy"
            | "adversarial_cross_entropy"
            | "minimax" => vec![Property::CrossEntropy],
            _ => Vec::new(),
        };
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
