//! The gradient through an activation function, as an operation that is differentiated again.

use super::activation::Activation;
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::{Result, gpu_struct, shader};

static ACTIVATION_GRADIENT: Shader = shader!("nn/ops/activation_gradient.wgsl");

/// `f'(x) g`, from the input `x` of an activation function and the gradient `g` of its output. To the gradient flows back
/// `f'(x)` times what arrives, to the input `f''(x) g` times that, which is nothing for functions that are straight on both
/// sides of zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivationGradient(pub Activation);

gpu_struct! {
    struct ActivationGradientUniforms in ACTIVATION_GRADIENT::Uniforms {
        vectors: u32,
        slope: f32,
        accumulate: u32,
    }
}

impl ActivationGradient {
    /// Applies `entry` to all elements: the `read` buffers are bound from 1 on, what is written to 4.
    fn dispatch(
        self,
        context: &Context<'_>,
        entry: &'static str,
        read: &[&Buffer<f32>],
        (written, count): (&Buffer<f32>, usize),
        accumulate: bool,
    ) -> Dispatch {
        let gpu = context.gpu;
        let vectors = count.div_ceil(4);
        let uniform = gpu.uniform(
            "activation gradient",
            &ActivationGradientUniforms {
                vectors: vectors as u32,
                slope: self.0.slope(),
                accumulate: accumulate.into(),
            },
        );
        let mut bindings = vec![(0, uniform.binding())];
        bindings.extend((1..).zip(read.iter().map(|buffer| buffer.binding())));
        bindings.push((4, written.binding()));
        let constants = [("KIND", f64::from(self.0.number()))];
        let kernel = gpu.kernel(&ACTIVATION_GRADIENT, entry, &constants);
        kernel.bind(gpu, &bindings, grid(vectors, 64))
    }
}

impl Operation for ActivationGradient {
    fn kind(&self) -> &'static str {
        "activation_gradient"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x, gradient] = expect_inputs(inputs, ["x", "gradient"])?;
        if elements(x) != elements(gradient) {
            return Err(ShapeError::new(
                format!("{x:?} and {gradient:?}"),
                "an input and a gradient of one size",
            ));
        }
        Ok(x.to_vec())
    }

    fn differentiable(&self, input: usize) -> bool {
        input == 1 || self.0.is_curved()
    }

    fn saved(&self) -> Saved {
        Saved::INPUTS
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let written = (io.output, context.batch * elements(io.output_shape));
        Ok(vec![
            self.dispatch(context, "slope", &io.inputs, written, false),
        ])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let count = context.batch * elements(io.output_shape);
        let [x, gradient] = [io.inputs[0], io.inputs[1]];
        let mut dispatches = Vec::new();
        if let Some(target) = io.input_gradients[0] {
            let read = [x, gradient, io.output_gradient];
            let written = (target.buffer, count);
            dispatches.push(self.dispatch(context, "curvature", &read, written, target.accumulate));
        }
        if let Some(target) = io.input_gradients[1] {
            let read = [x, io.output_gradient];
            let written = (target.buffer, count);
            dispatches.push(self.dispatch(context, "slope", &read, written, target.accumulate));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for ActivationGradient {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let pairs = io.inputs[0].iter().zip(io.inputs[1]);
        pairs.map(|(&x, g)| self.0.derivative(x) * g).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let (x, gradient) = (io.forward.inputs[0], io.forward.inputs[1]);
        let to_x = x.iter().zip(gradient).zip(io.output_gradient);
        let to_gradient = x.iter().zip(io.output_gradient);
        ReferenceGradients {
            inputs: vec![
                to_x.map(|((&x, g), c)| self.0.second_derivative(x) * g * c)
                    .collect(),
                to_gradient
                    .map(|(&x, c)| self.0.derivative(x) * c)
                    .collect(),
            ],
            parameters: Vec::new(),
        }
    }
}
