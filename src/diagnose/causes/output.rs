//! The last layer against the loss that reads it and the data that it has to make.

use crate::diagnose::facts::{Facts, Family};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::Symptoms;
use crate::nn::{LayerDescription, Property, Role};
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::{Severity, Statistic};

/// A share of pixels whose mean is outside of the range of the data from which on an output does not fit them.
const OUTSIDE: f64 = 0.1;

pub(crate) fn find(facts: &Facts<'_>, _symptoms: &Symptoms) -> Vec<Finding> {
    let read_as_logits = [Role::Logits, Role::Score]
        .into_iter()
        .filter_map(|role| facts.role(role));
    let mut findings: Vec<Finding> = read_as_logits
        .filter_map(|layer| bounded_logits(facts, layer))
        .collect();
    findings.extend(no_probabilities(facts));
    findings.extend(
        facts
            .role(Role::Image)
            .and_then(|layer| unreachable_pixels(facts, layer)),
    );
    findings
}

/// A loss that takes logarithms of probabilities and is given what is none.
fn no_probabilities(facts: &Facts<'_>) -> Option<Finding> {
    let graphs = facts.run.model().graphs.iter();
    let (layer, of_classes) = graphs.into_iter().find_map(|graph| {
        let logarithmic = |loss: &&LayerDescription| {
            loss.has(Property::Categorical) || loss.has(Property::Bernoulli)
        };
        graph.layers.iter().filter(logarithmic).find_map(|loss| {
            let read = graph.layer(loss.inputs.first()?)?;
            let is_probability = read.range.least >= 0.0 && read.range.greatest <= 1.0;
            let is_other = matches!(read.role, Some(Role::Probabilities | Role::Image));
            (is_other && !is_probability).then(|| (read, loss.has(Property::Categorical)))
        })
    })?;
    let word = if of_classes { "softmax" } else { "sigmoid" };
    let severity = match facts.first_nonfinite() {
        Some(_) => Severity::Fatal,
        None => Severity::Serious,
    };
    let finding = Finding::new(Cause::OutputActivation, severity, 0.96)
        .title(format!(
            "the loss takes logarithms of probabilities, and {} gives any number",
            layer.name
        ))
        .layer(&layer.name, "activation")
        .since(0);
    let series = facts.output(&layer.name);
    let least = series.map_or(f64::NAN, |series| {
        series.min.iter().copied().fold(f64::NAN, f64::min)
    });
    let evidence = Evidence::new(format!(
        "{} ({}) has values down to {}; a number below 0 has no logarithm, and none of these is made a probability before \
         the loss.",
        layer.name,
        layer.kind,
        short(least)
    ))
    .with("least", least)
    .command(format!(
        "trainscope sample {} --tensor {} --quantity min --keep 8",
        facts.folder(),
        layer.name
    ));
    let named = [layer.name.clone()];
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |old| vec![old.clone(), fixes::word(word)])
    });
    Some(finding.evidence(evidence).fix(
        set.unwrap_or_default(),
        format!("end the network in a {word}, or use a loss on logits"),
    ))
}

/// A layer of bounded output, if only on one side, in front of a loss that takes logits.
fn bounded_logits(facts: &Facts<'_>, layer: &LayerDescription) -> Option<Finding> {
    if layer.range.is_unbounded() {
        return None;
    }
    // A critic's score may be any number, so that a leaky bound only weakens it.
    let series = facts.output(&layer.name);
    let range = series.map(|series| {
        let fold =
            |values: &[f64], pick: fn(f64, f64) -> f64| values.iter().copied().fold(f64::NAN, pick);
        (fold(&series.min, f64::min), fold(&series.max, f64::max))
    });
    let what = match facts.family {
        Family::Gan => "scores of the discriminator",
        Family::Vae => "logits of the pixels",
        _ => "logits of the classes",
    };
    let text = match range {
        Some((low, high)) => format!(
            "{} ({}) gives the {what}, and the loss applies its own sigmoid or softmax; all its outputs lay in {} to {}.",
            layer.name,
            layer.kind,
            short(low),
            short(high)
        ),
        None => format!(
            "{} ({}) gives the {what}, and the loss applies its own sigmoid or softmax.",
            layer.name, layer.kind
        ),
    };
    let (low, high) = range.unwrap_or((f64::NAN, f64::NAN));
    let mut finding = Finding::new(Cause::OutputActivation, Severity::Serious, 0.95)
        .title(format!(
            "{} ({}) stands before a loss on logits",
            layer.name, layer.kind
        ))
        .layer(&layer.name, "activation")
        .since(0)
        .evidence(
            Evidence::new(text)
                .with("least", low)
                .with("greatest", high)
                .command(format!(
                    "trainscope sample {} --tensor {} --quantity max --keep 8",
                    facts.folder(),
                    layer.name
                )),
        );
    if let (Some(late), Some(chance)) = (facts.late(facts.target()), facts.chance()) {
        finding = finding.evidence(
            Evidence::new(format!(
                "The {} ended at {}; an answer that does not look at the sample costs {}.",
                facts.target(),
                short(late),
                short(chance)
            ))
            .with("end", late)
            .with("chance", chance),
        );
    }
    Some(without(finding, facts, layer))
}

/// The finding with the fix of leaving the layer out.
fn without(finding: Finding, facts: &Facts<'_>, layer: &LayerDescription) -> Finding {
    let named = [layer.name.clone()];
    let set = facts
        .scenario
        .as_ref()
        .and_then(|scenario| fixes::replace_layers(scenario, &named, |_| Vec::new()));
    finding.fix(
        set.unwrap_or_default(),
        format!("leave the {} of {} out", layer.kind, layer.name),
    )
}

/// The share of a layer's units whose mean at the last record lies outside of `low` to `high`.
fn share_outside(facts: &Facts<'_>, layer: &str, low: f64, high: f64) -> f64 {
    let series = facts
        .run
        .series(layer, TensorKind::Activation, Statistic::Mean);
    let Ok(series) = series else {
        return 0.0;
    };
    let means: Vec<f32> = series.last().collect();
    let is_outside = |mean: &&f32| !(low..=high).contains(&f64::from(**mean));
    means.iter().filter(is_outside).count() as f64 / means.len().max(1) as f64
}

/// The layer that makes images cannot make the data's values.
fn unreachable_pixels(facts: &Facts<'_>, layer: &LayerDescription) -> Option<Finding> {
    let [low, high] = facts.data.as_ref()?.range;
    let range = layer.range;
    if range.is_unbounded() {
        return None;
    }
    let slack = 0.05 * (high - low);
    let cannot_reach = low < range.least - slack || high > range.greatest + slack;
    // An output that goes on where the data end either leaves pixels without a gradient (ReLU) or wastes half its range.
    let is_rectifier = layer.has(Property::Rectifier);
    let is_signed = range.is_bounded() && range.least < 0.0;
    let goes_beyond = is_rectifier || (is_signed && low >= -slack);
    if !cannot_reach && !goes_beyond {
        return None;
    }
    let series = facts.output(&layer.name);
    let dead = series
        .and_then(|series| series.dead.last().copied())
        .unwrap_or(0.0);
    let highest = series.map_or(f64::NAN, |series| {
        series.max.iter().copied().fold(f64::NAN, f64::max)
    });
    let leaves_dead = is_rectifier && (dead > 0.05 || facts.family == Family::Gan);
    let outside = share_outside(facts, &layer.name, low - slack, high + slack);
    let severity = if cannot_reach || leaves_dead || outside > OUTSIDE {
        Severity::Serious
    } else {
        Severity::Warning
    };
    let finding = Finding::new(Cause::OutputActivation, severity, 0.93)
        .title(format!("{} ({}) does not fit the range of the images", layer.name, layer.kind))
        .layer(&layer.name, "activation")
        .since(0)
        .evidence(
            Evidence::new(format!(
                "The images lie in {} to {}, the outputs of {} reached {}; {:.0} % of its pixels were 0 for the whole batch at the end.",
                short(low), short(high), layer.name, short(highest), 100.0 * dead
            ))
            .with("dead", dead)
            .with("outside", outside)
            .with("greatest", highest)
            .command(format!("trainscope sample {} --tensor {} --quantity max --keep 8", facts.folder(), layer.name)),
        );
    let named = [layer.name.clone()];
    let fitting = if low < 0.0 { "tanh" } else { "sigmoid" };
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |_| vec![fixes::word(fitting)])
    });
    Some(finding.fix(
        set.unwrap_or_default(),
        format!("end the network in a {fitting}"),
    ))
}
