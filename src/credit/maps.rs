//! Where a unit was pushed: credit place by place, added up over the steps of a range.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{gpu_struct, shader};

static MAPS: Shader = shader!("credit/maps.wgsl");

gpu_struct! {
    struct MapsUniforms in MAPS::Uniforms {
        count: u32,
        samples: u32,
    }
}

/// Adds `factors * (values - before)` to a map for each sample.
pub(super) fn add_of_samples(
    gpu: &Gpu,
    factors: &Buffer<f32>,
    [values, before]: [&Buffer<f32>; 2],
    map: &Buffer<f32>,
) -> Dispatch {
    dispatch(gpu, "of_samples", [factors, values], Some(before), (map, 1))
}

/// Adds `factors * values`, summed over `samples`, to one map.
pub(super) fn add_over_samples(
    gpu: &Gpu,
    factors: &Buffer<f32>,
    values: &Buffer<f32>,
    map: &Buffer<f32>,
    samples: usize,
) -> Dispatch {
    dispatch(gpu, "over_samples", [factors, values], None, (map, samples))
}

fn dispatch(
    gpu: &Gpu,
    entry: &'static str,
    [factors, values]: [&Buffer<f32>; 2],
    before: Option<&Buffer<f32>>,
    (map, samples): (&Buffer<f32>, usize),
) -> Dispatch {
    let uniform = gpu.uniform(
        "map",
        &MapsUniforms {
            count: map.len() as u32,
            samples: samples as u32,
        },
    );
    let mut bindings = vec![
        (0, uniform.binding()),
        (1, factors.binding()),
        (2, values.binding()),
        (4, map.binding()),
    ];
    bindings.extend(before.map(|before| (3, before.binding())));
    let kernel = gpu.kernel(&MAPS, entry, &[]);
    kernel.bind(gpu, &bindings, grid(map.len(), 64))
}
