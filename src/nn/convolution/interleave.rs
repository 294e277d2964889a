//! Four samples side by side, as the products of a convolution read images.

use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::operation::Context;
use crate::{Result, gpu_struct, shader};

static INTERLEAVE: Shader = shader!("nn/convolution/interleave.wgsl");

gpu_struct! {
    struct InterleaveUniforms in INTERLEAVE::Uniforms {
        samples: u32,
        elements: u32,
    }
}

/// Images `[samples / 4, channels, height, width, 4]`.
pub(crate) struct Interleaved(pub(super) Buffer<f32>);

/// Interleaves a batch of images `[samples, channels, height, width]` into the shared memory of this label.
pub(super) fn interleave(
    context: &Context<'_>,
    label: &'static str,
    images: &Buffer<f32>,
    shape: [usize; 3],
) -> Result<(Dispatch, Interleaved)> {
    let gpu = context.gpu;
    let elements: usize = shape.iter().product();
    let groups = context.batch.div_ceil(4);
    let interleaved = gpu.scratch(label, 4 * groups * elements)?;
    let parameters = InterleaveUniforms {
        samples: context.batch as u32,
        elements: elements as u32,
    };
    let uniform = gpu.uniform("interleave", &parameters);
    let (entry, invocations) = if elements.is_multiple_of(4) {
        ("by_vectors", groups * elements / 4)
    } else {
        ("by_elements", groups * elements)
    };
    let bindings = [
        (0, uniform.binding()),
        (1, images.binding()),
        (2, interleaved.binding()),
        (3, images.binding().as_image()),
    ];
    let kernel = gpu.kernel(&INTERLEAVE, entry, &[gpu.profile().image_loads_constant()]);
    let dispatch = kernel.bind(gpu, &bindings, grid(invocations, 64));
    Ok((dispatch, Interleaved(interleaved)))
}
