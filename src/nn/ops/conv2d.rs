//! The convolution of images, as PyTorch's `conv2d` without groups.

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
use crate::nn::spectral_norm::{SpectralNorm, Weight};
use crate::nn::sums::{bias_scratch, channel_bias_gradient};
use crate::nn::{Initialization, Mode, Propagation};

/// A convolution of `[channels, height, width]`. Parameters: `weight` `[channels out, channels in, kernel height, kernel
/// width]` and `bias` `[channels out]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Channels that come out.
    pub channels: usize,
    /// Kernel, stride, padding and dilation.
    pub geometry: Conv2dGeometry,
    /// How weight and bias start.
    pub initialization: Initialization,
    /// Whether the weight is divided by its largest singular value ([`SpectralNorm`]); it is then `weight_orig`.
    pub spectral_norm: bool,
}

impl Conv2d {
    /// With PyTorch's default initialization.
    pub fn new(channels: usize, geometry: Conv2dGeometry) -> Self {
        Self {
            channels,
            geometry,
            initialization: Initialization::PyTorch,
            spectral_norm: false,
        }
    }

    fn convolution(&self, input: &[usize]) -> std::result::Result<Convolution, ShapeError> {
        let input = images(input)?;
        self.geometry.validate()?;
        if self.channels == 0 {
            return Err(ShapeError::new("channels = 0", "at least one channel"));
        }
        expect_weights([self.channels, input[0], self.geometry.area()])?;
        let Size2 { y, x } = self.geometry.output_size(input[1], input[2])?;
        Ok(Convolution {
            geometry: self.geometry,
            input,
            output: [self.channels, y, x],
        })
    }

    fn weight(&self, input: &[usize]) -> Weight {
        Weight(self.spectral_norm.then(|| SpectralNorm {
            rows: self.channels,
            columns: input[0] * self.geometry.area(),
        }))
    }

    fn fitting(&self, input: &[usize]) -> Convolution {
        self.convolution(input).expect("checked by the shape rule")
    }
}

impl Operation for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
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
        Ok(self.convolution(x)?.output.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        convolution::parameters(
            self.weight(inputs[0]).name(),
            [self.channels, inputs[0][0]],
            &self.geometry,
            self.channels,
            self.initialization,
        )
    }

    fn buffers(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        self.weight(inputs[0]).buffers()
    }

    fn workspace(&self, _batch: usize, inputs: &[&[usize]]) -> usize {
        self.weight(inputs[0]).workspace()
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let convolution = self.fitting(request.inputs[0]);
        let mut scratch = convolution.scratch(
            request,
            PassSet {
                forward: true,
                backward_input: request.input_gradients,
                backward_weight: request.parameter_gradients,
            },
        );
        if request.parameter_gradients {
            scratch.push(bias_scratch(request.batch, convolution.output));
        }
        scratch.extend(self.weight(request.inputs[0]).scratch(request.mode));
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
            spectral_norm: false,
            ..*self
        }))
    }

    fn reach(&self, region: &[Range<usize>; 2], input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(self.geometry.reach(region, [input[1], input[2]]))
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
        expect_indices(context, io.input_shapes[0])?;
        expect_indices(context, io.output_shape)?;
        let convolution = self.fitting(io.input_shapes[0]);
        let weight = self.weight(io.input_shapes[0]);
        let value = weight.value(&io.parameters, io.workspace);
        let mut dispatches = weight.forward(context, &io.parameters, io.workspace)?;
        let target = Target {
            images: io.output,
            bias: Some(io.parameters[1]),
            accumulate: false,
        };
        let mut passes = convolution.passes(context);
        let input = passes.input(io.inputs[0])?;
        passes.forward(value, &input, &target)?;
        dispatches.extend(passes.dispatches);
        Ok(dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let convolution = self.fitting(io.input_shapes[0]);
        let weight = self.weight(io.input_shapes[0]);
        let mut passes = convolution.passes(context);
        let output = passes.output(io.output_gradient)?;
        if io.parameter_gradients {
            let input = passes.input(io.inputs[0])?;
            passes.backward_weight(&output, &input, io.parameters[0].gradient())?;
        }
        if let Some(target) = io.input_gradients[0] {
            let value = weight.value(&io.parameters, io.workspace);
            passes.backward_input(value, &output, &target.into())?;
        }
        let mut dispatches = passes.dispatches;
        if io.parameter_gradients {
            dispatches.extend(weight.backward(context, &io.parameters, io.workspace)?);
            dispatches.extend(channel_bias_gradient(
                context,
                io.output_gradient,
                convolution.output,
                &io.parameters[1],
            )?);
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Conv2d {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let convolution = self.fitting(io.input_shapes[0]);
        let mut y = convolution.reference_forward(
            io.batch,
            io.inputs[0],
            &self.weight(io.input_shapes[0]).reference(io).0,
        );
        let positions = convolution.output[1] * convolution.output[2];
        reference::add_bias(&mut y, positions, io.parameters[1]);
        y
    }

    fn reference_buffers(&self, io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        self.weight(io.input_shapes[0]).reference_buffers(io)
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let forward = &io.forward;
        let convolution = self.fitting(forward.input_shapes[0]);
        let (batch, upstream) = (forward.batch, io.output_gradient);
        let positions = convolution.output[1] * convolution.output[2];
        let (multiplier, norm) = self.weight(forward.input_shapes[0]).reference(forward);
        let mut weight = convolution.reference_backward_weight(batch, upstream, forward.inputs[0]);
        if let Some(norm) = norm {
            weight = norm.backward(&weight);
        }
        ReferenceGradients {
            inputs: vec![convolution.reference_backward_input(batch, upstream, &multiplier)],
            parameters: vec![
                weight,
                reference::bias_gradient(upstream, positions, self.channels),
            ],
        }
    }
}
