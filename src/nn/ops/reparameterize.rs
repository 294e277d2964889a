//! The reparameterization trick: `z = mu + noise eps exp(log_variance / 2)` (Kingma and Welling 2014, section 2.4).

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::{Mode, Propagation};
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static REPARAMETERIZE: Shader = shader!("nn/ops/reparameterize.wgsl");

/// Draws from a diagonal Gaussian. Inputs: `mu` and `log_variance`, of one shape; output: `z` of that shape. In
/// [`Mode::Eval`] it passes the mean on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reparameterize {
    /// Scale of the noise; 0 passes `mu` through.
    pub noise: f32,
}

gpu_struct! {
    struct ReparameterizeUniforms in REPARAMETERIZE::Uniforms {
        key: [u32; 2],
        stream: u32,
        node: u32,
        vectors: u32,
        noise: f32,
        accumulate: u32,
    }
}

impl Reparameterize {
    fn parameters_for(&self, context: &Context<'_>, shape: &[usize]) -> ReparameterizeUniforms {
        ReparameterizeUniforms {
            key: random::key(context.seed),
            stream: Stream::Reparameterization as u32,
            node: context.node as u32,
            vectors: (context.batch * elements(shape)).div_ceil(4) as u32,
            noise: self.noise_in(context.mode),
            accumulate: 0,
        }
    }

    fn noise_in(&self, mode: Mode) -> f32 {
        if mode.is_training() { self.noise } else { 0.0 }
    }

    /// `noise eps exp(log_variance / 2)` in float64, with the noise that the kernels draw.
    fn deviation(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (seed, step, node) = io.noise_key;
        let log_variance = io.inputs[1];
        let eps = (0..log_variance.len().div_ceil(4)).flat_map(|vector| {
            let counter = [
                vector as u32,
                step,
                Stream::Reparameterization as u32,
                node as u32,
            ];
            random::standard_normal(random::philox(counter, random::key(seed)))
        });
        let noise = f64::from(self.noise_in(io.mode));
        log_variance
            .iter()
            .zip(eps)
            .map(|(&v, eps)| {
                if noise == 0.0 {
                    0.0
                } else {
                    noise * eps * (0.5 * v).exp()
                }
            })
            .collect()
    }
}

impl Operation for Reparameterize {
    fn kind(&self) -> &'static str {
        "reparameterize"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [mu, log_variance] = expect_inputs(inputs, ["mu", "log_variance"])?;
        if mu != log_variance {
            return Err(ShapeError::new(
                format!("mu {mu:?} and log_variance {log_variance:?}"),
                "two inputs of one shape",
            ));
        }
        Ok(mu.to_vec())
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn propagation(&self, mode: Mode) -> Option<Propagation> {
        (self.noise_in(mode) == 0.0).then_some(Propagation::Routing)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let parameters = self.parameters_for(context, io.output_shape);
        let uniform = context.gpu.uniform("reparameterize", &parameters);
        let kernel = context.gpu.kernel(&REPARAMETERIZE, "forward", &[]);
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, context.step_counter.binding()),
                (2, io.inputs[1].binding()),
                (3, io.inputs[0].binding()),
                (4, io.output.binding()),
            ],
            grid(parameters.vectors as usize, 64),
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let heads = ["backward_mu", "backward_log_variance"];
        let mut dispatches = Vec::new();
        for (input, (entry, target)) in heads.into_iter().zip(&io.input_gradients).enumerate() {
            let Some(target) = target else {
                continue;
            };
            let parameters = ReparameterizeUniforms {
                accumulate: target.accumulate.into(),
                ..self.parameters_for(context, io.output_shape)
            };
            let uniform = context.gpu.uniform("reparameterize", &parameters);
            let mut bindings = vec![
                (0, uniform.binding()),
                (3, io.output_gradient.binding()),
                (4, target.buffer.binding()),
            ];
            if input == 1 {
                bindings.push((1, context.step_counter.binding()));
                bindings.push((2, io.inputs[1].binding()));
            }
            dispatches.push(context.gpu.kernel(&REPARAMETERIZE, entry, &[]).bind(
                context.gpu,
                &bindings,
                grid(parameters.vectors as usize, 64),
            ));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Reparameterize {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let deviation = self.deviation(io);
        io.inputs[0]
            .iter()
            .zip(deviation)
            .map(|(mu, d)| mu + d)
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let upstream = io.output_gradient;
        let to_log_variance = self
            .deviation(&io.forward)
            .iter()
            .zip(upstream)
            .map(|(deviation, upstream)| 0.5 * upstream * deviation)
            .collect();
        ReferenceGradients {
            inputs: vec![upstream.to_vec(), to_log_variance],
            parameters: Vec::new(),
        }
    }
}
