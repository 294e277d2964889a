//! Which kept line stands for each line.

use bytemuck::{Pod, Zeroable};

use super::envelope::Envelopes;
use super::selection::Selection;
use crate::Result;
use crate::gpu::{Gpu, Shader, grid};
use crate::shader;

static NEAREST: Shader = shader!("sample/nearest.wgsl");

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    lines: u32,
    kept: u32,
    pairs: u32,
    padding: u32,
}

/// For each line the place of the nearest kept line, and its distance.
pub(super) fn assign(
    gpu: &Gpu,
    envelopes: &Envelopes,
    selection: &Selection,
) -> Result<(Vec<u32>, Vec<f32>)> {
    let nearest = gpu.buffer::<u32>("nearest", envelopes.lines)?;
    let distances = gpu.buffer::<f32>("distances", envelopes.lines)?;
    let uniform = gpu.uniform(
        "nearest",
        &Parameters {
            lines: envelopes.lines as u32,
            kept: selection.kept.len() as u32,
            pairs: envelopes.pairs as u32,
            padding: 0,
        },
    );
    let bindings = [
        (0, uniform.as_entire_binding()),
        (1, envelopes.buffer.binding()),
        (2, selection.envelopes.binding()),
        (3, nearest.binding()),
        (4, distances.binding()),
    ];
    let kernel = gpu.kernel(&NEAREST, "main", &[]);
    gpu.run(
        "nearest",
        [&kernel.bind(gpu, &bindings, grid(envelopes.lines, 64))],
    );
    Ok((gpu.read(&nearest)?, gpu.read(&distances)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        NEAREST,
        "Parameters",
        Parameters {
            lines,
            kept,
            pairs,
            padding
        }
    );
}
