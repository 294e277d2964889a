//! Larger images by repetition of pixels: PyTorch's `Upsample` with mode "nearest" and whole factors.

use std::ops::Range;

use super::adjoint::Adjoint;
use super::pool::Pooling;
use crate::Result;
use crate::gpu::Dispatch;
use crate::nn::conv2d_geometry::{Conv2dGeometry, Size2, images};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError,
    expect_indices, expect_inputs,
};
use crate::nn::{Mode, Propagation};

/// Every pixel of `[channels, height, width]` becomes a block of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upsample {
    /// Size of the block.
    pub factor: Size2,
}

impl Upsample {
    fn pooling(self, input: &[usize]) -> std::result::Result<Pooling, ShapeError> {
        let output = images(input)?;
        let factor = self.factor;
        if factor.y.min(factor.x) == 0 || factor.y.max(factor.x) > 64 {
            return Err(ShapeError::new(
                format!("a factor of {factor}"),
                "a factor from 1 to 64",
            ));
        }
        let input = [output[0], output[1] * factor.y, output[2] * factor.x];
        Ok(Pooling {
            geometry: Conv2dGeometry::new(factor).stride(factor),
            input,
            output,
        })
    }

    fn fitting(self, input: &[usize]) -> Pooling {
        self.pooling(input).expect("checked by the shape rule")
    }
}

impl Operation for Upsample {
    fn kind(&self) -> &'static str {
        "upsample"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Affine]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        Ok(self.pooling(x)?.input.to_vec())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn reach(&self, region: &[Range<usize>; 2], input: &[usize]) -> Option<[Range<usize>; 2]> {
        let blocks = Conv2dGeometry::new(self.factor).stride(self.factor);
        Some(blocks.reach_back(region, [input[1], input[2]]))
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Linear)
    }

    fn input_gradient(&self, input: &[usize], node: usize) -> Option<InputGradient> {
        let adjoint = Adjoint::new(*self, input, node).ok()?;
        Some(InputGradient::Linear(Box::new(adjoint)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        expect_indices(context, io.output_shape)?;
        Ok(vec![self.fitting(io.input_shapes[0]).dispatch(
            context,
            "spread_windows",
            [io.inputs[0], io.output],
            (1.0, false),
            &[],
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        Ok(vec![self.fitting(io.input_shapes[0]).dispatch(
            context,
            "sum_windows",
            [io.output_gradient, target.buffer],
            (1.0, target.accumulate),
            &[],
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Upsample {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let pooling = self.fitting(io.input_shapes[0]);
        let mut y = vec![0.0; io.batch * pooling.input.iter().product::<usize>()];
        for (at, positions) in pooling.windows(io.batch) {
            positions
                .iter()
                .for_each(|&position| y[position] = io.inputs[0][at]);
        }
        y
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let pooling = self.fitting(io.forward.input_shapes[0]);
        let sum = |(_, positions): (usize, Vec<usize>)| {
            let upstream = positions
                .iter()
                .map(|&position| io.output_gradient[position]);
            upstream.sum()
        };
        ReferenceGradients {
            inputs: vec![pooling.windows(io.forward.batch).map(sum).collect()],
            parameters: Vec::new(),
        }
    }
}
