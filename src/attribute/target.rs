//! What is attributed to what: a unit of a layer, the input of its graph, and what samples are compared with.

use super::Baseline;
use crate::nn::{Graph, NodeId, Parameters};
use crate::train::{ProbeBatch, ProbedGraph, Trainer};
use crate::{Error, Result};

/// Layers that a message names at most.
const NAMED: usize = 60;

/// A unit and the graph in which it depends on an input.
pub(super) struct Target<'a> {
    pub graph: ProbedGraph<'a>,
    pub parameters: Parameters,
    pub layer: NodeId,
    pub unit: usize,
}

impl<'a> Target<'a> {
    /// The unit of a layer. Of a GAN, the discriminator is looked at on real images and the generator from its latent
    /// vector on.
    pub fn find(trainer: &'a Trainer, layer: &str, unit: usize) -> Result<Self> {
        let (graph, node) = find_layer(trainer, &format!("--layer {layer}"), layer)?;
        let units = units(&graph.node(node).shape);
        if unit >= units {
            return Err(Error::usage(
                format!("--unit {unit}"),
                format!("{layer} has {units} units"),
                format!("choose one from 0 to {}", units - 1),
            ));
        }
        Ok(Self {
            parameters: trainer.parameters_of_all(),
            graph,
            layer: node,
            unit,
        })
    }

    pub fn input_name(&self) -> String {
        self.graph.node(self.graph.input).name.clone()
    }

    pub fn input_shape(&self) -> &[usize] {
        &self.graph.node(self.graph.input).shape
    }

    pub fn input_size(&self) -> usize {
        self.graph.node(self.graph.input).size()
    }

    /// Elements of the layer's output that are the unit: one, or the positions of a channel.
    pub fn elements(&self) -> std::ops::Range<usize> {
        let node = self.graph.node(self.layer);
        let positions = node.size() / units(&node.shape);
        self.unit * positions..(self.unit + 1) * positions
    }
}

/// The layer of this name and the first graph in which it depends on the input. `option` is what asked for it.
pub(crate) fn find_layer<'a>(
    trainer: &'a Trainer,
    option: &str,
    layer: &str,
) -> Result<(ProbedGraph<'a>, NodeId)> {
    let mut graphs = ProbedGraph::all(trainer)?;
    let found = graphs
        .iter()
        .position(|graph| attributable(graph).any(|name| name == layer));
    let Some(found) = found else {
        return Err(unknown_layer(trainer, option, layer, &graphs));
    };
    let graph = graphs.swap_remove(found);
    let node = graph.find(layer).expect("it was found by its name");
    Ok((graph, node))
}

/// Units of an output of this shape, as they are recorded: channels of images, else every element.
pub(crate) fn units(shape: &[usize]) -> usize {
    match *shape {
        [channels, _, _] => channels,
        _ => shape.iter().product(),
    }
}

/// The layers of a graph that depend on its input and have units.
fn attributable<'g>(graph: &'g ProbedGraph<'_>) -> impl Iterator<Item = &'g str> {
    let depends = dependents(graph, graph.input);
    let nodes = graph.ids().zip(graph.nodes());
    nodes
        .filter(move |(id, node)| {
            depends[id.index()] && node.operation.is_some() && !node.shape.is_empty()
        })
        .map(|(_, node)| node.name.as_str())
}

/// For each node whether its value depends on that of an input.
fn dependents(graph: &Graph, input: NodeId) -> Vec<bool> {
    let mut depends = vec![false; graph.nodes().len()];
    depends[input.index()] = true;
    for (id, node) in graph.ids().zip(graph.nodes()) {
        if let Some(operation) = &node.operation {
            let mut inputs = node.inputs.iter().enumerate();
            depends[id.index()] = inputs.any(|(position, input)| {
                operation.differentiable(position) && depends[input.index()]
            });
        }
    }
    depends
}

/// The names of all layers whose units can be attributed to the input, in the order of computation.
///
/// # Errors
/// Layers do not fit each other.
pub fn attributable_layers(trainer: &Trainer) -> Result<Vec<String>> {
    Ok(names(&ProbedGraph::all(trainer)?))
}

fn names(graphs: &[ProbedGraph<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for graph in graphs {
        for name in attributable(graph) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn unknown_layer(
    trainer: &Trainer,
    option: &str,
    layer: &str,
    graphs: &[ProbedGraph<'_>],
) -> Error {
    let names = names(graphs);
    let exists = trainer.model().passes().iter().any(|pass| {
        let mut nodes = pass.graph.ids();
        nodes.any(|node| pass.tensor_name(node) == layer)
    });
    let problem = if exists {
        "it has no units that depend on the input"
    } else {
        "the model has no such layer"
    };
    let mut shown: Vec<String> = names.iter().take(NAMED).cloned().collect();
    if names.len() > NAMED {
        shown.push(format!("{} more", names.len() - NAMED));
    }
    Error::usage(
        option,
        problem,
        format!("choose one of: {}", shown.join(", ")),
    )
}

/// The probe batch and what its samples are compared with.
pub(super) struct Rows {
    pub batch: ProbeBatch,
    /// One sample, for all.
    pub baseline: Vec<f32>,
}

impl Rows {
    pub fn new(trainer: &Trainer, target: &Target<'_>, baseline: Baseline) -> Result<Self> {
        let size = target.input_size();
        let batch = target.graph.batch(trainer)?;
        let mean = |element: usize| {
            let column = batch.samples.iter().skip(element).step_by(size);
            let sum: f64 = column.map(|&value| f64::from(value)).sum();
            (sum / batch.count as f64) as f32
        };
        Ok(Self {
            baseline: match baseline {
                Baseline::Zero => vec![0.0; size],
                Baseline::Mean => (0..size).map(mean).collect(),
            },
            batch,
        })
    }
}
