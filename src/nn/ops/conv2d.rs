//! The convolution of images, as PyTorch's `conv2d` without groups.

use crate::Result;
use crate::gpu::Dispatch;
use crate::nn::Initialisation;
use crate::nn::convolution::{Convolution, Target, expect_weights, reference};
use crate::nn::operation::{
    Backward, Context, Forward, Misfit, Operation, ParameterSpec, ReferenceBackward,
    ReferenceForward, ReferenceGradients, Saved, expect_indices, expect_inputs,
};
use crate::nn::sums::channel_bias_gradient;
use crate::nn::window::{Pair, Window, images};

/// A convolution of `[channels, height, width]`. Parameters: `weight` `[channels out, channels in, kernel height, kernel
/// width]` and `bias` `[channels out]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Channels that come out.
    pub channels: usize,
    /// Kernel, stride, padding and dilation.
    pub window: Window,
    /// How weight and bias start.
    pub initialisation: Initialisation,
}

impl Conv2d {
    /// With PyTorch's default initialisation.
    pub fn new(channels: usize, window: Window) -> Self {
        Self {
            channels,
            window,
            initialisation: Initialisation::PyTorch,
        }
    }

    fn convolution(&self, input: &[usize]) -> std::result::Result<Convolution, Misfit> {
        let large = images(input)?;
        self.window.validate()?;
        if self.channels == 0 {
            return Err(Misfit::new("channels = 0", "at least one channel"));
        }
        expect_weights([self.channels, large[0], self.window.area()])?;
        let Pair { y, x } = self.window.places(large[1], large[2])?;
        Ok(Convolution {
            window: self.window,
            large,
            small: [self.channels, y, x],
        })
    }

    fn fitting(&self, input: &[usize]) -> Convolution {
        self.convolution(input).expect("checked by the shape rule")
    }
}

impl Operation for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, Misfit> {
        let [x] = expect_inputs(inputs, ["x"])?;
        Ok(self.convolution(x)?.small.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, shape| ParameterSpec {
            name,
            shape,
            initialisation: self.initialisation,
        };
        let Pair { y, x } = self.window.kernel;
        vec![
            spec("weight", vec![self.channels, inputs[0][0], y, x]),
            spec("bias", vec![self.channels]),
        ]
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        expect_indices(context, io.input_shapes[0])?;
        expect_indices(context, io.output_shape)?;
        let convolution = self.fitting(io.input_shapes[0]);
        let [weight, bias] = [io.parameters[0], io.parameters[1]];
        let (mut dispatches, padded) = convolution.weight(context.gpu, &weight)?;
        let target = Target {
            images: io.output,
            bias: Some(bias),
            accumulate: false,
        };
        for part in convolution.parts(context)? {
            let weight = padded.as_ref().map_or(weight.value(), |p| p.binding());
            dispatches.push(part.unfold(io.inputs[0]));
            dispatches.push(part.to_small(weight)?);
            dispatches.push(part.put_small(&target));
        }
        Ok(dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let gpu = context.gpu;
        let convolution = self.fitting(io.input_shapes[0]);
        let weight = io.parameters[0];
        let (mut dispatches, padded) = convolution.weight(gpu, &weight)?;
        let gradient = convolution.weight_gradient(context, weight)?;
        for part in convolution.parts(context)? {
            dispatches.push(part.take_small(io.output_gradient));
            dispatches.push(part.unfold(io.inputs[0]));
            dispatches.push(part.to_weight(&gradient)?);
            if let Some(target) = io.input_gradients[0] {
                let weight = padded.as_ref().map_or(weight.value(), |p| p.binding());
                dispatches.push(part.to_patches(weight)?);
                dispatches.push(part.fold(&Target {
                    images: target.buffer,
                    bias: None,
                    accumulate: target.accumulate,
                }));
            }
        }
        dispatches.extend(gradient.finish(gpu));
        let bias = channel_bias_gradient(
            context,
            io.output_gradient,
            convolution.small,
            &io.parameters[1],
        )?;
        dispatches.extend(bias);
        Ok(dispatches)
    }

    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let convolution = self.fitting(io.input_shapes[0]);
        let mut y = convolution.reference_small(io.batch, io.inputs[0], io.parameters[0]);
        let places = convolution.small[1] * convolution.small[2];
        reference::add_bias(&mut y, places, io.parameters[1]);
        y
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let forward = &io.forward;
        let convolution = self.fitting(forward.input_shapes[0]);
        let (batch, upstream) = (forward.batch, io.output_gradient);
        let places = convolution.small[1] * convolution.small[2];
        ReferenceGradients {
            inputs: vec![convolution.reference_large(batch, upstream, forward.parameters[0])],
            parameters: vec![
                convolution.reference_weight(batch, upstream, forward.inputs[0]),
                reference::bias_gradient(upstream, places, self.channels),
            ],
        }
    }
}
