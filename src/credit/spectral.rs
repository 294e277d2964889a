//! A layer under a spectral norm: its weights are divided by their largest singular value `s`, so that a unit moves by what the
//! optimizer did with its row, at `1 / s`, and by the change of `1 / s`, which depends on the weights of all units. The first
//! hop looks at the row of one unit, further hops at all rows.
//!
//! Singular values are taken in float64 on the CPU from the weights and the vectors of a step: that is one product with
//! the weights.

use std::ops::Range;

use super::capture::{CapturedNetwork, CapturedPass};
use super::cut::{Cut, has_spectral_norm, units_of};
use super::measure::{wide, wide_ranges};
use super::sums::UnitSums;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::spectral_norm::{Reference, SpectralNorm};
use crate::nn::{Graph, Node, Parameters};

/// Where a layer under a spectral norm has its parameters and vectors.
#[derive(Debug, Clone)]
pub(super) struct SpectralLayer {
    norm: SpectralNorm,
    weight: Range<usize>,
    bias: Range<usize>,
    u: Range<usize>,
    v: Range<usize>,
    /// The weights within what is looked at: the row of a unit, or all rows and then the biases.
    looked_at: Range<usize>,
}

/// One over the singular value at the start of a step and at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales {
    before: f64,
    after: f64,
}

impl SpectralLayer {
    /// All rows of the layer `node`, if it is under a spectral norm.
    pub fn new(graph: &Graph, node: &Node, parameters: &Parameters) -> Option<Self> {
        if !has_spectral_norm(node) {
            return None;
        }
        let range = |which: usize| {
            let name = &graph.parameters()[*node.parameters.get(which)?].name;
            let slice = parameters.slice(name)?;
            Some(slice.start..slice.start + slice.len)
        };
        let [weight, bias, u, v] = [range(0)?, range(1)?, range(2)?, range(3)?];
        Some(Self {
            norm: SpectralNorm {
                rows: u.len(),
                columns: v.len(),
            },
            looked_at: 0..weight.len(),
            weight,
            bias,
            u,
            v,
        })
    }

    /// The row of one unit, whose weights lie there in the row.
    pub fn of_unit(self, weights: Range<usize>) -> Self {
        Self {
            looked_at: weights,
            ..self
        }
    }

    /// What the norm makes of the weights in a buffer; in training after a step of its power iteration.
    fn normed(&self, gpu: &Gpu, parameters: &Parameters, training: bool) -> Result<Reference> {
        let read = |range: &Range<usize>| {
            let range = std::slice::from_ref(range);
            wide_ranges(gpu, &parameters.values, range)
        };
        let [weight, u, v] = [read(&self.weight)?, read(&self.u)?, read(&self.v)?];
        Ok(self.norm.reference(&weight, &u, &v, training))
    }

    /// The scales of the step that has just run.
    pub fn scales(&self, gpu: &Gpu, network: &CapturedNetwork) -> Result<Scales> {
        let scale =
            |parameters| -> Result<f64> { Ok(1.0 / self.normed(gpu, parameters, false)?.sigma) };
        Ok(Scales {
            before: scale(&network.start)?,
            after: scale(&network.live)?,
        })
    }

    /// The weights that multiply the input halfway through a step, from the rows at its ends.
    pub fn middle(&self, scales: Scales, [start, end]: [&[f64]; 2]) -> Vec<f32> {
        let mut row: Vec<f64> = middle(start, end);
        for r in self.looked_at.clone() {
            row[r] = 0.5 * (scales.before * start[r] + scales.after * end[r]);
        }
        row.into_iter().map(|value| value as f32).collect()
    }

    /// Turns how the unit depends on the weights that multiply an input into how it depends on the rows, and returns what the
    /// change of the singular value did.
    pub fn to_parameters(&self, scales: Scales, ends: [&[f64]; 2], sensitivity: &mut [f64]) -> f64 {
        let middle = middle(ends[0], ends[1]);
        let mut moved = 0.0;
        for r in self.looked_at.clone() {
            moved += sensitivity[r] * middle[r] * (scales.after - scales.before);
            sensitivity[r] *= 0.5 * (scales.before + scales.after);
        }
        moved
    }
}

fn middle(start: &[f64], end: &[f64]) -> Vec<f64> {
    let ends = start.iter().zip(end);
    ends.map(|(start, end)| 0.5 * (start + end)).collect()
}

/// What a spectral norm made of changes in a pass of a training step.
#[derive(Debug)]
pub(super) struct SpectralPass {
    layer: SpectralLayer,
    /// The parameters with which the pass began, or in whose state it has ended.
    parameters: Parameters,
    state_is_final: bool,
    dispatches: Vec<Dispatch>,
    /// For each unit the sum of its gradient times its output, then of its gradient.
    sums: Buffer<f32>,
}

/// The norm in one step.
#[derive(Debug)]
pub(super) struct SpectralStep {
    normed: Reference,
    /// The sum over all weights of the weight that multiplies the input and its gradient.
    product: f64,
    looked_at: Range<usize>,
}

impl SpectralPass {
    /// Of a pass with these parameters.
    pub fn new(
        gpu: &Gpu,
        (layer, node): (&SpectralLayer, &Node),
        (captured, cut): (&CapturedPass, &Cut),
        (parameters, state_is_final): (&Parameters, bool),
    ) -> Result<Self> {
        let id = cut.layer;
        let (gradient, output) = (&captured.gradients[&id], &captured.values[&id]);
        let [units, places] = units_of(node);
        let over = UnitSums {
            samples: captured.batch,
            units,
            places,
        };
        let ones = gpu.upload("factors of one", &vec![1.0; gradient.len()])?;
        let sums = gpu.buffer("gradients of weights", 2 * units)?;
        let mut dispatches = Vec::new();
        dispatches.extend(over.dispatches(gpu, gradient, output, None, (&sums, 0))?);
        dispatches.extend(over.dispatches(gpu, gradient, &ones, None, (&sums, units))?);
        Ok(Self {
            layer: layer.clone(),
            parameters: parameters.clone(),
            state_is_final,
            dispatches,
            sums,
        })
    }

    /// The norm in the step that has just run, or was put back.
    pub fn step(&self, gpu: &Gpu) -> Result<SpectralStep> {
        let layer = &self.layer;
        gpu.run("spectral norm", &self.dispatches);
        let sums = wide(gpu, &self.sums)?;
        let (products, gradients) = sums.split_at(layer.norm.rows);
        let range = std::slice::from_ref(&layer.bias);
        let bias = wide_ranges(gpu, &self.parameters.values, range)?;
        let of_bias = gradients.iter().zip(&bias).map(|(sum, bias)| sum * bias);
        Ok(SpectralStep {
            normed: layer.normed(gpu, &self.parameters, !self.state_is_final)?,
            product: products.iter().sum::<f64>() - of_bias.sum::<f64>(),
            looked_at: layer.looked_at.clone(),
        })
    }
}

impl SpectralStep {
    /// A change of the rows as one of the weights that multiply the input.
    pub fn used(&self, rows: &[f32]) -> Vec<f32> {
        let mut used = rows.to_vec();
        for weight in &mut used[self.looked_at.clone()] {
            *weight = (f64::from(*weight) / self.normed.sigma) as f32;
        }
        used
    }

    /// What a change of the rows, the first of which is that of `unit`, does by changing the singular value, which all weights
    /// are divided by.
    pub fn projection(&self, unit: usize, rows: &[f32]) -> f64 {
        let v = &self.normed.v;
        let rows = rows[self.looked_at.clone()].chunks(v.len());
        let along = rows.zip(&self.normed.u[unit..]).map(|(row, u)| {
            let weights = row.iter().zip(v);
            u * weights
                .map(|(&change, v)| f64::from(change) * v)
                .sum::<f64>()
        });
        -self.product * along.sum::<f64>() / self.normed.sigma
    }
}
