//! Which kept line represents each line.

use super::envelope::Envelopes;
use super::selection::{MAX_COMPARISONS, Selection};
use crate::gpu::{Gpu, Shader, grid};
use crate::{Result, gpu_struct, shader};

static NEAREST: Shader = shader!("sample/nearest.wgsl");

gpu_struct! {
    struct NearestUniforms in NEAREST::Uniforms {
        lines: u32,
        kept_from: u32,
        kept_to: u32,
        quads: u32,
        radius: f32,
    }
}

/// For each line the index of the nearest line of a complete selection, and its distance.
pub(super) fn nearest_representative(
    gpu: &Gpu,
    envelopes: &Envelopes,
    selection: &Selection,
) -> Result<(Vec<u32>, Vec<f32>)> {
    let (lines, quads) = (envelopes.lines(), envelopes.quads());
    let nearest = gpu.buffer::<u32>("nearest", lines)?;
    let distances = gpu.buffer::<f32>("distances", lines)?;
    let kernel = gpu.kernel(&NEAREST, "main", &[]);
    let slice = (MAX_COMPARISONS / lines).max(1);
    for from in (0..selection.kept.len()).step_by(slice) {
        let uniform = gpu.uniform(
            "nearest",
            &NearestUniforms {
                lines: lines as u32,
                kept_from: from as u32,
                kept_to: selection.kept.len().min(from + slice) as u32,
                quads: quads as u32,
                radius: selection.radius,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, envelopes.buffer().binding()),
            (2, selection.envelopes.binding()),
            (3, nearest.binding()),
            (4, distances.binding()),
        ];
        let dispatch = kernel.bind(gpu, &bindings, grid(lines, 64));
        gpu.run("nearest", [&dispatch]);
    }
    Ok((gpu.read(&nearest)?, gpu.read(&distances)?))
}
