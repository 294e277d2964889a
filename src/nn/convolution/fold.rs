//! The large side of a convolution from its patches.

use super::{Convolution, Target};
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::Context;
use crate::{gpu_struct, shader};

static FOLD: Shader = shader!("nn/convolution/fold.wgsl");

gpu_struct! {
    struct FoldUniforms in FOLD::Uniforms {
        samples: u32,
        channels: u32,
        large_height: u32,
        large_width: u32,
        small_height: u32,
        small_width: u32,
        accumulate: u32,
        has_bias: u32,
    }
}

/// Adds up `patches` `[samples, large channels x kernel, small height, small width]` where they come from.
pub(super) fn fold(
    context: &Context<'_>,
    convolution: &Convolution,
    patches: &Buffer<f32>,
    target: &Target<'_>,
) -> Dispatch {
    let gpu = context.gpu;
    let [channels, height, width] = convolution.large;
    let [_, small_height, small_width] = convolution.small;
    let parameters = FoldUniforms {
        samples: context.batch as u32,
        channels: channels as u32,
        large_height: height as u32,
        large_width: width as u32,
        small_height: small_height as u32,
        small_width: small_width as u32,
        accumulate: target.accumulate.into(),
        has_bias: target.bias.is_some().into(),
    };
    let uniform = gpu.uniform("fold", &parameters);
    // Without a bias the binding still needs a buffer that is not written.
    let bias = match &target.bias {
        Some(bias) => bias.value(),
        None => patches.binding(),
    };
    let bindings = [
        (0, uniform.binding()),
        (1, patches.binding()),
        (2, bias),
        (3, target.images.binding()),
    ];
    let elements = context.batch * channels * height * width;
    gpu.kernel(&FOLD, "main", &convolution.geometry.constants())
        .bind(gpu, &bindings, grid(elements, 64))
}
