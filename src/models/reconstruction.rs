//! How a VAE's decoder is held against the input: what its output means, and the loss between the two.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::losses::{ElementwiseLoss, GaussianLikelihood};
use crate::nn::ops::{Activation, Slice};
use crate::nn::{Graph, NodeId, Role};
use crate::{Error, Result};

/// What is compared with the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReconstructionLoss {
    /// Binary cross-entropy; the decoder ends in logits.
    #[default]
    BceWithLogits,
    /// Binary cross-entropy; the decoder ends in probabilities, the values of the pixels.
    Bce,
    /// Squared error; the decoder ends in pixel values.
    SquaredError,
    /// The negative log-likelihood of a Gaussian; the decoder ends in the means of the pixels and, after them, the
    /// logarithms of their variances.
    Gaussian,
}

impl ReconstructionLoss {
    /// How many values the decoder gives for each pixel.
    pub fn values_per_pixel(self) -> usize {
        match self {
            Self::BceWithLogits | Self::Bce | Self::SquaredError => 1,
            Self::Gaussian => 2,
        }
    }

    /// The reconstruction term, and the node that says what the pixels are: logits, values or means.
    /// `floor` is what the log-variance of a pixel never falls below.
    pub(super) fn add_to(
        self,
        graph: &mut Graph,
        output: NodeId,
        x: NodeId,
        floor: Option<f32>,
    ) -> Result<(NodeId, NodeId)> {
        let (pixels, role, error) = match self {
            Self::BceWithLogits => {
                let error = ElementwiseLoss::BceWithLogits;
                let error = graph.add("reconstruction", error, &[output, x])?;
                (output, Role::Logits, error)
            }
            Self::Bce => {
                let error = graph.add("reconstruction", ElementwiseLoss::Bce, &[output, x])?;
                (output, Role::Image, error)
            }
            Self::SquaredError => {
                let error = ElementwiseLoss::SquaredError;
                let error = graph.add("reconstruction", error, &[output, x])?;
                (output, Role::Image, error)
            }
            Self::Gaussian => {
                let [mean, head] = halves(graph, output)?;
                let log_variance = match floor {
                    Some(floor) => above(graph, head, floor)?,
                    None => head,
                };
                graph.set_role(log_variance, Role::ImageLogVariance);
                let inputs = [mean, log_variance, x];
                let error = graph.add("reconstruction", GaussianLikelihood, &inputs)?;
                (mean, Role::Image, error)
            }
        };
        graph.set_role(pixels, role);
        Ok((pixels, error))
    }

    /// Adds what makes images, in `[0, 1]`, of what a decoder ends in.
    pub(super) fn image(self, graph: &mut Graph, output: NodeId) -> Result<NodeId> {
        match self {
            Self::BceWithLogits => graph.add("image", Activation::Sigmoid, &[output]),
            Self::Bce | Self::SquaredError => Ok(output),
            Self::Gaussian => Ok(halves(graph, output)?[0]),
        }
    }
}

/// The means and the log-variances of pixels: the first and the second half of a decoder's channels or units.
fn halves(graph: &mut Graph, output: NodeId) -> Result<[NodeId; 2]> {
    let all = graph.node(output).shape[0];
    if !all.is_multiple_of(2) {
        return Err(Error::shape(
            "model.decoder",
            format!("it ends in {all} channels, which are no pairs of means and log-variances"),
            "end it in twice the channels of an image",
        ));
    }
    let count = all / 2;
    let mean = graph.add("image_mean", Slice { first: 0, count }, &[output])?;
    let log_variance = Slice {
        first: count,
        count,
    };
    let log_variance = graph.add("image_log_variance", log_variance, &[output])?;
    Ok([mean, log_variance])
}

/// `floor + softplus(h - floor)` of a log-variance `h` (Chua et al. 2018, "Deep reinforcement learning in a handful of
/// trials"): no more than `h` where that is far above the floor, never below it, and with a gradient everywhere.
fn above(graph: &mut Graph, head: NodeId, floor: f32) -> Result<NodeId> {
    let shifted = |shift| Activation::Affine { scale: 1.0, shift };
    let distance = graph.add("image_log_variance.distance", shifted(-floor), &[head])?;
    let name = "image_log_variance.softplus";
    let positive = graph.add(name, Activation::Softplus, &[distance])?;
    graph.add("image_log_variance.bounded", shifted(floor), &[positive])
}
