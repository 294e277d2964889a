//! Many series over training steps: a density image of all of them under the few that were kept.

use super::axes::{Axes, Swatch};
use super::density::Density;
use super::picture::{Canvas, Painter, Picture};
use super::polylines::{LineStyle, Lines};
use super::theme::{self, LINE_WIDTH, STRONG_LINE_WIDTH};
use crate::{Error, Result};

/// Lines that stand for others.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Rows of the values, in the order they are drawn.
    pub lines: &'a [u32],
    /// How many lines each of them stands for, itself included; as long as `lines`.
    pub counts: &'a [u32],
}

/// A chart of many series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesChart<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title; may be empty.
    pub note: &'a str,
    /// Names the x-axis with its unit.
    pub x_title: &'a str,
    /// Names the y-axis with its unit.
    pub y_title: &'a str,
    /// The training step of the first column.
    pub first_step: u64,
    /// Training steps from one column to the next.
    pub stride: u64,
    /// The series.
    pub lines: Lines<'a>,
    /// Lines drawn one by one; `None` draws every line, or none with `density`.
    pub kept: Option<Kept<'a>>,
    /// Whether a density image of all lines lies under the kept ones.
    pub density: bool,
    /// How many lines hold values that are not finite; the legend explains their mark where there are any.
    pub nonfinite: usize,
}

impl SeriesChart<'_> {
    /// Draws the chart over the whole picture, without waiting for it.
    ///
    /// # Errors
    /// Values, kept lines and counts that do not fit together, a picture too small for a chart, or an adapter
    /// without room for the density image.
    pub fn draw(&self, painter: &Painter, picture: &Picture) -> Result<()> {
        self.lines.check()?;
        let mut canvas = Canvas::new(painter, picture);
        let theme = canvas.theme();
        let styles = self.styles(theme)?;
        let mut legend = Vec::new();
        if self.density {
            let name = format!("all {}: few to many", number(self.lines.lines));
            legend.push((Swatch::Sequential, name));
        }
        if let (Some(kept), true) = (self.kept, self.density) {
            let name = format!("{} of them", number(kept.lines.len()));
            legend.push((Swatch::Line(theme.ink), name));
        }
        if self.nonfinite > 0 {
            let name = format!("not finite from here: {}", number(self.nonfinite));
            legend.push((Swatch::Nonfinite, name));
        }
        let axes = Axes {
            title: self.title,
            note: self.note,
            x_title: self.x_title,
            y_title: self.y_title,
            first_step: self.first_step,
            stride: self.stride,
            steps: self.lines.steps,
            scale: self.lines.scale,
            legend: &legend,
        };
        let plot = axes.draw(&mut canvas)?;
        if self.density && self.lines.lines > 0 {
            let density = Density::new(painter.gpu(), self.lines, &plot)?;
            canvas.density(&density, plot.rect);
        }
        canvas.polylines(self.lines, &plot, &styles)?;
        canvas.finish();
        Ok(())
    }

    /// Lines that stand for many are wider and stronger.
    fn styles(&self, theme: &theme::Theme) -> Result<Vec<LineStyle>> {
        let style = |line: u32, weight: f32| {
            let width = LINE_WIDTH + (STRONG_LINE_WIDTH - LINE_WIDTH) * weight;
            let color = theme::with_opacity(theme.ink, 0.7 + 0.25 * weight);
            LineStyle::new(line, color, theme.px(width))
        };
        let Some(kept) = self.kept else {
            // All of them, fainter the more there are.
            let lines = if self.density {
                0
            } else {
                self.lines.lines as u32
            };
            let opacity = (30.0 / lines.max(1) as f32).sqrt().clamp(0.08, 0.9);
            let color = theme::with_opacity(theme.ink, opacity);
            return Ok((0..lines)
                .map(|line| LineStyle::new(line, color, theme.px(LINE_WIDTH)))
                .collect());
        };
        if kept.lines.len() != kept.counts.len() {
            return Err(Error::input(
                format!("{} kept lines", kept.lines.len()),
                format!("there are {} counts", kept.counts.len()),
                "give one count for each kept line",
            ));
        }
        let most = kept.counts.iter().copied().max().unwrap_or(1).max(2) as f32;
        Ok(kept
            .lines
            .iter()
            .zip(kept.counts)
            .map(|(&line, &count)| style(line, (count.max(1) as f32).ln() / most.ln()))
            .collect())
    }
}

fn number(count: usize) -> String {
    crate::number::grouped(count as f64, 0)
}
