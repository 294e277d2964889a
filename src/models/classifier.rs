//! A classifier: layers that end in logits, and a softmax cross-entropy.

use super::layer::Layer;
use super::model::{DataShape, Model};
use super::step_builder::StepBuilder;
use super::supervised;
use super::train_step::{TrainConfig, TrainStep};
use super::validation::Validation;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::losses::SoftmaxCrossEntropy;
use crate::nn::metrics::Accuracy;
use crate::nn::{Graph, Loss, NodeId, Pass, Role};
use crate::{Error, Result};

/// A classifier as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierConfig {
    /// Layers from the image to the logits.
    pub layers: Vec<Layer>,
}

/// The graph that is trained, of a classifier or a two-stream network. Its scalars: `loss`, `cross_entropy`, `accuracy`.
#[derive(Debug)]
pub struct Classifier {
    /// The graph.
    pub graph: Graph,
    /// What is minimized, with the accuracy as a metric.
    pub loss: Loss,
    /// Input images.
    pub x: NodeId,
    /// Labels, one `u32` per sample.
    pub label: NodeId,
    /// Logits.
    pub logits: NodeId,
}

impl ClassifierConfig {
    /// The graph to train on `data`.
    ///
    /// # Errors
    /// Layers do not fit, or end in fewer logits than there are classes. More are allowed: a subset of the data may lack the
    /// last classes.
    pub fn build(&self, data: DataShape) -> Result<Classifier> {
        let DataShape { sample, classes } = data;
        let mut graph = Graph::new();
        let x = graph.input("x", &sample);
        let label = graph.input("label", &[]);
        let logits = graph.sequential("layers", &self.layers, x)?;
        let outputs = graph.node(logits).size();
        if outputs < classes {
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
        for (node, role) in [
            (x, Role::Input),
            (label, Role::Label),
            (logits, Role::Logits),
            (entropy, Role::Loss),
            (accuracy, Role::Metric),
        ] {
            graph.set_role(node, role);
        }
        Ok(Classifier {
            graph,
            loss,
            x,
            label,
            logits,
        })
    }
}

impl Model for Classifier {
    fn kind(&self) -> &str {
        "classifier"
    }

    fn passes(&self) -> Vec<Pass<'_>> {
        vec![Pass::new("model", &self.graph, &self.loss)]
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn estimate_memory(
        &self,
        profile: &AdapterProfile,
        config: &TrainConfig,
        estimate: &mut MemoryEstimate,
    ) {
        supervised::estimate_memory(profile, config, &self.passes()[0], estimate);
    }

    fn train_step(&self, builder: &mut StepBuilder<'_>) -> Result<TrainStep> {
        supervised::train_step(builder, &self.passes()[0], self.x, Some(self.label))
    }

    fn validation(&self) -> Option<Validation<'_>> {
        let pass = Pass::new("model", &self.graph, &self.loss);
        Some(Validation::of_pass(pass, self.x, Some(self.label)))
    }
}
