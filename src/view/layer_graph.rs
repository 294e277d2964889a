//! A model as a data-flow graph: which nodes there are, in which groups, and what flows from which to which.
//!
//! Layers whose names begin alike (`encoder.0`, `encoder.1`) are a group, which can be collapsed into one node.

use std::collections::{BTreeMap, BTreeSet};

use glam::vec2;

use super::geometry::Rect;
use super::graph_layout::{GraphLayout, GraphNode};
use super::unit_squares;
use crate::Result;
use crate::tensor::TensorKind;
use crate::trace::ModelDescription;

/// Size of a node in points: a title, a line about it, and a chart.
pub const NODE_SIZE: [f32; 2] = [124.0, 96.0];
/// Height of the title and of the line below it, in points.
pub(super) const HEADER: f32 = 34.0;

/// A node: a layer, or a collapsed group of layers.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNode {
    /// What it is called: the layer's name, or that of the group.
    pub name: String,
    /// The kind and shape of the layer, or how many layers the group has.
    pub detail: String,
    /// The tensors of its activations and gradients, in the order of computation.
    pub tensors: Vec<String>,
    /// Its parameters.
    pub parameters: Vec<String>,
    /// The group that it is in, or that it is where that is collapsed.
    pub group: Option<usize>,
    /// Whether it is a collapsed group.
    pub is_collapsed: bool,
}

impl LayerNode {
    /// Whether a recorded tensor is one of its own.
    pub fn has(&self, tensor: &str) -> bool {
        let is_it = |own: &String| own == tensor;
        self.tensors.iter().any(is_it) || self.parameters.iter().any(is_it)
    }

    /// The tensor of its values, where it is a layer and not a group.
    pub fn layer(&self) -> Option<&str> {
        let tensor = self.tensors.first().filter(|_| !self.is_collapsed);
        tensor.map(String::as_str)
    }

    fn height(&self, squares: &BTreeMap<String, usize>) -> f32 {
        let squares = self.layer().and_then(|layer| squares.get(layer));
        match squares {
            Some(count) => unit_squares::height(HEADER, *count).max(NODE_SIZE[1]),
            None => NODE_SIZE[1],
        }
    }

    /// The tensors of its values of a kind: those of its layers, or its parameters.
    pub fn tensors_of(&self, kind: TensorKind) -> &[String] {
        match kind {
            TensorKind::Activation | TensorKind::Gradient => &self.tensors,
            TensorKind::Weight | TensorKind::Update => &self.parameters,
        }
    }
}

/// Layers that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerGroup {
    /// What tells it from all others: its graph and its name.
    pub key: String,
    /// What it is called.
    pub name: String,
}

/// A model's graph, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGraph {
    /// In the order of computation.
    pub nodes: Vec<LayerNode>,
    /// In the order in which they begin.
    pub groups: Vec<LayerGroup>,
    /// From which node to which values flow.
    pub edges: Vec<(usize, usize)>,
    /// Where everything is.
    pub layout: GraphLayout,
}

impl LayerGraph {
    /// The graph of a model, where groups with these keys are collapsed.
    ///
    /// # Errors
    /// As [`GraphLayout::new`].
    pub fn new(model: &ModelDescription, collapsed: &BTreeSet<String>) -> Result<Self> {
        Self::expanded(model, collapsed, &BTreeMap::new())
    }

    /// As [`LayerGraph::new`], with room for so many squares in the nodes of some tensors.
    ///
    /// # Errors
    /// As [`GraphLayout::new`].
    pub fn expanded(
        model: &ModelDescription,
        collapsed: &BTreeSet<String>,
        squares: &BTreeMap<String, usize>,
    ) -> Result<Self> {
        let mut graph = Self {
            nodes: Vec::new(),
            groups: Vec::new(),
            edges: Vec::new(),
            layout: GraphLayout::default(),
        };
        let sizes = group_sizes(model);
        for (number, description) in model.graphs.iter().enumerate() {
            // The node of each layer of this graph.
            let mut of_layer: BTreeMap<&str, usize> = BTreeMap::new();
            for layer in &description.layers {
                let group = group_of(&layer.name).and_then(|name| {
                    let key = group_key(number, name);
                    let is_group = sizes.get(&key).is_some_and(|layers| *layers > 1);
                    is_group.then(|| graph.group(key, name))
                });
                let is_collapsed =
                    group.is_some_and(|group| collapsed.contains(&graph.groups[group].key));
                let node = graph.node_of(group, is_collapsed, layer);
                let tensor = format!("{}{}", layer.name, description.suffix);
                graph.nodes[node].tensors.push(tensor);
                let parameters = layer.parameters.iter().chain(&layer.state);
                let parameters = parameters.map(|parameter| parameter.name.clone());
                graph.nodes[node].parameters.extend(parameters);
                of_layer.insert(&layer.name, node);
                let inputs = layer.inputs.iter();
                for from in inputs.filter_map(|input| of_layer.get(input.as_str())) {
                    let edge = (*from, node);
                    if *from != node && !graph.edges.contains(&edge) {
                        graph.edges.push(edge);
                    }
                }
            }
        }
        for node in graph.nodes.iter_mut().filter(|node| node.is_collapsed) {
            node.detail = format!("{} layers", node.tensors.len());
        }
        let nodes: Vec<GraphNode> = graph
            .nodes
            .iter()
            .map(|node| GraphNode {
                size: vec2(NODE_SIZE[0], node.height(squares)),
                group: node.group.filter(|_| !node.is_collapsed),
            })
            .collect();
        graph.layout = GraphLayout::new(&nodes, graph.groups.len(), &graph.edges)?;
        Ok(graph)
    }

    /// Where a square of a node is, in points.
    pub fn square(&self, node: usize, index: usize) -> Rect {
        unit_squares::square(self.layout.nodes[node], HEADER, index, 1.0)
    }

    /// The keys of all groups of a model.
    pub fn group_keys(model: &ModelDescription) -> BTreeSet<String> {
        let sizes = group_sizes(model).into_iter();
        sizes
            .filter(|(_, layers)| *layers > 1)
            .map(|(key, _)| key)
            .collect()
    }

    /// The node that a recorded tensor belongs to.
    pub fn node_with(&self, tensor: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.has(tensor))
    }

    /// The edges on all ways from one node to another.
    pub fn edges_between(&self, from: usize, to: usize) -> Vec<usize> {
        let behind = self.reached(from, |(from, to)| (from, to));
        let before = self.reached(to, |(from, to)| (to, from));
        let is_between = |(from, to): &(usize, usize)| behind[*from] && before[*to];
        let edges = self.edges.iter().enumerate();
        edges
            .filter(|(_, edge)| is_between(edge))
            .map(|(number, _)| number)
            .collect()
    }

    /// For each node whether it is `start` or reached from it along edges in a direction.
    fn reached(
        &self,
        start: usize,
        direction: impl Fn((usize, usize)) -> (usize, usize),
    ) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                let next = self.edges.iter().map(|edge| direction(*edge));
                open.extend(next.filter(|(from, _)| *from == at).map(|(_, to)| to));
            }
        }
        reached
    }

    /// A node and all that flows into it or out of it, ascending.
    pub fn path_of(&self, node: usize) -> Vec<usize> {
        let behind = self.reached(node, |(from, to)| (from, to));
        let before = self.reached(node, |(from, to)| (to, from));
        (0..self.nodes.len())
            .filter(|other| behind[*other] || before[*other])
            .collect()
    }

    fn group(&mut self, key: String, name: &str) -> usize {
        let known = self.groups.iter().position(|group| group.key == key);
        known.unwrap_or_else(|| {
            let name = name.to_owned();
            self.groups.push(LayerGroup { key, name });
            self.groups.len() - 1
        })
    }

    /// The node of a layer: its own, or that of its collapsed group.
    fn node_of(
        &mut self,
        group: Option<usize>,
        is_collapsed: bool,
        layer: &crate::nn::LayerDescription,
    ) -> usize {
        let is_it = |node: &LayerNode| node.is_collapsed && node.group == group;
        if is_collapsed && let Some(known) = self.nodes.iter().position(is_it) {
            return known;
        }
        let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
        let name = match group {
            Some(group) if is_collapsed => self.groups[group].name.clone(),
            _ => layer.name.clone(),
        };
        self.nodes.push(LayerNode {
            name,
            detail: format!("{} {}", layer.kind.replace('_', " "), shape.join("×"))
                .trim_end()
                .to_owned(),
            tensors: Vec::new(),
            parameters: Vec::new(),
            group,
            is_collapsed,
        });
        self.nodes.len() - 1
    }
}

/// What stands before the first dot of a name.
fn group_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(group, _)| group)
}

fn group_key(graph: usize, name: &str) -> String {
    format!("{graph}/{name}")
}

/// How many layers each group has.
fn group_sizes(model: &ModelDescription) -> BTreeMap<String, usize> {
    let mut sizes = BTreeMap::new();
    for (number, graph) in model.graphs.iter().enumerate() {
        for name in graph
            .layers
            .iter()
            .filter_map(|layer| group_of(&layer.name))
        {
            *sizes.entry(group_key(number, name)).or_insert(0) += 1;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{GraphDescription, LayerDescription, ParameterDescription};

    fn layer(name: &str, inputs: &[&str]) -> LayerDescription {
        LayerDescription {
            name: name.to_owned(),
            kind: "dense".to_owned(),
            shape: vec![4, 2],
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            parameters: vec![ParameterDescription {
                name: format!("{name}.weight"),
                shape: vec![4],
            }],
            frozen: false,
            state: Vec::new(),
            properties: Vec::new(),
            range: crate::nn::ValueRange::default(),
            role: None,
        }
    }

    fn model() -> ModelDescription {
        let graph = |suffix: &str| GraphDescription {
            name: "vae".to_owned(),
            suffix: suffix.to_owned(),
            layers: vec![
                layer("x", &[]),
                layer("encoder.0", &["x"]),
                layer("encoder.1", &["encoder.0"]),
                layer("mu", &["encoder.1"]),
                layer("logvar", &["encoder.1"]),
                layer("decoder.0", &["mu", "logvar"]),
            ],
            losses: Vec::new(),
        };
        ModelDescription {
            graphs: vec![graph(""), graph("@generator")],
        }
    }

    #[test]
    fn groups_collapse_into_one_node_with_the_edges_of_all() {
        let open = LayerGraph::new(&model(), &BTreeSet::new()).unwrap();
        assert_eq!((open.nodes.len(), open.edges.len()), (12, 12));
        // A group of one layer is none.
        let names: Vec<&str> = open.groups.iter().map(|group| &*group.name).collect();
        assert_eq!(names, ["encoder", "encoder"]);
        assert_eq!(open.nodes[1].detail, "dense 4×2");
        let node = open.node_with("encoder.1@generator").unwrap();
        assert_eq!(open.nodes[node].group, Some(1));

        let collapsed = BTreeSet::from([open.groups[0].key.clone()]);
        let graph = LayerGraph::new(&model(), &collapsed).unwrap();
        assert_eq!(graph.nodes.len(), 11);
        let node = &graph.nodes[graph.node_with("encoder.1").unwrap()];
        assert_eq!((&*node.name, &*node.detail), ("encoder", "2 layers"));
        assert_eq!(
            node.tensors_of(TensorKind::Update),
            ["encoder.0.weight", "encoder.1.weight"]
        );
        assert!(graph.edges.contains(&(0, 1)) && graph.edges.contains(&(1, 2)));
    }

    #[test]
    fn ways_through_the_graph_are_found() {
        let graph = LayerGraph::new(&model(), &BTreeSet::new()).unwrap();
        let ends = |edges: Vec<usize>| -> Vec<(usize, usize)> {
            edges.into_iter().map(|edge| graph.edges[edge]).collect()
        };
        // encoder.1 to decoder.0, by mu and by logvar.
        let between = ends(graph.edges_between(2, 5));
        assert_eq!(between, [(2, 3), (2, 4), (3, 5), (4, 5)]);
        assert!(graph.edges_between(3, 4).is_empty());
        assert_eq!(graph.path_of(3), [0, 1, 2, 3, 5]);
    }
}
