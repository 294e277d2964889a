//! A trained graph in float64, without the noise of training.

use std::ops::Range;

use trainscope::nn::reference::Reference;
use trainscope::nn::{BackwardRule, Graph, Mode, NodeId};
use trainscope::train::Trainer;

/// A graph with the parameters of a trainer, and the input that is varied.
pub struct ExactGraph<'a> {
    pub graph: &'a Graph,
    pub input: NodeId,
    parameters: Vec<Vec<f64>>,
}

impl<'a> ExactGraph<'a> {
    pub fn new(trainer: &Trainer, graph: &'a Graph, input: NodeId) -> Self {
        let tensors = trainer.checkpoint().unwrap().parameters;
        let of = |name: &str| {
            let tensor = tensors.iter().find(|tensor| tensor.name == name).unwrap();
            tensor.values.iter().map(|&value| value.into()).collect()
        };
        let names = graph.parameters().iter();
        Self {
            graph,
            input,
            parameters: names.map(|parameter| of(&parameter.name)).collect(),
        }
    }

    /// The reference implementation for a batch of these rows, and the values of all nodes on it; other inputs are zeros.
    pub fn forward(&self, rows: &[f64], rule: BackwardRule) -> (Reference<'_>, Vec<Vec<f64>>) {
        let batch = rows.len() / self.graph.node(self.input).size();
        let reference = Reference {
            graph: self.graph,
            batch,
            mode: Mode::Eval,
            parameters: &self.parameters,
            noise: (0, 0),
            rule,
        };
        let nodes = self.graph.ids().zip(self.graph.nodes());
        let inputs: Vec<Vec<f64>> = nodes
            .filter(|(_, node)| node.operation.is_none())
            .map(|(id, node)| match id == self.input {
                true => rows.to_vec(),
                false => vec![0.0; batch * node.size()],
            })
            .collect();
        let values = reference.forward(&inputs).values;
        (reference, values)
    }

    /// A layer, and the elements of a unit in its output for one sample: one, or a channel.
    pub fn elements(&self, layer: &str, unit: usize) -> (NodeId, Range<usize>) {
        let id = self.graph.find(layer).unwrap();
        let positions = match self.graph.node(id).shape[..] {
            [_, height, width] => height * width,
            _ => 1,
        };
        (id, unit * positions..(unit + 1) * positions)
    }
}
