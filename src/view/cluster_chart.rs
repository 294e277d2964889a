//! Clusters as squares, the larger the more units they have, each with the mean of its units.

use super::canvas::Canvas;
use super::geometry::{Plot, Rect};
use super::label::{LINE_HEIGHT, MARGIN, MAX_NOTE_LINES, heading};
use super::painter::Painter;
use super::picture::Picture;
use super::polylines::LineStyle;
use super::theme::{STRONG_LINE_WIDTH, TICK_SIZE, Theme};
use super::typeface::{Align, TextMetrics};
use crate::Result;
use crate::series::SeriesBuffer;

/// Sides of the smallest and of the largest square, in points: text fits into both.
const SIDES: [f32; 2] = [128.0, 300.0];
/// Lines of the text in a square at most.
const LABEL_LINES: usize = 2;
/// Between squares, in points.
const GAP: f32 = 8.0;
/// Around the line in a square, in points.
const INSET: f32 = 8.0;
/// Width of a frame, in points.
const FRAME: f32 = 1.0;

/// Clusters as squares, the larger the more units they have. All lines have the same axes.
#[derive(Debug, Clone, Copy)]
pub struct ClusterChart<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title; may be empty.
    pub note: &'a str,
    /// How many units each cluster has.
    pub sizes: &'a [usize],
    /// What is written into each square.
    pub labels: &'a [String],
    /// The means of the clusters, a line each.
    pub means: &'a SeriesBuffer,
}

impl ClusterChart<'_> {
    /// The chart in a new picture of `width` points, as high as it has to be.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures, or no room for the list of lines.
    pub fn picture(&self, painter: &Painter, width: f32, theme: &Theme) -> Result<Picture> {
        let metrics = TextMetrics { scale_factor: 1.0 };
        let (_, top) = heading(metrics, width, self.title, self.note, MAX_NOTE_LINES);
        let squares = pack(self.sizes, width - 2.0 * MARGIN);
        let below = squares.iter().map(|square| square.bottom());
        let height = top + below.fold(0.0, f32::max) + MARGIN;
        let picture = Picture::new(painter.gpu(), width, height, theme)?;
        let mut canvas = Canvas::new(painter, &picture);
        let metrics = canvas.metrics();
        let (labels, top) = heading(
            metrics,
            canvas.size().x,
            self.title,
            self.note,
            MAX_NOTE_LINES,
        );
        canvas.labels(&labels);
        let scale = theme.scale_factor;
        for (index, square) in squares.iter().enumerate() {
            let rect = Rect::new(
                (MARGIN + square.left()) * scale,
                top + square.top() * scale,
                square.size.x * scale,
                square.size.y * scale,
            );
            self.square(&mut canvas, index, rect)?;
        }
        canvas.finish();
        Ok(picture)
    }

    fn square(&self, canvas: &mut Canvas<'_>, index: usize, rect: Rect) -> Result<()> {
        let theme = canvas.theme();
        let px = |points: f32| theme.px(points);
        frame(canvas, rect, px(FRAME));
        let room = rect.size.x - 2.0 * px(INSET);
        let label = self.labels.get(index).map_or("", String::as_str);
        let lines = canvas
            .metrics()
            .wrapped(label, TICK_SIZE, room, LABEL_LINES);
        let left = rect.left() + px(INSET);
        let mut baseline = rect.top() + px(INSET + TICK_SIZE);
        for line in &lines {
            canvas.text(line, TICK_SIZE, left, baseline, Align::Left, theme.ink);
            baseline += px(TICK_SIZE * LINE_HEIGHT);
        }
        let top = px(2.0 * INSET + TICK_SIZE * LINE_HEIGHT * lines.len() as f32);
        let inside = Rect::new(left, rect.top() + top, room, rect.size.y - top - px(INSET));
        let plot = Plot::over(inside, self.means.steps());
        let style = LineStyle::new(index as u32, theme.categorical[0], px(STRONG_LINE_WIDTH));
        canvas.polylines(self.means, &plot, &[style])
    }
}

/// The four sides of a rectangle, inside of it.
fn frame(canvas: &mut Canvas<'_>, rect: Rect, width: f32) {
    let color = canvas.theme().grid;
    let (x, y, size) = (rect.left(), rect.top(), rect.size);
    for side in [
        Rect::new(x, y, size.x, width),
        Rect::new(x, rect.bottom() - width, size.x, width),
        Rect::new(x, y, width, size.y),
        Rect::new(rect.right() - width, y, width, size.y),
    ] {
        canvas.rect(side, color);
    }
}

/// Squares of areas in proportion to the sizes, as far as text allows, in rows from the upper left.
fn pack(sizes: &[usize], width: f32) -> Vec<Rect> {
    let largest = sizes.iter().copied().max().unwrap_or(1).max(1) as f32;
    let [least, most] = SIDES;
    let (mut x, mut y, mut row) = (0.0, 0.0, 0.0f32);
    sizes
        .iter()
        .map(|&size| {
            let side = (most * (size as f32 / largest).sqrt())
                .max(least)
                .min(width);
            if x > 0.0 && x + side > width {
                (x, y, row) = (0.0, y + row + GAP, 0.0);
            }
            let square = Rect::new(x, y, side, side);
            x += side + GAP;
            row = row.max(side);
            square
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_inside_and_apart() {
        let sizes = [400, 200, 90, 40, 40, 3, 2, 1, 1];
        let squares = pack(&sizes, 700.0);
        for (index, square) in squares.iter().enumerate() {
            assert!(square.left() >= 0.0 && square.right() <= 700.0);
            assert!(square.size.x >= SIDES[0] && square.size.x == square.size.y);
            assert!(
                squares[..index]
                    .iter()
                    .all(|other| !other.overlaps(*square))
            );
        }
        assert!((squares[1].size.x / squares[0].size.x).powi(2) > 0.49);
    }
}
