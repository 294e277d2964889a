//! A classifier: layers that end in logits or probabilities, and a loss between them and the labels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::model::{DataShape, Model};
use super::step_builder::StepBuilder;
use super::supervised;
use super::train_step::{TrainConfig, TrainStep};
use super::validation::Validation;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::losses::{ElementwiseLoss, SoftmaxCrossEntropy};
use crate::nn::metrics::Accuracy;
use crate::nn::ops::{Activation, Lookup};
use crate::nn::{Graph, Loss, NodeId, Pass, Role};
use crate::{Error, Result};

/// What a classifier minimizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierLoss {
    /// The cross-entropy of a softmax over logits.
    #[default]
    CrossEntropy,
    /// The cross-entropy of probabilities, which the layers have made.
    NegativeLogLikelihood,
    /// Binary cross-entropy of a sigmoid over logits, one for each class; or one alone for two classes.
    BceWithLogits,
    /// The same of probabilities, which the layers have made.
    Bce,
    /// Squared error against 1 for the right class and 0 for the others.
    SquaredError,
}

impl ClassifierLoss {
    /// Whether one output is enough for two classes.
    fn allows_one_output(self) -> bool {
        !matches!(self, Self::CrossEntropy | Self::NegativeLogLikelihood)
    }

    /// What the outputs of the layers are to it.
    pub fn reads(self) -> Role {
        match self {
            Self::CrossEntropy | Self::BceWithLogits => Role::Logits,
            Self::NegativeLogLikelihood | Self::Bce | Self::SquaredError => Role::Probabilities,
        }
    }

    /// From where on an output alone says the second of two classes.
    fn threshold(self) -> f32 {
        match self.reads() {
            Role::Logits => 0.0,
            _ => 0.5,
        }
    }

    /// The name of its scalar, and the loss where it compares with a row of targets.
    fn elementwise(self) -> (&'static str, Option<ElementwiseLoss>) {
        match self {
            Self::CrossEntropy => ("cross_entropy", None),
            Self::NegativeLogLikelihood => (
                "cross_entropy",
                Some(ElementwiseLoss::NegativeLogLikelihood),
            ),
            Self::BceWithLogits => ("binary_cross_entropy", Some(ElementwiseLoss::BceWithLogits)),
            Self::Bce => ("binary_cross_entropy", Some(ElementwiseLoss::Bce)),
            Self::SquaredError => ("squared_error", Some(ElementwiseLoss::SquaredError)),
        }
    }
}

/// A classifier as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierConfig {
    /// Layers from the image to the logits.
    pub layers: Vec<Layer>,
    /// What is minimized.
    pub loss: ClassifierLoss,
    /// The share of each target that is spread over all answers.
    pub label_smoothing: f32,
}

/// The graph that is trained, of a classifier or a two-stream network. Its scalars: `loss`, `cross_entropy` or what else is
/// minimized, `accuracy`.
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
        let has_one = outputs == 1 && classes <= 2 && self.loss.allows_one_output();
        if outputs < classes && !has_one {
            return Err(Error::shape(
                format!("layer {}", graph.node(logits).name),
                format!("it ends in {outputs} logits, the data has {classes} classes"),
                format!("end the layers in {{ dense = {{ units = {classes} }} }}"),
            ));
        }
        let (name, elementwise) = self.loss.elementwise();
        let (error, accuracy) = match elementwise {
            None => {
                let cross_entropy = SoftmaxCrossEntropy {
                    smoothing: self.label_smoothing,
                };
                let error = graph.add(name, cross_entropy, &[logits, label])?;
                (
                    error,
                    graph.add("accuracy", Accuracy::TopOne, &[logits, label])?,
                )
            }
            Some(elementwise) => {
                let mut targets = graph.add("targets", self.targets(outputs, 0.0), &[label])?;
                let hard = targets;
                if self.label_smoothing > 0.0 {
                    let smoothed = self.targets(outputs, self.label_smoothing);
                    targets = graph.add("smoothed_targets", smoothed, &[label])?;
                }
                let error = graph.add(name, elementwise, &[logits, targets])?;
                let accuracy = if has_one {
                    let shift = -self.loss.threshold();
                    let sign = Activation::Affine { scale: 1.0, shift };
                    let sign = graph.add("sign", sign, &[logits])?;
                    graph.add("accuracy", Accuracy::ExactMatch, &[sign, hard])?
                } else {
                    graph.add("accuracy", Accuracy::TopOne, &[logits, label])?
                };
                (error, accuracy)
            }
        };
        let mut loss = Loss::new();
        loss.add(&graph, name, error, 1.0)?;
        loss.metric(&graph, "accuracy", accuracy)?;
        for (node, role) in [
            (x, Role::Input),
            (label, Role::Label),
            (logits, self.loss.reads()),
            (error, Role::Loss),
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

impl ClassifierConfig {
    /// Rows of 1 for the class and 0 for all others; of one output 0 for the first class and 1 for the second. `smoothing` is
    /// the share of them that is spread evenly over all answers: over the classes where they exclude each other, else over
    /// yes and no.
    fn targets(&self, outputs: usize, smoothing: f32) -> Lookup {
        let answers = match self.loss {
            ClassifierLoss::CrossEntropy | ClassifierLoss::NegativeLogLikelihood => outputs,
            ClassifierLoss::BceWithLogits | ClassifierLoss::Bce | ClassifierLoss::SquaredError => 2,
        };
        let smoothed = |target: f32| (1.0 - smoothing) * target + smoothing / answers as f32;
        let hard = match outputs {
            1 => vec![0.0, 1.0],
            _ => (0..outputs * outputs)
                .map(|i| f32::from(u8::from(i / outputs == i % outputs)))
                .collect(),
        };
        Lookup {
            table: hard.into_iter().map(smoothed).collect(),
            width: outputs,
        }
    }
}

impl Model for Classifier {
    fn kind(&self) -> &str {
        "classifier"
    }

    fn passes(&self) -> Vec<Pass<'_>> {
        vec![Pass::new("model", &self.graph, &self.loss)]
    }

    fn graphs_mut(&mut self) -> Vec<&mut Graph> {
        vec![&mut self.graph]
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
