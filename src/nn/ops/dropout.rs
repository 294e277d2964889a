//! Dropout (Srivastava et al. 2014).

use std::ops::Range;

use super::adjoint::Adjoint;
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError,
    elements, expect_inputs,
};
use crate::nn::{Mode, Propagation};
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static DROPOUT: Shader = shader!("nn/ops/dropout.wgsl");

/// In training sets each element to 0 with a probability and scales the others by `1 / (1 - probability)`; in inference
/// passes its input on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of the elements that become 0, below 1.
    pub probability: f32,
}

gpu_struct! {
    struct DropoutUniforms in DROPOUT::Uniforms {
        key: [u32; 2],
        stream: u32,
        node: u32,
        vectors: u32,
        probability: f32,
        scale: f32,
        accumulate: u32,
    }
}

impl Dropout {
    fn scale(&self) -> f32 {
        1.0 / (1.0 - self.probability)
    }

    fn dispatch(
        &self,
        context: &Context<'_>,
        shape: &[usize],
        from: &Buffer<f32>,
        to: &Buffer<f32>,
        accumulate: bool,
    ) -> Dispatch {
        let vectors = (context.batch * elements(shape)).div_ceil(4);
        let probability = if context.mode.is_training() {
            self.probability
        } else {
            0.0
        };
        let uniform = context.gpu.uniform(
            "dropout",
            &DropoutUniforms {
                key: random::key(context.seed),
                stream: Stream::Dropout as u32,
                node: context.node as u32,
                vectors: vectors as u32,
                probability,
                scale: self.scale(),
                accumulate: accumulate.into(),
            },
        );
        context.gpu.kernel(&DROPOUT, "main", &[]).bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, context.step_counter.binding()),
                (2, from.binding()),
                (3, to.binding()),
            ],
            grid(vectors, 64),
        )
    }

    /// `values` with the mask that the kernel draws.
    fn masked(&self, io: &ReferenceForward<'_>, values: &[f64]) -> Vec<f64> {
        if !io.mode.is_training() || self.probability == 0.0 {
            return values.to_vec();
        }
        let (seed, step, node) = io.noise_key;
        let mask = (0..values.len().div_ceil(4)).flat_map(|vector| {
            let counter = [vector as u32, step, Stream::Dropout as u32, node as u32];
            random::philox(counter, random::key(seed))
        });
        let kept = |word| random::uniform(word) >= f64::from(self.probability);
        values
            .iter()
            .zip(mask)
            .map(|(value, word)| {
                if kept(word) {
                    value * f64::from(self.scale())
                } else {
                    0.0
                }
            })
            .collect()
    }
}

impl Operation for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Affine, Property::Dropout]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if !(0.0..1.0).contains(&self.probability) {
            return Err(ShapeError::new(
                format!("a probability of {}", self.probability),
                "a probability of at least 0 and below 1",
            ));
        }
        Ok(x.to_vec())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, mode: Mode) -> Option<Propagation> {
        (!mode.is_training()).then_some(Propagation::Routing)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn input_gradient(&self, input: &[usize], node: usize) -> Option<InputGradient> {
        let adjoint = Adjoint::new(*self, input, node).ok()?;
        Some(InputGradient::Linear(Box::new(adjoint)))
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

impl ReferenceOperation for Dropout {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        self.masked(io, io.inputs[0])
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![self.masked(&io.forward, io.output_gradient)],
            parameters: Vec::new(),
        }
    }
}
