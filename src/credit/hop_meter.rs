//! What is measured of a unit's further hops after every step of the first sweep.

use std::collections::HashMap;
use std::ops::Range;

use super::capture::CapturedNetwork;
use super::cut::{Source, Stretch};
use super::measure::{wide, wide_ranges};
use super::multipliers::{Measurement, Multipliers};
use super::probe_pass::ProbePass;
use super::spectral::SpectralLayer;
use crate::Result;
use crate::gpu::{Buffer, Gpu};
use crate::nn::{Graph, NodeId};

/// Measures the further hops of one unit after the other.
#[derive(Debug)]
pub(super) struct HopMeter {
    measurement: Measurement,
    /// The multipliers at the input of the unit's layer, and where they lie in both halves of one batch.
    arrived: [Buffer<f32>; 2],
    pub hops: Vec<MeteredHop>,
}

/// Where the sums of a hop lie.
#[derive(Debug)]
pub(super) struct MeteredHop {
    /// The layers that it comes to, in order of the graph.
    pub layers: Vec<MeteredLayer>,
    /// What the operations between did by what they learned, and by their state.
    pub between: Vec<[Shares; 2]>,
}

/// Sums that count as a share of theirs.
#[derive(Debug)]
pub(super) struct Shares {
    pub ranges: Vec<Range<usize>>,
    pub share: f64,
}

/// Where the sums of a layer lie.
#[derive(Debug)]
pub(super) struct MeteredLayer {
    pub id: NodeId,
    pub name: String,
    /// Whether no update moves it.
    pub is_frozen: bool,
    /// Its weight and its bias among all parameters.
    pub row: [Range<usize>; 2],
    /// The norm of its weights, where it has one.
    pub spectral: Option<SpectralLayer>,
    /// How the unit's mean depends on all parameters; under a spectral norm on the weights as they are used.
    pub gradients: Buffer<f32>,
    /// For each of its units twice what its weights did.
    pub by_weights: Range<usize>,
    /// For each of its units what came through it.
    pub through: Range<usize>,
    /// For each unit of its input what that did.
    pub by_input: Range<usize>,
    /// For each unit of its input what running statistics did, in two halves.
    pub by_state: Option<[Range<usize>; 2]>,
    /// What its input is made of.
    pub sources: Vec<Source>,
}

/// What a step did through the layers of a hop.
#[derive(Debug, Default)]
pub(super) struct HopStep {
    pub layers: Vec<LayerStep>,
    /// What operations between the layers learned.
    pub learned: f64,
    /// What their running statistics did.
    pub state: f64,
}

/// What a step did through a layer.
#[derive(Debug)]
pub(super) struct LayerStep {
    /// How the unit's mean depends on weights and bias; under a spectral norm on the weights as they are used.
    pub sensitivity: Vec<f64>,
    /// For each unit of the layer: what its weights did.
    pub by_weights: Vec<f64>,
    /// For each unit: what came through it, whatever moved it.
    pub through: Vec<f64>,
    /// By each unit of what enters the layer, running statistics included.
    pub by_input: Vec<f64>,
    /// By the running statistics alone.
    pub by_state: Vec<f64>,
}

impl HopMeter {
    /// A meter of the hops over `stretches`, back from multipliers `to_input` at the node `input`.
    pub fn new(
        gpu: &Gpu,
        graph: &Graph,
        (stretches, input): (&[Stretch], NodeId),
        to_input: &Buffer<f32>,
        (probe, network): (&ProbePass, &CapturedNetwork),
    ) -> Result<Self> {
        let mut multipliers = Multipliers::new(gpu, graph, probe, network)?;
        let arrived = gpu.buffer("multipliers", 2 * to_input.len())?;
        let mut at = HashMap::from([(input, arrived.clone())]);
        let mut hops = Vec::new();
        for stretch in stretches {
            let (hop, before) = multipliers.hop(stretch, at)?;
            hops.push(hop);
            at = before;
        }
        Ok(Self {
            measurement: multipliers.finish()?,
            arrived: [to_input.clone(), arrived],
            hops,
        })
    }

    /// Puts both ends of the last step into one batch, once for all units.
    pub fn begin(&self, gpu: &Gpu) {
        let mut encoder = gpu.encoder("both ends");
        for [now, before, joined] in &self.measurement.joined {
            let bytes = 4 * now.len() as u64;
            encoder.copy_buffer_to_buffer(now.raw(), 0, joined.raw(), 0, bytes);
            encoder.copy_buffer_to_buffer(before.raw(), 0, joined.raw(), bytes, bytes);
        }
        gpu.queue.submit([encoder.finish()]);
    }

    /// What the last step did to the unit whose multipliers lie at the input of its layer.
    pub fn measure(&self, gpu: &Gpu) -> Result<Vec<HopStep>> {
        let [to_input, arrived] = &self.arrived;
        let mut encoder = gpu.encoder("hops");
        let bytes = 4 * to_input.len() as u64;
        for half in [0, bytes] {
            encoder.copy_buffer_to_buffer(to_input.raw(), 0, arrived.raw(), half, bytes);
        }
        let Measurement {
            dispatches, sums, ..
        } = &self.measurement;
        gpu.record(&mut encoder, "hops", dispatches);
        gpu.queue.submit([encoder.finish()]);
        let sums = wide(gpu, sums)?;
        let hops = self.hops.iter().map(|hop| hop.read(gpu, &sums));
        hops.collect()
    }
}

impl MeteredHop {
    fn read(&self, gpu: &Gpu, sums: &[f64]) -> Result<HopStep> {
        let mut step = HopStep::default();
        for [learned, state] in &self.between {
            step.learned += learned.of(sums);
            step.state += state.of(sums);
        }
        for layer in &self.layers {
            step.layers.push(layer.read(gpu, sums)?);
        }
        Ok(step)
    }
}

impl Shares {
    fn of(&self, sums: &[f64]) -> f64 {
        let values = self.ranges.iter().flat_map(|range| &sums[range.clone()]);
        self.share * values.sum::<f64>()
    }
}

impl MeteredLayer {
    fn read(&self, gpu: &Gpu, sums: &[f64]) -> Result<LayerStep> {
        let of = |range: &Range<usize>| sums[range.clone()].to_vec();
        let half = |range: &Range<usize>| sums[range.clone()].iter().map(|sum| 0.5 * sum);
        let by_state = self.by_state.iter().flat_map(|[first, second]| {
            let pairs = half(first).zip(half(second));
            pairs.map(|(first, second)| first + second)
        });
        Ok(LayerStep {
            sensitivity: wide_ranges(gpu, &self.gradients, &self.row)?,
            by_weights: half(&self.by_weights).collect(),
            through: of(&self.through),
            by_input: of(&self.by_input),
            by_state: by_state.collect(),
        })
    }
}
