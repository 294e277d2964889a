//! Generative adversarial networks (Goodfellow et al. 2014): a generator that turns noise into images, and a
//! discriminator that scores them against real ones.

use super::layer::{Layer, stack};
use crate::nn::losses::{Adversarial, Objective, Side};
use crate::nn::ops::StandardNormal;
use crate::nn::{Graph, Loss, NodeId};
use crate::{Error, Result};

/// A GAN as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct GanConfig {
    /// Latent units, drawn from the standard normal distribution.
    pub latent: usize,
    /// The game that both play.
    pub objective: Objective,
    /// Layers from the latent vector to an image in `[0, 1]`.
    pub generator: Vec<Layer>,
    /// Layers from an image to its score, one number.
    pub discriminator: Vec<Layer>,
    /// Bound of the discriminator's weights after each of its updates, which Wasserstein's objective needs.
    pub weight_clip: Option<f32>,
    /// Updates of the discriminator for each one of the generator.
    pub critic_steps: u64,
}

/// The graphs of a step. Layers of the same name have the same parameters.
#[derive(Debug)]
pub struct Gan {
    /// The generator alone, from given latent vectors.
    pub generator: Graph,
    /// Noise, generator, discriminator and the generator's loss on its score.
    pub play: Graph,
    /// What the generator minimizes in it.
    pub generator_loss: Loss,
    /// The generated images in it.
    pub fake: NodeId,
    /// Their score in it.
    pub score: NodeId,
    /// The discriminator and its loss on real images.
    pub real: Judgement,
    /// The discriminator and its loss on generated images.
    pub generated: Judgement,
}

/// A discriminator and its loss on images of one sort.
#[derive(Debug)]
pub struct Judgement {
    /// The graph.
    pub graph: Graph,
    /// What the discriminator minimizes, and its mean score beside it.
    pub loss: Loss,
    /// Images.
    pub x: NodeId,
    /// Their score.
    pub score: NodeId,
}

impl GanConfig {
    /// The graphs to train on images of `shape` (channels, height, width).
    ///
    /// # Errors
    /// Layers do not fit, the generator makes no image of that size, or the discriminator does not end in one number.
    pub fn build(&self, shape: &[usize]) -> Result<Gan> {
        let mut play = Graph::new();
        let z = self.noise(&mut play)?;
        let fake = self.image(&mut play, z, shape)?;
        let score = self.score(&mut play, fake)?;
        let generator_loss = self.loss(&mut play, score, Side::Generator, "generator_loss")?;
        Ok(Gan {
            generator: self.generator(shape)?.graph,
            play,
            generator_loss,
            fake,
            score,
            real: self.judgement(shape, Side::Real, "real_loss")?,
            generated: self.judgement(shape, Side::Fake, "fake_loss")?,
        })
    }

    /// The generator alone: images from latent vectors.
    ///
    /// # Errors
    /// As [`GanConfig::build`].
    pub fn generator(&self, shape: &[usize]) -> Result<super::Decoder> {
        let mut graph = Graph::new();
        let z = graph.input("z", &[self.latent]);
        let image = self.image(&mut graph, z, shape)?;
        Ok(super::Decoder {
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
        let image = stack(graph, "generator", &self.generator, z)?;
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
        let score = stack(graph, "discriminator", &self.discriminator, x)?;
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

    fn loss(&self, graph: &mut Graph, score: NodeId, side: Side, name: &str) -> Result<Loss> {
        let objective = self.objective;
        let node = graph.add(name, Adversarial { objective, side }, &[score])?;
        let mut loss = Loss::new();
        loss.add(graph, name, node, 1.0)?;
        Ok(loss)
    }

    fn judgement(&self, shape: &[usize], side: Side, name: &str) -> Result<Judgement> {
        let mut graph = Graph::new();
        let x = graph.input("x", shape);
        let score = self.score(&mut graph, x)?;
        let mut loss = self.loss(&mut graph, score, side, name)?;
        loss.metric(&graph, "score", score)?;
        Ok(Judgement {
            graph,
            loss,
            x,
            score,
        })
    }
}
