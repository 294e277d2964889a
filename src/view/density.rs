//! A density image of all lines of a chart: lines a pixel, each line sharing out 1 to every column.
//!
//! After Moritz and Fisher, "Visualizing a million time series with the density line chart" (arXiv 1808.06019),
//! with the length of a line in a pixel worked out exactly instead of counted on a raster. Sums have a fixed
//! order, so that the same lines give the same image bit for bit on the same adapter.

use super::canvas::Canvas;
use super::geometry::{Plot, Rect};
use super::theme::to_unit;
use crate::gpu::{Buffer, Gpu, Reduction, Shader, groups};
use crate::series::{SeriesBuffer, ValueScale};
use crate::{Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/density.wgsl");
static IMAGE: Shader = shader!("view/density_image.wgsl");

/// Pairs of a line and a column (or a step, where there are more steps) in one submission: a fraction of a
/// second on a software adapter, and far from any watchdog.
const MAX_PAIRS_PER_SUBMISSION: usize = 1 << 22;
/// Blocks of lines that a GPU works on at the same time at most; each has an image of its own.
const MAX_BLOCKS: usize = 16;
/// Lines in a block at least.
const MIN_LINES_PER_BLOCK: usize = 256;

/// How many lines pass each pixel of a plot.
#[derive(Debug, Clone)]
pub struct Density {
    /// The number of columns of the image.
    pub columns: usize,
    /// The number of rows of the image.
    pub rows: usize,
    /// `[columns, rows]`, rows from the top (followed by the blocks that it was summed from). A column adds up to
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
    /// Computes the density of all lines of `series` in the window of `plot`, one cell a pixel, without waiting for it.
    /// Stretches with values that are not finite count nowhere; a single step counts as a flat line.
    ///
    /// # Errors
    /// The adapter has no room for the image.
    pub fn new(gpu: &Gpu, series: &SeriesBuffer, plot: &Plot) -> Result<Self> {
        let [columns, rows] = Self::cells(plot);
        let most = series.lines().div_ceil(MIN_LINES_PER_BLOCK).max(1);
        // A software adapter has two to a hundred lanes, and the columns keep those busy.
        let blocks = match gpu.profile().reduction {
            Reduction::Serial => 1,
            Reduction::Parallel => most.min(MAX_BLOCKS),
        };
        let counts = gpu.buffer("density counts", blocks * columns * rows)?;
        let peaks = gpu.buffer("density peaks", 1 + columns)?;
        let image = Self {
            columns,
            rows,
            counts,
            peaks,
        };
        let batch = (MAX_PAIRS_PER_SUBMISSION * blocks / columns.max(series.steps())).max(1);
        let parameters = |first: usize, end: usize| DensityUniforms {
            scale: series.scale(),
            window: plot.window(),
            columns: columns as u32,
            rows: rows as u32,
            steps: series.steps() as u32,
            first_line: first as u32,
            end_line: end as u32,
            lines_a_block: (end - first).div_ceil(blocks) as u32,
            blocks: blocks as u32,
        };
        let accumulate = gpu.kernel(&SHADER, "accumulate", &[]);
        for first in (0..series.lines()).step_by(batch) {
            let end = (first + batch).min(series.lines());
            let uniform = gpu.uniform("density", &parameters(first, end));
            let bindings = [
                (0, uniform.binding()),
                (1, series.values().binding()),
                (2, image.counts.binding()),
            ];
            let workgroups = [groups(columns, 64), blocks as u32, 1];
            gpu.run("density", &[accumulate.bind(gpu, &bindings, workgroups)]);
        }
        let uniform = gpu.uniform("density", &parameters(0, series.lines()));
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

    /// Columns and rows of the image for a plot: one cell a pixel.
    pub(super) fn cells(plot: &Plot) -> [usize; 2] {
        let size = plot.rect.size.round().to_array();
        size.map(|side| side.clamp(1.0, 32_768.0) as usize)
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
            target_size: self.size().to_array(),
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
            1,
            rect,
        );
    }
}
