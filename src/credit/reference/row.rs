//! Rows of weights within the weight and the bias of their layer.

use crate::nn::{Graph, NodeId, Property};

/// Where rows of weights lie within the weight and the bias of their layer.
#[derive(Debug)]
pub(super) struct Row {
    pub layer: NodeId,
    pub weights: Vec<usize>,
    pub units: Vec<usize>,
}

impl Row {
    /// The row of one unit of the layer `id`.
    pub fn of_unit(graph: &Graph, id: NodeId, unit: usize) -> Self {
        let node = graph.node(id);
        let shape = &graph.parameters()[node.parameters[0]].shape;
        let is_transposed = node
            .operation
            .as_ref()
            .is_some_and(|operation| operation.properties().contains(&Property::TransposedWeight));
        let weights = if is_transposed {
            let area: usize = shape[2..].iter().product();
            let of_input = |input: usize| {
                ((input * shape[1] + unit) * area)..((input * shape[1] + unit + 1) * area)
            };
            (0..shape[0]).flat_map(of_input).collect()
        } else {
            let len: usize = shape[1..].iter().product();
            (unit * len..(unit + 1) * len).collect()
        };
        Self {
            layer: id,
            weights,
            units: vec![unit],
        }
    }

    /// All weights of the layer `id`.
    pub fn whole(graph: &Graph, id: NodeId) -> Self {
        let [weight, bias] = [0, 1].map(|which| {
            let index = graph.node(id).parameters[which];
            (0..graph.parameters()[index].size()).collect()
        });
        Self {
            layer: id,
            weights: weight,
            units: bias,
        }
    }

    pub fn len(&self) -> usize {
        self.weights.len() + self.units.len()
    }

    /// Weight and bias of the layer among all parameters.
    pub fn parameters(&self, graph: &Graph) -> [usize; 2] {
        let parameters = &graph.node(self.layer).parameters;
        [parameters[0], parameters[1]]
    }

    /// The rows of a weight and a bias.
    pub fn within(&self, weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let weights = self.weights.iter().map(|&at| weight[at]);
        let biases = self.units.iter().map(|&unit| bias[unit]);
        weights.chain(biases).collect()
    }

    pub fn of(&self, graph: &Graph, all: &[Vec<f64>]) -> Vec<f64> {
        let [weight, bias] = self.parameters(graph);
        self.within(&all[weight], &all[bias])
    }

    pub fn of_trainable(&self, graph: &Graph, all: &[Vec<f64>]) -> Vec<f64> {
        let of = |parameter| place_among_trainable(graph, parameter);
        let [weight, bias] = self.parameters(graph).map(of);
        self.within(&all[weight], &all[bias])
    }
}

pub(super) fn place_among_trainable(graph: &Graph, parameter: usize) -> usize {
    let before = graph.parameters()[..parameter].iter();
    before.filter(|parameter| parameter.trainable).count()
}
