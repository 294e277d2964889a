//! What a chart on a [`TimeAxis`] shows of time: ticks at the steps that matter, a ribbon of folds, and marks of events.

use super::canvas::Canvas;
use super::chart_layout::{ChartLayout, MIN_LABEL_GAP, TickMark};
use super::geometry::Rect;
use super::label::{Label, LabelRole};
use super::theme::{Color, TICK_SIZE, Theme, with_opacity};
use super::time_axis::{TimeAxis, TimeScale};
use super::typeface::Align;
use crate::trace::Severity;

/// Height of the ribbon of folds below the axis, in points.
const RIBBON: f32 = 5.0;
/// Width and height of the mark of an event at the upper rim, in points.
const MARK: [f32; 2] = [3.0, 7.0];
/// Opacity of the line below the mark of an event.
const MARK_LINE: f32 = 0.35;

/// An event on the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The step.
    pub step: u64,
    /// How bad it is.
    pub severity: Severity,
}

/// A mark of an event in a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventMark {
    /// Its pixel along the x-axis.
    pub position: f32,
    /// The worst of the events there.
    pub severity: Severity,
}

/// What a chart shows of folded time and of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeMarks {
    /// A bar for each column of several steps, higher the more it holds.
    pub ribbon: Vec<Rect>,
    /// From left to right.
    pub events: Vec<EventMark>,
}

impl Severity {
    /// The color of what is so bad, in a theme.
    pub(super) fn color(self, theme: &Theme) -> Color {
        match self {
            Self::Note => theme.axis,
            Self::Warning => theme.categorical[4],
            Self::Serious => theme.highlight,
            Self::Fatal => theme.nonfinite,
        }
    }
}

impl ChartLayout {
    /// The same layout with the ticks, folds and events of a time axis, whose columns the chart's data has. Columns of a
    /// linear axis keep the ticks at round steps.
    #[must_use]
    pub fn with_time(mut self, axis: &TimeAxis, moments: &[Moment]) -> Self {
        if axis.scale() != TimeScale::Linear {
            self.x_ticks = self.time_ticks(axis);
        }
        self.time = TimeMarks {
            ribbon: match axis.scale() {
                TimeScale::Folded => self.ribbon(axis),
                TimeScale::Linear | TimeScale::Logarithmic => Vec::new(),
            },
            events: self.event_marks(axis, moments),
        };
        self
    }

    /// The pixel of a column along the x-axis.
    fn column_x(&self, column: usize) -> f32 {
        self.plot.to_pixel(column as f32, 0.0).x
    }

    /// As many labels as leave each other clear, the most important first.
    fn time_ticks(&self, axis: &TimeAxis) -> Vec<TickMark> {
        let px = |points: f32| points * self.metrics.scale_factor;
        let baseline = self.plot.rect.bottom() + px(TICK_SIZE + RIBBON + 3.0);
        let mut marks: Vec<TickMark> = Vec::new();
        for column in axis.labeled() {
            let step = axis.columns()[column].last;
            let text = crate::number::grouped(step as f64, 0);
            let position = self.column_x(column);
            let half = self.metrics.width(&text, TICK_SIZE) / 2.0;
            let center = position.clamp(half + 1.0, (self.size.x - half - 1.0).max(half + 1.0));
            let (role, align) = (LabelRole::Tick, Align::Center);
            let label = Label::new(self.metrics, role, text, center, baseline, align);
            let gap = px(MIN_LABEL_GAP);
            let is_clear = marks.iter().all(|other| {
                label.left >= other.label.right() + gap || other.label.left >= label.right() + gap
            });
            if is_clear {
                marks.push(TickMark {
                    value: step as f64,
                    position,
                    label,
                });
            }
        }
        marks.sort_by(|a, b| a.position.total_cmp(&b.position));
        marks
    }

    fn ribbon(&self, axis: &TimeAxis) -> Vec<Rect> {
        let rect = self.plot.rect;
        let px = |points: f32| points * self.metrics.scale_factor;
        let most = axis.columns().iter().map(|span| span.steps()).max();
        let most = (most.unwrap_or(1).max(2) as f32).ln();
        let width = rect.size.x / (axis.columns().len().max(2) - 1) as f32;
        let bar = |(column, steps): (usize, u64)| {
            let height = px(1.5 + (RIBBON - 1.5) * (steps as f32).ln() / most).round();
            // A gap between neighbors, so that folds can be counted.
            let inner = (width - px(1.0)).max(width * 0.6);
            let left = (self.column_x(column) - inner / 2.0).max(rect.left());
            let right = (self.column_x(column) + inner / 2.0).min(rect.right());
            Rect::new(left, rect.bottom() + px(1.0), right - left, height)
        };
        let spans = axis.columns().iter().map(|span| span.steps()).enumerate();
        spans.filter(|(_, steps)| *steps > 1).map(bar).collect()
    }

    fn event_marks(&self, axis: &TimeAxis, moments: &[Moment]) -> Vec<EventMark> {
        let (first, last) = match axis.columns() {
            [] => return Vec::new(),
            [only] => (only.first, only.last),
            [first, .., last] => (first.first, last.last),
        };
        let mut worst = std::collections::BTreeMap::new();
        for moment in moments {
            if (first..=last).contains(&moment.step) {
                let severity = worst
                    .entry(axis.column_of(moment.step))
                    .or_insert(moment.severity);
                *severity = (*severity).max(moment.severity);
            }
        }
        let marks = worst.into_iter().map(|(column, severity)| EventMark {
            position: self.column_x(column),
            severity,
        });
        marks.collect()
    }
}

impl Canvas<'_> {
    /// Draws the ribbon of folds and the marks of events.
    pub(super) fn time_marks(&mut self, layout: &ChartLayout) {
        let theme = self.theme();
        let rect = layout.plot.rect;
        for bar in &layout.time.ribbon {
            self.rect(*bar, theme.axis);
        }
        let hair = theme.px(1.0).round().max(1.0);
        let [width, height] = MARK.map(|points| theme.px(points).round());
        for mark in &layout.time.events {
            let color = mark.severity.color(theme);
            let line = Rect::new(
                (mark.position - hair / 2.0).round(),
                rect.top(),
                hair,
                rect.size.y,
            );
            self.rect(line, with_opacity(color, MARK_LINE));
            let left = (mark.position - width / 2.0).round();
            self.rect(Rect::new(left, rect.top(), width, height), color);
        }
    }
}
