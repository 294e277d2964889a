//! Softmax over all values of a sample.

use crate::gpu::{Dispatch, Shader, Uniform};
use crate::nn::Mode;
use crate::nn::Propagation;
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::{Result, gpu_struct, shader};

static SOFTMAX: Shader = shader!("nn/ops/softmax.wgsl");

/// `exp(x_i) / sum(exp(x))` over all values of a sample, with the largest taken out first. A loss on logits applies a softmax
/// of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax;

gpu_struct! {
    struct SoftmaxUniforms in SOFTMAX::Uniforms {
        batch: u32,
        size: u32,
        accumulate: u32,
    }
}

fn uniform(context: &Context<'_>, shape: &[usize], accumulate: bool) -> Uniform {
    context.gpu.uniform(
        "softmax",
        &SoftmaxUniforms {
            batch: context.batch as u32,
            size: elements(shape) as u32,
            accumulate: accumulate.into(),
        },
    )
}

impl Operation for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn range(&self) -> ValueRange {
        ValueRange::new(0.0, 1.0)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if elements(x) < 2 {
            return Err(ShapeError::new(
                format!("a softmax over {x:?}, whose only value is always 1"),
                "at least two values, or a sigmoid",
            ));
        }
        Ok(x.to_vec())
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: false,
            output: true,
        }
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        None
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let constants = context.row_constants();
        let kernel = context.gpu.kernel(&SOFTMAX, "forward", &constants);
        let uniform = uniform(context, io.output_shape, false);
        let bindings = [
            (0, uniform.binding()),
            (1, io.inputs[0].binding()),
            (2, io.output.binding()),
        ];
        Ok(vec![kernel.bind(
            context.gpu,
            &bindings,
            context.row_workgroups()?,
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let constants = context.row_constants();
        let kernel = context.gpu.kernel(&SOFTMAX, "backward", &constants);
        let uniform = uniform(context, io.output_shape, target.accumulate);
        let bindings = [
            (0, uniform.binding()),
            (1, io.output.binding()),
            (2, io.output_gradient.binding()),
            (3, target.buffer.binding()),
        ];
        Ok(vec![kernel.bind(
            context.gpu,
            &bindings,
            context.row_workgroups()?,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Softmax {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let rows = io.inputs[0].chunks(elements(io.output_shape));
        rows.flat_map(|row| {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
            row.iter().map(move |x| (x - largest).exp() / sum)
        })
        .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let size = elements(io.forward.output_shape);
        let rows = io.output.chunks(size).zip(io.output_gradient.chunks(size));
        let gradient = rows.flat_map(|(output, upstream)| {
            let mean: f64 = output.iter().zip(upstream).map(|(y, g)| y * g).sum();
            output
                .iter()
                .zip(upstream)
                .map(move |(y, g)| y * (g - mean))
        });
        ReferenceGradients {
            inputs: vec![gradient.collect()],
            parameters: Vec::new(),
        }
    }
}
