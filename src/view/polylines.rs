//! Polylines drawn straight from a buffer of values.

use glam::Vec2;

use super::canvas::Canvas;
use super::geometry::{Plot, Rect};
use super::sketch::Mark;
use super::theme::{Color, MARK_ARM, STRONG_LINE_WIDTH, to_unit};
use crate::gpu::{Buffer, Reduction, Shader, groups, to_bytes};
use crate::series::{SeriesBuffer, ValueScale};
use crate::{Error, Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/polylines.wgsl");

static CPU: Shader = shader!("view/polylines_cpu.wgsl");
static IMAGE: Shader = shader!("view/polylines_image.wgsl");

/// On a software adapter so many lines are blended column by column; fewer are drawn as quads, which needs no image.
const BLENDED_FROM: usize = 16;
/// Pairs of a line and a column in one submission, so that nothing else waits long.
const MAX_PAIRS_PER_SUBMISSION: usize = 1 << 22;
/// Slots (line and step) in one draw call: bounds its vertices, and the time it keeps the GPU busy.
const MAX_SLOTS_PER_DRAW: u32 = 1 << 22;

gpu_struct! {
    /// How one line is drawn.
    #[derive(PartialEq)]
    pub struct LineStyle in SHADER::LineStyle {
        /// Its row in the values.
        pub line: u32,
        /// Its color; the alpha is its opacity.
        pub color: Color,
        /// Its width in pixels.
        pub width: f32,
    }
}

impl LineStyle {
    /// A line of `width` pixels.
    pub fn new(line: u32, color: Color, width: f32) -> Self {
        Self { line, color, width }
    }
}

gpu_struct! {
    struct PolylinesUniforms in SHADER::Uniforms {
        scale: ValueScale,
        rect: [f32; 4],
        window: [f32; 4],
        target_size: [f32; 2],
        mark: [f32; 2],
        mark_color: [f32; 4],
        halo_color: [f32; 4],
        steps: u32,
        first_slot: u32,
        slots: u32,
    }
}

gpu_struct! {
    struct PolylinesCpuUniforms in CPU::Uniforms {
        scale: ValueScale,
        rect: [f32; 4],
        window: [f32; 4],
        origin: [f32; 2],
        columns: u32,
        rows: u32,
        steps: u32,
        first_line: u32,
        end_line: u32,
    }
}

gpu_struct! {
    struct PolylinesImageUniforms in IMAGE::Uniforms {
        rect: [f32; 4],
        target_size: [f32; 2],
    }
}

impl Canvas<'_> {
    /// Draws the lines that `styles` names, in that order, cut off at the plot. A value that is not finite
    /// interrupts its line; the first of each such stretch gets a cross in the theme's non-finite color, at
    /// the last finite value or, where there is none, at the upper rim.
    ///
    /// # Errors
    /// A style names a line that does not exist, or the adapter has no room for the list of styles.
    pub fn polylines(
        &mut self,
        series: &SeriesBuffer,
        plot: &Plot,
        styles: &[LineStyle],
    ) -> Result<()> {
        if let Some(style) = styles
            .iter()
            .find(|style| style.line as usize >= series.lines())
        {
            return Err(Error::input(
                format!("line {}", style.line),
                format!("there are {} lines", series.lines()),
                "name lines below that number",
            ));
        }
        if styles.is_empty() {
            return Ok(());
        }
        self.keep(|| Mark::Lines {
            series: series.clone(),
            plot: *plot,
            styles: styles.to_vec(),
        });
        let theme = self.theme();
        let slots = u32::try_from(styles.len() * series.steps()).map_err(|_| {
            Error::input(
                format!("{} lines of {} steps", styles.len(), series.steps()),
                "these are more steps than one picture draws",
                "draw fewer lines",
            )
        })?;
        let list = self.gpu().upload("line styles", &to_bytes(styles))?;
        // Marks come last, so that no line hides one.
        let lines_and_marks = [
            ["line_vertex", "line_fragment"],
            ["mark_vertex", "mark_fragment"],
        ];
        let is_software = self.gpu().profile().reduction == Reduction::Serial;
        let is_blended = is_software && styles.len() >= BLENDED_FROM;
        if is_blended {
            self.blended(series, plot, &list, styles.len())?;
        }
        let passes = usize::from(is_blended)..1 + usize::from(!series.is_finite());
        for entries in &lines_and_marks[passes] {
            for first_slot in (0..slots).step_by(MAX_SLOTS_PER_DRAW as usize) {
                let parameters = PolylinesUniforms {
                    scale: series.scale(),
                    rect: plot.rect.to_array(),
                    window: plot.window(),
                    target_size: self.size().to_array(),
                    mark: [theme.px(MARK_ARM), theme.px(STRONG_LINE_WIDTH)],
                    mark_color: to_unit(theme.nonfinite),
                    halo_color: to_unit(theme.background),
                    steps: series.steps() as u32,
                    first_slot,
                    slots,
                };
                let uniform = self.gpu().uniform("polylines", &parameters);
                self.outlined_layer(
                    &SHADER,
                    *entries,
                    &[
                        (0, uniform.binding()),
                        (1, series.values().binding()),
                        (2, list.binding()),
                    ],
                    MAX_SLOTS_PER_DRAW.min(slots - first_slot),
                    plot.rect,
                );
            }
        }
        Ok(())
    }

    /// Draws the lines of a list of `count` styles as one image, whose columns are blended side by side.
    fn blended(
        &mut self,
        series: &SeriesBuffer,
        plot: &Plot,
        list: &Buffer<u8>,
        count: usize,
    ) -> Result<()> {
        let low = plot.rect.min.floor().clamp(Vec2::ZERO, self.size());
        let high = (plot.rect.min + plot.rect.size)
            .ceil()
            .clamp(low, self.size());
        let [columns, rows] = (high - low).to_array().map(|side| side as usize);
        if columns * rows == 0 {
            return Ok(());
        }
        let gpu = self.gpu();
        let cells: Buffer<f32> = gpu.buffer("blended lines", 4 * columns * rows)?;
        let blend = gpu.kernel(&CPU, "blend", &[]);
        let batch = (MAX_PAIRS_PER_SUBMISSION / columns).max(1);
        for first_line in (0..count).step_by(batch) {
            let parameters = PolylinesCpuUniforms {
                scale: series.scale(),
                rect: plot.rect.to_array(),
                window: plot.window(),
                origin: low.to_array(),
                columns: columns as u32,
                rows: rows as u32,
                steps: series.steps() as u32,
                first_line: first_line as u32,
                end_line: (first_line + batch).min(count) as u32,
            };
            let uniform = gpu.uniform("blended lines", &parameters);
            let bindings = [
                (0, uniform.binding()),
                (1, series.values().binding()),
                (2, list.binding()),
                (3, cells.binding()),
            ];
            let workgroups = [groups(columns, 64), 1, 1];
            gpu.run("blended lines", &[blend.bind(gpu, &bindings, workgroups)]);
        }
        let image = Rect {
            min: low,
            size: high - low,
        };
        let parameters = PolylinesImageUniforms {
            rect: image.to_array(),
            target_size: self.size().to_array(),
        };
        let uniform = gpu.uniform("blended lines", &parameters);
        self.outlined_layer(
            &IMAGE,
            ["lines_vertex", "lines_fragment"],
            &[(0, uniform.binding()), (1, cells.binding())],
            1,
            image,
        );
        Ok(())
    }
}
