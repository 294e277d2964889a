//! The length of each sample.

use crate::gpu::{Dispatch, Shader, Uniform};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::{Result, gpu_struct, shader};

static NORM: Shader = shader!("nn/ops/norm.wgsl");

/// The Euclidean norm of each sample, one number per sample. Where it is 0, its gradient is taken to be 0, as PyTorch does.
/// Squares are summed in float32: a sample of elements below 1e-23 has the norm 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm;

gpu_struct! {
    struct NormUniforms in NORM::Uniforms {
        rows: u32,
        size: u32,
        accumulate: u32,
    }
}

impl Norm {
    fn uniform(context: &Context<'_>, shape: &[usize], accumulate: bool) -> Uniform {
        context.gpu.uniform(
            "norm",
            &NormUniforms {
                rows: context.batch as u32,
                size: elements(shape) as u32,
                accumulate: accumulate.into(),
            },
        )
    }
}

impl Operation for Norm {
    fn kind(&self) -> &'static str {
        "norm"
    }

    fn range(&self) -> ValueRange {
        ValueRange::NOT_NEGATIVE
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        expect_inputs(inputs, ["x"])?;
        Ok(Vec::new())
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: true,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let uniform = Self::uniform(context, io.input_shapes[0], false);
        let constants = context.long_row_constants();
        let kernel = context.gpu.kernel(&NORM, "forward", &constants);
        let bindings = [
            (0, uniform.binding()),
            (1, io.inputs[0].binding()),
            (2, io.output.binding()),
        ];
        let workgroups = context.long_row_grid(context.batch);
        Ok(vec![kernel.bind(context.gpu, &bindings, workgroups)])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let uniform = Self::uniform(context, io.input_shapes[0], target.accumulate);
        let constants = context.long_row_constants();
        let kernel = context.gpu.kernel(&NORM, "backward", &constants);
        let bindings = [
            (0, uniform.binding()),
            (1, io.inputs[0].binding()),
            (2, io.output.binding()),
            (3, io.output_gradient.binding()),
            (4, target.buffer.binding()),
        ];
        let workgroups = context.long_row_grid(context.batch);
        Ok(vec![kernel.bind(context.gpu, &bindings, workgroups)])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

fn length(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

impl ReferenceOperation for Norm {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let rows = io.inputs[0].chunks(elements(io.input_shapes[0]));
        rows.map(length).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let rows = io.forward.inputs[0].chunks(elements(io.forward.input_shapes[0]));
        let gradients = rows.zip(io.output_gradient).flat_map(|(row, upstream)| {
            let norm = length(row);
            let slope = if norm == 0.0 { 0.0 } else { upstream / norm };
            row.iter().map(move |x| slope * x)
        });
        ReferenceGradients {
            inputs: vec![gradients.collect()],
            parameters: Vec::new(),
        }
    }
}
