//! The last layer against the loss that reads it and the data that it has to make.

use crate::diagnose::facts::{Facts, Family};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::Symptoms;
use crate::nn::{LayerDescription, Property, Role};
use crate::number::short;
use crate::trace::Severity;

pub(crate) fn find(facts: &Facts<'_>, _symptoms: &Symptoms) -> Vec<Finding> {
    let read_as_logits = [Role::Logits, Role::Score]
        .into_iter()
        .filter_map(|role| facts.role(role));
    let mut findings: Vec<Finding> = read_as_logits
        .filter_map(|layer| bounded_logits(facts, layer))
        .collect();
    findings.extend(
        facts
            .role(Role::Image)
            .and_then(|layer| unreachable_pixels(facts, layer)),
    );
    findings
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
                    "trainscope sample {} --tensor {} --statistic max --keep 8",
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
    let severity = if cannot_reach || leaves_dead {
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
            .with("greatest", highest)
            .command(format!("trainscope sample {} --tensor {} --statistic max --keep 8", facts.folder(), layer.name)),
        );
    let named = [layer.name.clone()];
    let set = facts.scenario.as_ref().and_then(|scenario| {
        fixes::replace_layers(scenario, &named, |_| vec![fixes::word("sigmoid")])
    });
    Some(finding.fix(set.unwrap_or_default(), "end the network in a sigmoid"))
}
