//! What a discriminator's score costs the discriminator or the generator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::nn::ops::Activation;
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static GAN_LOSS: Shader = shader!("nn/losses/gan.wgsl");

/// What a generator and a discriminator minimize.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GanObjective {
    /// Cross-entropy with logits; the generator's is the non-saturating one (Goodfellow et al. 2014).
    #[default]
    CrossEntropy,
    /// The same for the discriminator; the generator makes `log(1 - D)` small, the game as it is first stated
    /// (Goodfellow et al. 2014, equation 1). Its gradient is the probability that the discriminator gives to a
    /// generated image, so it vanishes before a discriminator that tells the two apart.
    Minimax,
    /// The difference of mean scores (Arjovsky, Chintala, Bottou 2017).
    Wasserstein,
    /// `max(0, 1 - real)` and `max(0, 1 + fake)`; the generator's is `-fake` (Lim and Ye 2017).
    Hinge,
    /// `(1 - real)^2` and `fake^2`; the generator's is `(1 - fake)^2` (Mao et al. 2017).
    LeastSquares,
}

/// Whose loss it is, and on which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GanRole {
    /// The discriminator's, of real images.
    Real,
    /// The discriminator's, of generated images.
    Fake,
    /// The generator's, of generated images.
    Generator,
}

/// Input: a score, one number per sample, higher for images that look real; output: its loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GanLoss {
    /// What both networks minimize.
    pub objective: GanObjective,
    /// Whose loss it is.
    pub role: GanRole,
    /// What the target of a real image is less than 1 (one-sided label smoothing, Salimans et al. 2016), for the objectives
    /// that have targets.
    pub smoothing: f32,
}

gpu_struct! {
    struct GanUniforms in GAN_LOSS::Uniforms {
        batch: u32,
        sign: f32,
        accumulate: u32,
    }
}

/// The loss as a function of the margin: the score, signed so that lower is better.
#[derive(Clone, Copy, PartialEq)]
enum MarginLoss {
    Softplus = 0,
    Linear = 1,
    Hinge = 2,
    LogSigmoid = 3,
    /// The square of the distance from 0.
    Square = 4,
    /// The square of the distance from -1.
    SquareFromOne = 5,
}

impl GanObjective {
    /// Whether real images have a target that can be smoothed.
    pub fn has_targets(self) -> bool {
        matches!(
            self,
            Self::CrossEntropy | Self::Minimax | Self::LeastSquares
        )
    }
}

impl GanLoss {
    /// Without label smoothing.
    pub fn new(objective: GanObjective, role: GanRole) -> Self {
        Self {
            objective,
            role,
            smoothing: 0.0,
        }
    }

    /// What the target of this loss's images is less than 1.
    fn smoothed(self) -> f64 {
        if self.role == GanRole::Real && self.objective.has_targets() {
            self.smoothing.into()
        } else {
            0.0
        }
    }

    fn sign(self) -> f32 {
        match self.role {
            GanRole::Fake => 1.0,
            GanRole::Real | GanRole::Generator => -1.0,
        }
    }

    fn margin_loss(self) -> MarginLoss {
        match (self.objective, self.role) {
            (GanObjective::Minimax, GanRole::Generator) => MarginLoss::LogSigmoid,
            (GanObjective::CrossEntropy | GanObjective::Minimax, _) => MarginLoss::Softplus,
            (GanObjective::Wasserstein, _) | (GanObjective::Hinge, GanRole::Generator) => {
                MarginLoss::Linear
            }
            (GanObjective::Hinge, _) => MarginLoss::Hinge,
            (GanObjective::LeastSquares, GanRole::Fake) => MarginLoss::Square,
            (GanObjective::LeastSquares, _) => MarginLoss::SquareFromOne,
        }
    }

    fn uniforms(self, batch: usize, accumulate: bool) -> GanUniforms {
        GanUniforms {
            batch: batch as u32,
            sign: self.sign(),
            accumulate: accumulate.into(),
        }
    }

    fn constants(self) -> [(&'static str, f64); 2] {
        [
            ("OBJECTIVE", f64::from(self.margin_loss() as u32)),
            ("SMOOTHING", self.smoothed()),
        ]
    }
}

impl Operation for GanLoss {
    fn kind(&self) -> &'static str {
        match self.objective {
            GanObjective::CrossEntropy => "adversarial_cross_entropy",
            GanObjective::Minimax => "minimax",
            GanObjective::Wasserstein => "wasserstein",
            GanObjective::Hinge => "hinge",
            GanObjective::LeastSquares => "least_squares",
        }
    }

    fn properties(&self) -> &'static [Property] {
        match self.margin_loss() {
            MarginLoss::Softplus => &[Property::CrossEntropy],
            _ => &[],
        }
    }

    /// With a smoothed target the cross-entropy never falls below the entropy of that target.
    fn range(&self) -> ValueRange {
        let smoothed = self.smoothed();
        if self.margin_loss() != MarginLoss::Softplus || smoothed == 0.0 {
            return ValueRange::UNBOUNDED;
        }
        let entropy = -smoothed * smoothed.ln() - (1.0 - smoothed) * (1.0 - smoothed).ln();
        ValueRange::new(entropy, f64::INFINITY)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [score] = expect_inputs(inputs, ["score"])?;
        if elements(score) != 1 {
            return Err(ShapeError::new(
                format!("a score of shape {score:?}"),
                "one number per sample",
            ));
        }
        Ok(Vec::new())
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let kernel = context.gpu.kernel(&GAN_LOSS, "forward", &self.constants());
        let uniforms = self.uniforms(context.batch, false);
        let workgroups = grid(context.batch.div_ceil(4), 64);
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let kernel = context.gpu.kernel(&GAN_LOSS, "backward", &self.constants());
        let uniforms = self.uniforms(context.batch, target.accumulate);
        let workgroups = grid(context.batch.div_ceil(4), 64);
        let read = (target, &[0][..]);
        Ok(vec![per_sample::backward(
            context, io, &kernel, read, &uniforms, workgroups,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for GanLoss {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let cost = |score: &f64| {
            let margin = f64::from(self.sign()) * score;
            match self.margin_loss() {
                MarginLoss::Softplus => {
                    Activation::Softplus.value(margin) - self.smoothed() * margin
                }
                MarginLoss::Linear => margin,
                MarginLoss::Hinge => (1.0 + margin).max(0.0),
                MarginLoss::LogSigmoid => -Activation::Softplus.value(-margin),
                MarginLoss::Square => margin.powi(2),
                MarginLoss::SquareFromOne => (margin + 1.0 - self.smoothed()).powi(2),
            }
        };
        io.inputs[0].iter().map(cost).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let sign = f64::from(self.sign());
        let derivative = |score: &f64| match self.margin_loss() {
            MarginLoss::Softplus => {
                sign * (Activation::Sigmoid.value(sign * score) - self.smoothed())
            }
            MarginLoss::Linear => sign,
            MarginLoss::Hinge if sign * score <= -1.0 => 0.0,
            MarginLoss::Hinge => sign,
            MarginLoss::LogSigmoid => sign * Activation::Sigmoid.value(-sign * score),
            MarginLoss::Square => 2.0 * score,
            MarginLoss::SquareFromOne => 2.0 * (score + sign * (1.0 - self.smoothed())),
        };
        let scores = io.forward.inputs[0].iter().zip(io.output_gradient);
        ReferenceGradients {
            inputs: vec![scores.map(|(score, g)| g * derivative(score)).collect()],
            parameters: Vec::new(),
        }
    }
}
