//! The gradient penalty of a discriminator (Gulrajani et al. 2017): its slope is held near 1 between real and generated
//! images.

use super::train_step::TrainConfig;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::losses::ElementwiseLoss;
use crate::nn::ops::{Constant, Interpolate, Norm};
use crate::nn::{Graph, Loss, NodeId, Parameters, Plan, PlanRequest, vectors};

/// Turns a scenario's seed, which is below 2^63, into that of the dropout masks between the images; the passes on real and
/// on generated images draw others.
const SEED_BIT: u64 = 1 << 62;

/// A discriminator, its gradient with respect to points between real and generated images, and the penalty on that, all in
/// one graph.
#[derive(Debug)]
pub struct GradientPenalty {
    /// The graph.
    pub graph: Graph,
    /// The weighted penalty, with the mean norm of the gradient as a metric.
    pub loss: Loss,
    /// The real images.
    pub real: NodeId,
    /// The generated images.
    pub fake: NodeId,
}

impl GradientPenalty {
    /// The penalty of this weight on images of `shape`; `score` adds the discriminator after its images.
    ///
    /// # Errors
    /// The gradient of a layer cannot be differentiated again.
    pub(super) fn new(
        weight: f32,
        shape: &[usize],
        score: impl FnOnce(&mut Graph, NodeId) -> Result<NodeId>,
    ) -> Result<Self> {
        let mut graph = Graph::new();
        let real = graph.input("real", shape);
        let fake = graph.input("fake", shape);
        let between = graph.add("between", Interpolate, &[real, fake])?;
        let score = score(&mut graph, between)?;
        let gradient = graph.input_gradient(score, between)?;
        let norm = graph.add("input_gradient_norm", Norm, &[gradient])?;
        let one = Constant {
            shape: Vec::new(),
            value: 1.0,
        };
        let one = graph.add("one", one, &[])?;
        let distance = ElementwiseLoss::SquaredError;
        let penalty = graph.add("gradient_penalty", distance, &[norm, one])?;
        let mut loss = Loss::new();
        loss.add(&graph, "gradient_penalty", penalty, weight)?;
        loss.metric(&graph, "input_gradient_norm", norm)?;
        Ok(Self {
            graph,
            loss,
            real,
            fake,
        })
    }

    /// The plan of its pass, whose images lie in the buffers of the others.
    pub(super) fn request(&self, config: &TrainConfig) -> PlanRequest<'_> {
        Plan::request(&self.graph, config.batch)
            .seed(config.seed ^ SEED_BIT)
            .loss(&self.loss)
            .external_input(self.real)
            .external_input(self.fake)
    }

    /// The pass with the parameters of a discriminator.
    ///
    /// # Errors
    /// The adapter's limits.
    pub(super) fn pass(
        &self,
        gpu: &Gpu,
        request: PlanRequest<'_>,
        discriminator: &Parameters,
    ) -> Result<PenaltyPass> {
        let gradients = discriminator.for_input_gradients(gpu)?;
        let [own, passed] = gradients.clone();
        Ok(PenaltyPass {
            plan: request.build(gpu, &own.with_fallback(passed))?,
            gradients: gradients.map(|parameters| parameters.gradients),
        })
    }
}

/// The pass of a [`GradientPenalty`] in a training step.
#[derive(Debug)]
pub(super) struct PenaltyPass {
    /// Its dispatches.
    pub plan: Plan,
    gradients: [Buffer<f32>; 2],
}

impl PenaltyPass {
    /// Adds the gradients that the pass has left to those of the discriminator.
    pub fn add_gradients(&self, gpu: &Gpu, discriminator: &Parameters) -> [Dispatch; 2] {
        let trainable = 0..discriminator.trainable_len();
        self.gradients.each_ref().map(|gradients| {
            let sum = discriminator.gradients.binding();
            vectors::add(gpu, sum, gradients.binding(), trainable.clone())
        })
    }
}
