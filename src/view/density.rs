//! A density image of all lines of a chart: lines a pixel, each line sharing out 1 to every column.
//!
//! After Moritz and Fisher, "Visualizing a million time series with the density line chart" (arXiv 1808.06019),
//! with the length of a line in a pixel worked out exactly instead of counted on a raster. Sums have a fixed
//! order, so that the same lines give the same image bit for bit on the same adapter.

use super::picture::{Canvas, Rect};
use super::polylines::{Lines, Plot};
use super::theme::to_unit;
use crate::gpu::{Buffer, Gpu, Reduction, Shader, groups};
use crate::sample::ValueScale;
use crate::{Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/density.wgsl");
static IMAGE: Shader = shader!("view/density_image.wgsl");

/// Pairs of a line and a column (or a step, where there are more steps) in one submission: a fraction of a
/// second on a software adapter, and far from any watchdog.
const PAIRS_A_SUBMISSION: usize = 1 << 22;
/// Blocks of lines that a GPU works on side by side; each holds an image of its own.
const BLOCKS: usize = 16;
/// No block has fewer lines.
const LINES_A_BLOCK: usize = 256;

/// Lines a pixel.
#[derive(Debug, Clone)]
pub struct Density {
    /// Columns of the image.
    pub columns: usize,
    /// Rows of the image.
    pub rows: usize,
    /// `[columns, rows]`, rows from the top (and behind them the blocks it was summed from). A column adds up to
    /// the number of lines that pass it inside the window.
    pub counts: Buffer<f32>,
    /// The largest count, then the largest of each column.
    pub peaks: Buffer<f32>,
}

gpu_struct! {
    struct DensityUniforms in SHADER::Uniforms {
        scale: ValueScale,
        window: [f32; 4],
        columns: u32,
        rows: u32,
        steps: u32,
        first_line: u32,
        end_line: u32,
        lines_a_block: u32,
        blocks: u32,
    }
}

gpu_struct! {
    struct DensityImageUniforms in IMAGE::Uniforms {
        rect: [f32; 4],
        target_size: [f32; 2],
        columns: u32,
        rows: u32,
        colors: [[f32; 4]; 10],
    }
}

impl Density {
    /// Computes the density of all `lines` in the window of `plot`, one cell a pixel, without waiting for it.
    /// Stretches with values that are not finite count nowhere; a single step counts as a flat line.
    ///
    /// # Errors
    /// The buffer is smaller than lines times steps, or the adapter has no room for the image.
    pub fn new(gpu: &Gpu, lines: Lines<'_>, plot: &Plot) -> Result<Self> {
        lines.check()?;
        let columns = plot.rect.width.round().clamp(1.0, 32_768.0) as usize;
        let rows = plot.rect.height.round().clamp(1.0, 32_768.0) as usize;
        let most = lines.lines.div_ceil(LINES_A_BLOCK).max(1);
        // A software adapter has two to a hundred lanes, and the columns keep those busy.
        let blocks = match gpu.profile().reduction {
            Reduction::Serial => 1,
            Reduction::Parallel => most.min(BLOCKS),
        };
        let counts = gpu.buffer("density counts", blocks * columns * rows)?;
        let peaks = gpu.buffer("density peaks", 1 + columns)?;
        let image = Self {
            columns,
            rows,
            counts,
            peaks,
        };
        let batch = (PAIRS_A_SUBMISSION * blocks / columns.max(lines.steps)).max(1);
        let parameters = |first: usize, end: usize| DensityUniforms {
            scale: lines.scale,
            window: plot.window(),
            columns: columns as u32,
            rows: rows as u32,
            steps: lines.steps as u32,
            first_line: first as u32,
            end_line: end as u32,
            lines_a_block: (end - first).div_ceil(blocks) as u32,
            blocks: blocks as u32,
        };
        let accumulate = gpu.kernel(&SHADER, "accumulate", &[]);
        for first in (0..lines.lines).step_by(batch) {
            let end = (first + batch).min(lines.lines);
            let uniform = gpu.uniform("density", &parameters(first, end));
            let bindings = [
                (0, uniform.binding()),
                (1, lines.values.binding()),
                (2, image.counts.binding()),
            ];
            let workgroups = [groups(columns, 64), blocks as u32, 1];
            gpu.run("density", &[accumulate.bind(gpu, &bindings, workgroups)]);
        }
        let uniform = gpu.uniform("density", &parameters(0, lines.lines));
        let combine = gpu.kernel(&SHADER, "combine", &[]).bind(
            gpu,
            &[
                (0, uniform.binding()),
                (2, image.counts.binding()),
                (3, image.peaks.binding()),
            ],
            [groups(columns, 64), 1, 1],
        );
        let largest = gpu.kernel(&SHADER, "largest", &[]).bind(
            gpu,
            &[(0, uniform.binding()), (3, image.peaks.binding())],
            [1, 1, 1],
        );
        gpu.run("density", &[combine, largest]);
        Ok(image)
    }

    /// Reads the counts back as `[columns, rows]` and waits for them.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn read(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let mut counts = gpu.read(&self.counts)?;
        counts.truncate(self.columns * self.rows);
        Ok(counts)
    }
}

impl Canvas<'_> {
    /// Draws a density image into `rect`, in the theme's sequential colors and a logarithmic tone.
    pub fn density(&mut self, density: &Density, rect: Rect) {
        let parameters = DensityImageUniforms {
            rect: rect.to_array(),
            target_size: self.size(),
            columns: density.columns as u32,
            rows: density.rows as u32,
            colors: self.theme().sequential.map(to_unit),
        };
        let uniform = self.gpu().uniform("density image", &parameters);
        self.layer(
            &IMAGE,
            ["density_vertex", "density_fragment"],
            &[
                (0, uniform.binding()),
                (1, density.counts.binding()),
                (2, density.peaks.binding()),
            ],
            6,
            rect,
        );
    }
}
