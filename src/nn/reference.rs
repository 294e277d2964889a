//! A whole graph in float64 on the CPU: what the kernels are held against. Slow, plain, and only for tests.

use super::graph::{Graph, NodeId};
use super::loss::Loss;
use super::operation::{
    Operation, ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation,
};
use super::{BackwardRule, Mode, Propagation};

/// Differences of an input below this share of its magnitude say nothing about the slope.
const MIN_DIFFERENCE: f64 = 1e-6;

/// Runs a graph in float64. Its methods panic where an operation has no [`ReferenceOperation`].
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Samples in a batch.
    pub batch: usize,
    /// What the forward pass is for.
    pub mode: Mode,
    /// Values of all parameters and states, in the order of [`Graph::parameters`].
    pub parameters: &'a [Vec<f64>],
    /// Seed and step of the noise.
    pub noise: (u64, u32),
    /// What the backward pass propagates.
    pub rule: BackwardRule,
}

/// What a forward pass computes.
#[derive(Debug, Clone)]
pub struct ReferenceValues {
    /// For each node `[batch, ...shape]`.
    pub values: Vec<Vec<f64>>,
    /// For each parameter its value afterwards: in training state is updated, what is trainable is not.
    pub parameters: Vec<Vec<f64>>,
}

/// What a backward pass computes.
#[derive(Debug, Clone)]
pub struct ReferenceGradientsOf {
    /// For each node, where a cotangent depends on it.
    pub nodes: Vec<Option<Vec<f64>>>,
    /// For each parameter.
    pub parameters: Vec<Vec<f64>>,
}

/// Everything that a step computes.
#[derive(Debug, Clone)]
pub struct ReferenceStep {
    /// For each node `[batch, ...shape]`.
    pub values: Vec<Vec<f64>>,
    /// For each node, where a loss depends on it.
    pub gradients: Vec<Option<Vec<f64>>>,
    /// For each parameter.
    pub parameter_gradients: Vec<Vec<f64>>,
    /// For each parameter its value after the forward pass: in training state is updated, what is trainable is not.
    pub parameters: Vec<Vec<f64>>,
    /// The loss and its terms, in the order of [`Loss::scalar_names`].
    pub scalars: Vec<f64>,
}

impl Reference<'_> {
    /// Runs the graph forward and backward on `inputs`, in the order of the graph's input nodes.
    pub fn step(&self, loss: &Loss, inputs: &[Vec<f64>]) -> ReferenceStep {
        let ReferenceValues { values, parameters } = self.forward(inputs);
        let scalars = self.scalars(loss, &values);
        let mut cotangents: Vec<Option<Vec<f64>>> = vec![None; self.graph.nodes().len()];
        for term in loss.terms() {
            let gradient = vec![f64::from(term.weight) / self.batch as f64; self.batch];
            add(&mut cotangents[term.node.0], gradient);
        }
        let gradients = self.backward(&values, cotangents);
        ReferenceStep {
            values,
            gradients: gradients.nodes,
            parameter_gradients: gradients.parameters,
            parameters,
            scalars,
        }
    }

    /// The loss and its terms from the values of all nodes.
    pub fn scalars(&self, loss: &Loss, values: &[Vec<f64>]) -> Vec<f64> {
        let mean = |node: NodeId| values[node.0].iter().sum::<f64>() / self.batch as f64;
        let means: Vec<f64> = loss.terms().iter().map(|term| mean(term.node)).collect();
        let weighted = loss.terms().iter().zip(&means);
        let total = weighted
            .map(|(term, mean)| f64::from(term.weight) * mean)
            .sum();
        std::iter::once(total).chain(means).collect()
    }

    /// Values of all nodes from `inputs`, in the order of the graph's input nodes.
    pub fn forward(&self, inputs: &[Vec<f64>]) -> ReferenceValues {
        let mut values: Vec<Vec<f64>> = Vec::new();
        let mut parameters = self.parameters.to_vec();
        let mut inputs = inputs.iter();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let value = match &node.operation {
                None => inputs.next().expect("a value for each input node").clone(),
                Some(operation) => {
                    let io = self.io(index, &values);
                    let reference = reference(operation.as_ref());
                    if self.mode.updates_state() {
                        let state = reference.reference_buffers(&io);
                        let first = node.parameters.len() - state.len();
                        for (&parameter, values) in node.parameters[first..].iter().zip(state) {
                            parameters[parameter] = values;
                        }
                    }
                    reference.reference_forward(&io)
                }
            };
            let size = self.batch * node.size();
            assert_eq!(value.len(), size, "size of {}", node.name);
            values.push(value);
        }
        ReferenceValues { values, parameters }
    }

    /// Gradients of all nodes and parameters from the values of all nodes and the cotangents of some.
    pub fn backward(
        &self,
        values: &[Vec<f64>],
        cotangents: Vec<Option<Vec<f64>>>,
    ) -> ReferenceGradientsOf {
        let mut gradients = cotangents;
        let mut parameter_gradients: Vec<Vec<f64>> = self
            .graph
            .parameters()
            .iter()
            .map(|parameter| vec![0.0; parameter.size()])
            .collect();
        for (index, node) in self.graph.nodes().iter().enumerate().rev() {
            let (Some(operation), Some(upstream)) = (&node.operation, gradients[index].clone())
            else {
                continue;
            };
            let result = self.operation_backward(index, operation.as_ref(), values, &upstream);
            let inputs = node.inputs.iter().zip(result.inputs).enumerate();
            for (position, (NodeId(input), gradient)) in inputs {
                if operation.differentiable(position) {
                    add(&mut gradients[*input], gradient);
                }
            }
            for (&parameter, gradient) in node.parameters.iter().zip(result.parameters) {
                parameter_gradients[parameter] = gradient;
            }
        }
        ReferenceGradientsOf {
            nodes: gradients,
            parameters: parameter_gradients,
        }
    }

    /// The forward pass of one operation.
    pub(crate) fn operation_forward(&self, index: usize, values: &[Vec<f64>]) -> Vec<f64> {
        let operation = self.graph.nodes()[index].operation.as_deref();
        let operation = operation.expect("inputs are not computed");
        reference(operation).reference_forward(&self.io(index, values))
    }

    /// The backward pass of one operation under the rule.
    pub(crate) fn operation_backward(
        &self,
        index: usize,
        operation: &dyn Operation,
        values: &[Vec<f64>],
        upstream: &[f64],
    ) -> ReferenceGradients {
        let backward = |output_gradient: &[f64]| {
            reference(operation).reference_backward(&ReferenceBackward {
                forward: self.io(index, values),
                output: &values[index],
                output_gradient,
                rule: self.rule,
            })
        };
        let node = &self.graph.nodes()[index];
        let y = &values[index];
        match (self.rule, operation.propagation(self.mode)) {
            (BackwardRule::Rescale, Some(Propagation::Elementwise)) => {
                let mut gradients = backward(upstream);
                let x = &values[node.inputs[0].0];
                for (i, gradient) in gradients.inputs[0].iter_mut().enumerate() {
                    let other = (i + x.len() / 2) % x.len();
                    let difference = x[i] - x[other];
                    if difference.abs() > MIN_DIFFERENCE * (x[i].abs() + x[other].abs()) {
                        *gradient = (y[i] - y[other]) / difference * upstream[i];
                    }
                }
                gradients
            }
            (BackwardRule::Epsilon { .. }, Some(Propagation::Elementwise)) => ReferenceGradients {
                inputs: vec![upstream.to_vec()],
                parameters: Vec::new(),
            },
            (BackwardRule::Epsilon { epsilon }, Some(Propagation::Affine)) => {
                let epsilon = f64::from(epsilon);
                let outputs = upstream.iter().zip(y);
                let quotients: Vec<f64> = outputs
                    .map(|(relevance, y)| {
                        relevance / (y + if *y < 0.0 { -epsilon } else { epsilon })
                    })
                    .collect();
                let mut gradients = backward(&quotients);
                for (gradient, input) in gradients.inputs.iter_mut().zip(&node.inputs) {
                    let x = &values[input.0];
                    gradient
                        .iter_mut()
                        .zip(x)
                        .for_each(|(gradient, x)| *gradient *= x);
                }
                gradients
            }
            _ => backward(upstream),
        }
    }

    fn io<'b>(&'b self, index: usize, values: &'b [Vec<f64>]) -> ReferenceForward<'b> {
        let node = &self.graph.nodes()[index];
        let (seed, step) = self.noise;
        ReferenceForward {
            batch: self.batch,
            inputs: node
                .inputs
                .iter()
                .map(|input| values[input.0].as_slice())
                .collect(),
            input_shapes: self.graph.shapes(&node.inputs),
            parameters: node
                .parameters
                .iter()
                .map(|&parameter| self.parameters[parameter].as_slice())
                .collect(),
            output_shape: &node.shape,
            noise_key: (seed, step, index),
            mode: self.mode,
        }
    }
}

fn reference(operation: &dyn Operation) -> &dyn ReferenceOperation {
    let reference = operation.reference();
    reference.unwrap_or_else(|| panic!("{} has no float64 reference", operation.kind()))
}

fn add(sum: &mut Option<Vec<f64>>, term: Vec<f64>) {
    match sum {
        None => *sum = Some(term),
        Some(sum) => sum
            .iter_mut()
            .zip(term)
            .for_each(|(sum, term)| *sum += term),
    }
}
