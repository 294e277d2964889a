//! The dense layer: `y = x W^T + b`, with PyTorch's weight layout `[out, in]`.

use super::adjoint::Adjoint;
use crate::Result;
use crate::gpu::{Dispatch, Scratch};
use crate::nn::matmul::{self, Matmul, MatrixLayout};
use crate::nn::operation::{
    Backward, Context, Forward, InputGradient, Operation, ParameterSpec, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved,
    ScratchRequest, ShapeError, elements, expect_inputs,
};
use crate::nn::spectral_norm::{SpectralNorm, Weight};
use crate::nn::{Initialization, Mode, Propagation};

/// A dense layer. Parameters: `weight` `[units, inputs]` (`weight_orig` under a spectral norm) and `bias` `[units]`;
/// inputs of more than one dimension are taken flat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Outputs.
    pub units: usize,
    /// How weight and bias start.
    pub initialization: Initialization,
    /// Whether the weight is divided by its largest singular value ([`SpectralNorm`]).
    pub spectral_norm: bool,
}

impl Dense {
    /// A layer of `units` with PyTorch's default initialization.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            initialization: Initialization::PyTorch,
            spectral_norm: false,
        }
    }

    fn weight(&self, inputs: &[usize]) -> Weight {
        Weight(self.spectral_norm.then(|| SpectralNorm {
            rows: self.units,
            columns: elements(inputs),
        }))
    }
}

impl Operation for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn properties(&self) -> &'static [Property] {
        if self.spectral_norm {
            &[Property::WeightedSum, Property::SpectralNorm]
        } else {
            &[Property::WeightedSum]
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if self.units == 0 {
            return Err(ShapeError::new("units = 0", "at least one unit"));
        }
        let weights = elements(x).checked_mul(self.units);
        // What the adapter has is checked when a plan is made of it; this is what sizes can be computed with.
        if weights.is_none_or(|count| count >= 1 << 40) {
            return Err(ShapeError::new(
                format!("{} inputs and {} units", elements(x), self.units),
                "fewer than 2^40 weights",
            ));
        }
        Ok(vec![self.units])
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, shape| ParameterSpec {
            name,
            shape,
            initialization: self.initialization,
        };
        vec![
            spec(
                self.weight(inputs[0]).name(),
                vec![self.units, elements(inputs[0])],
            ),
            spec("bias", vec![self.units]),
        ]
    }

    fn buffers(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        self.weight(inputs[0]).buffers()
    }

    fn workspace(&self, _batch: usize, inputs: &[&[usize]]) -> usize {
        self.weight(inputs[0]).workspace()
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let scratch = self.weight(request.inputs[0]).scratch(request.mode);
        scratch.into_iter().collect()
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn with_units(&self, units: usize) -> Option<Box<dyn Operation>> {
        Some(Box::new(Self {
            units,
            spectral_norm: false,
            ..*self
        }))
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
    }

    fn input_gradient(&self, input: &[usize], node: usize) -> Option<InputGradient> {
        if self.spectral_norm {
            return None;
        }
        let adjoint = Adjoint::new(*self, input, node).ok()?;
        Some(InputGradient::Linear(Box::new(adjoint)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let weight = self.weight(io.input_shapes[0]);
        let mut dispatches = weight.forward(context, &io.parameters, io.workspace)?;
        let product = Matmul {
            m: context.batch,
            n: self.units,
            k: elements(io.input_shapes[0]),
            a: (io.inputs[0].binding(), MatrixLayout::RowMajor),
            b: (
                weight.value(&io.parameters, io.workspace),
                MatrixLayout::Transposed,
            ),
            bias: Some(io.parameters[1].value()),
            c: io.output.binding(),
            bias_gradient: None,
            accumulate: false,
        };
        dispatches.push(product.dispatch(context.gpu)?);
        Ok(dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let gpu = context.gpu;
        let inputs = elements(io.input_shapes[0]);
        let weight = self.weight(io.input_shapes[0]);
        let mut dispatches = Vec::new();
        if io.parameter_gradients {
            let weight_gradient = Matmul {
                m: self.units,
                n: inputs,
                k: context.batch,
                a: (io.output_gradient.binding(), MatrixLayout::Transposed),
                b: (io.inputs[0].binding(), MatrixLayout::RowMajor),
                bias: None,
                c: io.parameters[0].gradient(),
                bias_gradient: Some(io.parameters[1].gradient()),
                accumulate: false,
            };
            dispatches.push(weight_gradient.dispatch(gpu)?);
            dispatches.extend(weight.backward(context, &io.parameters, io.workspace)?);
        }
        if let Some(target) = io.input_gradients[0] {
            let input_gradient = Matmul {
                m: context.batch,
                n: inputs,
                k: self.units,
                a: (io.output_gradient.binding(), MatrixLayout::RowMajor),
                b: (
                    weight.value(&io.parameters, io.workspace),
                    MatrixLayout::RowMajor,
                ),
                bias: None,
                c: target.buffer.binding(),
                bias_gradient: None,
                accumulate: target.accumulate,
            };
            dispatches.push(input_gradient.dispatch(gpu)?);
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Dense {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        matmul::reference(
            [io.batch, self.units, elements(io.input_shapes[0])],
            (io.inputs[0], MatrixLayout::RowMajor),
            (
                &self.weight(io.input_shapes[0]).reference(io).0,
                MatrixLayout::Transposed,
            ),
            Some(io.parameters[1]),
        )
    }

    fn reference_buffers(&self, io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        self.weight(io.input_shapes[0]).reference_buffers(io)
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let (batch, inputs) = (io.forward.batch, elements(io.forward.input_shapes[0]));
        let upstream = io.output_gradient;
        let (multiplier, norm) = self
            .weight(io.forward.input_shapes[0])
            .reference(&io.forward);
        let mut weight = matmul::reference(
            [self.units, inputs, batch],
            (upstream, MatrixLayout::Transposed),
            (io.forward.inputs[0], MatrixLayout::RowMajor),
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
            (upstream, MatrixLayout::RowMajor),
            (&multiplier, MatrixLayout::RowMajor),
            None,
        );
        if let Some(norm) = norm {
            weight = norm.backward(&weight);
        }
        ReferenceGradients {
            inputs: vec![input],
            parameters: vec![weight, bias],
        }
    }
}
