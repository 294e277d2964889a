//! A grid of small images straight from a buffer: samples, or inputs above their reconstructions.

use glam::vec2;

use super::canvas::Canvas;
use super::geometry::Rect;
use super::label::{Label, MARGIN, MAX_NOTE_LINES, heading};
use super::painter::Painter;
use super::picture::Picture;
use super::theme::{LABEL_SIZE, TITLE_SIZE, Theme, to_unit};
use super::typeface::{Align, TextMetrics};
use crate::gpu::{Buffer, Shader};
use crate::{Error, Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/image_grid.wgsl");

/// Between images, in points.
const GAP: f32 = 2.0;
/// Between groups of rows, in points.
const GROUP_GAP: f32 = 6.0;

/// Titles that take more points than this are cut short where the grid is narrower.
const LONGEST_TITLE: f32 = 640.0;

/// Images that share a label.
#[derive(Debug, Clone, Copy)]
pub struct ImageRow<'a> {
    /// Written at the left of its rows; may be empty.
    pub label: &'a str,
    /// `[count, channels, height, width]`, in `[0, 1]`.
    pub images: &'a Buffer<f32>,
    /// Whether the values are logits, which a sigmoid takes to `[0, 1]`.
    pub logits: bool,
}

/// A grid of images: the first `columns` images of every row, one row below the other, then the next `columns`.
#[derive(Debug, Clone, Copy)]
pub struct ImageGrid<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title; may be empty.
    pub note: &'a str,
    /// What is shown; all of the same count and shape.
    pub rows: &'a [ImageRow<'a>],
    /// Images in each row.
    pub count: usize,
    /// 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    /// Height of an image in pixels of its own.
    pub height: usize,
    /// Width of an image in pixels of its own.
    pub width: usize,
    /// Images side by side.
    pub columns: usize,
    /// Whole points that a pixel of an image takes on a side.
    pub zoom: usize,
}

gpu_struct! {
    struct ImageGridUniforms in SHADER::Uniforms {
        nonfinite: [f32; 4],
        origin: [f32; 2],
        target_size: [f32; 2],
        tile: [u32; 2],
        shape: [u32; 2],
        channels: u32,
        columns: u32,
        count: u32,
        zoom: u32,
        first: u32,
        logits: u32,
    }
}

impl ImageGrid<'_> {
    /// A picture just large enough for the grid, with the grid drawn into it, without waiting for it.
    ///
    /// # Errors
    /// A shape that does not fit its buffers, channels other than 1 or 3, or a grid larger than the adapter's
    /// textures.
    pub fn picture(&self, painter: &Painter, theme: &Theme) -> Result<Picture> {
        self.check()?;
        let [width, height] = self.size(theme);
        let picture = Picture::new(painter.gpu(), width, height, theme)?;
        self.draw(painter, &picture)?;
        Ok(picture)
    }

    /// The width and height in points of a picture that is just large enough for the grid.
    pub fn size(&self, theme: &Theme) -> [f32; 2] {
        let layout = self.layout(theme.scale_factor);
        layout.size.map(|side| side / theme.scale_factor)
    }

    /// The rectangle of an image of a row, in points.
    pub fn place(&self, row: usize, image: usize, theme: &Theme) -> Rect {
        let layout = self.layout(theme.scale_factor);
        let (group, column) = (image / self.columns, image % self.columns);
        let min = vec2(
            layout.left + column as f32 * layout.step[0],
            self.top(&layout, group, row),
        );
        let side = |pixels: usize| pixels as f32 * layout.zoom as f32;
        let size = vec2(side(self.width), side(self.height));
        Rect {
            min: min / theme.scale_factor,
            size: size / theme.scale_factor,
        }
    }

    /// Draws the grid into the upper left of a picture, without waiting for it.
    ///
    /// # Errors
    /// As [`ImageGrid::picture`].
    pub fn draw(&self, painter: &Painter, picture: &Picture) -> Result<()> {
        self.check()?;
        let mut canvas = Canvas::new(painter, picture);
        let theme = canvas.theme();
        let layout = self.layout(theme.scale_factor);
        canvas.labels(&layout.heading);
        for group in 0..self.count.div_ceil(self.columns) {
            for (row, images) in self.rows.iter().enumerate() {
                let y = self.top(&layout, group, row);
                let width = layout.step[0] * self.columns as f32;
                let rect = Rect::new(layout.left, y, width, layout.step[1]);
                canvas.text(
                    images.label,
                    LABEL_SIZE,
                    layout.left - theme.px(10.0),
                    y + layout.step[1] / 2.0 + theme.px(LABEL_SIZE * 0.3),
                    Align::Right,
                    theme.muted,
                );
                let first = group * self.columns;
                let parameters = ImageGridUniforms {
                    nonfinite: to_unit(theme.nonfinite),
                    origin: rect.min.to_array(),
                    target_size: canvas.size().to_array(),
                    tile: layout.step.map(|step| step as u32),
                    shape: [self.width as u32, self.height as u32],
                    channels: self.channels as u32,
                    columns: self.columns.min(self.count - first) as u32,
                    count: self.count as u32,
                    zoom: layout.zoom,
                    first: first as u32,
                    logits: u32::from(images.logits),
                };
                let uniform = canvas.gpu().uniform("image grid", &parameters);
                canvas.layer(
                    &SHADER,
                    ["image_vertex", "image_fragment"],
                    &[(0, uniform.binding()), (1, images.images.binding())],
                    1,
                    rect,
                );
            }
        }
        canvas.finish();
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let context = || format!("image grid '{}'", self.title);
        let sides = [self.count, self.height, self.width, self.columns, self.zoom];
        if !matches!(self.channels, 1 | 3) || sides.contains(&0) || self.rows.is_empty() {
            return Err(Error::input(
                context(),
                format!(
                    "{} images of {} x {} x {} in {} columns",
                    self.count, self.channels, self.height, self.width, self.columns
                ),
                "give at least one image of 1 or 3 channels, and a zoom and columns of at least 1",
            ));
        }
        let needed = [self.channels, self.height, self.width]
            .iter()
            .try_fold(self.count, |all, side| all.checked_mul(*side));
        for row in self.rows {
            if needed.is_none_or(|needed| needed > row.images.len()) {
                return Err(Error::input(
                    context(),
                    format!(
                        "'{}' holds {} values, which is less than {} x {} x {} x {}",
                        row.label,
                        row.images.len(),
                        self.count,
                        self.channels,
                        self.height,
                        self.width
                    ),
                    "give all images of all rows",
                ));
            }
        }
        Ok(())
    }

    /// The top of a row of a group, in pixels.
    fn top(&self, layout: &Layout, group: usize, row: usize) -> f32 {
        let above = (group * self.rows.len() + row) as f32;
        let gaps = group as f32 * layout.group_gap;
        (layout.top + above * layout.step[1] + gaps).round()
    }

    fn layout(&self, scale_factor: f32) -> Layout {
        let metrics = TextMetrics { scale_factor };
        let px = |points: f32| points * scale_factor;
        let zoom = (self.zoom as f32 * scale_factor).round().max(1.0);
        let gap = px(GAP).round().max(1.0);
        let step = [self.width, self.height].map(|side| side as f32 * zoom + gap);
        let widest = self
            .rows
            .iter()
            .map(|row| metrics.width(row.label, LABEL_SIZE))
            .fold(0.0, f32::max);
        let labels = if widest > 0.0 { widest + px(10.0) } else { 0.0 };
        let left = (px(MARGIN) + labels).round();
        let groups = self.count.div_ceil(self.columns);
        let group_gap = if self.rows.len() > 1 {
            px(GROUP_GAP)
        } else {
            0.0
        };
        let grid = left + step[0] * self.columns as f32 + px(MARGIN);
        // Titles are set in the width of the grid, but not in less than a line of words needs, or an ordinary title.
        let title = metrics.width(self.title, TITLE_SIZE) + 2.0 * px(MARGIN);
        let width = grid.max(px(320.0)).max(title.min(px(LONGEST_TITLE))).ceil();
        let (heading, top) = heading(metrics, width, self.title, self.note, MAX_NOTE_LINES);
        let rows = (groups * self.rows.len()) as f32;
        let height = top + rows * step[1] + groups as f32 * group_gap + px(MARGIN);
        Layout {
            heading,
            top,
            left,
            step,
            zoom: zoom as u32,
            group_gap,
            size: [width, height.ceil()],
        }
    }
}

/// Where the images of a grid are, in pixels.
#[derive(Debug)]
struct Layout {
    heading: Vec<Label>,
    /// The top and left edges of the first image.
    top: f32,
    left: f32,
    /// From one image to the next, right and down.
    step: [f32; 2],
    zoom: u32,
    group_gap: f32,
    size: [f32; 2],
}
