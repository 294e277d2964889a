//! The negative log-likelihood of a Gaussian whose mean and variance are both learned.

use std::f64::consts::TAU;

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static GAUSSIAN_LIKELIHOOD: Shader = shader!("nn/losses/gaussian_likelihood.wgsl");

/// `1/2 (log(2 pi) + log_variance + (x - mean)^2 exp(-log_variance))`. Inputs: `mean`, `log_variance` and the target `x`,
/// of as many elements each; output: the sum over each sample's elements, in nats. The target gets no gradient.
///
/// It has no lower bound: where the target can be predicted exactly, the variance shrinks without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaussianLikelihood;

gpu_struct! {
    struct GaussianLikelihoodUniforms in GAUSSIAN_LIKELIHOOD::Uniforms {
        batch: u32,
        size: u32,
        accumulate: u32,
    }
}

impl GaussianLikelihoodUniforms {
    fn new(context: &Context<'_>, mean: &[usize], accumulate: bool) -> Self {
        Self {
            batch: context.batch as u32,
            size: elements(mean) as u32,
            accumulate: accumulate.into(),
        }
    }
}

impl Operation for GaussianLikelihood {
    fn kind(&self) -> &'static str {
        "gaussian_likelihood"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let shapes = expect_inputs(inputs, ["mean", "log_variance", "target"])?;
        let [mean, log_variance, target] = shapes;
        if shapes.map(elements) != [elements(mean); 3] {
            return Err(ShapeError::new(
                format!("mean {mean:?}, log_variance {log_variance:?} and target {target:?}"),
                "three inputs of as many elements",
            ));
        }
        Ok(Vec::new())
    }

    fn differentiable(&self, input: usize) -> bool {
        input < 2
    }

    fn saved(&self) -> Saved {
        Saved::INPUTS
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let constants = context.row_constants();
        let kernel = context
            .gpu
            .kernel(&GAUSSIAN_LIKELIHOOD, "forward", &constants);
        let uniforms = GaussianLikelihoodUniforms::new(context, io.input_shapes[0], false);
        let workgroups = context.row_workgroups()?;
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let heads = ["backward_mean", "backward_log_variance"];
        let shape = io.input_shapes[0];
        let workgroups = grid(context.batch * elements(shape), 64);
        let mut dispatches = Vec::new();
        for (entry, target) in heads.into_iter().zip(&io.input_gradients) {
            let Some(target) = *target else {
                continue;
            };
            let kernel = context.gpu.kernel(&GAUSSIAN_LIKELIHOOD, entry, &[]);
            let uniforms = GaussianLikelihoodUniforms::new(context, shape, target.accumulate);
            let read = (target, &[0, 1, 2][..]);
            dispatches.push(per_sample::backward(
                context, io, &kernel, read, &uniforms, workgroups,
            ));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for GaussianLikelihood {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let size = elements(io.input_shapes[0]);
        let [mean, log_variance, target] = [0, 1, 2].map(|input| io.inputs[input]);
        let each = |i: usize| {
            let distance = target[i] - mean[i];
            0.5 * (TAU.ln() + log_variance[i] + distance * distance * (-log_variance[i]).exp())
        };
        (0..io.batch)
            .map(|row| (row * size..(row + 1) * size).map(each).sum())
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let size = elements(io.forward.input_shapes[0]);
        let [mean, log_variance, target] = [0, 1, 2].map(|input| io.forward.inputs[input]);
        let upstream = |i: usize| io.output_gradient[i / size];
        let precision = |i: usize| (-log_variance[i]).exp();
        let distance = |i: usize| mean[i] - target[i];
        let of_mean = |i: usize| upstream(i) * distance(i) * precision(i);
        let of_variance = |i: usize| upstream(i) * 0.5 * (1.0 - distance(i).powi(2) * precision(i));
        ReferenceGradients {
            inputs: vec![
                (0..mean.len()).map(of_mean).collect(),
                (0..mean.len()).map(of_variance).collect(),
                Vec::new(),
            ],
            parameters: Vec::new(),
        }
    }
}
