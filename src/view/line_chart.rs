//! A few named scalars over training steps: the loss and its terms, or metrics.

use super::axes::{Axes, Swatch};
use super::picture::{Canvas, Painter, Picture};
use super::polylines::{LineStyle, Lines};
use super::theme::{self, LINE_WIDTH, STRONG_LINE_WIDTH};
use crate::sample::{Scale, ValueScale};
use crate::{Error, Result};

/// A named scalar over steps.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// One value a step.
    pub values: &'a [f32],
}

/// A chart of a few named scalars, each in a color of its own.
#[derive(Debug, Clone, Copy)]
pub struct LineChart<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title; may be empty.
    pub note: &'a str,
    /// Names the x-axis with its unit.
    pub x_title: &'a str,
    /// Names the y-axis with its unit.
    pub y_title: &'a str,
    /// The training step of the first value.
    pub first_step: u64,
    /// Training steps from one value to the next.
    pub stride: u64,
    /// All of the same length.
    pub series: &'a [Series<'a>],
    /// Linear or symmetric-logarithmic heights.
    pub scale: Scale,
    /// 2 or more draws an exponential running mean over about so many values as a strong line, and the values
    /// themselves faintly behind it.
    pub smooth: usize,
}

impl LineChart<'_> {
    /// Draws the chart over the whole picture, without waiting for it.
    ///
    /// # Errors
    /// No values, series of different lengths, or a picture too small for a chart.
    pub fn draw(&self, painter: &Painter, picture: &Picture) -> Result<()> {
        let steps = self.series.first().map_or(0, |series| series.values.len());
        if steps == 0 {
            return Err(Error::input(
                format!("chart '{}'", self.title),
                "there is nothing to draw",
                "give it at least one series of at least one value",
            ));
        }
        if let Some(series) = self.series.iter().find(|s| s.values.len() != steps) {
            return Err(Error::input(
                format!("series '{}'", series.name),
                format!(
                    "it has {} values, the first has {steps}",
                    series.values.len()
                ),
                "give series of the same length",
            ));
        }
        let mut canvas = Canvas::new(painter, picture);
        let theme = canvas.theme();
        let smooth = self.smooth >= 2 && steps > 2;
        let mut rows: Vec<f32> = Vec::new();
        for series in self.series {
            rows.extend_from_slice(series.values);
        }
        let scale = fit(self.scale, &rows);
        if smooth {
            for series in self.series {
                rows.extend(running_mean(series.values, self.smooth));
            }
        }
        let color = |i: usize| theme.categorical[i % theme.categorical.len()];
        let count = self.series.len();
        let mut styles = Vec::new();
        for i in 0..count {
            let (opacity, width) = if smooth {
                (0.3, LINE_WIDTH)
            } else {
                (1.0, STRONG_LINE_WIDTH)
            };
            let faint = theme::with_opacity(color(i), opacity);
            styles.push(LineStyle::new(i as u32, faint, theme.px(width)));
        }
        for i in 0..if smooth { count } else { 0 } {
            let width = theme.px(STRONG_LINE_WIDTH);
            styles.push(LineStyle::new((count + i) as u32, color(i), width));
        }
        let mut legend: Vec<_> = self
            .series
            .iter()
            .enumerate()
            .map(|(i, series)| (Swatch::Line(color(i)), series.name.to_owned()))
            .collect();
        if rows.iter().any(|value| !value.is_finite()) {
            legend.push((Swatch::Nonfinite, "not finite from here".to_owned()));
        }
        let axes = Axes {
            title: self.title,
            note: self.note,
            x_title: self.x_title,
            y_title: self.y_title,
            first_step: self.first_step,
            stride: self.stride,
            steps,
            scale,
            legend: &legend,
        };
        let plot = axes.draw(&mut canvas)?;
        let values = painter.gpu().upload("scalars", &rows)?;
        let lines = Lines {
            values: &values,
            lines: rows.len() / steps,
            steps,
            scale,
        };
        canvas.polylines(lines, &plot, &styles)?;
        canvas.finish();
        Ok(())
    }
}

/// The scale of all values; equal ones get room on both sides.
fn fit(scale: Scale, values: &[f32]) -> ValueScale {
    let fitted = ValueScale::fit(scale, values);
    let mut finite = values.iter().copied().filter(|value| value.is_finite());
    let Some(first) = finite.next() else {
        return fitted;
    };
    if finite.any(|value| value != first) {
        return fitted;
    }
    let room = (first.abs() * 0.5)
        .max(1e-30)
        .max(if first == 0.0 { 1.0 } else { 0.0 });
    ValueScale::over(
        (first - room).max(f32::MIN),
        (first + room).min(f32::MAX),
        0.0,
    )
}

/// The exponential running mean of weight `2 / (over + 1)`; starts afresh behind values that are not finite, and
/// is not finite where they are.
fn running_mean(values: &[f32], over: usize) -> Vec<f32> {
    let weight = 2.0 / (over as f64 + 1.0);
    // The sum of weights so far corrects the start, as in Adam.
    let (mut mean, mut weights) = (0.0f64, 0.0f64);
    values
        .iter()
        .map(|&value| {
            if !value.is_finite() {
                (mean, weights) = (0.0, 0.0);
                return value;
            }
            mean += weight * (f64::from(value) - mean);
            weights += weight * (1.0 - weights);
            (mean / weights) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_mean_of_a_constant_is_the_constant_and_stops_at_gaps() {
        let mean = running_mean(&[3.0, 3.0, f32::NAN, 5.0, 5.0], 10);
        assert_eq!(mean[..2], [3.0; 2]);
        assert!(mean[2].is_nan());
        assert_eq!(mean[3..], [5.0; 2]);
    }

    #[test]
    fn equal_values_stand_in_the_middle() {
        for value in [0.0, 1.0, -7.5, 1e38, -1e38, 1e-38] {
            let scale = fit(Scale::Linear, &[value, f32::NAN, value]);
            assert!((scale.height(value) - 0.5).abs() < 0.01, "{value}");
        }
    }
}
