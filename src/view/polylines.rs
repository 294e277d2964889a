//! Polylines drawn straight from a buffer of values.

use super::picture::{Canvas, Rect};
use super::theme::{Color, MARK_ARM, STRONG_LINE_WIDTH, to_unit};
use crate::gpu::{Buffer, Shader, to_bytes};
use crate::sample::ValueScale;
use crate::{Error, Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/polylines.wgsl");

/// Slots (line and step) that one draw call takes: bounds its vertices, and the time it keeps the GPU.
const SLOTS_A_DRAW: u32 = 1 << 22;

/// Where data lands in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    /// The rectangle, in pixels.
    pub rect: Rect,
    /// The step index at its left edge.
    pub first: f32,
    /// The step index at its right edge.
    pub last: f32,
    /// The scaled height ([`ValueScale::height`]) at its bottom edge.
    pub bottom: f32,
    /// The scaled height at its top edge.
    pub top: f32,
}

impl Plot {
    /// All of `steps` steps from edge to edge and the heights `[0, 1]`; a single step stands in the middle.
    pub fn over(rect: Rect, steps: usize) -> Self {
        let (first, last) = if steps > 1 {
            (0.0, (steps - 1) as f32)
        } else {
            (-0.5, 0.5)
        };
        Self {
            rect,
            first,
            last,
            bottom: 0.0,
            top: 1.0,
        }
    }

    pub(super) fn window(&self) -> [f32; 4] {
        [self.first, self.last, self.bottom, self.top]
    }
}

/// Values of many lines on the GPU, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// `[lines, steps]`.
    pub values: &'a Buffer<f32>,
    /// Rows.
    pub lines: usize,
    /// Values in a row, at least one.
    pub steps: usize,
    /// How a value becomes a height.
    pub scale: ValueScale,
}

impl Lines<'_> {
    /// # Errors
    /// No steps, or fewer values than lines times steps.
    pub(super) fn check(&self) -> Result<()> {
        let needed = self.lines.checked_mul(self.steps);
        if self.steps == 0 || needed.is_none_or(|needed| needed > self.values.len()) {
            return Err(Error::input(
                format!("{} lines of {} steps", self.lines, self.steps),
                format!("the buffer holds {} values", self.values.len()),
                "give as many values as lines times steps, and at least one step",
            ));
        }
        Ok(())
    }
}

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

impl Canvas<'_> {
    /// Draws the lines that `styles` names, in that order, cut off at the plot. A value that is not finite
    /// interrupts its line; the first of each such stretch gets a cross in the theme's non-finite color, at
    /// the last finite value or, where there is none, at the upper rim.
    ///
    /// # Errors
    /// The buffer is smaller than lines times steps, a style names a line that is not there, or the adapter has
    /// no room for the list of styles.
    pub fn polylines(&mut self, lines: Lines<'_>, plot: &Plot, styles: &[LineStyle]) -> Result<()> {
        lines.check()?;
        if let Some(style) = styles
            .iter()
            .find(|style| style.line as usize >= lines.lines)
        {
            return Err(Error::input(
                format!("line {}", style.line),
                format!("there are {} lines", lines.lines),
                "name lines below that number",
            ));
        }
        if styles.is_empty() {
            return Ok(());
        }
        let theme = self.theme();
        let slots = u32::try_from(styles.len() * lines.steps).map_err(|_| {
            Error::input(
                format!("{} lines of {} steps", styles.len(), lines.steps),
                "these are more steps than one picture draws",
                "draw fewer lines",
            )
        })?;
        let list = self.gpu().upload("line styles", &to_bytes(styles))?;
        // Marks come last, so that no line hides one.
        for entries in [
            ["line_vertex", "line_fragment"],
            ["mark_vertex", "mark_fragment"],
        ] {
            for first_slot in (0..slots).step_by(SLOTS_A_DRAW as usize) {
                let parameters = PolylinesUniforms {
                    scale: lines.scale,
                    rect: plot.rect.to_array(),
                    window: plot.window(),
                    target_size: self.size(),
                    mark: [theme.px(MARK_ARM), theme.px(STRONG_LINE_WIDTH)],
                    mark_color: to_unit(theme.nonfinite),
                    halo_color: to_unit(theme.background),
                    steps: lines.steps as u32,
                    first_slot,
                    slots,
                };
                let uniform = self.gpu().uniform("polylines", &parameters);
                self.layer(
                    &SHADER,
                    entries,
                    &[
                        (0, uniform.binding()),
                        (1, lines.values.binding()),
                        (2, list.binding()),
                    ],
                    6 * SLOTS_A_DRAW.min(slots - first_slot),
                    plot.rect,
                );
            }
        }
        Ok(())
    }
}
