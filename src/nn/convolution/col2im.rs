//! The input side of a convolution from the columns of im2col.

use super::{Convolution, Target};
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::Context;
use crate::{gpu_struct, shader};

static COL2IM: Shader = shader!("nn/convolution/col2im.wgsl");

gpu_struct! {
    struct Col2imUniforms in COL2IM::Uniforms {
        samples: u32,
        channels: u32,
        input_height: u32,
        input_width: u32,
        output_height: u32,
        output_width: u32,
        accumulate: u32,
        has_bias: u32,
    }
}

/// Adds up `columns` `[samples, input channels x kernel, output height, output width]` where they come from.
pub(super) fn col2im(
    context: &Context<'_>,
    convolution: &Convolution,
    columns: &Buffer<f32>,
    target: &Target<'_>,
) -> Dispatch {
    let gpu = context.gpu;
    let [channels, height, width] = convolution.input;
    let [_, output_height, output_width] = convolution.output;
    let parameters = Col2imUniforms {
        samples: context.batch as u32,
        channels: channels as u32,
        input_height: height as u32,
        input_width: width as u32,
        output_height: output_height as u32,
        output_width: output_width as u32,
        accumulate: target.accumulate.into(),
        has_bias: target.bias.is_some().into(),
    };
    let uniform = gpu.uniform("col2im", &parameters);
    // Without a bias the binding still needs a buffer that is not written.
    let bias = match &target.bias {
        Some(bias) => bias.value(),
        None => columns.binding(),
    };
    let bindings = [
        (0, uniform.binding()),
        (1, columns.binding()),
        (2, bias),
        (3, target.images.binding()),
    ];
    let elements = context.batch * channels * height * width;
    gpu.kernel(&COL2IM, "main", &convolution.geometry.constants())
        .bind(gpu, &bindings, grid(elements, 64))
}
