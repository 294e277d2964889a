//! A layer with one unit: what it makes of a batch with any row of weights, and how it depends on both.

use super::midpoint::midpoint;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Graph, Mode, Node, NodeId, Parameters, Plan, Segment};
use crate::{Error, Result};

/// The layer of one unit, with weights of its own.
#[derive(Debug)]
pub(super) struct UnitLayer {
    graph: Graph,
    input: NodeId,
    output: NodeId,
    /// The row: weights and bias.
    pub parameters: Parameters,
}

impl UnitLayer {
    /// The layer `node` with one unit, for inputs of the shape of a sample.
    pub fn new(gpu: &Gpu, node: &Node, input_shape: &[usize]) -> Result<Self> {
        let mut graph = Graph::new();
        let input = graph.input("input", input_shape);
        let operation = node.operation.as_ref();
        let single = operation.and_then(|operation| operation.with_units(1));
        let single = single.ok_or_else(|| {
            Error::input(
                format!("layer {}", node.name),
                "it has no units with weights of their own",
                "choose a dense or convolutional layer",
            )
        })?;
        let output = graph.add_boxed("unit", single, &[input])?;
        let parameters = Parameters::new(gpu, &graph, 0)?;
        Ok(Self {
            graph,
            input,
            output,
            parameters,
        })
    }

    /// The unit for the samples of `input`, `[samples, places]`, and the dispatches that compute it.
    pub fn forward(&self, gpu: &Gpu, samples: usize, input: &Buffer<f32>) -> Result<Forward> {
        let plan = Plan::request(&self.graph, samples)
            .mode(Mode::Eval)
            .parameter_gradients(false)
            .input(self.input, input)
            .keep_value(self.output)
            .build(gpu, &self.parameters)?;
        Ok(Forward {
            dispatches: plan.dispatches(false).cloned().collect(),
            output: plan.value(self.output).expect("kept").clone(),
        })
    }

    /// How the mean of the unit with these weights of samples and places depends on its input halfway between `ends`, and on
    /// its row.
    pub fn sensitivity(
        &self,
        gpu: &Gpu,
        samples: usize,
        ends: [&Buffer<f32>; 2],
        weights: &[f64],
    ) -> Result<Sensitivity> {
        let middle = gpu.buffer("input halfway", ends[0].len())?;
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        let mean = gpu.upload("weights of a mean", &weights)?;
        let plan = Plan::request(&self.graph, samples)
            .mode(Mode::Eval)
            .input(self.input, &middle)
            .cotangent(self.output, &mean)
            .wrt(self.input)
            .build(gpu, &self.parameters)?;
        let mut dispatches = vec![midpoint(gpu, ends, &middle)];
        dispatches.extend(plan.segment(Segment::Backward, false).cloned());
        Ok(Sensitivity {
            dispatches,
            to_input: plan.gradient(self.input).expect("asked for").clone(),
            to_row: self.parameters.gradients.clone(),
        })
    }
}

/// The unit of a layer as a function of a batch.
#[derive(Debug)]
pub(super) struct Forward {
    pub dispatches: Vec<Dispatch>,
    pub output: Buffer<f32>,
}

/// Derivatives of the mean of a unit.
#[derive(Debug)]
pub(super) struct Sensitivity {
    pub dispatches: Vec<Dispatch>,
    /// With respect to each element of the input; depends on the row alone.
    pub to_input: Buffer<f32>,
    /// With respect to each element of the row; depends on the input alone.
    pub to_row: Buffer<f32>,
}
