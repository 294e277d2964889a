//! Where the gradient of a layer comes from: the graph, cut at the outputs of all layers with weights.

use std::collections::BTreeSet;

use crate::nn::{Graph, Node, NodeId, Pass, Property};

/// Whether a node is a layer with weights, which cuts the graph: a dense layer or a convolution.
pub(super) fn has_weights(node: &Node) -> bool {
    let operation = node.operation.as_ref();
    operation.is_some_and(|operation| operation.with_units(1).is_some())
}

/// Whether the weights of a node are divided by their largest singular value.
pub(super) fn has_spectral_norm(node: &Node) -> bool {
    let operation = node.operation.as_ref();
    operation.is_some_and(|operation| operation.properties().contains(&Property::SpectralNorm))
}

/// Units of a node and places of each: channels and their pixels, else elements.
pub(super) fn units_of(node: &Node) -> [usize; 2] {
    match node.shape[..] {
        [channels, height, width] => [channels, height * width],
        _ => [node.size(), 1],
    }
}

/// What lies between a layer and the next layers with weights on every path, or the loss.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// The layer whose output is explained.
    pub layer: NodeId,
    /// What enters it.
    pub input: NodeId,
    /// Nodes between, in order.
    pub between: Vec<NodeId>,
    /// The next layers with weights, in order.
    pub successors: Vec<NodeId>,
    /// Terms of the loss that a path reaches, with their weights.
    pub losses: Vec<(NodeId, f32)>,
    /// Nodes outside whose values those between and the terms read; the layer is one of them.
    pub boundary: Vec<NodeId>,
}

impl Cut {
    /// The cut behind `layer`.
    pub fn new(pass: &Pass<'_>, layer: NodeId) -> Self {
        let graph = pass.graph;
        let weight = |id: NodeId| {
            let terms = pass.loss.terms().iter().filter(|term| term.node == id);
            terms.map(|term| term.weight).sum::<f32>()
        };
        let counts = reaches_loss(graph, &|id| weight(id) != 0.0);
        let mut cut = Self {
            layer,
            input: graph.node(layer).inputs[0],
            between: Vec::new(),
            successors: Vec::new(),
            losses: Vec::new(),
            boundary: Vec::new(),
        };
        let mut changes = BTreeSet::from([layer]);
        let mut read = BTreeSet::from([layer]);
        for id in graph.ids().filter(|id| id.index() > layer.index()) {
            let node = graph.node(id);
            let Some(operation) = &node.operation else {
                continue;
            };
            let mut inputs = node.inputs.iter().enumerate();
            let is_reached = inputs
                .any(|(place, input)| operation.differentiable(place) && changes.contains(input));
            if !is_reached || !counts[id.index()] {
                continue;
            }
            if has_weights(node) {
                cut.successors.push(id);
                continue;
            }
            read.extend(&node.inputs);
            if weight(id) == 0.0 {
                cut.between.push(id);
                changes.insert(id);
            } else {
                cut.losses.push((id, weight(id)));
            }
        }
        let outside = read.into_iter().filter(|id| !cut.between.contains(id));
        cut.boundary = outside.collect();
        cut
    }
}

/// What lies between some tensors and the layers with weights before them, on every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Nodes between, the last one first.
    pub between: Vec<NodeId>,
    /// The layers, the last one first.
    pub layers: Vec<NodeId>,
}

impl Stretch {
    /// The stretches of so many hops back from a layer: the first before its input, each other one before the inputs of
    /// the layers that the one before has come to. There are fewer where the data are reached on all paths.
    pub fn of_hops(graph: &Graph, layer: NodeId, hops: usize) -> Vec<Self> {
        let mut stretches: Vec<Self> = Vec::new();
        let mut ends = vec![layer];
        for _ in 0..hops {
            let inputs = ends.iter().map(|&end| graph.node(end).inputs[0]);
            let stretch = Self::before(graph, inputs.collect());
            if stretch.layers.is_empty() {
                break;
            }
            ends.clone_from(&stretch.layers);
            stretches.push(stretch);
        }
        stretches
    }

    /// All nodes whose values are read on the way back.
    pub fn reads(&self, graph: &Graph) -> BTreeSet<NodeId> {
        let own = self.between.iter().chain(&self.layers).copied();
        let nodes = own
            .clone()
            .chain(own.flat_map(|id| graph.node(id).inputs.clone()));
        nodes.collect()
    }

    fn before(graph: &Graph, tensors: BTreeSet<NodeId>) -> Self {
        let mut reached = tensors;
        let mut stretch = Self {
            between: Vec::new(),
            layers: Vec::new(),
        };
        while let Some(id) = reached.pop_last() {
            let node = graph.node(id);
            let Some(operation) = &node.operation else {
                continue;
            };
            if has_weights(node) {
                stretch.layers.push(id);
                continue;
            }
            stretch.between.push(id);
            let inputs = node.inputs.iter().enumerate();
            let inputs = inputs.filter(|&(place, _)| operation.differentiable(place));
            reached.extend(inputs.map(|(_, input)| input));
        }
        stretch
    }
}

/// For each node, whether the loss depends on it.
fn reaches_loss(graph: &Graph, is_term: &dyn Fn(NodeId) -> bool) -> Vec<bool> {
    let ids: Vec<NodeId> = graph.ids().collect();
    let mut reaches: Vec<bool> = ids.iter().map(|&id| is_term(id)).collect();
    for &id in ids.iter().rev() {
        let node = graph.node(id);
        if let (true, Some(operation)) = (reaches[id.index()], &node.operation) {
            for (place, input) in node.inputs.iter().enumerate() {
                reaches[input.index()] |= operation.differentiable(place);
            }
        }
    }
    reaches
}

/// A unit of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Source {
    /// The node, as its index in the graph.
    pub node: usize,
    pub unit: usize,
}

/// For each unit of what enters a layer, the unit that it is made of: operations that only move elements (reshapes,
/// concatenations, slices) are looked through as long as all places of the unit come from one.
pub(super) fn sources(graph: &Graph, input: NodeId) -> Vec<Source> {
    let [units, places] = units_of(graph.node(input));
    let of_elements = sources_of_elements(graph, input);
    (0..units)
        .map(|unit| {
            let own = &of_elements[unit * places..][..places];
            if own.iter().all(|source| *source == own[0]) {
                own[0].clone()
            } else {
                Source {
                    node: input.index(),
                    unit,
                }
            }
        })
        .collect()
}

fn sources_of_elements(graph: &Graph, id: NodeId) -> Vec<Source> {
    let node = graph.node(id);
    let operation = node.operation.as_ref();
    match operation.and_then(|operation| operation.origins(&graph.shapes(&node.inputs))) {
        Some(origins) => {
            let inputs = node.inputs.iter();
            let inputs: Vec<Vec<Source>> = inputs
                .map(|&input| sources_of_elements(graph, input))
                .collect();
            let origins = origins.into_iter();
            origins
                .map(|[input, element]| inputs[input][element].clone())
                .collect()
        }
        None => {
            let [_, places] = units_of(node);
            let own = |element: usize| Source {
                node: id.index(),
                unit: element / places,
            };
            (0..node.size()).map(own).collect()
        }
    }
}
