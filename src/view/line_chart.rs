//! A few named scalars over training steps: the loss and its terms, or metrics.

use glam::Vec2;

use super::canvas::Canvas;
use super::chart_layout::{ChartFrame, ChartLayout};
use super::legend::{LegendKey, LineColor};
use super::painter::Painter;
use super::picture::Picture;
use super::polylines::LineStyle;
use super::theme::{self, LINE_WIDTH, STRONG_LINE_WIDTH, Theme};
use crate::gpu::Gpu;
use crate::series::{Scale, SeriesBuffer, ValueScale};
use crate::{Error, Result};

/// Opacity of values under their running mean: the data is what counts, and the mean is a help to the eye.
const UNDER_MEAN: f32 = 0.6;

/// A named scalar, one value a step.
#[derive(Debug, Clone, Copy)]
pub struct ScalarLine<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// One value a step.
    pub values: &'a [f32],
}

/// What the lines after the scalars are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Companions {
    None,
    /// The running mean of each.
    Means,
    /// The lowest value of each column, where the first lines are the highest.
    Lowest,
}

/// A few named scalars that stay on the GPU from one drawing to the next.
#[derive(Debug)]
pub struct ScalarData {
    /// The scalars, followed by their companions.
    series: SeriesBuffer,
    names: Vec<String>,
    companions: Companions,
    has_nonfinite: bool,
}

impl ScalarData {
    /// Uploads scalars of the same length. A `smooth` of 2 or more adds exponential running means over about so many
    /// values, taken in the scale that is drawn, as strong lines over the values: what looks like their middle is it.
    ///
    /// # Errors
    /// No values, scalars of different lengths, or an adapter without room for them.
    pub fn new(gpu: &Gpu, lines: &[ScalarLine<'_>], scale: Scale, smooth: usize) -> Result<Self> {
        let steps = lines.first().map_or(0, |line| line.values.len());
        if steps == 0 {
            return Err(Error::input(
                "line chart",
                "there is nothing to draw",
                "give it at least one scalar of at least one value",
            ));
        }
        if let Some(line) = lines.iter().find(|line| line.values.len() != steps) {
            return Err(Error::input(
                format!("scalar '{}'", line.name),
                format!("expected {steps} values, got {}", line.values.len()),
                "give scalars of the same length",
            ));
        }
        let mut rows: Vec<f32> = lines.iter().flat_map(|line| line.values).copied().collect();
        let scale = fit(scale, &rows);
        let is_smooth = smooth >= 2 && steps > 2;
        if is_smooth {
            rows.extend(
                lines
                    .iter()
                    .flat_map(|line| running_mean(line.values, smooth, &scale)),
            );
        }
        Ok(Self {
            series: SeriesBuffer::upload_with(gpu, &rows, steps, scale)?,
            names: lines.iter().map(|line| line.name.to_owned()).collect(),
            companions: if is_smooth {
                Companions::Means
            } else {
                Companions::None
            },
            has_nonfinite: rows.iter().any(|value| !value.is_finite()),
        })
    }

    /// Uploads the lowest and the highest value of each column of named scalars, all of them of the same length.
    pub(super) fn of_envelopes(
        gpu: &Gpu,
        names: Vec<String>,
        envelopes: &[[Vec<f32>; 2]],
        scale: Scale,
    ) -> Result<Self> {
        let steps = envelopes.first().map_or(0, |[low, _]| low.len());
        let side = |index: usize| envelopes.iter().flat_map(move |sides| &sides[index]);
        let rows: Vec<f32> = side(1).chain(side(0)).copied().collect();
        let scale = fit(scale, &rows);
        Ok(Self {
            series: SeriesBuffer::upload_with(gpu, &rows, steps, scale)?,
            names,
            companions: Companions::Lowest,
            has_nonfinite: rows.iter().any(|value| !value.is_finite()),
        })
    }

    /// The scalars, one line each, followed by their running means or lowest values where these are drawn.
    pub fn series(&self) -> &SeriesBuffer {
        &self.series
    }

    /// What each line after the scalars is, in words; empty where there are none.
    pub fn companion_name(&self) -> &'static str {
        match self.companions {
            Companions::None => "",
            Companions::Means => "running mean",
            Companions::Lowest => "lowest",
        }
    }

    /// The names of the scalars.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A chart of a few named scalars, each in a color of its own.
#[derive(Debug, Clone, Copy)]
pub struct LineChart<'a> {
    /// What is said around the data.
    pub frame: ChartFrame<'a>,
    /// The scalars.
    pub data: &'a ScalarData,
}

impl LineChart<'_> {
    /// Lays the chart out in a picture of `size` pixels, of which a point takes `scale_factor`.
    ///
    /// # Errors
    /// The picture is too small for a chart.
    pub fn layout(&self, size: Vec2, scale_factor: f32) -> Result<ChartLayout> {
        let ScalarData { series, names, .. } = self.data;
        let colors = (0..).map(LineColor::Categorical);
        let mut legend: Vec<(LegendKey, String)> = colors
            .map(LegendKey::Line)
            .zip(names.iter().cloned())
            .collect();
        if self.data.has_nonfinite {
            legend.push((LegendKey::Nonfinite, "not finite from here".to_owned()));
        }
        ChartLayout::new(
            &self.frame,
            series.steps(),
            &series.axis(),
            &legend,
            size,
            scale_factor,
        )
    }

    /// Draws the chart over the whole picture, without waiting for it.
    ///
    /// # Errors
    /// A layout of another size, or an adapter without room for the list of lines.
    pub fn draw(&self, painter: &Painter, layout: &ChartLayout, picture: &Picture) -> Result<()> {
        layout.check(picture)?;
        let mut canvas = Canvas::new(painter, picture);
        canvas.chart(layout);
        let styles = self.styles(canvas.theme());
        canvas.polylines(&self.data.series, &layout.plot, &styles)?;
        canvas.finish();
        Ok(())
    }

    /// The chart in a new picture of `size` points.
    ///
    /// # Errors
    /// A size that the adapter cannot draw or that is too small for a chart.
    pub fn picture(&self, painter: &Painter, size: [f32; 2], theme: &Theme) -> Result<Picture> {
        let picture = Picture::new(painter.gpu(), size[0], size[1], theme)?;
        let layout = self.layout(picture.extent(), theme.scale_factor)?;
        self.draw(painter, &layout, &picture)?;
        Ok(picture)
    }

    fn styles(&self, theme: &Theme) -> Vec<LineStyle> {
        let count = self.data.names.len();
        let style = |line: usize, opacity: f32, width: f32| {
            let color = LineColor::Categorical(line % count).in_theme(theme);
            let color = theme::with_opacity(color, opacity);
            LineStyle::new(line as u32, color, theme.px(width))
        };
        let strong = |line: usize| style(line, 1.0, STRONG_LINE_WIDTH);
        match self.data.companions {
            Companions::None => (0..count).map(strong).collect(),
            Companions::Lowest => (0..2 * count).map(strong).collect(),
            Companions::Means => {
                let values = (0..count).map(|line| style(line, UNDER_MEAN, LINE_WIDTH));
                values.chain((count..2 * count).map(strong)).collect()
            }
        }
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

/// The exponential running mean of heights in a chart, of weight `2 / (over + 1)`; starts again after values that are not
/// finite, and is not finite where they are. On a symlog axis a mean of values would show a decay after each spike that
/// nothing in the data has.
fn running_mean(values: &[f32], over: usize, scale: &ValueScale) -> Vec<f32> {
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
            mean += weight * (f64::from(scale.height(value)) - mean);
            weights += weight * (1.0 - weights);
            scale.value((mean / weights) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_mean_keeps_constants_and_restarts_after_gaps() {
        let values = [3.0, 3.0, f32::NAN, 5.0, 5.0];
        let mean = running_mean(&values, 10, &ValueScale::fit(Scale::Linear, &values));
        assert_eq!(mean[..2], [3.0; 2]);
        assert!(mean[2].is_nan());
        assert_eq!(mean[3..], [5.0; 2]);
    }

    #[test]
    fn running_mean_is_taken_in_the_drawn_scale() {
        // One spike of five orders of magnitude among ones.
        let mut values = vec![1.0f32; 60];
        values[20] = 1e5;
        let scale = ValueScale::fit(Scale::Symlog, &values);
        let mean = running_mean(&values, 20, &scale);
        // In heights the spike is one of some twenty values; a mean of values would still be near 1000 ten steps later.
        assert!(mean[30] < 10.0, "{}", mean[30]);
        let linear = running_mean(&values, 20, &ValueScale::fit(Scale::Linear, &values));
        assert!(linear[30] > 1000.0, "{}", linear[30]);
    }

    #[test]
    fn equal_values_are_in_the_middle() {
        for value in [0.0, 1.0, -7.5, 1e38, -1e38, 1e-38] {
            let scale = fit(Scale::Linear, &[value, f32::NAN, value]);
            assert!((scale.height(value) - 0.5).abs() < 0.01, "{value}");
        }
    }
}
