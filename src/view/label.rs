//! Text that a layout has placed: what it says, where, and in which role.

use super::canvas::Canvas;
use super::geometry::Rect;
use super::theme::{Color, LABEL_SIZE, TICK_SIZE, TITLE_SIZE, Theme};
use super::typeface::{Align, TextMetrics};

/// Space around the content of a picture, in points.
pub(super) const MARGIN: f32 = 14.0;
/// From one baseline to the next, in ems.
pub(super) const LINE_HEIGHT: f32 = 1.4;
/// From the top of a line of text to its baseline, in ems.
pub(super) const ASCENT: f32 = 0.85;
/// Lines that a note is broken into at most.
pub(super) const MAX_NOTE_LINES: usize = 3;

/// What a text is for, which decides its size and color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelRole {
    /// The title of the picture.
    Title,
    /// The sentence below the title.
    Note,
    /// The title of an axis.
    AxisTitle,
    /// The value at a tick.
    Tick,
    /// The name of a legend entry.
    Legend,
}

impl LabelRole {
    /// The em in points.
    pub fn size(self) -> f32 {
        match self {
            Self::Title => TITLE_SIZE,
            Self::Note | Self::AxisTitle | Self::Legend => LABEL_SIZE,
            Self::Tick => TICK_SIZE,
        }
    }

    fn color(self, theme: &Theme) -> Color {
        match self {
            Self::Title => theme.text,
            _ => theme.muted,
        }
    }
}

/// A text and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// What it is for.
    pub role: LabelRole,
    /// What it says, already cut to its room.
    pub text: String,
    /// Its left end in pixels.
    pub left: f32,
    /// Its baseline in pixels.
    pub baseline: f32,
    /// Its width in pixels.
    pub width: f32,
}

impl Label {
    pub(super) fn new(
        metrics: TextMetrics,
        role: LabelRole,
        text: String,
        x: f32,
        baseline: f32,
        align: Align,
    ) -> Self {
        let width = metrics.width(&text, role.size());
        Self {
            left: align.left(x, width),
            role,
            text,
            baseline,
            width,
        }
    }

    /// The right end in pixels.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// The rectangle of the letters above the baseline.
    pub fn rect(&self, metrics: TextMetrics) -> Rect {
        let height = self.role.size() * metrics.scale_factor * 0.75;
        Rect::new(self.left, self.baseline - height, self.width, height)
    }
}

/// The title and the note, in `note_lines` lines at most, at the top of a picture of this width, and where the next thing may begin.
pub(super) fn heading(
    metrics: TextMetrics,
    width: f32,
    title: &str,
    note: &str,
    note_lines: usize,
) -> (Vec<Label>, f32) {
    let px = |points: f32| points * metrics.scale_factor;
    let left = px(MARGIN);
    let room = width - 2.0 * left;
    let mut top = left;
    let mut labels = Vec::new();
    let mut line = |role: LabelRole, text: String| {
        let baseline = top + px(role.size() * ASCENT);
        labels.push(Label::new(metrics, role, text, left, baseline, Align::Left));
        top += px(role.size() * LINE_HEIGHT);
    };
    line(LabelRole::Title, metrics.fitted(title, TITLE_SIZE, room));
    for text in metrics.wrapped(note, LABEL_SIZE, room, note_lines) {
        line(LabelRole::Note, text);
    }
    (labels, top + px(6.0))
}

impl Canvas<'_> {
    /// Writes labels where a layout has put them.
    pub(super) fn labels<'l>(&mut self, labels: impl IntoIterator<Item = &'l Label>) {
        for label in labels {
            let color = label.role.color(self.theme());
            let (size, left, baseline) = (label.role.size(), label.left, label.baseline);
            self.text(&label.text, size, left, baseline, Align::Left, color);
        }
    }
}
