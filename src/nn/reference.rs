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
    let mut values: Vec<Vec<f64>> = Vec::with_capacity(nodes.len());
    let mut inputs = inputs.iter();
    for (index, node) in nodes.iter().enumerate() {
        let value = match &node.operation {
            None => inputs.next().expect("a value for each input node").clone(),
            Some(operation) => {
                let forward = forward_of(graph, index, &values, parameters, batch, (seed, step));
                operation.reference_forward(&forward)
            }
        };
        assert_eq!(value.len(), batch * node.size(), "size of {}", node.name);
        values.push(value);
    }
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
            forward: forward_of(graph, index, &values, parameters, batch, (seed, step)),
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
        scalars: std::iter::once(total).chain(means).collect(),
    }
}

fn forward_of<'a>(
    graph: &'a Graph,
    index: usize,
    values: &'a [Vec<f64>],
    parameters: &'a [Vec<f64>],
    batch: usize,
    (seed, step): (u64, u32),
) -> ReferenceForward<'a> {
    let node = &graph.nodes()[index];
    ReferenceForward {
        batch,
        inputs: node
            .inputs
            .iter()
            .map(|input| values[input.0].as_slice())
            .collect(),
        input_shapes: node
            .inputs
            .iter()
            .map(|&input| graph.node(input).shape.as_slice())
            .collect(),
        parameters: node
            .parameters
            .iter()
            .map(|&p| parameters[p].as_slice())
            .collect(),
        output_shape: &node.shape,
        noise_key: (seed, step, index),
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
