//! The values halfway through a step.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{gpu_struct, shader};

static MIDPOINT: Shader = shader!("credit/midpoint.wgsl");

gpu_struct! {
    struct MidpointUniforms in MIDPOINT::Uniforms {
        count: u32,
    }
}

/// Writes the means of `ends` to `middle`.
pub(super) fn midpoint(
    gpu: &Gpu,
    [start, end]: [&Buffer<f32>; 2],
    middle: &Buffer<f32>,
) -> Dispatch {
    let count = start.len();
    let uniform = gpu.uniform(
        "midpoint",
        &MidpointUniforms {
            count: count as u32,
        },
    );
    let bindings = [
        (0, uniform.binding()),
        (1, start.binding()),
        (2, end.binding()),
        (3, middle.binding()),
    ];
    let kernel = gpu.kernel(&MIDPOINT, "main", &[]);
    kernel.bind(gpu, &bindings, grid(count, 64))
}
