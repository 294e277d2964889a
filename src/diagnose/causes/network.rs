//! The network itself: how its weights start, what stands between its layers, how wide they are, and what of a gradient
//! reaches the first of them.

use super::step_size::severity;
use crate::diagnose::facts::{Facts, Family, Network};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::Symptoms;
use crate::nn::{LayerDescription, Property, Role};
use crate::number::short;
use crate::tensor::TensorKind;
use crate::text::listed;
use crate::trace::{Severity, Statistic};

/// Shares of dropped values from which next to nothing is left.
const DROPOUT: f64 = 0.75;
/// The first layer's gradient over the last one's below which it vanishes.
const VANISHED: f64 = 0.03;
/// The share of all parameters from which on their being frozen explains that little was learned.
const MOSTLY_FROZEN: f64 = 0.5;
/// Characters of a list of layers.
const LISTED: usize = 120;
/// Weights that start this many times wider than He's.
const LARGE: f64 = 4.0;

pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Vec<Finding> {
    let alike = starts_alike(facts, symptoms);
    let mut findings = Vec::new();
    if alike.is_none() {
        findings.extend(starts_large(facts, symptoms));
        findings.extend(vanishing(facts, symptoms));
    }
    findings.extend(alike);
    findings.extend(nonlinearity(facts, symptoms));
    findings.extend(bottleneck(facts, symptoms));
    findings.extend(dropout(facts, symptoms));
    findings.extend(frozen(facts, symptoms));
    findings.extend(batch(facts, symptoms));
    findings
}

fn is_hurt(symptoms: &Symptoms) -> bool {
    symptoms.any() || symptoms.learned_little
}

/// Layers that keep their first parameters. That is a choice; it is a cause where little was learned and most parameters are
/// among them, or where a whole network of a GAN is.
fn frozen(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let layers = facts.run.model().layers();
    let learned = layers.filter(|layer| !layer.parameters.is_empty());
    let mut learned: Vec<&LayerDescription> = learned.collect();
    learned.sort_by(|a, b| a.name.cmp(&b.name));
    learned.dedup_by(|a, b| a.name == b.name);
    let frozen: Vec<&str> = learned
        .iter()
        .filter(|layer| layer.frozen)
        .map(|layer| layer.name.as_str())
        .collect();
    let first = frozen.first()?;
    let count = |is_meant: &dyn Fn(&LayerDescription) -> bool| {
        let meant = learned.iter().filter(|layer| is_meant(layer));
        let parameters = meant.flat_map(|layer| &layer.parameters);
        parameters
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum::<usize>()
    };
    let share = count(&|layer| layer.frozen) as f64 / count(&|_| true).max(1) as f64;
    let is_whole = |network: Network| {
        let mut own = learned
            .iter()
            .filter(|layer| facts.network_of(&layer.name) == network);
        facts.family == Family::Gan && own.all(|layer| layer.frozen)
    };
    let stands_still = [
        (Network::Main, "generator"),
        (Network::Discriminator, "discriminator"),
    ]
    .into_iter()
    .find(|(network, _)| is_whole(*network));
    let hurts = stands_still.is_some() || (is_hurt(symptoms) && share >= MOSTLY_FROZEN);
    let severity = if hurts {
        severity(symptoms).max(Severity::Serious)
    } else {
        Severity::Note
    };
    let names = listed(frozen.iter().copied(), LISTED);
    let whole = stands_still.map_or(String::new(), |(_, network)| {
        format!(" That is the whole {network}, which stays as it started.")
    });
    let finding = Finding::new(Cause::FrozenLayers, severity, if hurts { 0.92 } else { 0.3 })
        .title(match stands_still {
            Some((_, network)) => format!("the {network} is frozen"),
            None if frozen.len() == 1 => format!("the layer {names} is frozen"),
            None => format!("the layers {names} are frozen"),
        })
        .layer(first, "weight")
        .since(0)
        .evidence(
            Evidence::new(format!(
                "Frozen: {names}, with {:.0} % of all parameters, which keep their first values.{whole}",
                100.0 * share
            ))
            .with("frozen_share", share)
            .command(format!(
                "trainscope sample {} --tensor {first}.weight --kind weight --quantity mean --keep 4",
                facts.folder()
            )),
        );
    Some(finding.fix(
        ["train.frozen=[]".to_owned()],
        "train all layers (train.frozen)",
    ))
}

/// Weights that are all equal at the first step: their units stay copies of each other.
fn starts_alike(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if !facts.has_start() {
        return None;
    }
    let alike: Vec<&LayerDescription> = facts
        .weighted()
        .into_iter()
        .filter(|layer| {
            let weight = facts.tensor(&format!("{}.weight", layer.name), TensorKind::Weight);
            weight.is_some_and(|weight| {
                let (std, spread, rms) = (weight.std[0], weight.spread[0], weight.rms[0]);
                weight.steps[0] == 0 && std <= 1e-6 * rms && spread <= 1e-6 * rms
            })
        })
        .collect();
    let first = alike.first()?;
    // One layer of zeros is a known way to start a residual branch or a head; two pass nothing on.
    let hurt = is_hurt(symptoms) || facts.family == Family::Gan;
    if alike.len() < 2 && !hurt {
        return None;
    }
    let names: Vec<&str> = alike.iter().map(|layer| layer.name.as_str()).collect();
    let scenario = facts.scenario.as_ref();
    let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let set = scenario.and_then(|scenario| {
        fixes::replace_layers(scenario, &owned, |layer| {
            vec![fixes::with_key(layer, "init", "he")]
        })
    });
    let severity = if hurt {
        severity(symptoms).max(Severity::Serious)
    } else {
        Severity::Warning
    };
    Some(
        Finding::new(Cause::ZeroInitialization, severity, 0.97)
            .layer(&first.name, "weight")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "At the first step all weights of {} are equal, so that their units get equal gradients or none and stay alike.",
                    names.join(", ")
                ))
                .with("layers", names.len() as f64)
                .command(format!("trainscope sample {} --tensor {}.weight --kind weight --quantity std --keep 8", facts.folder(), first.name)),
            )
            .fix(set.unwrap_or_default(), "let the weights start at random (init = \"he\")"),
    )
}

/// Weights or first outputs that are far wider than what keeps the scale of a signal.
fn starts_large(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if !facts.has_start() {
        return None;
    }
    let wide = facts.weighted().into_iter().filter_map(|layer| {
        let weight = facts.tensor(&format!("{}.weight", layer.name), TensorKind::Weight)?;
        let shape = &layer
            .parameters
            .iter()
            .find(|parameter| parameter.shape.len() >= 2)?
            .shape;
        let fan_in: usize = if layer.has(Property::TransposedWeight) {
            shape[0] * shape[2..].iter().product::<usize>()
        } else {
            shape[1..].iter().product()
        };
        let he = (2.0 / fan_in.max(1) as f64).sqrt();
        (weight.steps.first() == Some(&0)).then(|| (layer, weight.rms[0] / he, fan_in))
    });
    let wide: Vec<_> = wide
        .filter(|(_, ratio, fan_in)| *ratio > LARGE && *fan_in >= 4)
        .collect();
    let (layer, ratio, _) = wide.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let hurt = is_hurt(symptoms);
    let severity = if hurt {
        severity(symptoms).max(Severity::Serious)
    } else {
        Severity::Warning
    };
    let owned: Vec<String> = wide.iter().map(|(layer, ..)| layer.name.clone()).collect();
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &owned, |layer| {
            vec![fixes::with_key(layer, "init", "he")]
        })
    });
    Some(
        Finding::new(Cause::InitializationTooLarge, severity, 0.9)
            .layer(&layer.name, "weight")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "The weights of {} start {} times as wide as those that keep a signal's scale (He); the first loss was {}.",
                    layer.name,
                    short(*ratio),
                    short(facts.scalar("loss").first()?.1)
                ))
                .with("times_he", *ratio),
            )
            .fix(set.unwrap_or_default(), "let the weights start with init = \"he\""),
    )
}

/// The layers of weights that a gradient passes one after the other: of a VAE's encoder without its heads, since the
/// gradients of the decoder do not pass those, or of the whole of another model.
fn chain<'a>(facts: &'a Facts<'_>) -> Vec<&'a LayerDescription> {
    let mut chain = facts.weighted();
    if facts.family == Family::Vae {
        let graphs = facts.run.model().graphs.iter();
        let encoder: Vec<&str> = graphs
            .filter_map(|graph| Some(graph.sources(&graph.with_role(Role::LatentMean)?.name)))
            .flatten()
            .map(|layer| layer.name.as_str())
            .collect();
        chain.retain(|layer| layer.role.is_none() && encoder.contains(&layer.name.as_str()));
    }
    chain
}

/// What of the gradient at the last weights reaches the first ones, at the first recorded steps.
fn vanishing(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if facts.family == Family::Gan || !is_hurt(symptoms) || symptoms.diverged() {
        return None;
    }
    let chain = chain(facts);
    let (first, last) = (*chain.first()?, *chain.last()?);
    let size = |layer: &LayerDescription| {
        let weight = layer
            .parameters
            .iter()
            .find(|parameter| parameter.shape.len() >= 2);
        weight.map_or(1.0, |weight| weight.shape.iter().product::<usize>() as f64)
    };
    let rms = |layer: &LayerDescription| {
        let norms = facts.scalar(&format!("gradient_norm/{}.weight", layer.name));
        let early = &norms[..norms.len().min(3)];
        let mean = early.iter().map(|(_, norm)| norm).sum::<f64>() / early.len().max(1) as f64;
        mean / size(layer).sqrt()
    };
    let (at_first, at_last) = (rms(first), rms(last));
    let ratio = at_first / at_last;
    if chain.len() < 4 || ratio.is_nan() || ratio >= VANISHED || at_last == 0.0 {
        return None;
    }
    let layers = || facts.run.model().layers();
    let saturating = layers().filter(|l| l.has(Property::Saturating)).count();
    let has_normalization = layers().any(|layer| layer.has(Property::Normalization));
    let cause = if saturating >= 2 {
        Cause::SaturatingActivations
    } else if !has_normalization {
        Cause::MissingNormalization
    } else {
        Cause::VanishingGradients
    };
    let confidence = if ratio < 0.01 { 0.9 } else { 0.75 };
    let finding = Finding::new(cause, Severity::Serious, confidence)
        .layer(&first.name, "gradient")
        .since(0)
        .evidence(
            Evidence::new(format!(
                "At the first steps the gradient of a weight of {} is {} times that of {}, {} layers of weights behind it.",
                first.name,
                short(ratio),
                last.name,
                chain.len() - 1
            ))
            .with("first_over_last", ratio)
            .with("layers", chain.len() as f64)
            .command(format!("trainscope sample {} --kind gradient --quantity std --scale symlog --keep 30", facts.folder())),
        );
    Some(match cause {
        Cause::SaturatingActivations => saturating_fix(finding, facts, saturating),
        Cause::MissingNormalization => normalization_fix(finding, facts, &chain),
        _ => finding.fix(
            [],
            "use fewer layers, residual blocks or another initialization",
        ),
    })
}

fn saturating_fix(finding: Finding, facts: &Facts<'_>, count: usize) -> Finding {
    let hidden = facts
        .run
        .model()
        .layers()
        .filter(|layer| layer.has(Property::Saturating) && layer.role.is_none());
    let named: Vec<String> = hidden.map(|layer| layer.name.clone()).collect();
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |_| vec![fixes::word("relu")])
    });
    finding
        .evidence(Evidence::new(format!("{count} layers are sigmoids or hyperbolic tangents, each of which passes a fraction of the gradient on.")))
        .fix(set.unwrap_or_default(), "use \"relu\" in the hidden layers")
}

fn normalization_fix(finding: Finding, facts: &Facts<'_>, chain: &[&LayerDescription]) -> Finding {
    let named: Vec<String> = chain[..chain.len() - 1]
        .iter()
        .map(|layer| layer.name.clone())
        .collect();
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |layer| {
            vec![layer.clone(), fixes::word("batch_norm")]
        })
    });
    finding
        .evidence(Evidence::new(format!(
            "None of the {} layers with weights is followed by a normalization.",
            chain.len()
        )))
        .fix(
            set.unwrap_or_default(),
            "put \"batch_norm\" behind each of the hidden layers",
        )
}

/// Two layers of weights with nothing but linear layers between them.
fn nonlinearity(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for graph in &facts.run.model().graphs {
        let is_weighted = |layer: &&LayerDescription| layer.has(Property::WeightedSum);
        for layer in graph.layers.iter().filter(is_weighted) {
            let mut from = layer.inputs.first().and_then(|name| graph.layer(name));
            for _ in 0..16 {
                match from {
                    Some(affine) if affine.has(Property::Affine) => {
                        from = affine.inputs.first().and_then(|name| graph.layer(name));
                    }
                    _ => break,
                }
            }
            let Some(before) = from.filter(is_weighted) else {
                continue;
            };
            let pair = (before.name.clone(), layer.name.clone());
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    let hurt = is_hurt(symptoms);
    if pairs.is_empty() || !hurt {
        return None;
    }
    let named: Vec<String> = pairs.iter().map(|(before, _)| before.clone()).collect();
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |layer| {
            vec![layer.clone(), fixes::word("relu")]
        })
    });
    let (before, after) = &pairs[0];
    // Where every pair is linear the whole network is; one pair is only a waste.
    let all = pairs.len() + 1 >= facts.weighted().len();
    Some(
        Finding::new(Cause::MissingNonlinearity, severity(symptoms).max(if all { Severity::Serious } else { Severity::Warning }), if all { 0.9 } else { 0.5 })
            .layer(before, "activation")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "Nothing but linear layers stands between {before} and {after}{}: together they are one linear layer.",
                    if pairs.len() > 1 { format!(" and {} more pairs", pairs.len() - 1) } else { String::new() }
                ))
                .with("pairs", pairs.len() as f64),
            )
            .fix(set.unwrap_or_default(), "put \"relu\" behind each hidden layer"),
    )
}

/// The layers above the first latent one of a VAE, which images do not pass on their way to what is made of them.
fn above_first_latent<'f>(facts: &'f Facts<'_>) -> Vec<&'f str> {
    let graphs = facts.run.model().graphs.iter();
    let above = graphs.filter_map(|graph| {
        let below = graph.sources(&graph.with_role(Role::LatentMean)?.name);
        let mut sources = graph.sources(&graph.with_role(Role::PriorMean)?.name);
        sources.retain(|layer| below.iter().all(|known| known.name != layer.name));
        Some(sources)
    });
    above.flatten().map(|layer| layer.name.as_str()).collect()
}

/// A hidden layer through which hardly anything passes.
fn bottleneck(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let weighted = facts.weighted();
    let width = |layer: &LayerDescription| layer.shape.iter().product::<usize>();
    // The last layer's width is asked for by the loss, that of a VAE's heads by `latent`.
    let beside = above_first_latent(facts);
    let hidden = weighted
        .iter()
        .filter(|layer| layer.role.is_none() && !beside.contains(&layer.name.as_str()));
    let narrow = hidden.copied().find(|layer| {
        let reader = facts
            .run
            .model()
            .graphs
            .iter()
            .find_map(|graph| graph.consumers(&layer.name).next());
        let is_last = reader.is_none_or(|reader| reader.shape.is_empty());
        let parameters = layer
            .parameters
            .iter()
            .find(|parameter| parameter.shape.len() >= 2);
        let fan_in = parameters.map_or(1, |parameter| {
            parameter.shape[1..].iter().product::<usize>()
        });
        !is_last && width(layer) <= 2 && fan_in >= 8
    })?;
    let little = symptoms.learned_little || facts.learned().is_some_and(|learned| learned < 0.7);
    if !(little || symptoms.any()) || symptoms.diverged() {
        return None;
    }
    let units = width(narrow);
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, std::slice::from_ref(&narrow.name), |layer| {
            vec![fixes::with_width(layer, 32)]
        })
    });
    Some(
        Finding::new(Cause::Bottleneck, Severity::Serious, 0.94)
            .title(format!(
                "{} passes everything through {units} {}",
                narrow.name,
                if units == 1 { "unit" } else { "units" }
            ))
            .layer(&narrow.name, "activation")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "{} has {units} {}; the loss ended at {}.",
                    narrow.name,
                    if units == 1 { "unit" } else { "units" },
                    short(facts.late("loss")?)
                ))
                .with("units", units as f64)
                .command(format!(
                    "trainscope sample {} --tensor {} --keep 8",
                    facts.folder(),
                    narrow.name
                )),
            )
            .fix(
                set.unwrap_or_default(),
                "make the layer wider, such as 32 units",
            ),
    )
}

/// Dropout that leaves too little, measured by the zeros that it adds.
fn dropout(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let layers = facts
        .run
        .model()
        .layers()
        .filter(|layer| layer.has(Property::Dropout));
    let mut dropped: Vec<(String, f64)> = layers
        .filter_map(|layer| {
            let out = facts.output(&layer.name)?.zeros.first().copied()?;
            let before = facts
                .output(layer.inputs.first()?)
                .and_then(|series| series.zeros.first().copied());
            Some((
                layer.name.clone(),
                1.0 - (1.0 - out) / (1.0 - before.unwrap_or(0.0)).max(1e-9),
            ))
        })
        .filter(|(_, share)| *share > DROPOUT)
        .collect();
    dropped.sort_by(|a, b| b.1.total_cmp(&a.1));
    dropped.dedup_by(|a, b| a.0 == b.0);
    let (layer, share) = dropped.first()?;
    let severity = if is_hurt(symptoms) {
        severity(symptoms).max(Severity::Serious)
    } else {
        Severity::Warning
    };
    let named: Vec<String> = dropped.iter().map(|(name, _)| name.clone()).collect();
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |_| {
            let mut table = toml::Table::new();
            table.insert("dropout".to_owned(), 0.2.into());
            vec![table.into()]
        })
    });
    Some(
        Finding::new(Cause::DropoutTooHigh, severity, 0.93)
            .layer(layer, "activation")
            .statistic(Statistic::ZeroFraction)
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "{layer} sets {:.0} % of its values to zero ({} such layers in all).",
                    100.0 * share,
                    named.len()
                ))
                .with("dropped", *share)
                .with("layers", named.len() as f64)
                .command(format!(
                    "trainscope sample {} --tensor {layer} --quantity zero_fraction --keep 8",
                    facts.folder()
                )),
            )
            .fix(set.unwrap_or_default(), "drop a fifth of the values"),
    )
}

/// Batches of which a normalization cannot take statistics, or whose gradients are mostly noise.
fn batch(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let batch = facts.batch()?;
    let normalized = facts
        .run
        .model()
        .layers()
        .any(|layer| layer.has(Property::BatchStatistics));
    let is_small = if normalized { batch <= 4 } else { batch <= 2 };
    if !is_small || !is_hurt(symptoms) {
        return None;
    }
    let text = if normalized {
        format!("Batch normalization takes its statistics over a batch of {batch}.")
    } else {
        format!("Each step follows the gradient of {batch} samples.")
    };
    Some(
        Finding::new(
            Cause::BatchTooSmall,
            severity(symptoms).max(Severity::Serious),
            if normalized { 0.9 } else { 0.7 },
        )
        .since(0)
        .evidence(Evidence::new(text).with("batch", batch as f64))
        .fix(["train.batch=64".to_owned()], "use a batch of 64"),
    )
}
