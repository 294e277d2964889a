//! The reparameterization trick: `z = mu + noise eps exp(log_variance / 2)` (Kingma and Welling 2014, section 2.4).

use super::GivenNoise;
use crate::gpu::{Binding, Buffer, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::{Mode, Propagation};
use crate::random::{self, Stream};
use crate::{Error, Result, gpu_struct, shader};

static REPARAMETERIZE: Shader = shader!("nn/ops/reparameterize.wgsl");

/// Draws from a diagonal Gaussian. Inputs: `mu` and `log_variance`, of one shape; output: `z` of that shape. In
/// [`Mode::Eval`] it passes the mean on.
#[derive(Debug, Clone, PartialEq)]
pub struct Reparameterize {
    /// Scale of the noise; 0 passes `mu` through.
    pub noise: f32,
    /// Noise that was drawn elsewhere; without it, it is drawn anew in each step.
    pub given: Option<GivenNoise>,
}

gpu_struct! {
    struct ReparameterizeUniforms in REPARAMETERIZE::Uniforms {
        key: [u32; 2],
        stream: u32,
        node: u32,
        vectors: u32,
        noise: f32,
        steps: u32,
        accumulate: u32,
    }
}

impl Reparameterize {
    /// With noise of this scale, drawn anew in each step.
    pub fn new(noise: f32) -> Self {
        Self { noise, given: None }
    }

    /// The uniforms of a batch, which given noise has to be for.
    fn uniforms(&self, context: &Context<'_>, shape: &[usize]) -> Result<ReparameterizeUniforms> {
        let size = context.batch * elements(shape);
        let given = self.given_in(context.mode);
        if let Some(given) = given.filter(|given| given.step_size() != size) {
            return Err(Error::input(
                "given noise",
                format!(
                    "it has {} values a step, a batch has {size} latent values",
                    given.step_size()
                ),
                "give noise of shape [steps, batch, latent]",
            ));
        }
        Ok(ReparameterizeUniforms {
            key: random::key(context.seed),
            stream: Stream::Reparameterization as u32,
            node: context.node as u32,
            vectors: size.div_ceil(4) as u32,
            noise: self.noise_in(context.mode),
            steps: given.map_or(0, |given| given.steps() as u32),
            accumulate: 0,
        })
    }

    /// The given noise, where there is noise at all.
    fn given_in(&self, mode: Mode) -> Option<&GivenNoise> {
        let given = self.given.as_ref();
        given.filter(|_| self.noise_in(mode) != 0.0)
    }

    fn upload(&self, context: &Context<'_>) -> Result<Option<Buffer<f32>>> {
        let given = self.given_in(context.mode);
        given
            .map(|given| context.gpu.upload("given noise", &given.padded()))
            .transpose()
    }

    fn noise_in(&self, mode: Mode) -> f32 {
        if mode.is_training() { self.noise } else { 0.0 }
    }

    /// `noise eps exp(log_variance / 2)` in float64, with the noise of the kernels.
    fn deviation(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (seed, step, node) = io.noise_key;
        let log_variance = io.inputs[1];
        let drawn = (0..log_variance.len().div_ceil(4)).flat_map(|vector| {
            let counter = [
                vector as u32,
                step,
                Stream::Reparameterization as u32,
                node as u32,
            ];
            random::standard_normal(random::philox(counter, random::key(seed)))
        });
        let eps: Vec<f64> = match self.given_in(io.mode) {
            Some(given) => given.of_step(step).iter().copied().map(f64::from).collect(),
            None => drawn.collect(),
        };
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
        let uniforms = self.uniforms(context, io.output_shape)?;
        let uniform = context.gpu.uniform("reparameterize", &uniforms);
        let given = self.upload(context)?;
        let entry = given.as_ref().map_or("forward", |_| "forward_given");
        let mut bindings = vec![
            (0, uniform.binding()),
            (1, context.step_counter.binding()),
            (2, io.inputs[1].binding()),
            (3, io.inputs[0].binding()),
            (4, io.output.binding()),
        ];
        bindings.extend(given.iter().map(|given| (5, given.binding())));
        let kernel = context.gpu.kernel(&REPARAMETERIZE, entry, &[]);
        let workgroups = grid(uniforms.vectors as usize, 64);
        Ok(vec![kernel.bind(context.gpu, &bindings, workgroups)])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let mut dispatches = Vec::new();
        for (input, target) in io.input_gradients.iter().enumerate() {
            let Some(target) = target else {
                continue;
            };
            let uniforms = ReparameterizeUniforms {
                accumulate: target.accumulate.into(),
                ..self.uniforms(context, io.output_shape)?
            };
            let uniform = context.gpu.uniform("reparameterize", &uniforms);
            // The gradient of mu needs no noise.
            let given = match input {
                0 => None,
                _ => self.upload(context)?,
            };
            let mut bindings: Vec<(u32, Binding<'_>)> = vec![
                (0, uniform.binding()),
                (3, io.output_gradient.binding()),
                (4, target.buffer.binding()),
            ];
            if input == 1 {
                bindings.push((1, context.step_counter.binding()));
                bindings.push((2, io.inputs[1].binding()));
            }
            bindings.extend(given.iter().map(|given| (5, given.binding())));
            let entry = match (input, &given) {
                (0, _) => "backward_mu",
                (_, None) => "backward_log_variance",
                (_, Some(_)) => "backward_log_variance_given",
            };
            let kernel = context.gpu.kernel(&REPARAMETERIZE, entry, &[]);
            let workgroups = grid(uniforms.vectors as usize, 64);
            dispatches.push(kernel.bind(context.gpu, &bindings, workgroups));
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
