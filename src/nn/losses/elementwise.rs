//! How far a prediction is from a target of the same shape: cross-entropies of logits or probabilities, or squared error.

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::nn::ops::Activation;
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static RECONSTRUCTION: Shader = shader!("nn/losses/elementwise.wgsl");

/// Inputs: prediction and target, of one shape; output: the sum over each sample's elements. The target gets no
/// gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ElementwiseLoss {
    /// `softplus(logit) - logit target`, the cross-entropy of `sigmoid(logit)` in its stable form.
    BceWithLogits,
    /// `(prediction - target)^2`.
    SquaredError,
    /// `-target log(p) - (1 - target) log(1 - p)`: infinite where a probability of 0 or 1 is wrong, and NaN beyond.
    Bce,
    /// `-target log(p)`, 0 where the target is 0: the cross-entropy of probabilities that a softmax has made.
    NegativeLogLikelihood,
}

gpu_struct! {
    struct ElementwiseUniforms in RECONSTRUCTION::Uniforms {
        batch: u32,
        size: u32,
        accumulate: u32,
    }
}

impl ElementwiseUniforms {
    fn new(context: &Context<'_>, prediction: &[usize], accumulate: bool) -> Self {
        Self {
            batch: context.batch as u32,
            size: elements(prediction) as u32,
            accumulate: accumulate.into(),
        }
    }
}

/// `-weight log(p)`, 0 where the weight is.
fn log_term(weight: f64, p: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { -weight * p.ln() }
}

/// `weight / p`, 0 where the weight is.
fn quotient(weight: f64, p: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight / p }
}

impl ElementwiseLoss {
    fn constant(self) -> (&'static str, f64) {
        ("KIND", f64::from(self as u32))
    }

    fn value(self, x: f64, t: f64) -> f64 {
        match self {
            Self::BceWithLogits => Activation::Softplus.value(x) - x * t,
            Self::SquaredError => (x - t).powi(2),
            Self::Bce => log_term(t, x) + log_term(1.0 - t, 1.0 - x),
            Self::NegativeLogLikelihood => log_term(t, x),
        }
    }

    fn derivative(self, x: f64, t: f64) -> f64 {
        match self {
            Self::BceWithLogits => Activation::Sigmoid.value(x) - t,
            Self::SquaredError => 2.0 * (x - t),
            Self::Bce => quotient(1.0 - t, 1.0 - x) - quotient(t, x),
            Self::NegativeLogLikelihood => -quotient(t, x),
        }
    }
}

impl Operation for ElementwiseLoss {
    fn kind(&self) -> &'static str {
        match self {
            Self::BceWithLogits => "binary_cross_entropy",
            Self::SquaredError => "squared_error",
            Self::Bce => "binary_cross_entropy_of_probabilities",
            Self::NegativeLogLikelihood => "negative_log_likelihood",
        }
    }

    fn properties(&self) -> &'static [Property] {
        match self {
            Self::BceWithLogits | Self::Bce => {
                &[Property::CrossEntropy, Property::Bernoulli, Property::Nats]
            }
            Self::NegativeLogLikelihood => &[
                Property::CrossEntropy,
                Property::Categorical,
                Property::Nats,
            ],
            Self::SquaredError => &[Property::SquaredError],
        }
    }

    fn range(&self) -> ValueRange {
        ValueRange::NOT_NEGATIVE
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [prediction, target] = expect_inputs(inputs, ["prediction", "target"])?;
        if elements(prediction) != elements(target) {
            return Err(ShapeError::new(
                format!(
                    "a prediction {prediction:?} of {} elements for a target {target:?} of {}",
                    elements(prediction),
                    elements(target)
                ),
                "a prediction of as many elements as the target",
            ));
        }
        Ok(Vec::new())
    }

    fn differentiable(&self, input: usize) -> bool {
        input == 0
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let [lanes, rows] = context.row_constants();
        let constants = [self.constant(), lanes, rows];
        let kernel = context.gpu.kernel(&RECONSTRUCTION, "forward", &constants);
        let uniforms = ElementwiseUniforms::new(context, io.input_shapes[0], false);
        let workgroups = context.row_workgroups()?;
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let constants = [self.constant()];
        let kernel = context.gpu.kernel(&RECONSTRUCTION, "backward", &constants);
        let uniforms = ElementwiseUniforms::new(context, io.input_shapes[0], target.accumulate);
        let size = elements(io.input_shapes[0]);
        let workgroups = grid((context.batch * size).div_ceil(4), 64);
        let read = (target, &[0, 1][..]);
        Ok(vec![per_sample::backward(
            context, io, &kernel, read, &uniforms, workgroups,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for ElementwiseLoss {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let size = elements(io.input_shapes[0]);
        io.inputs[0]
            .chunks(size)
            .zip(io.inputs[1].chunks(size))
            .map(|(x, t)| x.iter().zip(t).map(|(&x, &t)| self.value(x, t)).sum())
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let size = elements(io.forward.input_shapes[0]);
        let gradient = io.forward.inputs[0]
            .iter()
            .zip(io.forward.inputs[1])
            .enumerate()
            .map(|(i, (&x, &t))| io.output_gradient[i / size] * self.derivative(x, t))
            .collect();
        ReferenceGradients {
            inputs: vec![gradient, Vec::new()],
            parameters: Vec::new(),
        }
    }
}
