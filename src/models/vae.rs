//! The variational autoencoder (Kingma and Welling 2014), also conditioned on the class (Sohn et al. 2015), and with a second
//! latent layer.

use super::gaussian_heads::{GaussianHeads, Variance, mean_head};
use super::layer::Layer;
use super::model::{DataShape, Model};
use super::preview::{Decoder, Reconstructor};
use super::reconstruction::ReconstructionLoss;
use super::second_latent::{self, SecondLatent, SecondLatentNodes};
use super::step_builder::StepBuilder;
use super::supervised;
use super::train_step::{Scalar, TrainConfig, TrainStep};
use super::validation::Validation;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::losses::GaussianKl;
use crate::nn::ops::{Add, Anneal, Concat, Embedding, GivenNoise, Reparameterize, Reshape};
use crate::nn::{Graph, Loss, NodeId, Pass, Role};
use crate::{Error, Result};

/// A VAE as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Latent units.
    pub latent: usize,
    /// How the standard deviations come out of their heads.
    pub variance: Variance,
    /// Scale of the reparameterization noise; 0 makes it a plain autoencoder.
    pub noise: f32,
    /// Noise of `z` that was drawn elsewhere, step by step; without it the VAE draws its own.
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
    /// A second layer of latent units above `z`, which learns the prior of the first.
    pub second_latent: Option<SecondLatent>,
}

/// The graph that is trained. Its scalars: `loss`, `reconstruction`, `kl_divergence`, `elbo`; with a second latent layer also
/// `first_kl_divergence` and `second_kl_divergence`, of which `kl_divergence` is the sum.
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
    /// The second latent layer, where there is one.
    pub second_latent: Option<SecondLatentNodes>,
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
        let features = self.features(&mut graph, x, condition)?;
        let posterior = GaussianHeads::add(&mut graph, "", features, self.latent, self.variance)?;
        let inputs = [posterior.mu, posterior.log_variance];
        let noise = Reparameterize {
            noise: self.noise,
            given: self.given_noise.clone(),
        };
        let z = graph.add("z", noise, &inputs)?;
        let second_latent = self
            .second_latent
            .as_ref()
            .map(|second| second.add_to(&mut graph, (posterior, z), self.variance, self.noise));
        let second_latent = second_latent.transpose()?;
        let code = joined(&mut graph, "z.conditioned", z, condition)?;
        let output = graph.sequential("decoder", &self.decoder, code)?;
        self.check_output(&graph, output, &shape)?;
        let floor = self.log_variance_floor;
        let (output, reconstruction) = self.reconstruction.add_to(&mut graph, output, x, floor)?;
        let mut loss = Loss::new();
        loss.add(&graph, "reconstruction", reconstruction, 1.0)?;
        let divergences = match second_latent {
            None => {
                let divergence = graph.add("kl_divergence", GaussianKl, &inputs)?;
                graph.set_role(divergence, Role::Loss);
                vec![("kl_divergence", divergence)]
            }
            Some(second) => {
                let names = second_latent::DIVERGENCES.into_iter();
                names.zip(second.divergences).collect()
            }
        };
        self.weigh(&mut graph, &mut loss, &divergences)?;
        posterior.set_roles(&mut graph, [Role::LatentMean, Role::LatentLogVariance]);
        graph.set_role(x, Role::Input);
        graph.set_role(z, Role::Latent);
        graph.set_role(reconstruction, Role::Loss);
        Ok(Vae {
            config: self.clone(),
            data,
            graph,
            loss,
            x,
            label: condition.map(|condition| condition.label),
            mu: posterior.mu,
            log_variance: posterior.log_variance,
            z,
            second_latent,
            output,
        })
    }

    /// What the heads of the first latent layer read.
    fn features(
        &self,
        graph: &mut Graph,
        x: NodeId,
        condition: Option<Condition>,
    ) -> Result<NodeId> {
        let features = graph.sequential("encoder", &self.encoder, x)?;
        joined(graph, "encoder.conditioned", features, condition)
    }

    /// Whether the decoder ends in as many values as the loss reads of an image of this shape.
    fn check_output(&self, graph: &Graph, output: NodeId, shape: &[usize]) -> Result<()> {
        let (values, pixels) = (graph.node(output).size(), shape.iter().product::<usize>());
        let expected = self.reconstruction.values_per_pixel() * pixels;
        if values == expected {
            return Ok(());
        }
        Err(Error::shape(
            "model.decoder",
            format!(
                "it ends in {values} values a sample, an image {shape:?} has {pixels} and the loss needs {expected}"
            ),
            format!("end it in {{ dense = {{ units = {expected} }} }}"),
        ))
    }

    /// Adds the divergences of the latent layers to the loss, by their names, with the weight that they have.
    fn weigh(
        &self,
        graph: &mut Graph,
        loss: &mut Loss,
        divergences: &[(&str, NodeId)],
    ) -> Result<()> {
        if self.beta_warmup == 0 {
            for &(name, divergence) in divergences {
                loss.add(graph, name, divergence, self.beta)?;
            }
            return Ok(());
        }
        let steps = self.beta_warmup;
        let sum = match *divergences {
            [(_, only)] => only,
            _ => {
                let nodes: Vec<NodeId> = divergences.iter().map(|(_, node)| *node).collect();
                graph.add("kl_divergence", Add, &nodes)?
            }
        };
        let annealed = graph.add("annealed_divergence", Anneal { steps }, &[sum])?;
        for &(name, divergence) in divergences {
            loss.metric(graph, name, divergence)?;
        }
        loss.add(graph, "annealed_divergence", annealed, self.beta)
    }

    /// The decoder alone: images from latent vectors, and classes where it is conditional, with the parameters of the
    /// trained graph. Above a second latent layer it begins: the images are those of the mean of the first one.
    ///
    /// # Errors
    /// As [`VaeConfig::build`].
    pub fn decoder(&self, classes: usize) -> Result<Decoder> {
        let mut graph = Graph::new();
        let [z, code] = match &self.second_latent {
            None => [graph.input("z", &[self.latent]); 2],
            Some(second) => second.add_decoder(&mut graph, self.latent)?,
        };
        let condition = self.condition(&mut graph, classes)?;
        let image = self.image(&mut graph, code, condition)?;
        Ok(Decoder {
            graph,
            z,
            label: condition.map(|condition| condition.label),
            image,
        })
    }

    /// Images from images, through the mean of the first latent layer.
    ///
    /// # Errors
    /// As [`VaeConfig::build`].
    pub fn reconstructor(&self, shape: &[usize], classes: usize) -> Result<Reconstructor> {
        let mut graph = Graph::new();
        let x = graph.input("x", shape);
        let condition = self.condition(&mut graph, classes)?;
        let features = self.features(&mut graph, x, condition)?;
        let mu = mean_head(&mut graph, "", features, self.latent)?;
        let image = self.image(&mut graph, mu, condition)?;
        Ok(Reconstructor {
            graph,
            x,
            label: condition.map(|condition| condition.label),
            image,
        })
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
        self.reconstruction.image(graph, output)
    }
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

/// The scalars that are sums of a pass's: the divergence of both latent layers where there are two, and the evidence lower
/// bound, without the weight that a beta-VAE gives to the divergence, so that runs of any beta compare.
fn sums(scalars: &[Scalar]) -> Vec<Scalar> {
    let terms = |name: &str| {
        let found = scalars.iter().find(|scalar| scalar.name == name);
        found.map(|scalar| scalar.terms.clone())
    };
    let both = second_latent::DIVERGENCES.map(&terms);
    let both = both.into_iter().collect::<Option<Vec<_>>>();
    let both = both.map(|terms| terms.concat());
    let divergence = terms("kl_divergence").or_else(|| both.clone());
    let elbo = terms("reconstruction").zip(divergence);
    let elbo = elbo.map(|(reconstruction, divergence)| Scalar {
        name: "elbo".to_owned(),
        terms: [reconstruction, divergence].concat(),
        factor: -1.0,
    });
    let divergence = both.map(|terms| Scalar::sum("kl_divergence", terms));
    divergence.into_iter().chain(elbo).collect()
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
        step.scalars.extend(sums(&step.scalars));
        Ok(step)
    }

    fn validation(&self) -> Option<Validation<'_>> {
        let pass = Pass::new("model", &self.graph, &self.loss);
        let mut validation = Validation::of_pass(pass, self.x, self.label);
        validation.scalars.extend(sums(&validation.scalars));
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
