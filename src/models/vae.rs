//! The variational autoencoder (Kingma and Welling 2014), also conditioned on the class (Sohn et al. 2015).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::model::{DataShape, Model};
use super::preview::{Decoder, Reconstructor};
use super::step_builder::StepBuilder;
use super::supervised;
use super::train_step::{Scalar, TrainConfig, TrainStep};
use super::validation::Validation;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::losses::{ElementwiseLoss, GaussianKl, GaussianLikelihood};
use crate::nn::ops::{
    Activation, Anneal, Concat, Dense, Embedding, GivenNoise, Reparameterize, Reshape, Slice,
};
use crate::nn::{Graph, Loss, NodeId, Pass, Role};
use crate::{Error, Result};

/// How the standard deviation comes out of the variance head `h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// `sigma = exp(h / 2)`: `h` is the log-variance itself, without bounds.
    #[default]
    Exp,
    /// The log-variance is `5 tanh(h / 5)`.
    Bounded,
    /// `sigma = softplus(h) + 0.001`.
    Softplus,
}

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
}

/// A VAE as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Latent units.
    pub latent: usize,
    /// How the standard deviation comes out of its head.
    pub variance: Variance,
    /// Scale of the reparameterization noise; 0 makes it a plain autoencoder.
    pub noise: f32,
    /// Noise that was drawn elsewhere, step by step; without it the VAE draws its own.
    pub given_noise: Option<GivenNoise>,
    /// Weight of the KL divergence in the loss (beta-VAE, Higgins et al. 2017).
    pub beta: f32,
    /// The step from which on the divergence has that weight, which grows from 0 until then; 0: from the start.
    pub beta_warmup: u32,
    /// The reconstruction term.
    pub reconstruction: ReconstructionLoss,
    /// Of a Gaussian reconstruction: what the log-variance of a pixel never falls below.
    pub log_variance_floor: Option<f32>,
    /// Of a conditional VAE: width of the trainable vector of each class, which is concatenated to the encoder's features
    /// and to `z`.
    pub condition: Option<usize>,
    /// Layers between the input and the heads `mu` and `logvar`.
    pub encoder: Vec<Layer>,
    /// Layers between `z` and the reconstruction.
    pub decoder: Vec<Layer>,
}

/// The graph that is trained. Its scalars: `loss`, `reconstruction`, `kl_divergence`, `elbo`.
#[derive(Debug)]
pub struct Vae {
    /// What it was built from.
    pub config: VaeConfig,
    /// What it was built for.
    pub data: DataShape,
    /// The graph.
    pub graph: Graph,
    /// What is minimized: the reconstruction and the weighted divergence.
    pub loss: Loss,
    /// Input images.
    pub x: NodeId,
    /// Of a conditional VAE: labels, one `u32` per sample.
    pub label: Option<NodeId>,
    /// Mean of the latent Gaussian.
    pub mu: NodeId,
    /// Its log-variance, bounds included.
    pub log_variance: NodeId,
    /// A draw from it.
    pub z: NodeId,
    /// What the decoder says: logits or pixels.
    pub output: NodeId,
}

impl VaeConfig {
    /// The graph to train on `data`.
    ///
    /// # Errors
    /// Layers do not fit, or the decoder does not end in as many units as the image has pixels.
    pub fn build(&self, data: DataShape) -> Result<Vae> {
        if self.log_variance_floor.is_some() && self.reconstruction != ReconstructionLoss::Gaussian
        {
            return Err(Error::shape(
                "model.log_variance_floor",
                "only a Gaussian reconstruction has a log-variance of pixels",
                "leave the key out, or set reconstruction = \"gaussian\"",
            ));
        }
        let mut graph = Graph::new();
        let DataShape {
            sample: shape,
            classes,
        } = data;
        let x = graph.input("x", &shape);
        let condition = self.condition(&mut graph, classes)?;
        let features = graph.sequential("encoder", &self.encoder, x)?;
        let features = joined(&mut graph, "encoder.conditioned", features, condition)?;
        let mu = graph.add("mu", Dense::new(self.latent), &[features])?;
        let head = graph.add("logvar", Dense::new(self.latent), &[features])?;
        let log_variance = match self.variance {
            Variance::Exp => head,
            Variance::Bounded => {
                graph.add("log_variance", Activation::BoundedLogVariance, &[head])?
            }
            Variance::Softplus => {
                graph.add("log_variance", Activation::SoftplusLogVariance, &[head])?
            }
        };
        let noise = Reparameterize {
            noise: self.noise,
            given: self.given_noise.clone(),
        };
        let z = graph.add("z", noise, &[mu, log_variance])?;
        let code = joined(&mut graph, "z.conditioned", z, condition)?;
        let output = graph.sequential("decoder", &self.decoder, code)?;
        let (values, pixels) = (graph.node(output).size(), graph.node(x).size());
        let expected = self.reconstruction.values_per_pixel() * pixels;
        if values != expected {
            return Err(Error::shape(
                "model.decoder",
                format!(
                    "it ends in {values} values a sample, an image {shape:?} has {pixels} and the loss needs {expected}"
                ),
                format!("end it in {{ dense = {{ units = {expected} }} }}"),
            ));
        }
        let (output, reconstruction) = self.error(&mut graph, output, x)?;
        let divergence = graph.add("kl_divergence", GaussianKl, &[mu, log_variance])?;
        let mut loss = Loss::new();
        loss.add(&graph, "reconstruction", reconstruction, 1.0)?;
        if self.beta_warmup == 0 {
            loss.add(&graph, "kl_divergence", divergence, self.beta)?;
        } else {
            let steps = self.beta_warmup;
            let annealed = graph.add("annealed_divergence", Anneal { steps }, &[divergence])?;
            loss.metric(&graph, "kl_divergence", divergence)?;
            loss.add(&graph, "annealed_divergence", annealed, self.beta)?;
        }
        for (node, role) in [
            (x, Role::Input),
            (mu, Role::LatentMean),
            (head, Role::LatentLogVariance),
            (z, Role::Latent),
            (reconstruction, Role::Loss),
            (divergence, Role::Loss),
        ] {
            graph.set_role(node, role);
        }
        Ok(Vae {
            config: self.clone(),
            data,
            graph,
            loss,
            x,
            label: condition.map(|condition| condition.label),
            mu,
            log_variance,
            z,
            output,
        })
    }

    /// The decoder alone: images from latent vectors, and classes where it is conditional, with the parameters of the
    /// trained graph.
    ///
    /// # Errors
    /// As [`VaeConfig::build`].
    pub fn decoder(&self, classes: usize) -> Result<Decoder> {
        let mut graph = Graph::new();
        let z = graph.input("z", &[self.latent]);
        let condition = self.condition(&mut graph, classes)?;
        let image = self.image(&mut graph, z, condition)?;
        Ok(Decoder {
            graph,
            z,
            label: condition.map(|condition| condition.label),
            image,
        })
    }

    /// Images from images, through the mean of the latent Gaussian.
    ///
    /// # Errors
    /// As [`VaeConfig::build`].
    pub fn reconstructor(&self, shape: &[usize], classes: usize) -> Result<Reconstructor> {
        let mut graph = Graph::new();
        let x = graph.input("x", shape);
        let condition = self.condition(&mut graph, classes)?;
        let features = graph.sequential("encoder", &self.encoder, x)?;
        let features = joined(&mut graph, "encoder.conditioned", features, condition)?;
        let mu = graph.add("mu", Dense::new(self.latent), &[features])?;
        let image = self.image(&mut graph, mu, condition)?;
        Ok(Reconstructor {
            graph,
            x,
            label: condition.map(|condition| condition.label),
            image,
        })
    }

    /// The reconstruction term, and the node that says what the pixels are: logits, values or means.
    fn error(&self, graph: &mut Graph, output: NodeId, x: NodeId) -> Result<(NodeId, NodeId)> {
        let (pixels, role, error) = match self.reconstruction {
            ReconstructionLoss::BceWithLogits => {
                let error = ElementwiseLoss::BceWithLogits;
                let error = graph.add("reconstruction", error, &[output, x])?;
                (output, Role::Logits, error)
            }
            ReconstructionLoss::Bce => {
                let error = graph.add("reconstruction", ElementwiseLoss::Bce, &[output, x])?;
                (output, Role::Image, error)
            }
            ReconstructionLoss::SquaredError => {
                let error = ElementwiseLoss::SquaredError;
                let error = graph.add("reconstruction", error, &[output, x])?;
                (output, Role::Image, error)
            }
            ReconstructionLoss::Gaussian => {
                let [mean, head] = halves(graph, output)?;
                let log_variance = match self.log_variance_floor {
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

    fn condition(&self, graph: &mut Graph, classes: usize) -> Result<Option<Condition>> {
        let Some(width) = self.condition else {
            return Ok(None);
        };
        let label = graph.input("label", &[]);
        graph.set_role(label, Role::Label);
        let vector = graph.add("condition", Embedding { classes, width }, &[label])?;
        Ok(Some(Condition { label, vector }))
    }

    fn image(&self, graph: &mut Graph, z: NodeId, condition: Option<Condition>) -> Result<NodeId> {
        let code = joined(graph, "z.conditioned", z, condition)?;
        let output = graph.sequential("decoder", &self.decoder, code)?;
        match self.reconstruction {
            ReconstructionLoss::BceWithLogits => graph.add("image", Activation::Sigmoid, &[output]),
            ReconstructionLoss::Bce | ReconstructionLoss::SquaredError => Ok(output),
            ReconstructionLoss::Gaussian => Ok(halves(graph, output)?[0]),
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

/// What a conditional VAE is conditioned on.
#[derive(Clone, Copy)]
struct Condition {
    label: NodeId,
    /// The trainable vector of the label's class.
    vector: NodeId,
}

/// `values`, flat, followed by the vector of the class; without a condition the values as they are.
fn joined(
    graph: &mut Graph,
    name: &str,
    values: NodeId,
    condition: Option<Condition>,
) -> Result<NodeId> {
    let Some(condition) = condition else {
        return Ok(values);
    };
    let mut flat = values;
    if graph.node(values).shape.len() > 1 {
        let shape = vec![graph.node(values).size()];
        flat = graph.add(&format!("{name}.flat"), Reshape { shape }, &[values])?;
    }
    graph.add(name, Concat, &[flat, condition.vector])
}

/// The evidence lower bound, without the weight that a beta-VAE gives to the divergence, so that runs of any beta compare.
fn elbo(scalars: &[Scalar]) -> Option<Scalar> {
    let terms = |name: &str| {
        let found = scalars.iter().find(|scalar| scalar.name == name);
        found.map(|scalar| scalar.terms.clone())
    };
    Some(Scalar {
        name: "elbo".to_owned(),
        terms: [terms("reconstruction")?, terms("kl_divergence")?].concat(),
        factor: -1.0,
    })
}

impl Model for Vae {
    fn kind(&self) -> &str {
        "vae"
    }

    fn passes(&self) -> Vec<Pass<'_>> {
        vec![Pass::new("model", &self.graph, &self.loss)]
    }

    fn graphs_mut(&mut self) -> Vec<&mut Graph> {
        vec![&mut self.graph]
    }

    fn needs_labels(&self) -> bool {
        self.label.is_some()
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
        let mut step = supervised::train_step(builder, &self.passes()[0], self.x, self.label)?;
        step.scalars.extend(elbo(&step.scalars));
        Ok(step)
    }

    fn validation(&self) -> Option<Validation<'_>> {
        let pass = Pass::new("model", &self.graph, &self.loss);
        let mut validation = Validation::of_pass(pass, self.x, self.label);
        validation.scalars.extend(elbo(&validation.scalars));
        Some(validation)
    }

    fn decoder(&self) -> Result<Option<Decoder>> {
        self.config.decoder(self.data.classes).map(Some)
    }

    fn reconstructor(&self) -> Result<Option<Reconstructor>> {
        let DataShape { sample, classes } = self.data;
        self.config.reconstructor(&sample, classes).map(Some)
    }
}
