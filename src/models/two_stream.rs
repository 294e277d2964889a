//! The two-stream network (Simonyan and Zisserman 2014; Feichtenhofer, Pinz and Zisserman 2016): one stream sees how
//! things look, the other how they move, and a convolution brings both together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Classifier;
use super::model::DataShape;
use crate::data::clips::{DIRECTIONS, FRAME_CHANNELS, TEXTURES, pair_targets, pairs};
use crate::nn::losses::{ElementwiseLoss, SoftmaxCrossEntropy};
use crate::nn::metrics::Accuracy;
use crate::nn::ops::{Activation, Add, Concat, Conv2d, Dense, Lookup, Pool, Reshape, Slice};
use crate::nn::{Conv2dGeometry, Graph, Loss, NodeId, Role};
use crate::{Error, Result};

/// A two-stream network as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoStreamConfig {
    /// Channels of the blocks of each stream: a convolution of 3 x 3, ReLU, and a mean over 2 x 2.
    pub widths: Vec<usize>,
    /// Channels of the fusing convolution.
    pub fusion_width: usize,
    /// Which streams there are.
    pub streams: Streams,
    /// Where they come together.
    pub fusion: Fusion,
    /// What becomes of the last feature maps.
    pub pooling: Pooling,
    /// What is asked.
    pub targets: Targets,
}

/// Which streams a network has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// Both.
    #[default]
    Both,
    /// Only the frame.
    Appearance,
    /// Only the flow.
    Flow,
}

/// Where the streams come together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// A convolution over both streams' feature maps.
    #[default]
    Convolution,
    /// Each stream has logits of its own, and they are added.
    Late,
}

/// What becomes of the last feature maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their means.
    #[default]
    Mean,
    /// Their maxima.
    Max,
}

/// What is asked about a clip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// Its class, by a softmax.
    #[default]
    Class,
    /// The things in it, each by a sigmoid of its own: [`pair_targets`].
    Pairs,
}

impl TwoStreamConfig {
    /// The graph to train on clips: the first three channels of a sample are the frame, all others flow. Scalars: `loss`, and `cross_entropy` or `binary_cross_entropy`.
    ///
    /// # Errors
    /// Clips without flow, images too small for the blocks, or classes that are no pairs where those are asked for.
    pub fn build(&self, data: DataShape) -> Result<Classifier> {
        let DataShape { sample, classes } = data;
        let outputs = match self.targets {
            Targets::Class => classes,
            Targets::Pairs => TEXTURES.len() * DIRECTIONS,
        };
        if self.targets == Targets::Pairs && classes != pairs().len() {
            return Err(Error::input(
                "model.targets",
                format!(
                    "\"pairs\" are the classes of clips of the binding task, and the data has {classes} classes"
                ),
                "use source = \"clips\" with task = \"binding\", or targets = \"class\"",
            ));
        }
        let mut graph = Graph::new();
        let x = graph.input("x", &sample);
        let label = graph.input("label", &[]);
        // Bytes come as 0 to 1; this makes gray and no flow zero.
        let centered = Activation::Affine {
            scale: 2.0,
            shift: -1.0,
        };
        // Run directories of earlier versions spell the tensor so.
        let centered = graph.add("centred", centered, &[x])?;
        let mut streams = Vec::new();
        let channels = sample[0];
        for (name, first, count) in [
            ("appearance", 0, FRAME_CHANNELS),
            (
                "flow",
                FRAME_CHANNELS,
                channels.saturating_sub(FRAME_CHANNELS),
            ),
        ] {
            let wanted = match self.streams {
                Streams::Both => true,
                Streams::Appearance => name == "appearance",
                Streams::Flow => name == "flow",
            };
            if wanted {
                let slice = Slice { first, count };
                let input = graph.add(&format!("{name}.input"), slice, &[centered])?;
                streams.push((name, self.stream(&mut graph, name, input)?));
            }
        }
        let logits = match self.fusion {
            Fusion::Convolution => self.fused(&mut graph, &streams, outputs)?,
            Fusion::Late => self.late(&mut graph, &streams, outputs)?,
        };
        let mut loss = Loss::new();
        match self.targets {
            Targets::Class => {
                let entropy = graph.add(
                    "cross_entropy",
                    SoftmaxCrossEntropy::default(),
                    &[logits, label],
                )?;
                let accuracy = graph.add("accuracy", Accuracy::TopOne, &[logits, label])?;
                loss.add(&graph, "cross_entropy", entropy, 1.0)?;
                loss.metric(&graph, "accuracy", accuracy)?;
                graph.set_role(entropy, Role::Loss);
                graph.set_role(accuracy, Role::Metric);
            }
            Targets::Pairs => {
                let table = Lookup {
                    table: pair_targets(),
                    width: outputs,
                };
                let targets = graph.add("targets", table, &[label])?;
                let entropy = ElementwiseLoss::BceWithLogits;
                let entropy = graph.add("binary_cross_entropy", entropy, &[logits, targets])?;
                let matches = graph.add("exact_match", Accuracy::ExactMatch, &[logits, targets])?;
                loss.add(&graph, "binary_cross_entropy", entropy, 1.0)?;
                loss.metric(&graph, "exact_match", matches)?;
                graph.set_role(entropy, Role::Loss);
                graph.set_role(matches, Role::Metric);
            }
        }
        graph.set_role(x, Role::Input);
        graph.set_role(label, Role::Label);
        graph.set_role(logits, Role::Logits);
        Ok(Classifier {
            graph,
            loss,
            x,
            label,
            logits,
        })
    }

    fn stream(&self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId> {
        let mut node = input;
        for (block, &width) in self.widths.iter().enumerate() {
            // Numbers as in a Sequential of convolution, ReLU and pool.
            let layer = |index: usize| format!("{name}.{}", 3 * block + index);
            let convolution = Conv2d::new(width, Conv2dGeometry::new(3).padding(1));
            node = graph.add(&layer(0), convolution, &[node])?;
            node = graph.add(&layer(1), Activation::Relu, &[node])?;
            let pool = Pool::Average(Conv2dGeometry::new(2).stride(2));
            node = graph.add(&layer(2), pool, &[node])?;
        }
        Ok(node)
    }

    fn fused(
        &self,
        graph: &mut Graph,
        streams: &[(&str, NodeId)],
        outputs: usize,
    ) -> Result<NodeId> {
        let nodes: Vec<NodeId> = streams.iter().map(|(_, node)| *node).collect();
        let all = graph.add("streams", Concat, &nodes)?;
        let convolution = Conv2d::new(self.fusion_width, Conv2dGeometry::new(3).padding(1));
        let fusion = graph.add("fusion", convolution, &[all])?;
        let units = graph.add("fusion_relu", Activation::Relu, &[fusion])?;
        let pooled = self.pooled(graph, "pooled", units)?;
        graph.add("logits", Dense::new(outputs), &[pooled])
    }

    fn late(
        &self,
        graph: &mut Graph,
        streams: &[(&str, NodeId)],
        outputs: usize,
    ) -> Result<NodeId> {
        let mut logits = Vec::new();
        for (name, node) in streams {
            let pooled = self.pooled(graph, &format!("{name}.pooled"), *node)?;
            let own = graph.add(&format!("{name}.logits"), Dense::new(outputs), &[pooled])?;
            logits.push(own);
        }
        graph.add("logits", Add, &logits)
    }

    fn pooled(&self, graph: &mut Graph, name: &str, maps: NodeId) -> Result<NodeId> {
        match (self.pooling, &graph.node(maps).shape[..]) {
            (Pooling::Max, &[channels, height, width]) => {
                let geometry = Conv2dGeometry::new([height, width]).stride([height, width]);
                let maxima = graph.add(&format!("{name}.maxima"), Pool::Max(geometry), &[maps])?;
                let shape = vec![channels];
                graph.add(name, Reshape { shape }, &[maxima])
            }
            _ => graph.add(name, Pool::GlobalAverage, &[maps]),
        }
    }
}
