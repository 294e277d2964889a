//! A graph in words: its layers, how they are connected, and its losses, without anything that computes.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Loss;
use super::graph::{Graph, NodeId, Role};
use super::operation::{Property, ValueRange};

/// A graph in words, for run directories, reports and views.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphDescription {
    /// What the model calls it. A GAN has several graphs.
    #[serde(default)]
    pub name: String,
    /// Its nodes, in the order of computation.
    #[serde(default)]
    pub layers: Vec<LayerDescription>,
    /// Follows the names of its tensors among all tensors of a step ([`Pass::suffix`](super::Pass::suffix)).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// The terms of its loss, and what else is averaged over the batch and recorded.
    #[serde(default)]
    pub losses: Vec<LossDescription>,
}

/// A node of a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerDescription {
    /// Its name; its recorded tensors have the same.
    pub name: String,
    /// The kind of its operation, such as `conv2d`; `input` for an input.
    pub kind: String,
    /// The per-sample shape of its output.
    pub shape: Vec<usize>,
    /// The names of the layers whose outputs it reads.
    pub inputs: Vec<String>,
    /// What an optimizer updates, unless the layer is frozen.
    #[serde(default)]
    pub parameters: Vec<ParameterDescription>,
    /// Whether an optimizer leaves its parameters as they are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frozen: bool,
    /// What its operation keeps from step to step, such as running statistics.
    #[serde(default)]
    pub state: Vec<ParameterDescription>,
    /// What follows from its operation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// An interval that holds all values of its output.
    #[serde(default, skip_serializing_if = "ValueRange::is_unbounded")]
    pub range: ValueRange,
    /// What it means to its model, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A parameter, or a state, of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterDescription {
    /// PyTorch's name, such as `encoder.0.weight`.
    pub name: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
}

/// A term of a loss: `weight` times the batch mean of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossDescription {
    /// The scalar as which the batch mean is recorded.
    pub name: String,
    /// The name of the layer, which has one number per sample.
    pub layer: String,
    /// Its weight in the loss; 0 for what is only recorded.
    pub weight: f64,
}

impl Graph {
    /// The graph in words, with the loss that is trained on; `name` is what its model calls it.
    pub fn describe(&self, name: &str, loss: &Loss) -> GraphDescription {
        GraphDescription {
            name: name.to_owned(),
            suffix: String::new(),
            layers: self.ids().map(|id| self.layer(id)).collect(),
            losses: loss
                .terms()
                .iter()
                .map(|term| LossDescription {
                    name: term.name.clone(),
                    layer: self.node(term.node).name.clone(),
                    weight: term.weight.into(),
                })
                .collect(),
        }
    }

    fn layer(&self, id: NodeId) -> LayerDescription {
        let node = self.node(id);
        let kept = |trainable: bool| {
            let all = node
                .parameters
                .iter()
                .map(|&index| &self.parameters()[index]);
            all.filter(|parameter| parameter.trainable == trainable)
                .map(|parameter| ParameterDescription {
                    name: parameter.name.clone(),
                    shape: parameter.shape.clone(),
                })
                .collect()
        };
        LayerDescription {
            name: node.name.clone(),
            kind: match &node.operation {
                Some(operation) => operation.kind().to_owned(),
                None => "input".to_owned(),
            },
            shape: node.shape.clone(),
            inputs: node
                .inputs
                .iter()
                .map(|&input| self.node(input).name.clone())
                .collect(),
            parameters: kept(true),
            frozen: self.is_frozen(id),
            state: kept(false),
            properties: match &node.operation {
                Some(operation) => operation.properties().to_vec(),
                None => Vec::new(),
            },
            range: match &node.operation {
                Some(operation) => operation.range(),
                None => ValueRange::UNBOUNDED,
            },
            role: node.role,
        }
    }
}

impl GraphDescription {
    /// The layer of a name.
    pub fn layer(&self, name: &str) -> Option<&LayerDescription> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// The first layer of a role.
    pub fn with_role(&self, role: Role) -> Option<&LayerDescription> {
        self.layers.iter().find(|layer| layer.role == Some(role))
    }

    /// The layers that the output of `name` is computed from, in the order of computation, with that layer itself.
    pub fn sources(&self, name: &str) -> Vec<&LayerDescription> {
        let mut needed = HashSet::from([name]);
        let mut found: Vec<&LayerDescription> = Vec::new();
        for layer in self.layers.iter().rev() {
            if needed.contains(layer.name.as_str()) {
                needed.extend(layer.inputs.iter().map(String::as_str));
                found.push(layer);
            }
        }
        found.reverse();
        found
    }

    /// The layers that read the output of `name`.
    pub fn consumers<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d LayerDescription> {
        let reads = move |layer: &&LayerDescription| layer.inputs.iter().any(|input| input == name);
        self.layers.iter().filter(reads)
    }
}

impl LayerDescription {
    /// Whether its operation has a property.
    pub fn has(&self, property: Property) -> bool {
        self.properties.contains(&property)
    }
}
