//! What is minimized, and what is measured beside it.

use super::graph::{Graph, NodeId};
use super::operation::elements;
use crate::{Error, Result};

/// A part of a [`Loss`]: `weight` times the batch mean of a node of one number per sample.
#[derive(Debug, Clone, PartialEq)]
pub struct LossTerm {
    /// Name of the scalar that records the mean, without the weight.
    pub name: String,
    /// The node that computes one number per sample.
    pub node: NodeId,
    /// Factor of the mean in the loss; 0 for a metric.
    pub weight: f32,
}

/// The scalar that training minimizes: a weighted sum of batch means. A loss belongs to a graph but is no part of it, so
/// one graph can be asked for the gradients of several.
///
/// Metrics are means that are recorded with the loss and do not contribute to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loss {
    terms: Vec<LossTerm>,
}

impl Loss {
    /// A loss without terms, which is 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `weight` times the batch mean of `node` to the loss, and records the mean itself as the scalar `name`.
    ///
    /// # Errors
    /// The node has more than one number per sample.
    pub fn add(&mut self, graph: &Graph, name: &str, node: NodeId, weight: f32) -> Result<()> {
        let shape = &graph.node(node).shape;
        if elements(shape) != 1 {
            return Err(Error::shape(
                format!("loss {name}"),
                format!("expected one number per sample, got shape {shape:?}"),
                "reduce each sample to one number first",
            ));
        }
        self.terms.push(LossTerm {
            name: name.to_owned(),
            node,
            weight,
        });
        Ok(())
    }

    /// Records the batch mean of `node` as the scalar `name` without adding it to the loss.
    ///
    /// # Errors
    /// The node has more than one number per sample.
    pub fn metric(&mut self, graph: &Graph, name: &str, node: NodeId) -> Result<()> {
        self.add(graph, name, node, 0.0)
    }

    /// All terms and metrics in the order in which they were added.
    pub fn terms(&self) -> &[LossTerm] {
        &self.terms
    }

    /// Names of the scalars that a plan computes: `loss`, then its terms and metrics in order.
    pub fn scalar_names(&self) -> Vec<String> {
        std::iter::once("loss".to_owned())
            .chain(self.terms.iter().map(|term| term.name.clone()))
            .collect()
    }
}
