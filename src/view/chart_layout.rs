//! Where everything of a chart is: the plot, its ticks, titles and legend. Nothing here needs a GPU.
//!
//! A layout depends on what the chart says, on the scale of its data and on the size of the picture, not on the theme
//! nor on the data itself. Drawing ([`super::SeriesChart::draw`]), picking ([`super::Picker`]) and tests read the same one.

use glam::Vec2;

use super::geometry::{Plot, Rect};
use super::label::{LINE_HEIGHT, Label, LabelRole, MARGIN, MAX_NOTE_LINES, heading};
use super::legend::{LegendEntry, LegendKey, place_entries};
use super::theme::{LABEL_SIZE, TICK_SIZE};
use super::ticks::{self, Tick};
use super::time_marks::TimeMarks;
use super::typeface::{Align, TextMetrics};
use crate::series::ValueAxis;
use crate::{Error, Result, number};

/// Between the label of a tick and the axis, in points.
const TICK_GAP: f32 = 6.0;
/// Between labels of the x-axis, in points.
pub(super) const MIN_LABEL_GAP: f32 = 10.0;
/// Between ticks of the y-axis and of the x-axis, in points.
const TICK_SPACING: [f32; 2] = [32.0, 64.0];
/// Smallest width and height of the plot, in points.
const MIN_PLOT: f32 = 24.0;
/// Heights above and below the data, so that no line lies on the rim.
const VERTICAL_PAD: f32 = 0.035;

/// What a chart says around its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChartFrame<'a> {
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
}

impl ChartFrame<'_> {
    /// The training step at a column, which may lie between two.
    pub fn step_at(&self, column: f64) -> f64 {
        self.first_step as f64 + column * self.stride as f64
    }
}

/// A tick of an axis and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct TickMark {
    /// The value that it marks.
    pub value: f64,
    /// Its pixel along the axis: x of the x-axis, y of the y-axis.
    pub position: f32,
    /// The value in words.
    pub label: Label,
}

/// A chart of one size, ready to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartLayout {
    /// Width and height of the picture in pixels.
    pub size: Vec2,
    /// Measures its text.
    pub metrics: TextMetrics,
    /// Where the data goes.
    pub plot: Plot,
    /// Title, note and axis titles.
    pub titles: Vec<Label>,
    /// Ticks of the x-axis, from left to right.
    pub x_ticks: Vec<TickMark>,
    /// Ticks of the y-axis, from low to high values.
    pub y_ticks: Vec<TickMark>,
    /// The legend.
    pub legend: Vec<LegendEntry>,
    /// Folds and events; none unless the chart is [on a time axis](ChartLayout::with_time).
    pub time: TimeMarks,
}

impl ChartLayout {
    /// Lays out a chart of `steps` columns and values along `axis` in a picture of `size` pixels, of which a point takes `scale_factor`.
    ///
    /// # Errors
    /// The picture is too small for a chart.
    pub fn new(
        frame: &ChartFrame<'_>,
        steps: usize,
        axis: &ValueAxis,
        legend: &[(LegendKey, String)],
        size: Vec2,
        scale_factor: f32,
    ) -> Result<Self> {
        let metrics = TextMetrics { scale_factor };
        let px = |points: f32| points * scale_factor;
        let margin = px(MARGIN);
        let under = px((LABEL_SIZE + TICK_SIZE) * LINE_HEIGHT + 2.0);
        let bottom = size.y - margin - under;
        let role = LabelRole::AxisTitle;
        let y_title = metrics.fitted(frame.y_title, LABEL_SIZE, size.x - 2.0 * margin);
        // A low picture cuts its note before it goes without a plot.
        let above = |note_lines: usize| {
            let (mut titles, top) = heading(metrics, size.x, frame.title, frame.note, note_lines);
            let baseline = top + px(LABEL_SIZE * super::label::ASCENT);
            let y_title = Label::new(
                metrics,
                role,
                y_title.clone(),
                margin,
                baseline,
                Align::Left,
            );
            let (legend, top) = place_entries(metrics, size.x, legend, top, y_title.right());
            titles.push(y_title);
            (bottom - top >= px(MIN_PLOT)).then_some((titles, legend, top))
        };
        let (mut titles, legend, top) = (0..=MAX_NOTE_LINES)
            .rev()
            .find_map(above)
            .ok_or_else(|| too_small(size))?;
        let rows = Axis {
            from: bottom,
            to: top,
            low: f64::from(-VERTICAL_PAD),
            high: f64::from(1.0 + VERTICAL_PAD),
        };
        let y_ticks = y_ticks(axis, rows, px(TICK_SPACING[0]));
        let widest = y_ticks
            .iter()
            .map(|tick| metrics.width(&tick.label, TICK_SIZE))
            .fold(0.0, f32::max);
        let left = (margin + widest + px(TICK_GAP)).ceil();

        let all = Plot::over(Rect::default(), steps);
        let last = number::short(frame.step_at(f64::from(all.last)));
        let right = size.x - margin - metrics.width(&last, TICK_SIZE) / 2.0;
        if right - left < px(MIN_PLOT) {
            return Err(too_small(size));
        }
        let plot = Plot {
            rect: Rect::new(
                left,
                top.round(),
                (right - left).floor(),
                (bottom - top).round(),
            ),
            bottom: -VERTICAL_PAD,
            top: 1.0 + VERTICAL_PAD,
            ..all
        };
        let x_title = metrics.fitted(frame.x_title, LABEL_SIZE, plot.rect.size.x);
        let baseline = size.y - margin - px(1.0);
        let right = plot.rect.right();
        titles.push(Label::new(
            metrics,
            role,
            x_title,
            right,
            baseline,
            Align::Right,
        ));
        Ok(Self {
            size,
            metrics,
            x_ticks: x_marks(frame, steps, &plot, size.x, metrics),
            y_ticks: y_marks(axis, y_ticks, rows, plot.rect.left(), metrics),
            plot,
            titles,
            legend,
            time: TimeMarks::default(),
        })
    }

    /// All text of the chart.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        let ticks = self.x_ticks.iter().chain(&self.y_ticks);
        let legend = self.legend.iter().map(|entry| &entry.label);
        self.titles
            .iter()
            .chain(ticks.map(|tick| &tick.label))
            .chain(legend)
    }
}

/// A stretch of pixels and the values at its ends.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: f32,
    to: f32,
    low: f64,
    high: f64,
}

impl Axis {
    fn position(&self, value: f64) -> f32 {
        let part = if self.high > self.low {
            (value - self.low) / (self.high - self.low)
        } else {
            0.5
        };
        self.from + (part as f32) * (self.to - self.from)
    }
}

/// Ticks of the y-axis, with room for their labels between them.
fn y_ticks(axis: &ValueAxis, rows: Axis, spacing: f32) -> Vec<Tick> {
    let extent = f64::from(rows.from - rows.to);
    if axis.linear_threshold() > 0.0 {
        let gap = f64::from(spacing) / extent * (rows.high - rows.low);
        return ticks::symlog_ticks(axis, rows.low, rows.high, gap.min(0.5));
    }
    let most = (extent / f64::from(spacing)).floor().max(2.0) as usize;
    let [low, high] = [rows.low, rows.high].map(|height| axis.value(height));
    ticks::linear_ticks(low, high, most, false)
}

fn y_marks(
    axis: &ValueAxis,
    ticks: Vec<Tick>,
    rows: Axis,
    left: f32,
    metrics: TextMetrics,
) -> Vec<TickMark> {
    let px = |points: f32| points * metrics.scale_factor;
    let mark = |tick: Tick| {
        let position = rows.position(axis.height(tick.value));
        let x = left - px(TICK_GAP);
        let baseline = position + px(TICK_SIZE * 0.35);
        TickMark {
            value: tick.value,
            position,
            label: Label::new(
                metrics,
                LabelRole::Tick,
                tick.label,
                x,
                baseline,
                Align::Right,
            ),
        }
    };
    ticks.into_iter().map(mark).collect()
}

/// Ticks of the x-axis at whole steps, as many as leave their labels clear of each other.
fn x_marks(
    frame: &ChartFrame<'_>,
    steps: usize,
    plot: &Plot,
    width: f32,
    metrics: TextMetrics,
) -> Vec<TickMark> {
    let px = |points: f32| points * metrics.scale_factor;
    let (rect, last) = (plot.rect, if steps > 1 { plot.last } else { 0.0 });
    let columns = Axis {
        from: rect.left(),
        to: rect.right(),
        low: frame.step_at(f64::from(plot.first.max(0.0))),
        high: frame.step_at(f64::from(last)),
    };
    let mark = |tick: Tick| {
        let position = columns.position(tick.value);
        let half = metrics.width(&tick.label, TICK_SIZE) / 2.0;
        let center = position.clamp(half + 1.0, (width - half - 1.0).max(half + 1.0));
        let baseline = rect.bottom() + px(TICK_SIZE + 6.0);
        TickMark {
            value: tick.value,
            position,
            label: Label::new(
                metrics,
                LabelRole::Tick,
                tick.label,
                center,
                baseline,
                Align::Center,
            ),
        }
    };
    let is_clear = |marks: &[TickMark]| {
        let gaps = marks
            .windows(2)
            .map(|pair| pair[1].label.left - pair[0].label.right());
        gaps.into_iter().all(|gap| gap >= px(MIN_LABEL_GAP))
    };
    let most = (rect.size.x / px(TICK_SPACING[1])).floor().max(2.0) as usize;
    for count in (2..=most).rev() {
        let ticks = ticks::linear_ticks(columns.low, columns.high, count, true);
        let marks: Vec<TickMark> = ticks.into_iter().map(mark).collect();
        if is_clear(&marks) {
            return marks;
        }
    }
    let ticks = ticks::linear_ticks(columns.low, columns.high, 2, true);
    ticks.into_iter().take(1).map(mark).collect()
}

fn too_small(size: Vec2) -> Error {
    Error::input(
        format!("picture of {} x {} pixels", size.x, size.y),
        "a chart with its title and axes does not fit",
        "give it at least 240 x 180 points",
    )
}
