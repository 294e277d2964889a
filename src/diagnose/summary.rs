//! What a run saw, in three plain sentences.

use crate::Result;
use crate::nn::Role;
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, RunView, Statistic, TraceEntry};

/// Values that the mean at either end of a run is taken over.
const ENDS: usize = 10;
/// Samples of a batch that are named.
const SAMPLES: usize = 8;
/// Layers with dead units that are named.
const LAYERS: usize = 3;
/// A latent unit whose mean varies less than this over the batch carries nothing.
const USED: f32 = 0.1;

/// Three sentences about a run: where the loss went, whether values stayed finite, and which units do nothing.
pub fn summary(run: &RunView) -> Vec<String> {
    vec![
        loss(run),
        finite(run.events()),
        idle(run).unwrap_or_else(|error| format!("The units' records cannot be read: {error}.")),
    ]
}

fn loss(run: &RunView) -> String {
    let recorded = run.scalars().get("loss");
    let Some(values) = recorded.filter(|values| !values.is_empty()) else {
        return "No loss is recorded yet.".to_owned();
    };
    let finite: Vec<f64> = values
        .iter()
        .map(|(_, v)| *v)
        .filter(|v| v.is_finite())
        .collect();
    let Some(most) = finite.len().checked_div(2).filter(|half| *half > 0) else {
        return "The loss was not finite for long enough to tell where it went.".to_owned();
    };
    let count = most.min(ENDS);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (from, to) = (
        mean(&finite[..count]),
        mean(&finite[finite.len() - count..]),
    );
    let verb = if to < from { "fell" } else { "rose" };
    format!(
        "The loss {verb} from {} to {} by step {} (means of the first and last {count} values).",
        short(from),
        short(to),
        values[values.len() - 1].0
    )
}

fn finite(events: &[Event]) -> String {
    let of = |kind: EventKind| events.iter().filter(move |event| event.kind == kind);
    // A scalar may have shown first what is then found to have begun in a unit.
    let first = of(EventKind::Nonfinite)
        .min_by_key(|event| (event.step, event.subject.unit_index().is_none()));
    if let Some(first) = first {
        return format!(
            "The first non-finite value came at step {} in {}.",
            first.step, first.subject
        );
    }
    let finite = "Every recorded value was finite";
    let spikes: Vec<&Event> = of(EventKind::Spike).collect();
    match spikes[..] {
        [] => format!("{finite}, and the loss had no spike."),
        [spike] => format!("{finite}; the loss had one spike, {}.", named(spike)),
        [first, ..] => format!(
            "{finite}; the loss had {} spikes, the first {}.",
            spikes.len(),
            named(first)
        ),
    }
}

/// When a spike came, and with which samples.
fn named(spike: &Event) -> String {
    let step = format!("at step {}", spike.step);
    let shown: Vec<_> = spike
        .samples
        .iter()
        .take(SAMPLES)
        .map(u32::to_string)
        .collect();
    match spike.samples.len() {
        0 => step,
        few if few <= SAMPLES => format!("{step} with the samples {}", shown.join(", ")),
        many => format!(
            "{step} with the samples {} and {} more (all are in events.jsonl)",
            shown.join(", "),
            many - SAMPLES
        ),
    }
}

/// Dead units, and latent units that carry nothing.
fn idle(run: &RunView) -> Result<String> {
    let last = |entry: &TraceEntry, statistic| -> Result<Vec<f32>> {
        let series = run.series(&entry.tensor, entry.kind, statistic)?;
        Ok(series.last().collect())
    };
    let is_activation = |entry: &&TraceEntry| entry.kind == TensorKind::Activation;
    let mut dead = Vec::new();
    for entry in run.entries().iter().filter(is_activation) {
        let zero = last(entry, Statistic::ZeroFraction)?;
        let count = zero.iter().filter(|fraction| **fraction >= 1.0).count();
        if count > 0 {
            dead.push(format!(
                "{count} of {} units of {}",
                entry.units, entry.tensor
            ));
        }
    }
    dead.truncate(LAYERS);
    let dead = match dead.join(", ") {
        none if none.is_empty() => "no unit ended with nothing but zeros".to_owned(),
        named => format!("{named} ended with nothing but zeros"),
    };
    let latent = run
        .model()
        .with_role(Role::LatentMean)
        .and_then(|layer| run.layout().find(&layer.name, TensorKind::Activation));
    let sentence = match latent {
        Some(entry) => {
            let spread = last(entry, Statistic::Std)?;
            let used = spread.iter().filter(|spread| **spread > USED).count();
            let all = entry.units;
            format!("{used} of {all} latent units vary with the input; {dead}.")
        }
        None => format!("{dead}."),
    };
    let mut letters = sentence.chars();
    Ok(letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    }))
}
