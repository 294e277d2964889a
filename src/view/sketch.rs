//! What a picture is made of, kept as outlines where it is to be written as a vector file.

use std::sync::{Arc, Mutex, PoisonError};

use glam::Vec2;

use super::canvas::Layer;
use super::geometry::{Plot, Rect};
use super::polylines::LineStyle;
use super::theme::Color;
use crate::series::SeriesBuffer;

/// A part of a picture.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// A filled rectangle.
    Rect(Rect, Color),
    /// A line of text.
    Text {
        text: String,
        /// The em in pixels.
        size: f32,
        left: f32,
        baseline: f32,
        width: f32,
        color: Color,
    },
    /// A smooth curve of cubic Bézier pieces, cut off at `clip`.
    Curve {
        pieces: Vec<[Vec2; 4]>,
        color: Color,
        width: f32,
        clip: Rect,
    },
    /// Lines of a buffer, cut off at the plot.
    Lines {
        series: SeriesBuffer,
        plot: Plot,
        styles: Vec<LineStyle>,
    },
    /// What has no outlines, such as a density image or feature maps.
    Pixels(Layer),
}

/// The parts of a picture from back to front, shared by the clones of the picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch(Arc<Mutex<Option<Vec<Mark>>>>);

impl Sketch {
    /// Keeps what was drawn last.
    pub fn set(&self, marks: Vec<Mark>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(marks);
    }

    /// What was drawn last; `None` where it was not kept.
    pub fn marks(&self) -> Option<Vec<Mark>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
