//! What a run saw, in three plain sentences.

use crate::tensor::TensorKind;
use std::path::Path;

use crate::Result;
use crate::trace::{Event, RunReader, Statistic};
use crate::view::ticks::short;

/// Values that the mean at either end of a run is taken over.
const ENDS: usize = 10;
/// Samples of a batch that are named.
const SAMPLES: usize = 8;
/// A latent unit whose mean varies less than this over the batch carries nothing.
const USED: f32 = 0.1;

/// Three sentences about the run in `run_dir`: where the loss went, whether values stayed finite, and which units
/// do nothing.
///
/// # Errors
/// The directory holds no run or a damaged one.
pub fn findings(run_dir: &Path) -> Result<Vec<String>> {
    let reader = RunReader::open(run_dir)?;
    let events = reader.events()?;
    Ok(vec![loss(&reader)?, finite(&events), idle(&reader)?])
}

fn loss(reader: &RunReader) -> Result<String> {
    let scalars = reader.scalars()?;
    let Some(values) = scalars.get("loss").filter(|values| !values.is_empty()) else {
        return Ok("No loss is recorded yet.".to_owned());
    };
    let finite: Vec<f64> = values
        .iter()
        .map(|(_, v)| *v)
        .filter(|v| v.is_finite())
        .collect();
    let Some(most) = finite.len().checked_div(2).filter(|half| *half > 0) else {
        return Ok("The loss was not finite for long enough to tell where it went.".to_owned());
    };
    let count = most.min(ENDS);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (from, to) = (
        mean(&finite[..count]),
        mean(&finite[finite.len() - count..]),
    );
    let verb = if to < from { "fell" } else { "rose" };
    Ok(format!(
        "The loss {verb} from {} to {} by step {} (means of the first and last {count} values).",
        short(from),
        short(to),
        values[values.len() - 1].0
    ))
}

fn finite(events: &[Event]) -> String {
    let nonfinite = events.iter().filter(|event| event.kind == "nonfinite");
    // A scalar may have shown first what a unit then is known to have begun.
    let Some(first) = nonfinite.min_by_key(|event| (event.step, event.unit.is_none())) else {
        let spikes: Vec<&Event> = events.iter().filter(|e| e.kind == "spike").collect();
        let finite = "Every recorded value was finite";
        let named = spikes.first().map_or(String::new(), |spike| named(spike));
        return match spikes.len() {
            0 => format!("{finite}, and the loss had no spike."),
            1 => format!("{finite}; the loss had one spike, {named}."),
            many => format!("{finite}; the loss had {many} spikes, the first {named}."),
        };
    };
    let place = match (&first.layer, first.unit) {
        (Some(layer), Some(unit)) => format!(" in unit {unit} of {layer}"),
        (Some(layer), None) => format!(" in {layer}"),
        _ => String::new(),
    };
    format!(
        "The first value that is not finite came at step {}{place}.",
        first.step
    )
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
            "{step} with the samples {} and {} more (all stand in events.jsonl)",
            shown.join(", "),
            many - SAMPLES
        ),
    }
}

/// Dead units, and latent units that carry nothing.
fn idle(reader: &RunReader) -> Result<String> {
    let mut dead = Vec::new();
    let mut latent = None;
    let entries = reader.entries()?;
    for entry in entries
        .iter()
        .filter(|entry| entry.kind == TensorKind::Activation)
    {
        let last = |quantity| -> Result<Vec<f32>> {
            let series = reader.series(&entry.tensor, entry.kind, quantity)?;
            let steps = series.steps.len().max(1);
            let rows = series.values.chunks_exact(steps);
            Ok(rows.map(|row| row[steps - 1]).collect())
        };
        let zero = last(Statistic::ZeroFraction)?;
        let count = zero.iter().filter(|fraction| **fraction >= 1.0).count();
        if count > 0 {
            dead.push(format!(
                "{count} of {} units of {}",
                zero.len(),
                entry.tensor
            ));
        }
        if entry.tensor == "mu" || entry.tensor.ends_with(".mu") {
            let spread = last(Statistic::Std)?;
            let used = spread.iter().filter(|spread| **spread > USED).count();
            latent = Some(format!(
                "{used} of {} latent units vary with the input",
                spread.len()
            ));
        }
    }
    let dead = if dead.is_empty() {
        "no unit ended with nothing but zeros".to_owned()
    } else {
        dead.truncate(3);
        format!("{} ended with nothing but zeros", dead.join(", "))
    };
    let sentence = match latent {
        Some(latent) => format!("{latent}; {dead}."),
        None => format!("{dead}."),
    };
    let mut letters = sentence.chars();
    Ok(letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    }))
}
