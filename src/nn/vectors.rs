//! Passes over whole buffers, element by element.

use std::ops::Range;

use crate::gpu::{Binding, Dispatch, Gpu, Shader, grid};
use crate::{gpu_struct, shader};

static VECTORS: Shader = shader!("nn/vectors.wgsl");

gpu_struct! {
    struct VectorsUniforms in VECTORS::Uniforms {
        first: u32,
        count: u32,
        value: f32,
    }
}

/// Sets the elements `range` of a binding to one value.
pub fn fill(gpu: &Gpu, elements: Binding<'_>, range: Range<usize>, value: f32) -> Dispatch {
    pass(gpu, "fill", elements, None, range, value)
}

/// Adds `others` to the elements `range`.
pub fn add(gpu: &Gpu, elements: Binding<'_>, others: Binding<'_>, range: Range<usize>) -> Dispatch {
    pass(gpu, "add", elements, Some(others), range, 0.0)
}

/// Copies the elements `range` of `others` to the same range of `elements`.
pub fn copy(
    gpu: &Gpu,
    elements: Binding<'_>,
    others: Binding<'_>,
    range: Range<usize>,
) -> Dispatch {
    pass(gpu, "copy", elements, Some(others), range, 0.0)
}

/// Clamps the elements `range` to `[-max_abs, max_abs]`; NaN stays NaN.
pub fn clamp(gpu: &Gpu, elements: Binding<'_>, range: Range<usize>, max_abs: f32) -> Dispatch {
    pass(gpu, "clamp_elements", elements, None, range, max_abs)
}

fn pass(
    gpu: &Gpu,
    entry: &'static str,
    elements: Binding<'_>,
    others: Option<Binding<'_>>,
    range: Range<usize>,
    value: f32,
) -> Dispatch {
    let parameters = VectorsUniforms {
        first: range.start as u32,
        count: range.len() as u32,
        value,
    };
    let uniform = gpu.uniform(entry, &parameters);
    let mut bindings = vec![(0, uniform.binding()), (1, elements)];
    bindings.extend(others.map(|others| (2, others)));
    gpu.kernel(&VECTORS, entry, &[])
        .bind(gpu, &bindings, grid(range.len(), 64))
}
