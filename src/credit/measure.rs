//! What is measured of each unit after every step of the first sweep.

use std::ops::Range;

use super::blocks::{Blocks, RowLayout};
use super::capture::{CapturedNetwork, CapturedRow};
use super::cut::units_of;
use super::maps::add_of_samples;
use super::midpoint::midpoint;
use super::probe_pass::{Ends, ProbePass};
use super::spectral::{Scales, SpectralLayer};
use super::sums::UnitSums;
use super::unit_layer::Sensitivity;
use super::update::{RowStep, denominator_memories};
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Node, UpdateRule};

/// Measures one unit.
#[derive(Debug)]
pub(super) struct UnitMeter {
    /// Takes the rows at both ends of the step.
    gather: Vec<Dispatch>,
    /// Puts the weights halfway into the layer of one unit, where they are used as they are.
    middle: Dispatch,
    /// That layer's weights.
    weights: Buffer<f32>,
    dispatches: Vec<Dispatch>,
    output: Dispatch,
    sensitivity: Buffer<f32>,
    start: Buffer<f32>,
    end: Buffer<f32>,
    gradient: Buffer<f32>,
    updated: Buffer<f32>,
    memories: [Option<Buffer<f32>>; 2],
    step_scale: Buffer<f32>,
    by_predecessor: Buffer<f32>,
    by_state: Option<[Buffer<f32>; 2]>,
    channel: Buffer<f32>,
    /// For each sample, what each element of the input did.
    pub map: Option<Buffer<f32>>,
}

/// What a step did to a unit, as measured on the probe batch.
#[derive(Debug)]
pub(super) struct UnitStep {
    pub row: RowStep,
    /// Derivatives of the unit's mean with respect to the row's parameters, halfway through the step.
    pub sensitivity: Vec<f64>,
    /// By each unit of what enters the layer, running statistics included.
    pub by_predecessor: Vec<f64>,
    /// By the running statistics alone.
    pub by_state: Vec<f64>,
    /// By the change of the singular value that the layer's own weights are divided by.
    pub by_norm: f64,
}

impl UnitMeter {
    /// A meter of `unit` of the layer `node`, whose input is of the node `input`.
    pub fn new(
        gpu: &Gpu,
        [node, input]: [&Node; 2],
        unit: usize,
        (probe, ends): (&ProbePass, &Ends),
        (network, captured): (&CapturedNetwork, &CapturedRow),
        sensitivity: &Sensitivity,
        (rule, has_map): (&UpdateRule, bool),
    ) -> Result<Self> {
        let layout = &network.layout;
        let [start, end] = [row(gpu, layout)?, row(gpu, layout)?];
        let mut gather = Vec::new();
        gather.extend(layout.gather(gpu, unit, &network.start.values, &start));
        gather.extend(layout.gather(gpu, unit, &network.live.values, &end));
        let weights = network.unit_layer.parameters.values.clone();
        let middle = midpoint(gpu, [&start, &end], &weights);
        let mut dispatches = sensitivity.dispatches.clone();
        let [units, places] = units_of(input);
        let sums = UnitSums {
            samples: probe.samples,
            units,
            places,
        };
        let mut difference = |to: &Buffer<f32>, from: &Buffer<f32>| -> Result<Buffer<f32>> {
            let result = gpu.buffer("credit of predecessors", units)?;
            let factors = &sensitivity.to_input;
            dispatches.extend(sums.dispatches(gpu, factors, to, Some(from), (&result, 0))?);
            Ok(result)
        };
        let Ends {
            now,
            before,
            crossed,
        } = ends;
        let by_predecessor = difference(now, before)?;
        let by_state = match crossed {
            None => None,
            Some(crossed) => Some([
                difference(&crossed.later_state, before)?,
                difference(now, &crossed.earlier_state)?,
            ]),
        };
        let map = has_map.then(|| gpu.buffer("credit map", now.len()));
        let map = map.transpose()?;
        dispatches.extend(
            map.as_ref()
                .map(|map| add_of_samples(gpu, &sensitivity.to_input, [now, before], map)),
        );
        let mut memories = [None, None];
        for (memory, name) in memories.iter_mut().zip(denominator_memories(rule)) {
            if let Some(values) = name.and_then(|name| network.state.memory(name)) {
                let gathered = row(gpu, layout)?;
                dispatches.extend(layout.gather(gpu, unit, values, &gathered));
                *memory = Some(gathered);
            }
        }
        let of_unit = Blocks::of_unit(unit, probe.samples, units_of(node));
        let channel = gpu.buffer("unit", of_unit.block * of_unit.count)?;
        Ok(Self {
            gather,
            middle,
            weights,
            dispatches,
            output: of_unit.gather(gpu, &probe.output, &channel, 0),
            sensitivity: sensitivity.to_row.clone(),
            start,
            end,
            gradient: captured.gradient.clone(),
            updated: captured.updated.clone(),
            memories,
            step_scale: network.state.step_scale().clone(),
            by_predecessor,
            by_state,
            channel,
            map,
        })
    }

    /// The unit for each sample and place of the probe batch, as the last probe pass left it.
    pub fn output(&self, gpu: &Gpu) -> Result<Vec<f64>> {
        gpu.run("credit output", [&self.output]);
        wide(gpu, &self.channel)
    }

    /// What the last step did, after the probe pass that follows it; `spectral` is the norm of the layer's weights.
    pub fn measure(
        &self,
        gpu: &Gpu,
        (updates_before, is_updated): (u64, bool),
        spectral: Option<(&SpectralLayer, Scales)>,
    ) -> Result<UnitStep> {
        gpu.run("rows", &self.gather);
        let [start, end] = [wide(gpu, &self.start)?, wide(gpu, &self.end)?];
        match spectral {
            None => gpu.run("weights halfway", [&self.middle]),
            Some((layer, scales)) => {
                gpu.write(&self.weights, 0, &layer.middle(scales, [&start, &end]));
            }
        }
        gpu.run("credit measurement", &self.dispatches);
        let mut sensitivity = wide(gpu, &self.sensitivity)?;
        let by_norm = spectral.map_or(0.0, |(layer, scales)| {
            layer.to_parameters(scales, [&start, &end], &mut sensitivity)
        });
        let memory = |memory: &Option<Buffer<f32>>| match memory {
            Some(values) => wide(gpu, values),
            None => Ok(Vec::new()),
        };
        let by_state = match &self.by_state {
            None => Vec::new(),
            Some([first, second]) => {
                let pairs = wide(gpu, first)?.into_iter().zip(wide(gpu, second)?);
                pairs
                    .map(|(first, second)| 0.5 * (first + second))
                    .collect()
            }
        };
        Ok(UnitStep {
            row: RowStep {
                updates_before,
                is_updated,
                start,
                updated: wide(gpu, &self.updated)?,
                end,
                gradient: wide(gpu, &self.gradient)?,
                squares: memory(&self.memories[0])?,
                means: memory(&self.memories[1])?,
                scale: wide(gpu, &self.step_scale)?[1],
            },
            sensitivity,
            by_norm,
            by_predecessor: wide(gpu, &self.by_predecessor)?,
            by_state,
        })
    }
}

fn row(gpu: &Gpu, layout: &RowLayout) -> Result<Buffer<f32>> {
    gpu.buffer("row", layout.len)
}

/// The values of a buffer in float64.
pub(super) fn wide(gpu: &Gpu, buffer: &Buffer<f32>) -> Result<Vec<f64>> {
    Ok(gpu.read(buffer)?.into_iter().map(f64::from).collect())
}

/// The values of some ranges of a buffer, one behind the other, in float64.
pub(super) fn wide_ranges(
    gpu: &Gpu,
    buffer: &Buffer<f32>,
    ranges: &[Range<usize>],
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for range in ranges {
        let [start, len] = [range.start, range.len()].map(|elements| 4 * elements as u64);
        let bytes = gpu.read_bytes(buffer.raw(), start, len)?;
        let read: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        values.extend(read.into_iter().map(f64::from));
    }
    Ok(values)
}
