//! A run in a few plain sentences, each computed from the trace, the scalars and the events together.

use super::detected::events_of;
use super::explain;
use super::finding::Explanation;
use crate::Result;
use crate::nn::Role;
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, RunView, Severity, Statistic, TraceEntry};

/// Values that the mean at either end of a run is taken over.
const ENDS: usize = 10;
/// Samples of a batch that are named.
const SAMPLES: usize = 8;
/// Layers with dead units that are named.
const LAYERS: usize = 3;
/// A latent unit whose mean varies less than this over the batch carries nothing.
const USED: f32 = 0.1;
/// A loss that ends within this share of where it began did not move.
const MOVED: f64 = 0.02;
/// A peak this many times the larger end is told.
const PEAK: f64 = 10.0;

/// Sentences about a run: the verdict first, then where the loss went, whether values stayed finite, what happened and
/// which units do nothing.
pub fn summary(run: &RunView) -> Vec<String> {
    summary_of(run, &explain(run))
}

/// The same of a run that is explained already.
pub fn summary_of(run: &RunView, explanation: &Explanation) -> Vec<String> {
    let mut sentences = vec![explanation.headline.clone(), loss(run), finite(run)];
    sentences.extend(events(run));
    sentences.extend(
        idle(run)
            .unwrap_or_else(|error| Some(format!("The units' records cannot be read: {error}."))),
    );
    sentences
}

/// Whether a loss of the run cannot be below zero: all its terms are cross-entropies, squares or divergences.
fn cannot_be_negative(run: &RunView) -> bool {
    let Some(graph) = run.model().graphs.first() else {
        return false;
    };
    let terms = || graph.losses.iter().filter(|term| term.weight != 0.0);
    terms().next().is_some()
        && terms().all(|term| {
            let layer = graph.layer(&term.layer);
            term.weight > 0.0 && layer.is_some_and(|layer| layer.range.least >= 0.0)
        })
}

/// Where the loss went.
fn loss(run: &RunView) -> String {
    let values: &[(u64, f64)] = run.scalars().get("loss").map_or(&[], Vec::as_slice);
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return "No loss is recorded yet.".to_owned();
    };
    if values.len() == 1 {
        return match first.1.is_finite() {
            true => format!(
                "The loss was {} at step {}; one step is too few to tell where it goes.",
                short(first.1),
                first.0
            ),
            false => format!("The loss was not finite at step {}, the only one.", first.0),
        };
    }
    let broken = values.iter().position(|(_, value)| !value.is_finite());
    let finite = &values[..broken.unwrap_or(values.len())];
    let mut sentence = match (finite.len(), broken) {
        (0, _) => {
            return format!(
                "The loss was not finite from its first recorded step ({}) on.",
                first.0
            );
        }
        (1, _) => format!(
            "The loss was {} at step {}",
            short(finite[0].1),
            finite[0].0
        ),
        _ => course(finite),
    };
    if let Some(at) = broken {
        let back = values[at..].iter().any(|(_, value)| value.is_finite());
        let step = values[at].0;
        sentence += &format!(
            " and was not finite {} step {step}",
            if back { "at" } else { "from" }
        );
        if back {
            let lost = values
                .iter()
                .filter(|(_, value)| !value.is_finite())
                .count();
            sentence += &format!(" (at {lost} of {} steps in all)", values.len());
        } else if step != last.0 {
            sentence += " on";
        }
    }
    sentence += ".";
    let below = values.iter().find(|(_, value)| *value < 0.0);
    if let Some((step, _)) = below.filter(|_| cannot_be_negative(run)) {
        sentence += &format!(
            " It was below zero at step {step}, where such a loss cannot be if the data lie in its range."
        );
    }
    sentence
}

/// The course of at least two finite losses, without the end of the sentence.
fn course(finite: &[(u64, f64)]) -> String {
    let count = (finite.len() / 2).min(ENDS);
    let mean =
        |part: &[(u64, f64)]| part.iter().map(|(_, value)| value).sum::<f64>() / part.len() as f64;
    let (from, to) = (
        mean(&finite[..count]),
        mean(&finite[finite.len() - count..]),
    );
    let last = finite[finite.len() - 1].0;
    let means = match count {
        1 => String::new(),
        _ => format!(" (means of the first and last {count} values)"),
    };
    let scale = from.abs().max(to.abs());
    let mut sentence = if (to - from).abs() <= MOVED * scale {
        format!(
            "The loss did not move: it was {} at the beginning and {} at step {last}{means}",
            short(from),
            short(to)
        )
    } else {
        let verb = if to < from { "fell" } else { "rose" };
        format!(
            "The loss {verb} from {} to {} by step {last}{means}",
            short(from),
            short(to)
        )
    };
    // What rose far and stayed there for a while is told by its peak; single spikes have a sentence of their own.
    let (start, end) = (finite[0].1, finite[finite.len() - 1].1);
    let limit = PEAK * start.abs().max(end.abs());
    let stays = finite
        .windows(2)
        .any(|pair| pair.iter().all(|(_, loss)| *loss > limit));
    let peak = finite.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(peak) = peak.filter(|_| stays) {
        sentence = format!(
            "The loss went from {} at step {} up to {} at step {} and was {} at step {last}",
            short(start),
            finite[0].0,
            short(peak.1),
            peak.0,
            short(end)
        );
    }
    sentence
}

/// Whether every recorded value was finite, by the events, the scalars and the statistics.
fn finite(run: &RunView) -> String {
    let event = run
        .events()
        .iter()
        .filter(|event| event.kind == EventKind::Nonfinite)
        // A scalar may have shown first what is then found to have begun in a unit.
        .min_by_key(|event| (event.step, event.subject.unit_index().is_none()));
    let record = first_nonfinite_record(run);
    let is_earlier = |step: u64| matches!(&record, Ok(Some((recorded, _))) if *recorded < step);
    if let Some(event) = event.filter(|event| !is_earlier(event.step)) {
        let samples = match named_samples(&event.samples) {
            none if none.is_empty() => none,
            named => format!(", in a batch with the samples {named}"),
        };
        return format!(
            "The first non-finite value came at step {} in {}{samples}.",
            event.step, event.subject
        );
    }
    match record {
        Err(error) => format!("Whether all values were finite is not known: {error}."),
        Ok(Some((step, place))) => {
            format!("The first recorded non-finite value is at step {step} in {place}.")
        }
        Ok(None) if run.scalars().is_empty() && run.entries().is_empty() => {
            "No values are recorded yet.".to_owned()
        }
        Ok(None) => "Every recorded value was finite.".to_owned(),
    }
}

/// The first record with a value that is not finite: its step, and the tensor or scalar. Of one step the first tensor in
/// the order of computation.
fn first_nonfinite_record(run: &RunView) -> Result<Option<(u64, String)>> {
    let mut first: Option<(u64, String)> = None;
    run.each_record(|step, statistics| {
        if first.is_some() {
            return;
        }
        let broken = run.entries().iter().find_map(|entry| {
            let units = &statistics[entry.rows()];
            let unit = units.iter().position(|unit| unit.nonfinite > 0.0)?;
            Some(format!(
                "unit {unit} of {} {}",
                entry.tensor,
                entry.kind.name()
            ))
        });
        first = broken.map(|place| (step, place));
    })?;
    for (name, values) in run.scalars() {
        let broken = values.iter().find(|(_, value)| !value.is_finite());
        if let Some((step, _)) = broken
            && first.as_ref().is_none_or(|(known, _)| step < known)
        {
            first = Some((*step, name.clone()));
        }
    }
    Ok(first)
}

fn named_samples(samples: &[u32]) -> String {
    let shown: Vec<_> = samples.iter().take(SAMPLES).map(u32::to_string).collect();
    match samples.len() {
        few if few <= SAMPLES => shown.join(", "),
        many => format!(
            "{} and {} more (all are in events.jsonl)",
            shown.join(", "),
            many - SAMPLES
        ),
    }
}

/// A sentence for each kind of event that happened, but non-finite values and dead units and those that came back, which
/// have their own.
fn events(run: &RunView) -> Vec<String> {
    let all = events_of(run);
    let mut kinds: Vec<&EventKind> = all.iter().map(|event| &event.kind).collect();
    kinds.sort();
    kinds.dedup();
    let own = [
        EventKind::Nonfinite,
        EventKind::DeadUnit,
        EventKind::Revived,
    ];
    let told = kinds.into_iter().filter(|kind| !own.contains(kind));
    told.map(|kind| {
        let of_kind: Vec<&Event> = all.iter().filter(|event| event.kind == *kind).collect();
        match kind {
            EventKind::Spike => spikes(&of_kind),
            _ => {
                let sentences = of_kind.iter().take(LAYERS).map(|event| event.sentence());
                sentences.collect::<Vec<_>>().join(" ")
            }
        }
    })
    .collect()
}

/// All spikes with their steps, and the samples that explain them.
fn spikes(events: &[&Event]) -> String {
    let steps: Vec<String> = events.iter().map(|event| event.step.to_string()).collect();
    let mut sentence = match events {
        [one] => format!("The loss had one spike, at step {}", one.step),
        _ => format!(
            "The loss had {} spikes, at the steps {}",
            events.len(),
            steps.join(", ")
        ),
    };
    let shared = shared_samples(events);
    if !shared.is_empty() {
        sentence += &format!(
            "; every one of these batches holds at least one of the samples {}",
            named_samples(&shared)
        );
    } else if let [one] = events
        && !one.samples.is_empty()
    {
        sentence += &format!(" with the samples {}", named_samples(&one.samples));
    }
    sentence + "."
}

/// A few samples of which every spike's batch holds at least one; none where more than a batch has in common with
/// another would do, so that they prove nothing.
pub(super) fn shared_samples(events: &[&Event]) -> Vec<u32> {
    use std::collections::BTreeMap;
    let with_samples: Vec<&&Event> = events
        .iter()
        .filter(|event| !event.samples.is_empty())
        .collect();
    if with_samples.len() < 3 {
        return Vec::new();
    }
    let mut open: Vec<&&Event> = with_samples.clone();
    let mut chosen = Vec::new();
    // Greedily the sample that the most of the remaining batches hold.
    while !open.is_empty() {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for sample in open.iter().flat_map(|event| &event.samples) {
            *counts.entry(*sample).or_default() += 1;
        }
        let Some((sample, count)) = counts
            .into_iter()
            .max_by_key(|(sample, count)| (*count, u32::MAX - sample))
        else {
            break;
        };
        if count < 2 {
            return Vec::new();
        }
        chosen.push(sample);
        open.retain(|event| !event.samples.contains(&sample));
    }
    chosen.sort_unstable();
    // As many samples as batches explain nothing.
    if chosen.len() * 2 > with_samples.len() {
        Vec::new()
    } else {
        chosen
    }
}

/// Dead units, and latent units that carry nothing.
fn idle(run: &RunView) -> Result<Option<String>> {
    let last = |entry: &TraceEntry, statistic| -> Result<Vec<f32>> {
        let series = run.series(&entry.tensor, entry.kind, statistic)?;
        Ok(series.last().collect())
    };
    if run.entries().is_empty() {
        return Ok(None);
    }
    // Pixels that are black in every image of a batch are no units of the model.
    let is_input = |tensor: &str| {
        run.model().graphs.iter().any(|graph| {
            let name = tensor.strip_suffix(graph.suffix.as_str());
            let layer = name.and_then(|name| graph.layer(name));
            layer.is_some_and(|layer| layer.role == Some(Role::Input))
        })
    };
    let is_unit =
        |entry: &&TraceEntry| entry.kind == TensorKind::Activation && !is_input(&entry.tensor);
    let mut dead = Vec::new();
    for entry in run.entries().iter().filter(is_unit) {
        let zero = last(entry, Statistic::ZeroFraction)?;
        let count = zero.iter().filter(|fraction| **fraction >= 1.0).count();
        if count > 0 {
            let came_back = came_back(run.events(), &entry.tensor, &zero);
            let back = if came_back > 0 {
                format!(" ({came_back} more came back)")
            } else {
                String::new()
            };
            dead.push((
                count,
                format!("{count} of {} units of {}{back}", entry.units, entry.tensor),
            ));
        }
    }
    dead.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    dead.truncate(LAYERS);
    let dead = match dead
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(", ")
    {
        none if none.is_empty() => "no unit ended with nothing but zeros".to_owned(),
        named => format!("{named} ended with nothing but zeros"),
    };
    let means = run.model().all_with_role(Role::LatentMean);
    let latent = means.filter_map(|layer| run.layout().find(&layer.name, TensorKind::Activation));
    let mut parts = Vec::new();
    for (layer, entry) in latent.enumerate() {
        parts.push(latent_use(
            layer,
            entry.units,
            &last(entry, Statistic::Std)?,
        ));
    }
    parts.push(dead);
    let sentence = format!("{}.", parts.join("; "));
    let mut letters = sentence.chars();
    Ok(letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect()))
}

/// How many units of a latent layer are used, by how far the means of each spread over the last batch. Layers are counted
/// from the samples on: what a later one reads is drawn from the one before it.
fn latent_use(layer: usize, units: usize, spread: &[f32]) -> String {
    let unknown = spread.iter().filter(|spread| !spread.is_finite()).count();
    let used = spread.iter().filter(|spread| **spread > USED).count();
    let (which, input) = match layer {
        0 => ("latent units", "the input"),
        1 => ("units of the second latent layer", "the first"),
        _ => ("units of a later latent layer", "the one before"),
    };
    match unknown {
        0 => format!("{used} of {units} {which} vary with {input}"),
        _ => format!("{unknown} of {units} {which} ended without a finite value"),
    }
}

/// How many units that an event calls dead are not all zero at the end.
fn came_back(events: &[Event], tensor: &str, zero: &[f32]) -> usize {
    let dead = events
        .iter()
        .filter(|event| event.kind == EventKind::DeadUnit && event.severity >= Severity::Note);
    let mut units: Vec<usize> = dead
        .filter(|event| event.subject.tensor_name() == Some(tensor))
        .flat_map(|event| event.subject.units().to_vec())
        .collect();
    units.sort_unstable();
    units.dedup();
    units
        .into_iter()
        .filter(|&unit| zero.get(unit).is_some_and(|fraction| *fraction < 1.0))
        .count()
}
