//! Lines one below the other, each with some of its stretches marked: what a search has found, over the series it is in.

use std::ops::Range;

use super::canvas::Canvas;
use super::geometry::{Plot, Rect};
use super::label::{LINE_HEIGHT, MARGIN, MAX_NOTE_LINES, heading};
use super::painter::Painter;
use super::picture::Picture;
use super::polylines::LineStyle;
use super::theme::{HIGHLIGHT_LINE_WIDTH, LINE_WIDTH, TICK_SIZE, Theme, with_opacity};
use super::ticks::linear_ticks;
use super::typeface::Align;
use crate::number::short;
use crate::series::{Scale, SeriesBuffer};
use crate::{Error, Result};

/// Height of the plot of a line, in points.
const PLOT_HEIGHT: f32 = 76.0;
/// Room for the labels of heights, in points.
const AXIS_WIDTH: f32 = 76.0;
/// Between two lines, in points.
const GAP: f32 = 12.0;
/// Between a mark and its label, in points.
const LABEL_GAP: f32 = 6.0;
/// Ticks of steps at most.
const MAX_TICKS: usize = 8;
/// Opacity of the ground of a marked stretch.
const GROUND: f32 = 0.16;
/// The narrowest ground of a marked stretch, in points.
const MIN_GROUND: f32 = 3.0;

/// A line with marked stretches.
#[derive(Debug, Clone)]
pub struct PatternPanel<'a> {
    /// Which line it is, and what is marked.
    pub title: String,
    /// Its values, one for each column.
    pub values: &'a [f32],
    /// The marked columns.
    pub marked: Vec<Range<usize>>,
}

/// Lines one below the other over the same steps, each on a scale of its own.
#[derive(Debug, Clone)]
pub struct PatternChart<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title; may be empty.
    pub note: &'a str,
    /// The step of the first and of the last column.
    pub steps: [u64; 2],
    /// The lines.
    pub panels: &'a [PatternPanel<'a>],
}

impl PatternChart<'_> {
    /// The chart in a new picture of `width` points, as high as it has to be.
    ///
    /// # Errors
    /// No line or an empty one, a picture larger than the adapter's textures, or no room for the lines.
    pub fn picture(&self, painter: &Painter, width: f32, theme: &Theme) -> Result<Picture> {
        if self.panels.iter().all(|panel| panel.values.is_empty()) {
            return Err(Error::input(
                "pattern chart",
                "there is nothing to draw",
                "search for something that the run has",
            ));
        }
        let metrics = super::TextMetrics { scale_factor: 1.0 };
        let (_, top) = heading(metrics, width, self.title, self.note, MAX_NOTE_LINES);
        let panel = TICK_SIZE * LINE_HEIGHT + PLOT_HEIGHT + GAP;
        let axis = TICK_SIZE * LINE_HEIGHT * 2.0;
        let height = top + panel * self.panels.len() as f32 + axis + MARGIN;
        let picture = Picture::new(painter.gpu(), width, height, theme)?;
        let mut canvas = Canvas::new(painter, &picture);
        let size = canvas.size();
        let metrics = canvas.metrics();
        let (labels, top) = heading(metrics, size.x, self.title, self.note, MAX_NOTE_LINES);
        canvas.labels(&labels);
        let px = |points: f32| theme.px(points);
        let left = px(MARGIN + AXIS_WIDTH);
        for (index, drawn) in self.panels.iter().enumerate() {
            let text = top + index as f32 * px(panel);
            let rect = Rect::new(
                left,
                text + px(TICK_SIZE * LINE_HEIGHT),
                size.x - left - px(MARGIN),
                px(PLOT_HEIGHT),
            );
            self.panel(&mut canvas, drawn, rect)?;
            if index + 1 == self.panels.len() {
                self.step_axis(&mut canvas, rect);
            }
        }
        canvas.finish();
        Ok(picture)
    }

    fn panel(&self, canvas: &mut Canvas<'_>, panel: &PatternPanel<'_>, rect: Rect) -> Result<()> {
        let theme = canvas.theme();
        let hair = theme.px(1.0).round().max(1.0);
        let title = canvas
            .metrics()
            .fitted(&panel.title, TICK_SIZE, rect.size.x);
        let baseline = rect.top() - theme.px(LABEL_GAP);
        canvas.text(
            &title,
            TICK_SIZE,
            rect.left(),
            baseline,
            Align::Left,
            theme.text,
        );
        let color = theme.categorical[1];
        let plot = Plot::over(rect, panel.values.len());
        let x = |column: usize| plot.to_pixel(column as f32, 0.0).x;
        for marked in &panel.marked {
            let width = (x(marked.end.max(1) - 1) - x(marked.start)).max(theme.px(MIN_GROUND));
            let ground = Rect::new(x(marked.start), rect.top(), width, rect.size.y);
            canvas.rect(ground, with_opacity(color, GROUND));
        }
        for y in [rect.top(), rect.bottom()] {
            canvas.rect(Rect::new(rect.left(), y, rect.size.x, hair), theme.grid);
        }
        let series = SeriesBuffer::upload(
            canvas.gpu(),
            panel.values,
            panel.values.len(),
            Scale::Linear,
        )?;
        self.height_labels(canvas, panel.values, rect);
        let ink = LineStyle::new(0, theme.ink, theme.px(LINE_WIDTH));
        canvas.polylines(&series, &plot, &[ink])?;
        let strong = LineStyle::new(0, color, theme.px(HIGHLIGHT_LINE_WIDTH));
        for marked in panel.marked.iter().filter(|marked| marked.len() > 1) {
            // The same line on the part of the plot that is marked.
            let (from, to) = (marked.start, marked.end - 1);
            let part = Rect::new(x(from), rect.top(), x(to) - x(from), rect.size.y);
            let window = Plot {
                first: from as f32,
                last: to as f32,
                ..Plot::over(part, panel.values.len())
            };
            canvas.polylines(&series, &window, &[strong])?;
        }
        Ok(())
    }

    /// The lowest and the highest finite value, beside the rims.
    fn height_labels(&self, canvas: &mut Canvas<'_>, values: &[f32], rect: Rect) {
        let theme = canvas.theme();
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let bounds = finite.fold(None, |bounds: Option<[f32; 2]>, value| match bounds {
            Some([low, high]) => Some([low.min(value), high.max(value)]),
            None => Some([value; 2]),
        });
        let Some([low, high]) = bounds else {
            return;
        };
        let x = rect.left() - theme.px(LABEL_GAP);
        let mut label = |value: f32, y: f32| {
            canvas.text(
                &short(value.into()),
                TICK_SIZE,
                x,
                y,
                Align::Right,
                theme.muted,
            );
        };
        label(high, rect.top() + theme.px(TICK_SIZE * 0.7));
        if high > low {
            label(low, rect.bottom());
        }
    }

    fn step_axis(&self, canvas: &mut Canvas<'_>, rect: Rect) {
        let theme = canvas.theme();
        let [low, high] = self.steps.map(|step| step as f64);
        let hair = theme.px(1.0).round().max(1.0);
        let baseline = rect.bottom() + theme.px(LABEL_GAP + TICK_SIZE);
        for tick in linear_ticks(low, high, MAX_TICKS, true) {
            let part = if high > low {
                (tick.value - low) / (high - low)
            } else {
                0.5
            };
            let x = rect.left() + part as f32 * rect.size.x;
            let mark = Rect::new((x - hair / 2.0).round(), rect.bottom(), hair, theme.px(4.0));
            canvas.rect(mark, theme.axis);
            let width = canvas.metrics().width(&tick.label, TICK_SIZE);
            let most = rect.right() - width / 2.0;
            canvas.text(
                &tick.label,
                TICK_SIZE,
                x.min(most),
                baseline,
                Align::Center,
                theme.muted,
            );
        }
        let below = baseline + theme.px(TICK_SIZE * LINE_HEIGHT);
        let middle = rect.left() + rect.size.x / 2.0;
        canvas.text(
            "training step",
            TICK_SIZE,
            middle,
            below,
            Align::Center,
            theme.muted,
        );
    }
}
