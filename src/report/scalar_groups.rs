//! Which scalars of a run share a chart: those of one unit.

use crate::nn::Property;
use crate::trace::ModelDescription;

/// Scalars that one chart shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarGroup {
    /// The chart's title.
    pub title: &'static str,
    /// Names the y-axis with its unit.
    pub y_title: &'static str,
    /// Indices in the list of names, in the order of the legend.
    pub members: Vec<usize>,
    /// The names in the legend.
    pub labels: Vec<String>,
    /// How many more there would have been, where colors do not reach.
    pub left_out: usize,
}

const LOSS: &str = "Loss and its terms";
const NATS: &str = "nats per sample";

/// Title, unit and members of the charts whose scalars have fixed names.
const GROUPS: [(&str, &str, &[&str]); 9] = [
    (
        LOSS,
        NATS,
        &[
            "loss",
            "validation/loss",
            "reconstruction",
            "kl_divergence",
            "first_kl_divergence",
            "second_kl_divergence",
            "cross_entropy",
            "validation/cross_entropy",
            "binary_cross_entropy",
            "validation/binary_cross_entropy",
        ],
    ),
    (
        "Terms of the loss on the validation data",
        NATS,
        &[
            "validation/reconstruction",
            "validation/kl_divergence",
            "validation/first_kl_divergence",
            "validation/second_kl_divergence",
        ],
    ),
    (
        "Evidence lower bound (ELBO)",
        NATS,
        &["elbo", "validation/elbo"],
    ),
    (
        "Losses of both networks",
        "loss per sample",
        &[
            "loss",
            "real_loss",
            "validation/real_loss",
            "fake_loss",
            "gradient_penalty",
            "generator_loss",
        ],
    ),
    (
        "Slope of the discriminator",
        "mean norm of the score's gradient",
        &["input_gradient_norm"],
    ),
    (
        "Scores of the discriminator",
        "mean score (logit)",
        &["real_score", "validation/real_score", "fake_score"],
    ),
    (
        "Accuracy",
        "share that is right",
        &[
            "accuracy",
            "validation/accuracy",
            "exact_match",
            "validation/exact_match",
        ],
    ),
    (
        "Diversity of the generated images",
        "mean squared distance of two",
        &["diversity"],
    ),
    (
        "Diversity of the features before them",
        "mean squared distance of two",
        &["feature_diversity"],
    ),
];

/// Before the name of a parameter tensor.
pub(super) const NORMS: &str = "gradient_norm/";
/// Lines in a chart at most: as many as there are colors.
const MAX_LINES: usize = 6;

/// The charts of a run's scalars. A name is in the first group that has all it needs; names that no group knows
/// share one of their own, and norms of gradients are shown of weights, evenly from the first layer to the last. What is
/// known of `model` decides the order of its layers and the unit of its loss.
pub fn scalar_groups(names: &[impl AsRef<str>], model: &ModelDescription) -> Vec<ScalarGroup> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let index = |name: &str| names.iter().position(|other| *other == name);
    let is_game = index("generator_loss").is_some();
    let mut groups = Vec::new();
    let mut is_shown = vec![false; names.len()];
    for (title, y_title, wanted) in GROUPS {
        // "loss" is what a VAE or a classifier learns from, and the discriminator's of a GAN.
        let fits = wanted[0] != "loss" || is_game == wanted.contains(&"generator_loss");
        let members = wanted
            .iter()
            .filter(|_| fits)
            .filter_map(|name| index(name));
        let members: Vec<usize> = members.collect();
        members.iter().for_each(|&member| is_shown[member] = true);
        let y_title = if y_title == NATS {
            unit_of_loss(model)
        } else {
            y_title
        };
        groups.push(group(title, y_title, members, &names));
    }
    let is_norm = |index: usize| names[index].starts_with(NORMS);
    let others = (0..names.len()).filter(|&index| !is_shown[index] && !is_norm(index));
    groups.push(group("Other scalars", "value", others.collect(), &names));
    let norms =
        (0..names.len()).filter(|&index| is_norm(index) && names[index].ends_with("weight"));
    let mut norms: Vec<usize> = norms.collect();
    let parameters = model.layers().flat_map(|layer| &layer.parameters);
    let order: Vec<&str> = parameters
        .map(|parameter| parameter.name.as_str())
        .collect();
    norms.sort_by_key(|&index| {
        let parameter = names[index].strip_prefix(NORMS).unwrap_or(names[index]);
        order
            .iter()
            .position(|name| *name == parameter)
            .unwrap_or(order.len())
    });
    let title = "Norm of the gradient by layer";
    groups.push(group(title, "Euclidean norm", norms, &names));
    groups.retain(|group| !group.members.is_empty());
    groups
}

/// What a loss that is the mean over samples counts: nats where each of its terms is a logarithm of a probability.
fn unit_of_loss(model: &ModelDescription) -> &'static str {
    let terms = model.graphs.iter().flat_map(|graph| &graph.losses);
    let weighted = terms.filter(|term| term.weight != 0.0);
    let layers: Vec<_> = weighted
        .filter_map(|term| model.layer(&term.layer))
        .collect();
    let all_are = |property| !layers.is_empty() && layers.iter().all(|layer| layer.has(property));
    if all_are(Property::SquaredError) {
        "squared error per sample"
    } else if all_are(Property::Nats) {
        NATS
    } else {
        "loss per sample"
    }
}

fn group(
    title: &'static str,
    y_title: &'static str,
    mut members: Vec<usize>,
    names: &[&str],
) -> ScalarGroup {
    let all = members.len();
    if all > MAX_LINES {
        // The first, the last, and others evenly between.
        members = (0..MAX_LINES)
            .map(|i| members[i * (all - 1) / (MAX_LINES - 1)])
            .collect();
    }
    let label = |index: &usize| names[*index].strip_prefix(NORMS).unwrap_or(names[*index]);
    ScalarGroup {
        title,
        y_title,
        labels: members
            .iter()
            .map(|index| label(index).to_owned())
            .collect(),
        left_out: all - members.len(),
        members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{GraphDescription, LayerDescription, LossDescription};

    fn titles(names: &[&str]) -> Vec<(&'static str, Vec<String>)> {
        let groups = scalar_groups(names, &ModelDescription::default()).into_iter();
        groups.map(|group| (group.title, group.labels)).collect()
    }

    fn owned(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn scalars_with_the_same_unit_share_a_chart() {
        let vae = ["elbo", "kl_divergence", "loss", "mine", "reconstruction"];
        assert_eq!(
            titles(&vae),
            [
                (
                    "Loss and its terms",
                    owned(&["loss", "reconstruction", "kl_divergence"])
                ),
                ("Evidence lower bound (ELBO)", owned(&["elbo"])),
                ("Other scalars", owned(&["mine"])),
            ]
        );
        let gan = ["loss", "generator_loss", "real_score", "fake_score"];
        assert_eq!(
            titles(&gan),
            [
                (
                    "Losses of both networks",
                    owned(&["loss", "generator_loss"])
                ),
                (
                    "Scores of the discriminator",
                    owned(&["real_score", "fake_score"])
                ),
            ]
        );
        assert_eq!(titles(&[]), []);
    }

    #[test]
    fn the_unit_of_a_loss_is_that_of_its_terms() {
        let model = |terms: &[(&str, Property, f64)]| {
            let layers = terms.iter().map(|(kind, property, _)| LayerDescription {
                name: (*kind).to_owned(),
                kind: (*kind).to_owned(),
                shape: vec![1],
                inputs: Vec::new(),
                parameters: Vec::new(),
                frozen: false,
                state: Vec::new(),
                properties: vec![*property],
                range: Default::default(),
                role: None,
            });
            let losses = terms.iter().map(|(kind, _, weight)| LossDescription {
                name: (*kind).to_owned(),
                layer: (*kind).to_owned(),
                weight: *weight,
            });
            ModelDescription {
                graphs: vec![GraphDescription {
                    layers: layers.collect(),
                    losses: losses.collect(),
                    ..GraphDescription::default()
                }],
            }
        };
        let vae = [
            ("binary_cross_entropy", Property::Nats, 1.0),
            ("gaussian_kl", Property::Nats, 4.0),
        ];
        assert_eq!(unit_of_loss(&model(&vae)), NATS);
        let gaussian = [
            ("squared_error", Property::SquaredError, 1.0),
            ("gaussian_kl", Property::Nats, 1.0),
        ];
        assert_eq!(unit_of_loss(&model(&gaussian)), "loss per sample");
        let regression = [
            ("squared_error", Property::SquaredError, 1.0),
            ("accuracy", Property::Other, 0.0),
        ];
        assert_eq!(
            unit_of_loss(&model(&regression)),
            "squared error per sample"
        );
        assert_eq!(unit_of_loss(&model(&[])), "loss per sample");
    }

    #[test]
    fn norms_of_many_layers_are_thinned_from_the_first_to_the_last() {
        let names: Vec<String> = (0..20)
            .flat_map(|layer| ["weight", "bias"].map(|end| format!("{NORMS}{layer}.{end}")))
            .collect();
        let groups = scalar_groups(&names, &ModelDescription::default());
        assert_eq!((groups.len(), groups[0].left_out), (1, 20 - MAX_LINES));
        assert_eq!(groups[0].labels[0], "0.weight");
        assert_eq!(groups[0].labels[MAX_LINES - 1], "19.weight");
    }
}
