//! The transposed convolution of images, as PyTorch's `conv_transpose2d` without groups.

use std::ops::Range;

use super::adjoint::Adjoint;
use crate::Result;
use crate::gpu::{Dispatch, Scratch};
use crate::nn::conv2d_geometry::{Conv2dGeometry, Size2, images};
use crate::nn::convolution::{self, Convolution, PassSet, Target, expect_weights, reference};
use crate::nn::operation::{
    Backward, Context, Forward, InputGradient, Operation, ParameterSpec, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved,
    ScratchRequest, ShapeError, expect_indices, expect_inputs,
};
use crate::nn::sums::{bias_scratch, channel_bias_gradient};
use crate::nn::{Initialization, Mode, Propagation};

/// A transposed convolution of `[channels, height, width]`: what a [`super::Conv2d`] of the same geometry does to the
/// gradient of its output. Parameters: `weight` `[channels in, channels out, kernel height, kernel width]` and `bias`
/// `[channels out]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvTranspose2d {
    /// Channels that come out.
    pub channels: usize,
    /// Kernel, stride, padding (what is cut off the output on each side) and dilation.
    pub geometry: Conv2dGeometry,
    /// Rows and columns more at the output's end: several sizes of a convolution's input give the same output.
    pub output_padding: Size2,
    /// How weight and bias start.
    pub initialization: Initialization,
}

impl ConvTranspose2d {
    /// With no output padding and PyTorch's default initialization.
    pub fn new(channels: usize, geometry: Conv2dGeometry) -> Self {
        Self {
            channels,
            geometry,
            output_padding: 0.into(),
            initialization: Initialization::PyTorch,
        }
    }

    fn convolution(&self, input: &[usize]) -> std::result::Result<Convolution, ShapeError> {
        let output = images(input)?;
        let geometry = self.geometry;
        geometry.validate()?;
        if self.channels == 0 {
            return Err(ShapeError::new("channels = 0", "at least one channel"));
        }
        let extra = self.output_padding;
        let most = |stride: usize, dilation: usize| stride.max(dilation);
        if extra.y >= most(geometry.stride.y, geometry.dilation.y)
            || extra.x >= most(geometry.stride.x, geometry.dilation.x)
        {
            return Err(ShapeError::new(
                format!("an output_padding of {extra}"),
                "an output_padding smaller than the stride or the dilation",
            ));
        }
        expect_weights([output[0], self.channels, geometry.area()])?;
        let extent = geometry.effective_size();
        let size =
            |positions: usize, stride: usize, extent: usize, extra: usize, padding: usize| {
                let whole = positions.checked_sub(1)?.checked_mul(stride)? + extent + extra;
                whole.checked_sub(2 * padding).filter(|&size| size > 0)
            };
        let height = size(
            output[1],
            geometry.stride.y,
            extent.y,
            extra.y,
            geometry.padding.y,
        );
        let width = size(
            output[2],
            geometry.stride.x,
            extent.x,
            extra.x,
            geometry.padding.x,
        );
        let (Some(height), Some(width)) = (height, width) else {
            return Err(ShapeError::new(
                format!(
                    "images of {} x {} and a padding of {}",
                    output[1], output[2], geometry.padding
                ),
                "a smaller padding: nothing is left of the output",
            ));
        };
        Ok(Convolution {
            geometry,
            input: [self.channels, height, width],
            output,
        })
    }

    fn fitting(&self, input: &[usize]) -> Convolution {
        self.convolution(input).expect("checked by the shape rule")
    }
}

impl Operation for ConvTranspose2d {
    fn kind(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::WeightedSum, Property::TransposedWeight]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        Ok(self.convolution(x)?.input.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        convolution::parameters(
            "weight",
            [inputs[0][0], self.channels],
            &self.geometry,
            self.channels,
            self.initialization,
        )
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let convolution = self.fitting(request.inputs[0]);
        let mut scratch = convolution.scratch(
            request,
            PassSet {
                forward: request.input_gradients,
                backward_input: true,
                backward_weight: request.parameter_gradients,
            },
        );
        if request.parameter_gradients {
            scratch.push(bias_scratch(request.batch, convolution.input));
        }
        scratch
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn with_units(&self, units: usize) -> Option<Box<dyn Operation>> {
        Some(Box::new(Self {
            channels: units,
            ..*self
        }))
    }

    fn reach(&self, region: &[Range<usize>; 2], input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(self.geometry.reach_back(region, [input[1], input[2]]))
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
    }

    fn input_gradient(&self, input: &[usize], node: usize) -> Option<InputGradient> {
        let adjoint = Adjoint::new(*self, input, node).ok()?;
        Some(InputGradient::Linear(Box::new(adjoint)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        expect_indices(context, io.input_shapes[0])?;
        expect_indices(context, io.output_shape)?;
        let convolution = self.fitting(io.input_shapes[0]);
        let [weight, bias] = [io.parameters[0], io.parameters[1]];
        let target = Target {
            images: io.output,
            bias: Some(bias),
            accumulate: false,
        };
        let mut passes = convolution.passes(context);
        let output = passes.output(io.inputs[0])?;
        passes.backward_input(weight.value(), &output, &target)?;
        Ok(passes.dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let convolution = self.fitting(io.input_shapes[0]);
        let weight = io.parameters[0];
        let mut passes = convolution.passes(context);
        let output = match io.parameter_gradients {
            true => Some(passes.output(io.inputs[0])?),
            false => None,
        };
        let input = passes.input(io.output_gradient)?;
        if let Some(output) = output {
            passes.backward_weight(&output, &input, weight.gradient())?;
        }
        if let Some(target) = io.input_gradients[0] {
            passes.forward(weight.value(), &input, &target.into())?;
        }
        let mut dispatches = passes.dispatches;
        if io.parameter_gradients {
            dispatches.extend(channel_bias_gradient(
                context,
                io.output_gradient,
                convolution.input,
                &io.parameters[1],
            )?);
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for ConvTranspose2d {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let convolution = self.fitting(io.input_shapes[0]);
        let mut y = convolution.reference_backward_input(io.batch, io.inputs[0], io.parameters[0]);
        let positions = convolution.input[1] * convolution.input[2];
        reference::add_bias(&mut y, positions, io.parameters[1]);
        y
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let forward = &io.forward;
        let convolution = self.fitting(forward.input_shapes[0]);
        let (batch, upstream) = (forward.batch, io.output_gradient);
        let positions = convolution.input[1] * convolution.input[2];
        ReferenceGradients {
            inputs: vec![convolution.reference_forward(batch, upstream, forward.parameters[0])],
            parameters: vec![
                convolution.reference_backward_weight(batch, forward.inputs[0], upstream),
                reference::bias_gradient(upstream, positions, self.channels),
            ],
        }
    }
}
