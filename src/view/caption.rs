//! Titles and steps of charts that keep them.

use super::chart_layout::ChartFrame;
use super::time_axis::TimeAxis;

/// Titles and steps of a chart, which keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Says what is drawn.
    pub title: String,
    /// Names the x-axis with its unit.
    pub x_title: String,
    /// Names the y-axis with its unit.
    pub y_title: String,
    /// The training step of the first column.
    pub first_step: u64,
    /// Training steps from one column to the next.
    pub stride: u64,
}

impl Caption {
    /// The frame of a chart with this note.
    pub(super) fn frame<'a>(&'a self, note: &'a str) -> ChartFrame<'a> {
        ChartFrame {
            title: &self.title,
            note,
            x_title: &self.x_title,
            y_title: &self.y_title,
            first_step: self.first_step,
            stride: self.stride,
        }
    }
}

/// The columns of a chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub count: usize,
    /// The training step of the first.
    pub first_step: u64,
    /// Training steps from one to the next; of a time axis whose columns differ, of its first.
    pub stride: u64,
}

impl Columns {
    /// The columns of a time axis.
    pub fn of(axis: &TimeAxis) -> Self {
        let first = axis.columns()[0];
        Self {
            count: axis.columns().len(),
            first_step: first.first,
            stride: first.steps(),
        }
    }
}
