//! The transposed convolution of images, as PyTorch's `conv_transpose2d` without groups.

use crate::Result;
use crate::gpu::{Dispatch, Scratch};
use crate::nn::conv2d_geometry::{Conv2dGeometry, Size2, images};
use crate::nn::convolution::{Convolution, ProductSet, Target, expect_weights, reference};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ParameterSpec, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ScratchRequest, ShapeError, expect_indices,
    expect_inputs,
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
        let small = images(input)?;
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
        expect_weights([small[0], self.channels, geometry.area()])?;
        let extent = geometry.extent();
        let size = |places: usize, stride: usize, extent: usize, extra: usize, padding: usize| {
            let whole = places.checked_sub(1)?.checked_mul(stride)? + extent + extra;
            whole.checked_sub(2 * padding).filter(|&size| size > 0)
        };
        let height = size(
            small[1],
            geometry.stride.y,
            extent.y,
            extra.y,
            geometry.padding.y,
        );
        let width = size(
            small[2],
            geometry.stride.x,
            extent.x,
            extra.x,
            geometry.padding.x,
        );
        let (Some(height), Some(width)) = (height, width) else {
            return Err(ShapeError::new(
                format!(
                    "images of {} x {} and a padding of {}",
                    small[1], small[2], geometry.padding
                ),
                "a smaller padding: nothing is left of the output",
            ));
        };
        Ok(Convolution {
            geometry,
            large: [self.channels, height, width],
            small,
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

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        Ok(self.convolution(x)?.large.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, shape| ParameterSpec {
            name,
            shape,
            initialization: self.initialization,
        };
        let Size2 { y, x } = self.geometry.kernel;
        vec![
            spec("weight", vec![inputs[0][0], self.channels, y, x]),
            spec("bias", vec![self.channels]),
        ]
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let convolution = self.fitting(request.inputs[0]);
        let mut scratch = convolution.scratch(
            request,
            ProductSet {
                to_small: request.input_gradients,
                to_large: true,
                gradient: request.parameter_gradients,
            },
        );
        if request.parameter_gradients {
            scratch.push(bias_scratch(request.batch, convolution.large));
        }
        scratch
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
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
        let mut products = convolution.products(context);
        let small = products.small(io.inputs[0])?;
        products.make_large(weight.value(), &small, &target)?;
        Ok(products.dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let convolution = self.fitting(io.input_shapes[0]);
        let weight = io.parameters[0];
        let mut products = convolution.products(context);
        let small = match io.parameter_gradients {
            true => Some(products.small(io.inputs[0])?),
            false => None,
        };
        let large = products.large(io.output_gradient)?;
        if let Some(small) = small {
            products.make_gradient(&small, &large, weight.gradient())?;
        }
        if let Some(target) = io.input_gradients[0] {
            let target = Target {
                images: target.buffer,
                bias: None,
                accumulate: target.accumulate,
            };
            products.make_small(weight.value(), &large, &target)?;
        }
        let mut dispatches = products.dispatches;
        if io.parameter_gradients {
            dispatches.extend(channel_bias_gradient(
                context,
                io.output_gradient,
                convolution.large,
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
        let mut y = convolution.reference_large(io.batch, io.inputs[0], io.parameters[0]);
        let places = convolution.large[1] * convolution.large[2];
        reference::add_bias(&mut y, places, io.parameters[1]);
        y
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let forward = &io.forward;
        let convolution = self.fitting(forward.input_shapes[0]);
        let (batch, upstream) = (forward.batch, io.output_gradient);
        let places = convolution.large[1] * convolution.large[2];
        ReferenceGradients {
            inputs: vec![convolution.reference_small(batch, upstream, forward.parameters[0])],
            parameters: vec![
                convolution.reference_weight(batch, forward.inputs[0], upstream),
                reference::bias_gradient(upstream, places, self.channels),
            ],
        }
    }
}
