//! Several inputs become one: their sum (residual connections) or their concatenation.

use std::ops::Range;

use crate::Result;
use crate::gpu::{Buffer, Dispatch};
use crate::nn::copy::copy;
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, ReferenceBackward,
    ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements,
};
use crate::nn::{Mode, Propagation};

/// The sum of any number of inputs of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

/// Inputs one after the other along the first axis of a sample: the channels of images. All other axes are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat;

fn expect_any(inputs: &[&[usize]]) -> std::result::Result<(), ShapeError> {
    if inputs.is_empty() {
        return Err(ShapeError::new("0 inputs", "at least one"));
    }
    Ok(())
}

impl Operation for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        expect_any(inputs)?;
        if inputs.iter().any(|shape| *shape != inputs[0]) {
            return Err(ShapeError::new(
                format!("{inputs:?}"),
                "inputs of one shape (a residual's layers must keep the shape of what comes in)",
            ));
        }
        Ok(inputs[0].to_vec())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Linear)
    }

    fn input_gradient(&self, _input: &[usize], _node: usize) -> Option<InputGradient> {
        Some(InputGradient::PassedOn)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let size = elements(io.output_shape);
        let add = |(index, input): (usize, &&Buffer<f32>)| {
            copy(
                context,
                size,
                (*input, size, 0),
                (io.output, size, 0),
                index > 0,
            )
        };
        Ok(io.inputs.iter().enumerate().map(add).collect())
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let size = elements(io.output_shape);
        let source = (io.output_gradient, size, 0);
        let targets = io.input_gradients.iter().flatten();
        Ok(targets
            .map(|target| {
                let result = (target.buffer, size, 0);
                copy(context, size, source, result, target.accumulate)
            })
            .collect())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Add {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let sum = |i: usize| io.inputs.iter().map(|input| input[i]).sum();
        (0..io.inputs[0].len()).map(sum).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![io.output_gradient.to_vec(); io.forward.inputs.len()],
            parameters: Vec::new(),
        }
    }
}

impl Operation for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        expect_any(inputs)?;
        let fits = |shape: &&[usize]| !shape.is_empty() && shape[1..] == inputs[0][1..];
        if !inputs.iter().all(fits) {
            return Err(ShapeError::new(
                format!("{inputs:?}"),
                "inputs of one shape but for the first axis",
            ));
        }
        let mut shape = inputs[0].to_vec();
        shape[0] = inputs.iter().map(|shape| shape[0]).sum();
        Ok(shape)
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn origins(&self, inputs: &[&[usize]]) -> Option<Vec<[usize; 2]>> {
        let of_input = |(input, shape): (usize, &&[usize])| {
            let elements = 0..elements(shape);
            elements.map(move |element| [input, element])
        };
        Some(inputs.iter().enumerate().flat_map(of_input).collect())
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Linear)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let whole = elements(io.output_shape);
        let mut first = 0;
        let mut dispatches = Vec::new();
        for (input, shape) in io.inputs.iter().zip(&io.input_shapes) {
            let size = elements(shape);
            let result = (io.output, whole, first);
            dispatches.push(copy(context, size, (input, size, 0), result, false));
            first += size;
        }
        Ok(dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let whole = elements(io.output_shape);
        let mut first = 0;
        let mut dispatches = Vec::new();
        for (target, shape) in io.input_gradients.iter().zip(&io.input_shapes) {
            let size = elements(shape);
            if let Some(target) = target {
                let source = (io.output_gradient, whole, first);
                let result = (target.buffer, size, 0);
                dispatches.push(copy(context, size, source, result, target.accumulate));
            }
            first += size;
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Concat {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let mut y = Vec::new();
        for sample in 0..io.batch {
            for (input, shape) in io.inputs.iter().zip(&io.input_shapes) {
                let size = elements(shape);
                y.extend_from_slice(&input[sample * size..(sample + 1) * size]);
            }
        }
        y
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let shapes = &io.forward.input_shapes;
        let whole = elements(io.forward.output_shape);
        let mut inputs = vec![Vec::new(); shapes.len()];
        for sample in io.output_gradient.chunks(whole) {
            let mut first = 0;
            for (gradient, shape) in inputs.iter_mut().zip(shapes) {
                let size = elements(shape);
                gradient.extend_from_slice(&sample[first..first + size]);
                first += size;
            }
        }
        ReferenceGradients {
            inputs,
            parameters: Vec::new(),
        }
    }
}
