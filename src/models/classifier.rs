//! A classifier: layers that end in logits, and a softmax cross-entropy.

use super::layer::{Layer, stack};
use crate::nn::losses::SoftmaxCrossEntropy;
use crate::nn::metrics::Accuracy;
use crate::nn::{Graph, Loss, NodeId};
use crate::{Error, Result};

/// A classifier as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierConfig {
    /// Layers from the image to the logits.
    pub layers: Vec<Layer>,
}

/// The graph that is trained. Its scalars: `loss`, `cross_entropy`, `accuracy`.
#[derive(Debug)]
pub struct Classifier {
    /// The graph.
    pub graph: Graph,
    /// What is minimized, and the accuracy beside it.
    pub loss: Loss,
    /// Input images.
    pub x: NodeId,
    /// Labels, one `u32` per sample.
    pub label: NodeId,
    /// Logits.
    pub logits: NodeId,
}

impl ClassifierConfig {
    /// The graph to train on images of `shape` (channels, height, width) of `classes` classes.
    ///
    /// # Errors
    /// Layers do not fit, or do not end in one logit for each class.
    pub fn build(&self, shape: &[usize], classes: usize) -> Result<Classifier> {
        let mut graph = Graph::new();
        let x = graph.input("x", shape);
        let label = graph.input("label", &[]);
        let logits = stack(&mut graph, "layers", &self.layers, x)?;
        let outputs = graph.node(logits).size();
        if outputs != classes {
            return Err(Error::shape(
                format!("layer {}", graph.node(logits).name),
                format!("it ends in {outputs} logits, the data has {classes} classes"),
                format!("end the layers in {{ dense = {{ units = {classes} }} }}"),
            ));
        }
        let entropy = graph.add("cross_entropy", SoftmaxCrossEntropy, &[logits, label])?;
        let accuracy = graph.add("accuracy", Accuracy::TopOne, &[logits, label])?;
        let mut loss = Loss::new();
        loss.add(&graph, "cross_entropy", entropy, 1.0)?;
        loss.metric(&graph, "accuracy", accuracy)?;
        Ok(Classifier {
            graph,
            loss,
            x,
            label,
            logits,
        })
    }
}
