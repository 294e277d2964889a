//! What a discriminator's score costs the discriminator or the generator.

use serde::{Deserialize, Serialize};

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::ops::Activation;
use crate::{Result, gpu_struct, shader};

static ADVERSARIAL: Shader = shader!("nn/losses/gan.wgsl");

/// The game that a generator and a discriminator play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
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
}

/// Whose loss it is, and of which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The discriminator's, of real images.
    Real,
    /// The discriminator's, of generated images.
    Fake,
    /// The generator's, of generated images.
    Generator,
}

/// Input: a score, one number per sample, higher for images that look real; output: its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adversarial {
    /// The game.
    pub objective: Objective,
    /// The player.
    pub side: Side,
}

gpu_struct! {
    struct GanUniforms in ADVERSARIAL::Uniforms {
        batch: u32,
        sign: f32,
        accumulate: u32,
    }
}

/// Costs as functions of the margin, the score with the sign that makes less better.
#[derive(Clone, Copy, PartialEq)]
enum Cost {
    Softplus = 0,
    Linear = 1,
    Hinge = 2,
    LogSigmoid = 3,
}

impl Adversarial {
    fn sign(self) -> f32 {
        match self.side {
            Side::Fake => 1.0,
            Side::Real | Side::Generator => -1.0,
        }
    }

    fn cost(self) -> Cost {
        match (self.objective, self.side) {
            (Objective::Minimax, Side::Generator) => Cost::LogSigmoid,
            (Objective::CrossEntropy | Objective::Minimax, _) => Cost::Softplus,
            (Objective::Wasserstein, _) | (Objective::Hinge, Side::Generator) => Cost::Linear,
            (Objective::Hinge, _) => Cost::Hinge,
        }
    }

    fn uniform(self, batch: usize, accumulate: bool) -> GanUniforms {
        GanUniforms {
            batch: batch as u32,
            sign: self.sign(),
            accumulate: accumulate.into(),
        }
    }

    fn constants(self) -> [(&'static str, f64); 1] {
        [("OBJECTIVE", f64::from(self.cost() as u32))]
    }
}

impl Operation for Adversarial {
    fn kind(&self) -> &'static str {
        match self.objective {
            Objective::CrossEntropy => "adversarial_cross_entropy",
            Objective::Minimax => "minimax",
            Objective::Wasserstein => "wasserstein",
            Objective::Hinge => "hinge",
        }
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
        let uniform = context
            .gpu
            .uniform(self.kind(), &self.uniform(context.batch, false));
        let kernel = context
            .gpu
            .kernel(&ADVERSARIAL, "forward", &self.constants());
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, io.inputs[0].binding()),
                (2, io.output.binding()),
            ],
            grid(context.batch.div_ceil(4), 64),
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let parameters = self.uniform(context.batch, target.accumulate);
        let uniform = context.gpu.uniform(self.kind(), &parameters);
        let kernel = context
            .gpu
            .kernel(&ADVERSARIAL, "backward", &self.constants());
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, io.inputs[0].binding()),
                (2, io.output_gradient.binding()),
                (3, target.buffer.binding()),
            ],
            grid(context.batch.div_ceil(4), 64),
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Adversarial {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let cost = |score: &f64| {
            let margin = f64::from(self.sign()) * score;
            match self.cost() {
                Cost::Softplus => Activation::Softplus.value(margin),
                Cost::Linear => margin,
                Cost::Hinge => (1.0 + margin).max(0.0),
                Cost::LogSigmoid => -Activation::Softplus.value(-margin),
            }
        };
        io.inputs[0].iter().map(cost).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let sign = f64::from(self.sign());
        let derivative = |score: &f64| match self.cost() {
            Cost::Softplus => sign * Activation::Sigmoid.value(sign * score),
            Cost::Linear => sign,
            Cost::Hinge if sign * score <= -1.0 => 0.0,
            Cost::Hinge => sign,
            Cost::LogSigmoid => sign * Activation::Sigmoid.value(-sign * score),
        };
        let scores = io.forward.inputs[0].iter().zip(io.output_gradient);
        ReferenceGradients {
            inputs: vec![scores.map(|(score, g)| g * derivative(score)).collect()],
            parameters: Vec::new(),
        }
    }
}
