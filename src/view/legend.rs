//! The legend of a chart: what its colors and marks mean.

use super::canvas::Canvas;
use super::geometry::Rect;
use super::label::{ASCENT, LINE_HEIGHT, Label, LabelRole, MARGIN};
use super::theme::{Color, LABEL_SIZE, MARK_ARM, STRONG_LINE_WIDTH, Theme};
use super::typeface::{Align, TextMetrics};

/// Between entries, in points.
const GAP: f32 = 16.0;
/// Samples of the sequential map in the entry of the density.
const DENSITY_SAMPLES: usize = 24;

/// The color of a line, whatever the theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineColor {
    /// The color of lines over a density image.
    Ink,
    /// One of the colors of lines that mean different things.
    Categorical(usize),
}

impl LineColor {
    /// The color in a theme.
    pub fn in_theme(self, theme: &Theme) -> Color {
        match self {
            Self::Ink => theme.ink,
            Self::Categorical(index) => theme.categorical[index % theme.categorical.len()],
        }
    }
}

/// What a legend entry shows before its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegendKey {
    /// A piece of line.
    Line(LineColor),
    /// The mark of values that are not finite.
    Nonfinite,
    /// The sequential map, from few to many.
    Density,
}

impl LegendKey {
    /// Points from the left edge of the swatch to the name.
    fn width(self) -> f32 {
        match self {
            Self::Line(_) => 24.0,
            Self::Nonfinite => 2.0 * MARK_ARM + 8.0,
            Self::Density => 54.0,
        }
    }
}

/// An entry of the legend and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct LegendEntry {
    /// What is shown before the name.
    pub key: LegendKey,
    /// The rectangle in pixels that it is drawn in.
    pub swatch: Rect,
    /// The name.
    pub label: Label,
}

/// Places entries at the right end of the line at `top`, which is free to the right of `taken`, or in lines of their own
/// below it. Returns them and where the next thing may begin.
pub(super) fn place_entries(
    metrics: TextMetrics,
    width: f32,
    entries: &[(LegendKey, String)],
    mut top: f32,
    taken: f32,
) -> (Vec<LegendEntry>, f32) {
    let px = |points: f32| points * metrics.scale_factor;
    let (margin, gap, line) = (px(MARGIN), px(GAP), px(LABEL_SIZE * LINE_HEIGHT));
    let right = width - margin;
    let widths: Vec<f32> = entries
        .iter()
        .map(|(key, name)| px(key.width()) + metrics.width(name, LABEL_SIZE))
        .collect();
    let all = widths.iter().sum::<f32>() + gap * widths.len().saturating_sub(1) as f32;
    let mut x = right - all;
    if x < taken + gap {
        top += line;
        x = margin;
    }
    let mut placed = Vec::new();
    for ((key, name), width) in entries.iter().zip(widths) {
        if x + width > right + 1.0 && x > margin {
            top += line;
            x = margin;
        }
        let baseline = top + px(LABEL_SIZE * ASCENT);
        let left = x + px(key.width());
        // One more pixel, for what rounding took.
        let name = metrics.fitted(name, LABEL_SIZE, right - left + 1.0);
        placed.push(LegendEntry {
            key: *key,
            swatch: swatch(metrics, *key, x, baseline),
            label: Label::new(
                metrics,
                LabelRole::Legend,
                name,
                left,
                baseline,
                Align::Left,
            ),
        });
        x += width + gap;
    }
    (placed, top + line + px(4.0))
}

/// The rectangle of a swatch, centered on the small letters.
fn swatch(metrics: TextMetrics, key: LegendKey, left: f32, baseline: f32) -> Rect {
    let px = |points: f32| points * metrics.scale_factor;
    let middle = baseline - px(LABEL_SIZE * 0.32);
    let (left, width, height) = match key {
        LegendKey::Line(_) => (left, px(18.0), px(2.5)),
        LegendKey::Density => (left, px(2.0 * DENSITY_SAMPLES as f32), px(9.0)),
        LegendKey::Nonfinite => (left + px(1.0), px(2.0 * MARK_ARM), px(2.0 * MARK_ARM)),
    };
    Rect::new(left, middle - height / 2.0, width, height)
}

impl Canvas<'_> {
    /// Draws the swatches of a legend; their names are labels.
    pub(super) fn swatches(&mut self, entries: &[LegendEntry]) {
        for entry in entries {
            match entry.key {
                LegendKey::Line(color) => self.rect(entry.swatch, color.in_theme(self.theme())),
                LegendKey::Density => self.sequential_swatch(entry.swatch),
                LegendKey::Nonfinite => self.cross(entry.swatch),
            }
        }
    }

    fn sequential_swatch(&mut self, rect: Rect) {
        let theme = self.theme();
        let part = rect.size.x / DENSITY_SAMPLES as f32;
        // Edges lie on whole pixels, so that no seam shows.
        let edge = |i: usize| (rect.left() + part * i as f32).round();
        for i in 0..DENSITY_SAMPLES {
            let color = theme.sequential_at(i as f32 / (DENSITY_SAMPLES - 1) as f32);
            let width = edge(i + 1) - edge(i);
            self.rect(Rect::new(edge(i), rect.top(), width, rect.size.y), color);
        }
    }

    /// The cross of values that are not finite, made of small squares along both diagonals.
    fn cross(&mut self, rect: Rect) {
        let theme = self.theme();
        let stroke = theme.px(STRONG_LINE_WIDTH);
        let arm = rect.size.x / 2.0;
        let center = rect.min + rect.size / 2.0;
        let steps = (arm * 2.0).ceil() as i32 * 2;
        for i in 0..=steps {
            let t = (i as f32 / steps as f32 * 2.0 - 1.0) * arm;
            for y in [t, -t] {
                let corner = center + glam::vec2(t, y) - stroke / 2.0;
                self.rect(
                    Rect::new(corner.x, corner.y, stroke, stroke),
                    theme.nonfinite,
                );
            }
        }
    }
}
