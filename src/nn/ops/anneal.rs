//! A term of a loss that fades in (Bowman et al. 2016: the annealing of a VAE's KL divergence).

use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, Property, ReferenceBackward,
    ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements,
    expect_inputs,
};
use crate::nn::{Mode, Propagation};
use crate::{Result, gpu_struct, shader};

static ANNEAL: Shader = shader!("nn/ops/anneal.wgsl");

/// Times the share `step / steps` in training, step 0 included, from step `steps` on and in inference times 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anneal {
    /// The step from which on values pass unchanged.
    pub steps: u32,
}

gpu_struct! {
    struct AnnealUniforms in ANNEAL::Uniforms {
        vectors: u32,
        steps: u32,
        accumulate: u32,
    }
}

impl Anneal {
    /// Steps of the ramp in a pass.
    fn ramp(self, mode: Mode) -> u32 {
        if mode.is_training() { self.steps } else { 0 }
    }

    /// The factor in `step`.
    fn share(self, mode: Mode, step: u32) -> f64 {
        match self.ramp(mode) {
            0 => 1.0,
            steps => f64::from(step.min(steps)) / f64::from(steps),
        }
    }

    fn dispatch(
        self,
        context: &Context<'_>,
        shape: &[usize],
        from: &Buffer<f32>,
        to: &Buffer<f32>,
        accumulate: bool,
    ) -> Dispatch {
        let vectors = (context.batch * elements(shape)).div_ceil(4);
        let uniforms = AnnealUniforms {
            vectors: vectors as u32,
            steps: self.ramp(context.mode),
            accumulate: accumulate.into(),
        };
        let uniform = context.gpu.uniform("anneal", &uniforms);
        let bindings = [
            (0, uniform.binding()),
            (1, context.step_counter.binding()),
            (2, from.binding()),
            (3, to.binding()),
        ];
        let kernel = context.gpu.kernel(&ANNEAL, "main", &[]);
        kernel.bind(context.gpu, &bindings, grid(vectors, 64))
    }

    fn scaled(self, io: &ReferenceForward<'_>, values: &[f64]) -> Vec<f64> {
        let (_, step, _) = io.noise_key;
        let share = self.share(io.mode, step);
        values.iter().map(|value| share * value).collect()
    }
}

impl Operation for Anneal {
    fn kind(&self) -> &'static str {
        "anneal"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Affine]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        Ok(x.to_vec())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let (from, to) = (io.inputs[0], io.output);
        Ok(vec![self.dispatch(
            context,
            io.output_shape,
            from,
            to,
            false,
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let target = io.input_gradients[0].iter();
        let (shape, from) = (io.output_shape, io.output_gradient);
        Ok(target
            .map(|to| self.dispatch(context, shape, from, to.buffer, to.accumulate))
            .collect())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Anneal {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        self.scaled(io, io.inputs[0])
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![self.scaled(&io.forward, io.output_gradient)],
            parameters: Vec::new(),
        }
    }
}
