//! The reparameterization trick with noise that was drawn elsewhere: `z = mu + noise eps exp(log_variance / 2)`, where `eps` is
//! given for every step. So a run that another framework has trained is repeated with its own draws.

use std::sync::Arc;

use super::Reparameterize;
use crate::gpu::{Binding, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements,
};
use crate::nn::{Mode, Propagation};
use crate::{Error, Result, gpu_struct, shader};

static REPARAMETERIZE_GIVEN: Shader = shader!("nn/ops/reparameterize_given.wgsl");

/// Noise of each step, `[steps, batch, latent units]`. Steps beyond the last one begin again at the first.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenNoise {
    steps: usize,
    /// Values of one step.
    size: usize,
    values: Arc<Vec<f32>>,
}

impl GivenNoise {
    /// The noise of `steps` steps, one after the other.
    ///
    /// # Errors
    /// There is none, or the steps have different amounts of it.
    pub fn new(steps: usize, values: Vec<f32>) -> Result<Self> {
        if steps == 0 || values.is_empty() || !values.len().is_multiple_of(steps) {
            return Err(Error::input(
                "given noise",
                format!("it has {} values for {steps} steps", values.len()),
                "give as many values for each step as a batch has latent values",
            ));
        }
        Ok(Self {
            steps,
            size: values.len() / steps,
            values: Arc::new(values),
        })
    }

    /// Steps that it has noise for.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Values of one step.
    pub fn step_size(&self) -> usize {
        self.size
    }

    fn of_step(&self, step: u32) -> &[f32] {
        &self.values[(step as usize % self.steps) * self.size..][..self.size]
    }

    /// All steps, each on vectors of four of its own.
    fn padded(&self) -> Vec<f32> {
        let padding = self.size.next_multiple_of(4) - self.size;
        let steps = self.values.chunks(self.size);
        let padded = steps.flat_map(|step| step.iter().copied().chain((0..padding).map(|_| 0.0)));
        padded.collect()
    }
}

/// Draws from a diagonal Gaussian with noise that is given. Inputs: `mu` and `log_variance`, of one shape; output: `z` of that
/// shape. In [`Mode::Eval`] it passes the mean on.
#[derive(Debug, Clone, PartialEq)]
pub struct ReparameterizeGiven {
    /// Scale of the noise; 0 passes `mu` through.
    pub noise: f32,
    /// The noise.
    pub given: GivenNoise,
}

gpu_struct! {
    struct ReparameterizeGivenUniforms in REPARAMETERIZE_GIVEN::Uniforms {
        vectors: u32,
        steps: u32,
        noise: f32,
        accumulate: u32,
    }
}

impl ReparameterizeGiven {
    /// What it is where there is no noise.
    const MEAN: Reparameterize = Reparameterize { noise: 0.0 };

    fn is_mean(&self, mode: Mode) -> bool {
        self.noise == 0.0 || !mode.is_training()
    }

    /// The uniforms of a batch that the noise is for.
    fn uniforms(
        &self,
        context: &Context<'_>,
        shape: &[usize],
    ) -> Result<ReparameterizeGivenUniforms> {
        let (size, given) = (context.batch * elements(shape), &self.given);
        if given.size != size {
            return Err(Error::input(
                "given noise",
                format!(
                    "it has {} values a step, a batch has {size} latent values",
                    given.size
                ),
                "give noise of shape [steps, batch, latent]",
            ));
        }
        Ok(ReparameterizeGivenUniforms {
            vectors: size.div_ceil(4) as u32,
            steps: given.steps as u32,
            noise: self.noise,
            accumulate: 0,
        })
    }

    /// `noise eps exp(log_variance / 2)` in float64.
    fn deviation(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (_, step, _) = io.noise_key;
        let noise = f64::from(self.noise);
        let eps = self.given.of_step(step).iter();
        let pairs = io.inputs[1].iter().zip(eps);
        pairs
            .map(|(v, &eps)| noise * f64::from(eps) * (0.5 * v).exp())
            .collect()
    }
}

impl Operation for ReparameterizeGiven {
    fn kind(&self) -> &'static str {
        Self::MEAN.kind()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        Self::MEAN.output_shape(inputs)
    }

    fn saved(&self) -> Saved {
        Self::MEAN.saved()
    }

    fn propagation(&self, mode: Mode) -> Option<Propagation> {
        self.is_mean(mode).then_some(Propagation::Routing)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        if self.is_mean(context.mode) {
            return Self::MEAN.forward(context, io);
        }
        let uniforms = self.uniforms(context, io.output_shape)?;
        let uniform = context.gpu.uniform("reparameterize_given", &uniforms);
        let given = context.gpu.upload("given noise", &self.given.padded())?;
        let kernel = context.gpu.kernel(&REPARAMETERIZE_GIVEN, "forward", &[]);
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, context.step_counter.binding()),
                (2, io.inputs[1].binding()),
                (3, io.inputs[0].binding()),
                (4, io.output.binding()),
                (5, given.binding()),
            ],
            grid(uniforms.vectors as usize, 64),
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        if self.is_mean(context.mode) {
            return Self::MEAN.backward(context, io);
        }
        let heads = ["backward_mu", "backward_log_variance"];
        let mut dispatches = Vec::new();
        for (input, (entry, target)) in heads.into_iter().zip(&io.input_gradients).enumerate() {
            let Some(target) = target else {
                continue;
            };
            let uniforms = ReparameterizeGivenUniforms {
                accumulate: target.accumulate.into(),
                ..self.uniforms(context, io.output_shape)?
            };
            let uniform = context.gpu.uniform("reparameterize_given", &uniforms);
            let mut bindings: Vec<(u32, Binding<'_>)> = vec![
                (0, uniform.binding()),
                (3, io.output_gradient.binding()),
                (4, target.buffer.binding()),
            ];
            let given;
            if input == 1 {
                given = context.gpu.upload("given noise", &self.given.padded())?;
                bindings.push((1, context.step_counter.binding()));
                bindings.push((2, io.inputs[1].binding()));
                bindings.push((5, given.binding()));
            }
            let kernel = context.gpu.kernel(&REPARAMETERIZE_GIVEN, entry, &[]);
            let workgroups = grid(uniforms.vectors as usize, 64);
            dispatches.push(kernel.bind(context.gpu, &bindings, workgroups));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for ReparameterizeGiven {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        if self.is_mean(io.mode) {
            return Self::MEAN.reference_forward(io);
        }
        let pairs = io.inputs[0].iter().zip(self.deviation(io));
        pairs.map(|(mu, deviation)| mu + deviation).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        if self.is_mean(io.forward.mode) {
            return Self::MEAN.reference_backward(io);
        }
        let upstream = io.output_gradient;
        let pairs = self.deviation(&io.forward).into_iter().zip(upstream);
        let to_log_variance = pairs.map(|(deviation, upstream)| 0.5 * upstream * deviation);
        ReferenceGradients {
            inputs: vec![upstream.to_vec(), to_log_variance.collect()],
            parameters: Vec::new(),
        }
    }
}
