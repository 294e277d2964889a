//! Who pushed the unit that a failure is about: credit over the steps of its drift, back to the input.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::closer_look::capture;
use super::drift::{Drift, drift};
use super::finding::{Evidence, Explanation, Finding};
use crate::Result;
use crate::credit::{Chosen, Contribution, Credit, CreditRequest, Hop, credit};
use crate::gpu::Gpu;
use crate::number::short;
use crate::trace::{RunView, Severity};
use crate::train::Replay;

/// Steps that credit looks at, at most.
const MOST_STEPS: u64 = 40;
/// Hops back.
const HOPS: usize = 3;
/// What credit keeps of each weight in each step, and what it may keep in all, in bytes.
const BYTES_OF_WEIGHT: u64 = 12;
const MOST_BYTES: u64 = 256 << 20;
/// Contributions that are named of each side.
const MOST_NAMED: usize = 5;
/// How many times as large as the change its parts are where they cancel each other.
const CANCELLED: f64 = 10.0;
/// The share of all parts from which on what is not explained is said, and that of a drift below which the probe batch
/// shows little of it.
const UNEXPLAINED: f64 = 0.01;
const LITTLE: f64 = 0.1;

/// The unit that went farthest before a failure, since when, and what moved it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// The layer with weights.
    pub layer: String,
    /// Its unit.
    pub unit: usize,
    /// Units of the layer that went at least half as far, the farthest first.
    pub units: Vec<usize>,
    /// The step from which on its mean stayed away from [`Push::baseline`]: a tenth of its way, or farther than the first
    /// quarter of the records strayed from it.
    pub since: u64,
    /// Its mean at first (the median of the first quarter of the records).
    pub baseline: f64,
    /// Its last finite mean.
    pub last: f64,
    /// First step of the decomposition.
    pub from: u64,
    /// The step after its last.
    pub to: u64,
    /// The change of its mean over the probe batch from one to the other.
    pub change: f64,
    /// What of it is not explained.
    pub residual: f64,
    /// As in [`Credit::cancellation`].
    pub cancellation: f64,
    /// What the gradients did that moved its own weights.
    pub by_gradients: f64,
    /// What the change of its inputs did.
    pub by_inputs: f64,
    /// What the optimizer's memory, weight decay, bounds and running statistics did.
    pub by_other: f64,
    /// Where its strongest gradients came from.
    pub gradients: Vec<Contribution>,
    /// Its strongest inputs.
    pub inputs: Vec<Contribution>,
    /// What entered it, layer by layer back to the data.
    pub hops: Vec<PushHop>,
    /// The position of a convolution's channel at which it was farthest from its mean, and the sample of the training batch.
    pub position: Option<([usize; 2], u32)>,
    /// Rows and columns of the input's images that this position depends on.
    pub region: Option<[Range<usize>; 2]>,
    /// The command that shows it.
    pub command: String,
}

/// What came through the layers of a hop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushHop {
    /// Its number, from 2.
    pub hop: usize,
    /// Its layers.
    pub layers: Vec<String>,
    /// What entered the hop before it did in all.
    pub explains: f64,
    /// Because the weights of its own units moved.
    pub by_weights: f64,
    /// Because their inputs changed.
    pub by_inputs: f64,
    /// Its units through which most came.
    pub units: Vec<Contribution>,
}

/// Finds the unit that ran away before the failure that the first finding is about, and decomposes its change over the last
/// steps of its drift, which are replayed; adds both to the finding. `None` where nothing ran away. The decomposition that it
/// returns is whole.
///
/// # Errors
/// The steps cannot be run again, or credit is not defined for the layer.
pub fn who_pushed(
    gpu: &Gpu,
    run: &RunView,
    explanation: &mut Explanation,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Credit>> {
    let first = explanation.findings.first_mut();
    let Some(finding) = first.filter(|finding| finding.severity >= Severity::Serious) else {
        return Ok(None);
    };
    let Some(drift) = drift(run, finding) else {
        return Ok(None);
    };
    finding.evidence.push(drifted(run, &drift));
    let Some(range) = window(run, &drift) else {
        return Ok(None);
    };
    let place = farthest_place(gpu, run, &drift)?;
    let request = CreditRequest {
        hops: HOPS,
        chosen: Chosen {
            positions: place.iter().map(|(position, _)| *position).collect(),
            ..Chosen::default()
        },
        ..CreditRequest::new(&drift.layer, [drift.unit], range)
    };
    let replay = Replay::open(gpu, run.folder())?;
    let credits = credit(replay, &request, progress)?;
    let Some(credit) = credits.into_iter().next() else {
        return Ok(None);
    };
    if credit.change.is_finite() && credit.explained.is_finite() {
        add(finding, Push::new(run, &drift, &credit, place), &drift);
    }
    Ok(Some(credit))
}

/// The steps that are decomposed: the end of the drift, as far as credit's memory reaches.
fn window(run: &RunView, drift: &Drift) -> Option<Range<u64>> {
    let shapes = run.model().layers().flat_map(|layer| &layer.parameters);
    let weights: usize = shapes.map(|own| own.shape.iter().product::<usize>()).sum();
    let fitting = MOST_BYTES / (BYTES_OF_WEIGHT * (weights as u64).max(1));
    let most = fitting.clamp(2, MOST_STEPS);
    let to = drift.failed;
    let from = drift.way.since.saturating_sub(1);
    let from = from.max(to.saturating_sub(most)).min(to.checked_sub(1)?);
    Some(from..to)
}

/// Of a convolution's channel, the position farthest from its mean at the last step before the failure, and the sample.
fn farthest_place(gpu: &Gpu, run: &RunView, drift: &Drift) -> Result<Option<([usize; 2], u32)>> {
    let layer = run.model().layer(&drift.layer);
    let Some(&[channels, height, width]) = layer.and_then(|layer| layer.shape.as_array()) else {
        return Ok(None);
    };
    let last = drift.failed.saturating_sub(1);
    let captured = capture(gpu, run, &drift.layer, last..last + 1)?;
    let (Some(values), Some(samples)) = (captured.values.first(), captured.samples.first()) else {
        return Ok(None);
    };
    let places = height * width;
    let of_channel = |at: &usize| at / places % channels == drift.unit;
    let own = || (0..values.values.len()).filter(of_channel);
    let mean = own().map(|at| f64::from(values.values[at])).sum::<f64>() / own().count() as f64;
    let distance = |at: usize| (f64::from(values.values[at]) - mean).abs();
    let farthest = own().max_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    Ok(farthest.and_then(|at| {
        let sample = samples.get(at / (channels * places))?;
        let place = at % places;
        Some(([place / width, place % width], *sample))
    }))
}

/// The contributions of the greatest magnitude.
fn strongest(parts: &[Contribution]) -> Vec<Contribution> {
    let mut sorted: Vec<&Contribution> = parts.iter().filter(|part| part.credit != 0.0).collect();
    sorted.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
    sorted.into_iter().take(MOST_NAMED).cloned().collect()
}

/// The strongest of the parts that push the way their sum does.
fn largest_part(sum: f64, parts: &[Contribution]) -> Option<&Contribution> {
    parts.iter().find(|part| part.credit * sum > 0.0)
}

fn sum(parts: &[Contribution]) -> f64 {
    parts.iter().map(|part| part.credit).sum()
}

impl Push {
    fn new(
        run: &RunView,
        drift: &Drift,
        credit: &Credit,
        position: Option<([usize; 2], u32)>,
    ) -> Self {
        let (layer, unit) = (&credit.layer, credit.unit);
        let at = position.map(|([row, column], _)| format!(" --position {row},{column}"));
        let command = format!(
            "trainscope credit {} --layer {layer} --unit {unit} --from {} --to {} --hops {HOPS}{}",
            run.folder().display(),
            credit.from,
            credit.to,
            at.unwrap_or_default()
        );
        Self {
            layer: layer.clone(),
            unit,
            units: drift.units.clone(),
            since: drift.way.since,
            baseline: drift.way.baseline,
            last: drift.way.last,
            from: credit.from,
            to: credit.to,
            change: credit.change,
            residual: credit.residual,
            cancellation: credit.cancellation,
            by_gradients: sum(&credit.successors),
            by_inputs: sum(&credit.predecessors),
            by_other: credit.other.parts().iter().map(|(_, part)| part).sum(),
            gradients: strongest(&credit.successors),
            inputs: strongest(&credit.predecessors),
            hops: credit.hops.iter().map(PushHop::new).collect(),
            region: credit.region.clone().filter(|_| position.is_some()),
            position,
            command,
        }
    }
}

impl PushHop {
    fn new(hop: &Hop) -> Self {
        let through = || hop.through.iter();
        let units: Vec<Contribution> = through()
            .map(|unit| Contribution {
                layer: unit.layer.clone(),
                unit: unit.unit,
                credit: unit.by_weights + unit.by_input,
            })
            .collect();
        Self {
            hop: hop.hop,
            layers: hop.layers.clone(),
            explains: hop.explains,
            by_weights: through().map(|unit| unit.by_weights).sum(),
            by_inputs: through().map(|unit| unit.by_input).sum(),
            units: strongest(&units),
        }
    }
}

/// Since when the unit drifted, of the records.
fn drifted(run: &RunView, drift: &Drift) -> Evidence {
    let Drift {
        layer, unit, way, ..
    } = drift;
    let others = match drift.units.len() {
        0 | 1 => String::new(),
        2 => "; another unit went at least half as far".to_owned(),
        more => format!("; {} others went at least half as far", more - 1),
    };
    Evidence::new(format!(
        "Unit {unit} of {layer} went farthest: from a mean of {} to {} at step {}; from step {} on it stayed away from where it began{others}.",
        short(way.baseline),
        short(way.last),
        way.last_step,
        way.since,
    ))
    .with("baseline", way.baseline)
    .with("last", way.last)
    .with("since", way.since as f64)
    .command(format!(
        "trainscope sample {} --tensor {layer} --quantity mean --keep 16",
        run.folder().display()
    ))
}

/// Adds what a decomposition says to a finding.
fn add(finding: &mut Finding, push: Push, drift: &Drift) {
    let named = |all: f64, parts: &[Contribution], verb: &str| {
        let part = largest_part(all, parts);
        part.map_or(String::new(), |part| {
            format!(
                ", the largest part {verb} {} ({})",
                part.name(),
                signed(part.credit)
            )
        })
    };
    let mut text = format!(
        "From step {} to {} its mean over the probe batch changed by {}: gradients that moved its own weights did {}{}; the change of what enters it did {}{}; the optimizer on its own did {}.",
        push.from,
        push.to,
        signed(push.change),
        signed(push.by_gradients),
        named(push.by_gradients, &push.gradients, "from"),
        signed(push.by_inputs),
        named(push.by_inputs, &push.inputs, "by"),
        signed(push.by_other),
    );
    let parts = push.by_gradients.abs() + push.by_inputs.abs() + push.by_other.abs();
    if push.residual.abs() > UNEXPLAINED * parts {
        text.push_str(&format!(
            " {} of it is not explained.",
            signed(push.residual)
        ));
    }
    if push.change != 0.0 && parts > CANCELLED * push.change.abs() {
        text.push_str(&format!(
            " Together these parts are {} times as large as the change: they cancel each other, and none of them alone is its cause.",
            short(parts / push.change.abs())
        ));
    }
    let covers = push.from <= drift.way.since;
    if covers && push.change.abs() < LITTLE * drift.way.length() {
        text.push_str(" The probe batch shows little of the drift, so this says little of the samples that failed.");
    }
    let evidence = Evidence::new(text)
        .with("change", push.change)
        .with("by_gradients", push.by_gradients)
        .with("by_inputs", push.by_inputs)
        .with("by_other", push.by_other)
        .with("residual", push.residual);
    finding
        .evidence
        .push(evidence.command(push.command.clone()));
    finding
        .evidence
        .extend(push.hops.iter().map(PushHop::evidence));
    finding.evidence.extend(push.looks_at());
    finding.pushes.push(push);
}

impl PushHop {
    fn evidence(&self) -> Evidence {
        let layers = self.layers.join(", ");
        let inputs = if self.by_inputs == 0.0 {
            "their inputs did not change".to_owned()
        } else {
            format!("{} because their inputs changed", signed(self.by_inputs))
        };
        let part = largest_part(self.by_weights + self.by_inputs, &self.units);
        let most = part.map_or(String::new(), |part| {
            format!(
                "; the largest part came through {} ({})",
                part.name(),
                signed(part.credit)
            )
        });
        Evidence::new(format!(
            "One hop further back, at {layers}, of {}: {} because the weights of its units moved, {inputs}{most}.",
            signed(self.explains),
            signed(self.by_weights),
        ))
        .with("by_weights", self.by_weights)
        .with("by_inputs", self.by_inputs)
    }
}

impl Push {
    /// The place of a channel that is explained, and what it looks at.
    fn looks_at(&self) -> Option<Evidence> {
        let ([row, column], sample) = self.position?;
        let region = self.region.as_ref().map(|[rows, columns]| {
            format!(
                ", which depends on rows {} to {} and columns {} to {} of the images that enter",
                rows.start,
                rows.end.saturating_sub(1),
                columns.start,
                columns.end.saturating_sub(1)
            )
        });
        Some(Evidence::new(format!(
            "This is the change at row {row}, column {column} of the channel{}; there it was farthest from its mean in the step before the failure, in sample {sample}.",
            region.unwrap_or_default()
        )))
    }
}

fn signed(value: f64) -> String {
    if value > 0.0 {
        format!("+{}", short(value))
    } else {
        short(value)
    }
}
