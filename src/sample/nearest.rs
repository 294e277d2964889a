//! Which kept line stands for each line.

use bytemuck::{Pod, Zeroable};

use super::envelope::Envelopes;
use super::selection::{MOST_COMPARISONS, Selection};
use crate::Result;
use crate::gpu::{Gpu, Shader, grid};
use crate::shader;

static NEAREST: Shader = shader!("sample/nearest.wgsl");

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    lines: u32,
    kept_from: u32,
    kept_to: u32,
    quads: u32,
    radius: f32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}

/// For each line the place of the nearest line of a complete selection, and its distance.
pub(super) fn assign(
    gpu: &Gpu,
    envelopes: &Envelopes,
    selection: &Selection,
) -> Result<(Vec<u32>, Vec<f32>)> {
    let Envelopes { lines, quads, .. } = *envelopes;
    let nearest = gpu.buffer::<u32>("nearest", lines)?;
    let distances = gpu.buffer::<f32>("distances", lines)?;
    let kernel = gpu.kernel(&NEAREST, "main", &[]);
    let slice = (MOST_COMPARISONS / lines).max(1);
    for from in (0..selection.kept.len()).step_by(slice) {
        let uniform = gpu.uniform(
            "nearest",
            &Parameters {
                lines: lines as u32,
                kept_from: from as u32,
                kept_to: selection.kept.len().min(from + slice) as u32,
                quads: quads as u32,
                radius: selection.radius,
                padding0: 0,
                padding1: 0,
                padding2: 0,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, envelopes.buffer.binding()),
            (2, selection.envelopes.binding()),
            (3, nearest.binding()),
            (4, distances.binding()),
        ];
        let dispatch = kernel.bind(gpu, &bindings, grid(lines, 64));
        gpu.run("nearest", [&dispatch]);
    }
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
            kept_from,
            kept_to,
            quads,
            radius,
            padding0,
            padding1,
            padding2
        }
    );
}
