//! A layer with weights as it multiplies its input: with the weights that a spectral norm makes of its own, where it has one.

use super::row::Row;
use super::walk::backward;
use crate::credit::cut::{has_spectral_norm, units_of};
use crate::nn::spectral_norm::{self, SpectralNorm};
use crate::nn::{Graph, Mode, Node, Operation, ReferenceForward, ReferenceGradients};

/// A layer with weights that are used as they are.
#[derive(Debug)]
pub(super) struct PlainLayer<'a> {
    graph: &'a Graph,
    node: &'a Node,
    operation: Box<dyn Operation>,
    norm: Option<SpectralNorm>,
}

impl<'a> PlainLayer<'a> {
    pub fn new(graph: &'a Graph, node: &'a Node) -> Self {
        let operation = node.operation.as_ref().expect("a layer has an operation");
        let [units, _] = units_of(node);
        let weight = &graph.parameters()[node.parameters[0]];
        Self {
            graph,
            node,
            norm: has_spectral_norm(node).then(|| SpectralNorm {
                rows: units,
                columns: weight.size() / units,
            }),
            operation: operation.with_units(units).expect("a layer with weights"),
        }
    }

    /// What a spectral norm makes of the weights; in training after a step of its power iteration.
    pub fn normed(&self, all: &[Vec<f64>], training: bool) -> Option<spectral_norm::Reference> {
        let norm = self.norm?;
        let [weight, u, v] = [0, 2, 3].map(|which| &all[self.node.parameters[which]]);
        Some(norm.reference(weight, u, v, training))
    }

    /// What multiplies the input in evaluation, and the bias.
    pub fn weights(&self, all: &[Vec<f64>]) -> [Vec<f64>; 2] {
        let [weight, bias] = [0, 1].map(|which| all[self.node.parameters[which]].clone());
        match self.normed(all, false) {
            Some(normed) => [normed.scaled, bias],
            None => [weight, bias],
        }
    }

    /// Turns how the unit depends on weights as they are used into how it depends on the parameters of a row, and returns what
    /// the change of the singular value did.
    pub fn to_parameters(&self, row: &Row, ends: [&[Vec<f64>]; 2], sensitivity: &mut [f64]) -> f64 {
        let scales = ends.map(|all| self.normed(all, false).map(|normed| 1.0 / normed.sigma));
        let [Some(before), Some(after)] = scales else {
            return 0.0;
        };
        let [start, end] = ends.map(|all| &all[self.node.parameters[0]]);
        let mut moved = 0.0;
        for (sensitivity, &at) in sensitivity.iter_mut().zip(&row.weights) {
            moved += *sensitivity * 0.5 * (start[at] + end[at]) * (after - before);
            *sensitivity *= 0.5 * (before + after);
        }
        moved
    }

    /// The gradients of the input and of the weights as they are used.
    pub fn backward(
        &self,
        batch: usize,
        [weight, bias]: [&[f64]; 2],
        input: &[f64],
        upstream: &[f64],
    ) -> ReferenceGradients {
        let input_shape = &self.graph.node(self.node.inputs[0]).shape;
        let forward = ReferenceForward {
            batch,
            inputs: vec![input],
            input_shapes: vec![input_shape],
            parameters: vec![weight, bias],
            output_shape: &self.node.shape,
            noise_key: (0, 0, 0),
            mode: Mode::Eval,
        };
        backward(&*self.operation, &forward, &[], upstream)
    }
}
