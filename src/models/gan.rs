//! Generative adversarial networks (Goodfellow et al. 2014): a generator that turns noise into images, and a
//! discriminator that scores them against real ones.

use super::gradient_penalty::GradientPenalty;
use super::layer::Layer;
use super::preview::Decoder;
use crate::nn::losses::{GanLoss, GanObjective, GanRole};
use crate::nn::ops::StandardNormal;
use crate::nn::{Graph, Loss, NodeId, Pass, Role};
use crate::{Error, Result};

/// A GAN as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct GanConfig {
    /// Latent units, drawn from the standard normal distribution.
    pub latent: usize,
    /// The game that both play.
    pub objective: GanObjective,
    /// Layers from the latent vector to an image in `[0, 1]`.
    pub generator: Vec<Layer>,
    /// Layers from an image to its score, one number.
    pub discriminator: Vec<Layer>,
    /// Bound of the discriminator's weights after each of its updates, which Wasserstein's objective needs.
    pub weight_clip: Option<f32>,
    /// Weight of the penalty on slopes of the discriminator that are not 1 between real and generated images.
    pub gradient_penalty: Option<f32>,
    /// Updates of the discriminator for each one of the generator.
    pub critic_steps: u64,
    /// What the discriminator's target of real images is less than 1.
    pub label_smoothing: f32,
}

/// Follows the names of a discriminator's tensors on generated images.
const FAKE_SUFFIX: &str = "@generated";

/// Turns a scenario's seed, which is below 2^63, into the one of the discriminator: of its first values, and of its dropout
/// masks on generated images.
pub(super) const DISCRIMINATOR_SEED_BIT: u64 = 1 << 63;

/// Follows the names of its tensors within the generator's pass.
const GENERATOR_PASS_SUFFIX: &str = "@generator";

/// The graphs of a step. Layers of the same name share their parameters.
#[derive(Debug)]
pub struct Gan {
    /// What it was built from.
    pub config: GanConfig,
    /// Channels, height and width of an image.
    pub shape: Vec<usize>,
    /// The generator alone, from given latent vectors.
    pub generator: Graph,
    /// Noise, generator, discriminator and the generator's loss on its score.
    pub generator_pass: Graph,
    /// What the generator minimizes in it.
    pub generator_loss: Loss,
    /// The generated images in it.
    pub fake: NodeId,
    /// The discriminator and its loss on real images.
    pub real_pass: DiscriminatorPass,
    /// The discriminator and its loss on generated images.
    pub fake_pass: DiscriminatorPass,
    /// What holds the discriminator's slope near 1, where that is asked for. It is no pass that probes look at.
    pub gradient_penalty: Option<GradientPenalty>,
}

/// A discriminator and its loss on either real or generated images.
#[derive(Debug)]
pub struct DiscriminatorPass {
    /// The graph.
    pub graph: Graph,
    /// What the discriminator minimizes, with its mean score as a metric.
    pub loss: Loss,
    /// Its images.
    pub x: NodeId,
    /// Their scores.
    pub score: NodeId,
}

impl Gan {
    /// The generator's pass; the discriminator in it is the one of [`Gan::passes_of_discriminator`].
    pub(super) fn pass_of_generator(&self) -> Pass<'_> {
        Pass {
            repeated: Some((self.fake, GENERATOR_PASS_SUFFIX)),
            ..Pass::new("generator", &self.generator_pass, &self.generator_loss)
        }
    }

    /// The discriminator's passes on real and on generated images.
    pub(super) fn passes_of_discriminator(&self) -> [Pass<'_>; 2] {
        let fake = Pass {
            suffix: FAKE_SUFFIX,
            seed_bits: DISCRIMINATOR_SEED_BIT,
            ..Pass::new(
                "discriminator on generated images",
                &self.fake_pass.graph,
                &self.fake_pass.loss,
            )
        };
        let real = &self.real_pass;
        [Pass::new("discriminator", &real.graph, &real.loss), fake]
    }
}

impl GanConfig {
    /// The graphs to train on images of `shape` (channels, height, width).
    ///
    /// # Errors
    /// Layers do not fit, the generator makes no image of that size, or the discriminator does not end in one number.
    pub fn build(&self, shape: &[usize]) -> Result<Gan> {
        let mut generator_pass = Graph::new();
        let z = self.noise(&mut generator_pass)?;
        let fake = self.image(&mut generator_pass, z, shape)?;
        let score = self.score(&mut generator_pass, fake)?;
        let generator_loss = self.loss(
            &mut generator_pass,
            score,
            GanRole::Generator,
            "generator_loss",
        )?;
        generator_pass.set_role(z, Role::Latent);
        generator_pass.set_role(fake, Role::Image);
        Ok(Gan {
            config: self.clone(),
            shape: shape.to_vec(),
            generator: self.generator(shape)?.graph,
            generator_pass,
            generator_loss,
            fake,
            real_pass: self.discriminator_pass(shape, GanRole::Real, "real_loss")?,
            fake_pass: self.discriminator_pass(shape, GanRole::Fake, "fake_loss")?,
            gradient_penalty: self.penalty(shape)?,
        })
    }

    /// The generator alone: images from latent vectors.
    ///
    /// # Errors
    /// As [`GanConfig::build`].
    pub fn generator(&self, shape: &[usize]) -> Result<Decoder> {
        let mut graph = Graph::new();
        let z = graph.input("z", &[self.latent]);
        let image = self.image(&mut graph, z, shape)?;
        Ok(Decoder {
            graph,
            z,
            label: None,
            image,
        })
    }

    fn noise(&self, graph: &mut Graph) -> Result<NodeId> {
        let shape = vec![self.latent];
        graph.add("z", StandardNormal { shape }, &[])
    }

    fn image(&self, graph: &mut Graph, z: NodeId, shape: &[usize]) -> Result<NodeId> {
        let image = graph.sequential("generator", &self.generator, z)?;
        let node = graph.node(image);
        let pixels: usize = shape.iter().product();
        if node.size() == pixels {
            return Ok(image);
        }
        Err(Error::shape(
            format!("layer {}", node.name),
            format!("the generator ends in {} values", node.size()),
            format!("end it in {pixels}, the pixels of an image {shape:?}"),
        ))
    }

    fn score(&self, graph: &mut Graph, x: NodeId) -> Result<NodeId> {
        let score = graph.sequential("discriminator", &self.discriminator, x)?;
        let node = graph.node(score);
        if node.size() == 1 {
            return Ok(score);
        }
        Err(Error::shape(
            format!("layer {}", node.name),
            format!("the discriminator ends in {} numbers", node.size()),
            "end it in one, the score: { dense = { units = 1 } }",
        ))
    }

    fn loss(&self, graph: &mut Graph, score: NodeId, role: GanRole, name: &str) -> Result<Loss> {
        let of_score = GanLoss {
            smoothing: self.label_smoothing,
            ..GanLoss::new(self.objective, role)
        };
        let node = graph.add(name, of_score, &[score])?;
        graph.set_role(score, Role::Score);
        graph.set_role(node, Role::Loss);
        let mut loss = Loss::new();
        loss.add(graph, name, node, 1.0)?;
        Ok(loss)
    }

    fn penalty(&self, shape: &[usize]) -> Result<Option<GradientPenalty>> {
        let penalty = self.gradient_penalty.map(|weight| {
            GradientPenalty::new(weight, shape, |graph, images| self.score(graph, images))
        });
        penalty.transpose()
    }

    fn discriminator_pass(
        &self,
        shape: &[usize],
        role: GanRole,
        name: &str,
    ) -> Result<DiscriminatorPass> {
        let mut graph = Graph::new();
        let x = graph.input("x", shape);
        let is_fake = role == GanRole::Fake;
        graph.set_role(x, if is_fake { Role::Image } else { Role::Input });
        let score = self.score(&mut graph, x)?;
        let mut loss = self.loss(&mut graph, score, role, name)?;
        loss.metric(&graph, "score", score)?;
        Ok(DiscriminatorPass {
            graph,
            loss,
            x,
            score,
        })
    }
}
