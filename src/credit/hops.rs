//! Further hops: what the predecessors did, decomposed again at the layers with weights before them.
//!
//! A hop is added up like the first one: over the steps of the first sweep what inputs, weights and running statistics did,
//! and from what each step's update did with the weights, by the second sweep, what the gradients did. Its rows are all
//! weights of its layers.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::capture::CapturedNetwork;
use super::cut::Source;
use super::hop_meter::{HopMeter, HopStep, MeteredHop, MeteredLayer};
use super::measure::{UnitStep, wide_ranges};
use super::spectral::Scales;
use super::successors::CarriedHop;
use super::update::{Influence, RowStep, Update, carried_memory, denominator_memories};
use super::{Contribution, Hop, OtherCredit, Through};
use crate::gpu::{Buffer, Gpu};
use crate::nn::{Graph, NodeId, UpdateRule};
use crate::{ByteSize, Error, Result};

/// Bytes that the updates of all rows may take.
const MOST_BYTES: u64 = 4 << 30;
/// Bytes that the update of a weight takes in one step: what it did, and what of a gradient it took.
const BYTES_OF_WEIGHT: u64 = 12;

/// What the first sweep finds of a hop of a unit.
#[derive(Debug, Default)]
pub(super) struct FoundHop {
    explains: f64,
    other_parameters: f64,
    normalization: f64,
    by_predecessor: BTreeMap<Source, f64>,
    pub layers: Vec<FoundLayer>,
}

/// What it finds of a layer of the hop.
#[derive(Debug, Default)]
pub(super) struct FoundLayer {
    pub name: String,
    by_weights: Vec<f64>,
    through: Vec<f64>,
    /// Whether its input has changed at all; behind the data it does not.
    has_moving_input: bool,
    updates: Vec<Update>,
    /// What the optimizer remembers of earlier gradients.
    memory: Vec<f64>,
    /// What the updates of all steps did; known after the first sweep.
    pub influence: Influence,
    pub row: [Range<usize>; 2],
}

/// The rows of a layer of hops in one step.
pub(super) struct LayerRows {
    rows: RowStep,
    /// Those of its spectral norm, where it has one.
    scales: Option<Scales>,
}

/// The rows of all layers of hops in one step.
pub(super) type Rows = HashMap<NodeId, LayerRows>;

impl FoundHop {
    /// Nothing found yet of the hops that a meter measures, at the start of the range.
    pub fn all(
        gpu: &Gpu,
        meter: &HopMeter,
        network: &CapturedNetwork,
        rule: &UpdateRule,
    ) -> Result<Vec<Self>> {
        let memory = |row: &[Range<usize>; 2]| {
            let name = carried_memory(rule);
            match name.and_then(|name| network.state.memory(name)) {
                Some(memory) => wide_ranges(gpu, memory, row),
                None => Ok(vec![0.0; row.iter().map(Range::len).sum()]),
            }
        };
        let layer = |layer: &MeteredLayer| {
            Ok(FoundLayer {
                name: layer.name.clone(),
                by_weights: vec![0.0; layer.by_weights.len()],
                through: vec![0.0; layer.through.len()],
                memory: memory(&layer.row)?,
                row: layer.row.clone(),
                ..FoundLayer::default()
            })
        };
        let hop = |hop: &MeteredHop| {
            Ok(Self {
                layers: hop.layers.iter().map(layer).collect::<Result<_>>()?,
                ..Self::default()
            })
        };
        meter.hops.iter().map(hop).collect()
    }

    /// Adds what a step did.
    fn add(&mut self, metered: &MeteredHop, step: &HopStep, rule: &UpdateRule, rows: &Rows) {
        self.other_parameters += step.learned;
        self.normalization += step.state;
        let layers = self.layers.iter_mut().zip(&metered.layers);
        for ((found, metered), step) in layers.zip(&step.layers) {
            add_all(&mut found.by_weights, &step.by_weights);
            add_all(&mut found.through, &step.through);
            found.has_moving_input |= step.by_input.iter().any(|&credit| credit != 0.0);
            let LayerRows { rows, scales } = &rows[&metered.id];
            let mut sensitivity = step.sensitivity.clone();
            if let (Some(spectral), Some(scales)) = (&metered.spectral, scales) {
                let ends = [&rows.start[..], &rows.end];
                self.normalization += spectral.to_parameters(*scales, ends, &mut sensitivity);
            }
            found.updates.push(Update::new(rule, rows, &sensitivity));
            for (place, (source, credit)) in metered.sources.iter().zip(&step.by_input).enumerate()
            {
                let of_state = step.by_state.get(place).copied().unwrap_or(0.0);
                *self.by_predecessor.entry(source.clone()).or_default() += credit - of_state;
                self.normalization += of_state;
            }
        }
    }

    /// What the updates of all steps did, once these are known.
    pub fn find_influences(&mut self, rule: &UpdateRule) {
        for layer in &mut self.layers {
            let updates = std::mem::take(&mut layer.updates);
            layer.influence = Influence::new(rule, &updates, &layer.memory);
        }
    }

    /// The hop of a number, with what its successors did.
    pub fn finish(self, graph: &Graph, hop: usize, carried: CarriedHop) -> Hop {
        let influences = || self.layers.iter().map(|layer| &layer.influence);
        let predecessors = self.by_predecessor.iter();
        let through = self.layers.iter().flat_map(|layer| {
            let units = layer.through.iter().zip(&layer.by_weights).enumerate();
            units.map(|(unit, (through, by_weights))| Through {
                layer: layer.name.clone(),
                unit,
                by_weights: *by_weights,
                // What is left behind the data is rounding.
                by_input: match layer.has_moving_input {
                    true => through - by_weights,
                    false => 0.0,
                },
            })
        });
        Hop {
            hop,
            layers: self.layers.iter().map(|layer| layer.name.clone()).collect(),
            explains: self.explains,
            explained: 0.0,
            residual: 0.0,
            cancellation: 0.0,
            predecessors: predecessors
                .map(|(source, &credit)| Contribution {
                    layer: graph.nodes()[source.node].name.clone(),
                    unit: source.unit,
                    credit,
                })
                .collect(),
            successors: carried.successors,
            other: OtherCredit {
                memory: influences().map(|influence| influence.memory).sum(),
                weight_decay: influences().map(|influence| influence.weight_decay).sum(),
                clipping: influences().map(|influence| influence.clipping).sum(),
                normalization: self.normalization + carried.projection,
                other_parameters: self.other_parameters,
            },
            through: through.collect(),
        }
        .summed()
    }
}

/// Adds what a step did through all hops of a unit, the first of which did `first`.
pub(super) fn add_hops(
    found: &mut [FoundHop],
    metered: &[MeteredHop],
    (steps, first): (&[HopStep], &UnitStep),
    (rule, rows): (&UpdateRule, &Rows),
) {
    let mut explains = first.by_predecessor.iter().sum::<f64>();
    for ((found, metered), step) in found.iter_mut().zip(metered).zip(steps) {
        found.explains += explains;
        found.add(metered, step, rule, rows);
        let inputs = step.layers.iter().flat_map(|layer| &layer.by_input);
        explains = inputs.sum();
    }
}

/// Reads the rows of all layers of hops after a step. Whether it updated the network, after how many updates, and the scale of
/// its gradients are those of the `unit`'s own row.
pub(super) fn read_rows(
    gpu: &Gpu,
    hops: &[MeteredHop],
    network: &CapturedNetwork,
    rule: &UpdateRule,
    unit: &RowStep,
) -> Result<Rows> {
    let mut rows = Rows::new();
    let Some(whole) = &network.whole else {
        return Ok(rows);
    };
    for layer in hops.iter().flat_map(|hop| &hop.layers) {
        if rows.contains_key(&layer.id) {
            continue;
        }
        let read = |buffer: &Buffer<f32>| wide_ranges(gpu, buffer, &layer.row);
        let [squares, means] = denominator_memories(rule);
        let memory = |name: Option<&str>| {
            let memory = name.and_then(|name| network.state.memory(name));
            memory.map_or_else(|| Ok(Vec::new()), read)
        };
        let scales = layer.spectral.as_ref();
        let scales = scales.map(|spectral| spectral.scales(gpu, network));
        let of_rows = RowStep {
            start: read(&network.start.values)?,
            updated: read(&whole.updated)?,
            end: read(&network.live.values)?,
            gradient: read(&whole.gradient)?,
            squares: memory(squares)?,
            means: memory(means)?,
            is_updated: unit.is_updated && !layer.is_frozen,
            ..unit.without_values()
        };
        let of_layer = LayerRows {
            rows: of_rows,
            scales: scales.transpose()?,
        };
        rows.insert(layer.id, of_layer);
    }
    Ok(rows)
}

/// Refuses what takes too much memory.
pub(super) fn expect_room(hops: &[MeteredHop], units: usize, steps: u64) -> Result<()> {
    let rows = hops.iter().flat_map(|hop| &hop.layers);
    let weights: usize = rows.flat_map(|layer| &layer.row).map(Range::len).sum();
    let of_step = (weights as u64 * BYTES_OF_WEIGHT).saturating_mul(units as u64);
    let bytes = of_step.saturating_mul(steps);
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "{} further hops of {units} units over {steps} steps",
            hops.len()
        ),
        format!(
            "the updates of {weights} weights in each step take {} of memory, the limit is {}",
            ByteSize(bytes),
            ByteSize(MOST_BYTES)
        ),
        "ask for fewer steps, units or hops",
    ))
}

fn add_all(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += value);
}
