//! The dense layer: `y = x W^T + b`, with PyTorch's weight layout `[out, in]`.

use bytemuck::{Pod, Zeroable};

use crate::Result;
use crate::gpu::{Dispatch, Shader, groups};
use crate::nn::Initialisation;
use crate::nn::matmul::{self, Matmul, Orientation};
use crate::nn::operation::{
    Backward, Context, Forward, Misfit, Operation, ParameterSpec, ReferenceBackward,
    ReferenceForward, ReferenceGradients, Saved, elements, expect_inputs,
};
use crate::shader;

static COLUMN_SUM: Shader = shader!("nn/column_sum.wgsl");

/// A dense layer. Parameters: `weight` `[units, inputs]` and `bias` `[units]`; inputs of more than one dimension
/// are taken flat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Outputs.
    pub units: usize,
    /// How weight and bias start.
    pub initialisation: Initialisation,
}

impl Dense {
    /// A layer of `units` with PyTorch's default initialisation.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            initialisation: Initialisation::PyTorch,
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    rows: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
}

impl Operation for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, Misfit> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if self.units == 0 {
            return Err(Misfit::new("units = 0", "at least one unit"));
        }
        let weights = elements(x).checked_mul(self.units);
        if weights.is_none_or(|count| count > 1 << 28) {
            return Err(Misfit::new(
                format!("{} inputs and {} units", elements(x), self.units),
                "at most 268,435,456 weights",
            ));
        }
        Ok(vec![self.units])
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, shape| ParameterSpec {
            name,
            shape,
            initialisation: self.initialisation,
        };
        vec![
            spec("weight", vec![self.units, elements(inputs[0])]),
            spec("bias", vec![self.units]),
        ]
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let product = Matmul {
            m: context.batch,
            n: self.units,
            k: elements(io.input_shapes[0]),
            a: (io.inputs[0].binding(), Orientation::Plain),
            b: (io.parameters[0].value(), Orientation::Transposed),
            bias: Some(io.parameters[1].value()),
            c: io.output.binding(),
            accumulate: false,
        };
        Ok(vec![product.dispatch(context.gpu)?])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let gpu = context.gpu;
        let inputs = elements(io.input_shapes[0]);
        let weight_gradient = Matmul {
            m: self.units,
            n: inputs,
            k: context.batch,
            a: (io.output_gradient.binding(), Orientation::Transposed),
            b: (io.inputs[0].binding(), Orientation::Plain),
            bias: None,
            c: io.parameters[0].gradient(),
            accumulate: false,
        };
        let uniform = gpu.uniform(
            "bias gradient",
            &Parameters {
                rows: context.batch as u32,
                columns: self.units as u32,
                padding0: 0,
                padding1: 0,
            },
        );
        let bias_gradient = gpu.kernel(&COLUMN_SUM, "main", &[]).bind(
            gpu,
            &[
                (0, uniform.as_entire_binding()),
                (1, io.output_gradient.binding()),
                (2, io.parameters[1].gradient()),
            ],
            [groups(self.units, 64), 1, 1],
        );
        let mut dispatches = vec![weight_gradient.dispatch(gpu)?, bias_gradient];
        if let Some(target) = io.input_gradients[0] {
            let input_gradient = Matmul {
                m: context.batch,
                n: inputs,
                k: self.units,
                a: (io.output_gradient.binding(), Orientation::Plain),
                b: (io.parameters[0].value(), Orientation::Plain),
                bias: None,
                c: target.buffer.binding(),
                accumulate: target.accumulate,
            };
            dispatches.push(input_gradient.dispatch(gpu)?);
        }
        Ok(dispatches)
    }

    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        matmul::reference(
            [io.batch, self.units, elements(io.input_shapes[0])],
            (io.inputs[0], Orientation::Plain),
            (io.parameters[0], Orientation::Transposed),
            Some(io.parameters[1]),
        )
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let (batch, inputs) = (io.forward.batch, elements(io.forward.input_shapes[0]));
        let upstream = io.output_gradient;
        let weight = matmul::reference(
            [self.units, inputs, batch],
            (upstream, Orientation::Transposed),
            (io.forward.inputs[0], Orientation::Plain),
            None,
        );
        let bias = (0..self.units)
            .map(|unit| {
                (0..batch)
                    .map(|row| upstream[row * self.units + unit])
                    .sum()
            })
            .collect();
        let input = matmul::reference(
            [batch, inputs, self.units],
            (upstream, Orientation::Plain),
            (io.forward.parameters[0], Orientation::Plain),
            None,
        );
        ReferenceGradients {
            inputs: vec![input],
            parameters: vec![weight, bias],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        COLUMN_SUM,
        "Parameters",
        Parameters {
            rows,
            columns,
            padding0,
            padding1
        }
    );
}
