//! The divergence of a diagonal Gaussian from the standard one (Kingma and Welling 2014, appendix B).

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static GAUSSIAN_KL: Shader = shader!("nn/losses/gaussian_kl.wgsl");

/// `-1/2 sum(1 + log_variance - mu^2 - exp(log_variance))`. Inputs: `mu` and `log_variance`, of one shape; output:
/// the sum over each sample's latent units, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaussianKl;

gpu_struct! {
    struct GaussianKlUniforms in GAUSSIAN_KL::Uniforms {
        batch: u32,
        size: u32,
        accumulate: u32,
    }
}

impl GaussianKlUniforms {
    fn new(context: &Context<'_>, mu: &[usize], accumulate: bool) -> Self {
        Self {
            batch: context.batch as u32,
            size: elements(mu) as u32,
            accumulate: accumulate.into(),
        }
    }
}

impl Operation for GaussianKl {
    fn kind(&self) -> &'static str {
        "gaussian_kl"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Nats]
    }

    fn range(&self) -> ValueRange {
        ValueRange::NOT_NEGATIVE
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [mu, log_variance] = expect_inputs(inputs, ["mu", "log_variance"])?;
        if mu != log_variance {
            return Err(ShapeError::new(
                format!("mu {mu:?} and log_variance {log_variance:?}"),
                "two inputs of one shape",
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
        let constants = context.row_constants();
        let kernel = context.gpu.kernel(&GAUSSIAN_KL, "forward", &constants);
        let uniforms = GaussianKlUniforms::new(context, io.input_shapes[0], false);
        let workgroups = context.row_workgroups()?;
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let heads = ["backward_mu", "backward_log_variance"];
        let workgroups = grid(context.batch * elements(io.input_shapes[0]), 64);
        let mut dispatches = Vec::new();
        for (input, (entry, target)) in heads.into_iter().zip(&io.input_gradients).enumerate() {
            let Some(target) = *target else {
                continue;
            };
            let kernel = context.gpu.kernel(&GAUSSIAN_KL, entry, &[]);
            let uniforms = GaussianKlUniforms::new(context, io.input_shapes[0], target.accumulate);
            let read = (target, &[input][..]);
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

impl ReferenceOperation for GaussianKl {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let size = elements(io.input_shapes[0]);
        io.inputs[0]
            .chunks(size)
            .zip(io.inputs[1].chunks(size))
            .map(|(mu, log_variance)| {
                mu.iter()
                    .zip(log_variance)
                    .map(|(&m, &v)| 0.5 * (m * m + v.exp() - 1.0 - v))
                    .sum()
            })
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let size = elements(io.forward.input_shapes[0]);
        let upstream = |i: usize| io.output_gradient[i / size];
        let each = |values: &[f64], derivative: &dyn Fn(f64) -> f64| {
            let scaled = values.iter().enumerate();
            scaled
                .map(|(i, &value)| upstream(i) * derivative(value))
                .collect()
        };
        ReferenceGradients {
            inputs: vec![
                each(io.forward.inputs[0], &|m| m),
                each(io.forward.inputs[1], &|v| 0.5 * (v.exp() - 1.0)),
            ],
            parameters: Vec::new(),
        }
    }
}
