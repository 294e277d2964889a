//! Paragraphs of text as a picture.

use super::canvas::Canvas;
use super::label::{ASCENT, LINE_HEIGHT, MARGIN};
use super::painter::Painter;
use super::picture::Picture;
use super::theme::{LABEL_SIZE, TITLE_SIZE, Theme};
use super::typeface::{Align, TextMetrics};
use crate::Result;

/// Lines that a paragraph is broken into at most.
const MOST_LINES: usize = 40;
/// Space above a paragraph that begins something new, in points.
const SPACE: f32 = 8.0;

/// What a paragraph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextLine {
    /// A title, with space above it.
    Title(String),
    /// What is said.
    Said(String),
    /// What is less important.
    Aside(String),
}

/// Paragraphs below each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextSheet {
    /// The paragraphs.
    pub lines: Vec<TextLine>,
}

impl TextSheet {
    /// The text in a new picture of this width in points, as high as it needs.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures.
    pub fn picture(&self, painter: &Painter, width: f32, theme: &Theme) -> Result<Picture> {
        let metrics = TextMetrics {
            scale_factor: theme.scale_factor,
        };
        let room = theme.px(width - 2.0 * MARGIN);
        let broken: Vec<(&TextLine, Vec<String>)> = self
            .lines
            .iter()
            .map(|line| {
                let (text, size) = line.text();
                (line, metrics.wrapped(text, size, room, MOST_LINES))
            })
            .collect();
        let heights = broken
            .iter()
            .map(|(line, texts)| line.space() + texts.len() as f32 * line.text().1 * LINE_HEIGHT);
        let height = heights.sum::<f32>() + 2.0 * MARGIN;
        let picture = Picture::new(painter.gpu(), width, height, theme)?;
        let mut canvas = Canvas::new(painter, &picture);
        let mut top = MARGIN;
        for (line, texts) in &broken {
            let size = line.text().1;
            let color = match line {
                TextLine::Title(_) | TextLine::Said(_) => theme.text,
                TextLine::Aside(_) => theme.muted,
            };
            top += line.space();
            for text in texts {
                let baseline = theme.px(top + size * ASCENT);
                canvas.text(text, size, theme.px(MARGIN), baseline, Align::Left, color);
                top += size * LINE_HEIGHT;
            }
        }
        canvas.finish();
        Ok(picture)
    }
}

impl TextLine {
    /// The text, and its em in points.
    fn text(&self) -> (&str, f32) {
        match self {
            Self::Title(text) => (text, TITLE_SIZE),
            Self::Said(text) | Self::Aside(text) => (text, LABEL_SIZE),
        }
    }

    fn space(&self) -> f32 {
        match self {
            Self::Title(_) => SPACE,
            Self::Said(_) | Self::Aside(_) => 0.0,
        }
    }
}
