//! Many series over training steps: a density image of all of them under the few that are shown.

use glam::Vec2;

use super::canvas::Canvas;
use super::chart_layout::{ChartFrame, ChartLayout};
use super::legend::{LegendKey, LineColor};
use super::painter::Painter;
use super::picture::Picture;
use super::polylines::LineStyle;
use super::series_data::{SeriesData, ShownLines};
use super::theme::{self, HIGHLIGHT_LINE_WIDTH, LINE_WIDTH, STRONG_LINE_WIDTH, Theme};
use crate::Result;
use crate::number::grouped;

/// What is left of the opacity of lines while others are highlighted.
const FADED: f32 = 0.35;

/// A chart of many series.
///
/// ```no_run
/// use trainscope::gpu::{AdapterChoice, Gpu};
/// use trainscope::sample::{SampleOptions, sample};
/// use trainscope::series::{Scale, SeriesBuffer};
/// use trainscope::view::{ChartFrame, Painter, SeriesChart, SeriesData, Theme};
///
/// # fn main() -> trainscope::Result<()> {
/// let gpu = Gpu::new(&AdapterChoice::default())?;
/// // A thousand lines of 64 steps.
/// let values: Vec<f32> = (0..64_000).map(|i| (i as f32 * 0.37).sin()).collect();
/// let series = SeriesBuffer::upload(&gpu, &values, 64, Scale::Linear)?;
/// let sample = sample(&gpu, &series, &SampleOptions::default())?;
/// let data = SeriesData::sampled(series, &sample)?;
/// let chart = SeriesChart {
///     frame: ChartFrame {
///         title: "Mean activation of the units",
///         note: &sample.guarantee(),
///         x_title: "training step",
///         y_title: "mean activation",
///         first_step: 0,
///         stride: 1,
///     },
///     data: &data,
/// };
/// let picture = chart.picture(&Painter::new(&gpu), [900.0, 500.0], &Theme::light())?;
/// picture.write_png(&gpu, std::path::Path::new("units.png"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SeriesChart<'a> {
    /// What is said around the data.
    pub frame: ChartFrame<'a>,
    /// The series.
    pub data: &'a SeriesData,
}

impl SeriesChart<'_> {
    /// Lays the chart out in a picture of `size` pixels, of which a point takes `scale_factor`.
    ///
    /// # Errors
    /// The picture is too small for a chart.
    pub fn layout(&self, size: Vec2, scale_factor: f32) -> Result<ChartLayout> {
        let series = self.data.series();
        let legend = self.legend();
        let (frame, axis) = (&self.frame, series.axis());
        ChartLayout::new(frame, series.steps(), &axis, &legend, size, scale_factor)
    }

    /// Draws the chart over the whole picture, without waiting for it. While lines are highlighted, all others fade.
    ///
    /// # Errors
    /// A layout of another size, highlighted lines that do not exist, or an adapter without room for the density image.
    pub fn draw(
        &self,
        painter: &Painter,
        layout: &ChartLayout,
        highlight: &[u32],
        picture: &Picture,
    ) -> Result<()> {
        layout.check(picture)?;
        let mut canvas = Canvas::new(painter, picture);
        self.ground(&mut canvas, layout, !highlight.is_empty())?;
        self.highlights(&mut canvas, layout, highlight)?;
        canvas.finish();
        Ok(())
    }

    /// As [`SeriesChart::draw`], but for highlighted lines: what is drawn once, for [`SeriesChart::draw_over`] to be drawn
    /// over it many times. Lines are faded where some are to be highlighted.
    ///
    /// # Errors
    /// As [`SeriesChart::draw`].
    pub fn draw_ground(
        &self,
        painter: &Painter,
        layout: &ChartLayout,
        is_faded: bool,
        picture: &Picture,
    ) -> Result<()> {
        layout.check(picture)?;
        let mut canvas = Canvas::new(painter, picture);
        self.ground(&mut canvas, layout, is_faded)?;
        canvas.finish();
        Ok(())
    }

    /// Draws highlighted lines over a ground of the same size that [`SeriesChart::draw_ground`] has drawn.
    ///
    /// # Errors
    /// As [`SeriesChart::draw`].
    pub fn draw_over(
        &self,
        painter: &Painter,
        layout: &ChartLayout,
        highlight: &[u32],
        ground: &Picture,
        picture: &Picture,
    ) -> Result<()> {
        layout.check(ground)?;
        layout.check(picture)?;
        let mut canvas = Canvas::over(painter, picture, ground);
        self.highlights(&mut canvas, layout, highlight)?;
        canvas.finish();
        Ok(())
    }

    fn ground(&self, canvas: &mut Canvas<'_>, layout: &ChartLayout, is_faded: bool) -> Result<()> {
        canvas.chart(layout);
        let series = self.data.series();
        if self.data.has_density() && series.lines() > 0 {
            let density = self.data.density(canvas.gpu(), &layout.plot)?;
            canvas.density(&density, layout.plot.rect);
        }
        let styles = self.styles(canvas.theme(), is_faded);
        canvas.polylines(series, &layout.plot, &styles)
    }

    fn highlights(
        &self,
        canvas: &mut Canvas<'_>,
        layout: &ChartLayout,
        highlight: &[u32],
    ) -> Result<()> {
        let theme = canvas.theme();
        let width = theme.px(HIGHLIGHT_LINE_WIDTH);
        let lines = highlight.iter();
        let styles: Vec<LineStyle> = lines
            .map(|&line| LineStyle::new(line, theme.highlight, width))
            .collect();
        canvas.polylines(self.data.series(), &layout.plot, &styles)
    }

    /// The chart in a new picture of `size` points.
    ///
    /// # Errors
    /// A size that the adapter cannot draw or that is too small for a chart, or no room for the density image.
    pub fn picture(&self, painter: &Painter, size: [f32; 2], theme: &Theme) -> Result<Picture> {
        let picture = Picture::new(painter.gpu(), size[0], size[1], theme)?;
        let layout = self.layout(picture.extent(), theme.scale_factor)?;
        self.draw(painter, &layout, &[], &picture)?;
        Ok(picture)
    }

    fn legend(&self) -> Vec<(LegendKey, String)> {
        let number = |count: usize| grouped(count as f64, 0);
        let mut legend = Vec::new();
        if self.data.has_density() {
            let name = format!("all {}: few to many", number(self.data.series().lines()));
            legend.push((LegendKey::Density, name));
            if let ShownLines::Representatives(shown) = self.data.shown() {
                let name = format!("{} of them", number(shown.lines.len()));
                legend.push((LegendKey::Line(LineColor::Ink), name));
            }
        }
        for (class, name) in self.data.classes().names.iter().enumerate() {
            let key = LegendKey::Line(LineColor::Categorical(class));
            legend.push((key, name.clone()));
        }
        if self.data.nonfinite() > 0 {
            let name = format!("not finite from here: {}", number(self.data.nonfinite()));
            legend.push((LegendKey::Nonfinite, name));
        }
        legend
    }

    fn styles(&self, theme: &Theme, is_faded: bool) -> Vec<LineStyle> {
        let strength = if is_faded { FADED } else { 1.0 };
        let style = |line: u32, opacity: f32, width: f32| {
            let class = self.data.classes().of_line.get(line as usize);
            let color = match class.copied().flatten() {
                Some(class) => LineColor::Categorical(class).in_theme(theme),
                None => theme.ink,
            };
            let color = theme::with_opacity(color, opacity * strength);
            LineStyle::new(line, color, theme.px(width))
        };
        match self.data.shown() {
            ShownLines::None => Vec::new(),
            ShownLines::All => {
                let lines = self.data.series().lines() as u32;
                let opacity = (30.0 / lines.max(1) as f32).sqrt().clamp(0.08, 0.9);
                (0..lines)
                    .map(|line| style(line, opacity, LINE_WIDTH))
                    .collect()
            }
            ShownLines::Representatives(shown) => {
                let most = shown.counts.iter().copied().max().unwrap_or(1).max(2) as f32;
                let pairs = shown.lines.iter().zip(&shown.counts);
                pairs
                    .map(|(&line, &count)| {
                        let weight = (count.max(1) as f32).ln() / most.ln();
                        let width = LINE_WIDTH + (STRONG_LINE_WIDTH - LINE_WIDTH) * weight;
                        style(line, 0.7 + 0.25 * weight, width)
                    })
                    .collect()
            }
        }
    }
}
