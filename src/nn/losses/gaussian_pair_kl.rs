//! The divergence of a diagonal Gaussian from another one: of a posterior from a prior that is learned, as between the
//! latent layers of a hierarchical VAE (Rezende et al. 2014, Sønderby et al. 2016).

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static GAUSSIAN_PAIR_KL: Shader = shader!("nn/losses/gaussian_pair_kl.wgsl");

/// The inputs, in the words of messages.
const HEADS: [&str; 4] = ["mu_q", "log_variance_q", "mu_p", "log_variance_p"];

/// `KL(q || p) = 1/2 sum(exp(d) - 1 - d + (mu_q - mu_p)^2 exp(-log_variance_p))` with
/// `d = log_variance_q - log_variance_p`. Inputs: `mu_q` and `log_variance_q` of the Gaussian `q`, then `mu_p` and
/// `log_variance_p` of the Gaussian `p`, of one shape; output: the sum over each sample's latent units, in nats. All four
/// get a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaussianPairKl;

gpu_struct! {
    struct GaussianPairKlUniforms in GAUSSIAN_PAIR_KL::Uniforms {
        batch: u32,
        size: u32,
        accumulate: u32,
    }
}

impl GaussianPairKlUniforms {
    fn new(context: &Context<'_>, head: &[usize], accumulate: bool) -> Self {
        Self {
            batch: context.batch as u32,
            size: elements(head) as u32,
            accumulate: accumulate.into(),
        }
    }
}

impl Operation for GaussianPairKl {
    fn kind(&self) -> &'static str {
        "gaussian_pair_kl"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Nats]
    }

    fn range(&self) -> ValueRange {
        ValueRange::NOT_NEGATIVE
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let shapes = expect_inputs(inputs, HEADS)?;
        if shapes.iter().any(|shape| *shape != shapes[0]) {
            let named = HEADS.iter().zip(shapes);
            let named: Vec<String> = named
                .map(|(head, shape)| format!("{head} {shape:?}"))
                .collect();
            return Err(ShapeError::new(
                named.join(", "),
                "four inputs of one shape",
            ));
        }
        Ok(Vec::new())
    }

    fn saved(&self) -> Saved {
        Saved::INPUTS
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let constants = context.row_constants();
        let kernel = context.gpu.kernel(&GAUSSIAN_PAIR_KL, "forward", &constants);
        let uniforms = GaussianPairKlUniforms::new(context, io.input_shapes[0], false);
        let workgroups = context.row_workgroups()?;
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        // Each kernel, and the inputs that it reads.
        let heads: [(&str, &[usize]); 4] = [
            ("backward_mu_q", &[0, 2, 3]),
            ("backward_log_variance_q", &[1, 3]),
            ("backward_mu_p", &[0, 2, 3]),
            ("backward_log_variance_p", &[0, 1, 2, 3]),
        ];
        let shape = io.input_shapes[0];
        let workgroups = grid(context.batch * elements(shape), 64);
        let mut dispatches = Vec::new();
        for ((entry, read), target) in heads.into_iter().zip(&io.input_gradients) {
            let Some(target) = *target else {
                continue;
            };
            let kernel = context.gpu.kernel(&GAUSSIAN_PAIR_KL, entry, &[]);
            let uniforms = GaussianPairKlUniforms::new(context, shape, target.accumulate);
            dispatches.push(per_sample::backward(
                context,
                io,
                &kernel,
                (target, read),
                &uniforms,
                workgroups,
            ));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for GaussianPairKl {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let size = elements(io.input_shapes[0]);
        let [mu_q, log_variance_q, mu_p, log_variance_p] = [0, 1, 2, 3].map(|i| io.inputs[i]);
        let each = |i: usize| {
            let ratio = log_variance_q[i] - log_variance_p[i];
            let distance = mu_q[i] - mu_p[i];
            0.5 * (ratio.exp_m1() - ratio + distance * distance * (-log_variance_p[i]).exp())
        };
        (0..io.batch)
            .map(|row| (row * size..(row + 1) * size).map(each).sum())
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let size = elements(io.forward.input_shapes[0]);
        let inputs = &io.forward.inputs;
        let [mu_q, log_variance_q, mu_p, log_variance_p] = [0, 1, 2, 3].map(|i| inputs[i]);
        let scaled = |i: usize| (mu_q[i] - mu_p[i]) * (-log_variance_p[i]).exp();
        let growth = |i: usize| (log_variance_q[i] - log_variance_p[i]).exp_m1();
        let each = |slope: &dyn Fn(usize) -> f64| {
            let slopes = (0..mu_q.len()).map(|i| io.output_gradient[i / size] * slope(i));
            slopes.collect()
        };
        ReferenceGradients {
            inputs: vec![
                each(&scaled),
                each(&|i| 0.5 * growth(i)),
                each(&|i| -scaled(i)),
                each(&|i| -0.5 * (growth(i) + (mu_q[i] - mu_p[i]) * scaled(i))),
            ],
            parameters: Vec::new(),
        }
    }
}
