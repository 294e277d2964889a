//! A whole graph in float64 on the CPU: what the kernels are held against. Slow, plain, and only for tests.

use super::graph::{Graph, NodeId};
use super::operation::{ReferenceBackward, ReferenceForward};

/// Everything that a step computes.
#[derive(Debug, Clone)]
pub struct ReferenceStep {
    /// For each node `[batch, ...shape]`.
    pub values: Vec<Vec<f64>>,
    /// For each node, where a loss depends on it.
    pub gradients: Vec<Option<Vec<f64>>>,
    /// For each parameter.
    pub parameter_gradients: Vec<Vec<f64>>,
    /// For each parameter its value after the forward pass: state is updated, what is trainable is not.
    pub parameters: Vec<Vec<f64>>,
    /// As [`Graph::scalar_names`].
    pub scalars: Vec<f64>,
}

/// Runs `graph` forward and backward on `inputs` (in the order of the graph's input nodes) with `parameters` (in the
/// graph's order), drawing the noise of (`seed`, `step`).
pub fn step(
    graph: &Graph,
    batch: usize,
    inputs: &[Vec<f64>],
    parameters: &[Vec<f64>],
    seed: u64,
    step: u32,
) -> ReferenceStep {
    let nodes = graph.nodes();
    let pass = Pass {
        graph,
        parameters,
        batch,
        noise: (seed, step),
        training: true,
    };
    let (values, after) = pass.forward(inputs);
    let means: Vec<f64> = graph
        .losses
        .iter()
        .map(|term| values[term.node.0].iter().sum::<f64>() / batch as f64)
        .collect();
    let total = graph
        .losses
        .iter()
        .zip(&means)
        .map(|(term, mean)| f64::from(term.weight) * mean)
        .sum();

    let mut gradients: Vec<Option<Vec<f64>>> = vec![None; nodes.len()];
    for term in &graph.losses {
        let seed_gradient = vec![f64::from(term.weight) / batch as f64; batch];
        add(&mut gradients[term.node.0], seed_gradient);
    }
    let mut parameter_gradients: Vec<Vec<f64>> = graph
        .parameters()
        .iter()
        .map(|p| vec![0.0; p.size()])
        .collect();
    for (index, node) in nodes.iter().enumerate().rev() {
        let (Some(operation), Some(upstream)) = (&node.operation, gradients[index].clone()) else {
            continue;
        };
        let result = operation.reference_backward(&ReferenceBackward {
            forward: pass.io(index, &values),
            output: &values[index],
            output_gradient: &upstream,
        });
        for (place, (NodeId(input), gradient)) in node.inputs.iter().zip(result.inputs).enumerate()
        {
            if operation.differentiable(place) {
                add(&mut gradients[*input], gradient);
            }
        }
        for (&parameter, gradient) in node.parameters.iter().zip(result.parameters) {
            parameter_gradients[parameter] = gradient;
        }
    }
    ReferenceStep {
        values,
        gradients,
        parameter_gradients,
        parameters: after,
        scalars: std::iter::once(total).chain(means).collect(),
    }
}

/// The values of all nodes as in inference: running statistics instead of the batch's, nothing dropped.
pub fn infer(
    graph: &Graph,
    batch: usize,
    inputs: &[Vec<f64>],
    parameters: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let pass = Pass {
        graph,
        parameters,
        batch,
        noise: (0, 0),
        training: false,
    };
    pass.forward(inputs).0
}

struct Pass<'a> {
    graph: &'a Graph,
    parameters: &'a [Vec<f64>],
    batch: usize,
    noise: (u64, u32),
    training: bool,
}

impl<'a> Pass<'a> {
    /// Values of all nodes, and of all parameters afterwards.
    fn forward(&self, inputs: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut values: Vec<Vec<f64>> = Vec::new();
        let mut after = self.parameters.to_vec();
        let mut inputs = inputs.iter();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let value = match &node.operation {
                None => inputs.next().expect("a value for each input node").clone(),
                Some(operation) => {
                    let io = self.io(index, &values);
                    if self.training {
                        let state = operation.reference_buffers(&io);
                        let first = node.parameters.len() - state.len();
                        for (&place, values) in node.parameters[first..].iter().zip(state) {
                            after[place] = values;
                        }
                    }
                    operation.reference_forward(&io)
                }
            };
            assert_eq!(
                value.len(),
                self.batch * node.size(),
                "size of {}",
                node.name
            );
            values.push(value);
        }
        (values, after)
    }

    fn io<'b>(&self, index: usize, values: &'b [Vec<f64>]) -> ReferenceForward<'b>
    where
        'a: 'b,
    {
        let node = &self.graph.nodes()[index];
        let (seed, step) = self.noise;
        ReferenceForward {
            batch: self.batch,
            inputs: node
                .inputs
                .iter()
                .map(|input| values[input.0].as_slice())
                .collect(),
            input_shapes: node
                .inputs
                .iter()
                .map(|&input| self.graph.node(input).shape.as_slice())
                .collect(),
            parameters: node
                .parameters
                .iter()
                .map(|&p| self.parameters[p].as_slice())
                .collect(),
            output_shape: &node.shape,
            noise_key: (seed, step, index),
            training: self.training,
        }
    }
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
