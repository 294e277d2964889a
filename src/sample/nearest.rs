//! Which kept line represents each line.

use super::selection::{MAX_COMPARISONS, Selection, Selector};
use super::source::stop_if;
use crate::gpu::{Shader, grid};
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

impl Selector<'_> {
    /// For each line, in the order of priority, the index of the nearest line of a complete selection, and its distance.
    pub(super) fn nearest(&self, selection: &Selection) -> Result<(Vec<u32>, Vec<f32>)> {
        let (gpu, lines, quads) = (self.gpu, self.order.len(), self.envelopes.quads());
        if lines == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        let chosen = gpu.upload("lines", self.order)?;
        let nearest = gpu.buffer::<u32>("nearest", lines)?;
        let distances = gpu.buffer::<f32>("distances", lines)?;
        let has_gaps = f64::from(u8::from(self.has_gaps));
        let kernel = gpu.kernel(&NEAREST, "main", &[("HAS_GAPS", has_gaps)]);
        let slice = (MAX_COMPARISONS / lines).max(1);
        for from in (0..selection.kept.len()).step_by(slice) {
            stop_if(self.cancelled)?;
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
                (1, self.envelopes.buffer().binding()),
                (2, selection.envelopes.binding()),
                (3, chosen.binding()),
                (4, nearest.binding()),
                (5, distances.binding()),
            ];
            let dispatch = kernel.bind(gpu, &bindings, grid(lines, 64));
            gpu.run("nearest", [&dispatch]);
        }
        Ok((gpu.read(&nearest)?, gpu.read(&distances)?))
    }
}
