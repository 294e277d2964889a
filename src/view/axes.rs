//! The frame of a chart: title, note, axis titles, ticks, grid lines and legend. It finds room for all of them
//! and says where the data goes.

use super::picture::{Canvas, Rect};
use super::polylines::Plot;
use super::text::Align;
use super::theme::{Color, LABEL_SIZE, MARK_ARM, STRONG_LINE_WIDTH, TICK_SIZE, TITLE_SIZE};
use super::ticks::{self, Tick};
use crate::sample::ValueScale;
use crate::{Error, Result};

/// Space around a picture's content, in points.
pub(super) const MARGIN: f32 = 14.0;
/// Between a tick's label and the axis, in points.
const TICK_GAP: f32 = 6.0;
/// Baseline to baseline, in ems.
const LINE_HEIGHT: f32 = 1.4;
/// Heights above and below the data, so that no line lies on the rim.
const VERTICAL_PAD: f32 = 0.035;

/// What a legend entry shows before its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Swatch {
    /// A piece of line.
    Line(Color),
    /// The mark of values that are not finite.
    Nonfinite,
    /// The sequential map, from few to many.
    Sequential,
}

/// Everything around the data of a chart.
pub(super) struct Axes<'a> {
    pub title: &'a str,
    pub note: &'a str,
    pub x_title: &'a str,
    pub y_title: &'a str,
    /// The step at index 0 and the steps from one index to the next.
    pub first_step: u64,
    pub stride: u64,
    pub steps: usize,
    pub scale: ValueScale,
    pub legend: &'a [(Swatch, String)],
}

/// Writes a title and a note at the top of a picture; returns where the next thing may begin.
pub(super) fn heading(canvas: &mut Canvas<'_>, title: &str, note: &str) -> f32 {
    let theme = canvas.theme();
    let left = theme.px(MARGIN);
    let width = canvas.size()[0] - 2.0 * left;
    let mut top = left;
    let title = canvas.fitted(title, TITLE_SIZE, width);
    canvas.text(
        &title,
        TITLE_SIZE,
        left,
        top + theme.px(TITLE_SIZE * 0.85),
        Align::Left,
        theme.text,
    );
    top += theme.px(TITLE_SIZE * LINE_HEIGHT);
    for line in canvas.wrapped(note, LABEL_SIZE, width, 3) {
        canvas.text(
            &line,
            LABEL_SIZE,
            left,
            top + theme.px(LABEL_SIZE * 0.85),
            Align::Left,
            theme.muted,
        );
        top += theme.px(LABEL_SIZE * LINE_HEIGHT);
    }
    top + theme.px(6.0)
}

impl Axes<'_> {
    /// Draws the frame and returns where the data goes.
    ///
    /// # Errors
    /// The picture is too small for a chart.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>) -> Result<Plot> {
        let theme = canvas.theme();
        let px = |points: f32| theme.px(points);
        let [width, height] = canvas.size();
        let margin = px(MARGIN);
        let tick_height = px(TICK_SIZE * LINE_HEIGHT);

        let mut top = heading(canvas, self.title, self.note);
        top = self.row_above(canvas, top);
        let bottom = height - margin - px(LABEL_SIZE * LINE_HEIGHT) - tick_height - px(2.0);
        if bottom - top < px(24.0) {
            return Err(too_small(canvas.size()));
        }

        let (low, high) = (-VERTICAL_PAD, 1.0 + VERTICAL_PAD);
        let rows = Span {
            from: bottom,
            to: top,
            low: f64::from(low),
            high: f64::from(high),
        };
        let y_ticks = self.y_ticks(rows, px(32.0));
        let widest = y_ticks
            .iter()
            .map(|tick| canvas.text_width(&tick.label, TICK_SIZE))
            .fold(0.0, f32::max);
        let left = (margin + widest + px(TICK_GAP)).ceil();

        let over = Plot::over(
            Rect {
                left,
                top: top.round(),
                width: 0.0,
                height: (bottom - top).round(),
            },
            self.steps,
        );
        let last_label = crate::number::short(self.step_at(f64::from(over.last)));
        let right = width - margin - canvas.text_width(&last_label, TICK_SIZE) / 2.0;
        if right - left < px(24.0) {
            return Err(too_small(canvas.size()));
        }
        let plot = Plot {
            rect: Rect {
                width: (right - left).floor(),
                ..over.rect
            },
            bottom: low,
            top: high,
            ..over
        };
        self.horizontal(canvas, &plot, &y_ticks, rows);
        self.vertical(canvas, &plot);
        let x_title = canvas.fitted(self.x_title, LABEL_SIZE, plot.rect.width);
        canvas.text(
            &x_title,
            LABEL_SIZE,
            plot.rect.right(),
            height - margin - px(1.0),
            Align::Right,
            theme.muted,
        );
        Ok(plot)
    }

    /// The step at a step index.
    fn step_at(&self, index: f64) -> f64 {
        self.first_step as f64 + index * self.stride as f64
    }

    /// The y title, and the legend to the right of it or in rows of its own; returns the plot's top edge.
    fn row_above(&self, canvas: &mut Canvas<'_>, top: f32) -> f32 {
        let theme = canvas.theme();
        let px = |points: f32| theme.px(points);
        let margin = px(MARGIN);
        let right = canvas.size()[0] - margin;
        let line = px(LABEL_SIZE * LINE_HEIGHT);
        let baseline = |top: f32| top + px(LABEL_SIZE * 0.85);
        let y_title = canvas.fitted(self.y_title, LABEL_SIZE, right - margin);
        let taken = canvas.text(
            &y_title,
            LABEL_SIZE,
            margin,
            baseline(top),
            Align::Left,
            theme.muted,
        );
        let widths: Vec<f32> = self
            .legend
            .iter()
            .map(|(swatch, name)| px(swatch_width(*swatch)) + canvas.text_width(name, LABEL_SIZE))
            .collect();
        let between = px(16.0);
        let all = widths.iter().sum::<f32>() + between * widths.len().saturating_sub(1) as f32;
        let mut top = top;
        let mut x = right - all;
        if x < taken.right() + between {
            top += line;
            x = margin;
        }
        for ((swatch, name), width) in self.legend.iter().zip(widths) {
            if x + width > right + 1.0 && x > margin {
                top += line;
                x = margin;
            }
            self.legend_entry(canvas, x, baseline(top), *swatch, name);
            x += width + between;
        }
        top + line + px(4.0)
    }

    fn legend_entry(
        &self,
        canvas: &mut Canvas<'_>,
        x: f32,
        baseline: f32,
        swatch: Swatch,
        name: &str,
    ) {
        let theme = canvas.theme();
        let px = |points: f32| theme.px(points);
        let middle = baseline - px(LABEL_SIZE * 0.32);
        let band = |left: f32, width: f32, height: f32| Rect {
            left,
            top: middle - height / 2.0,
            width,
            height,
        };
        match swatch {
            Swatch::Line(color) => canvas.rect(band(x, px(18.0), px(2.5)), color),
            Swatch::Sequential => {
                let steps = 24;
                // Edges on whole pixels, so that no seam shows.
                let edge = |i: usize| (x + px(2.0 * i as f32)).round();
                for i in 0..steps {
                    let color = theme.sequential_at(i as f32 / (steps - 1) as f32);
                    canvas.rect(band(edge(i), edge(i + 1) - edge(i), px(9.0)), color);
                }
            }
            Swatch::Nonfinite => {
                let style = NonfiniteSwatch {
                    center: [x + px(MARK_ARM + 1.0), middle],
                };
                style.draw(canvas);
            }
        }
        let left = x + px(swatch_width(swatch));
        // A pixel more, for what rounding took.
        let room = canvas.size()[0] - px(MARGIN) - left + 1.0;
        let name = canvas.fitted(name, LABEL_SIZE, room);
        canvas.text(&name, LABEL_SIZE, left, baseline, Align::Left, theme.muted);
    }

    /// Ticks of the y-axis, with room for their labels between them.
    fn y_ticks(&self, rows: Span, spacing: f32) -> Vec<Tick> {
        let extent = f64::from(rows.from - rows.to);
        let gap = f64::from(spacing) / extent * (rows.high - rows.low);
        if self.scale.linear_threshold > 0.0 {
            ticks::symlog_ticks(&self.scale, rows.low, rows.high, gap.min(0.5))
        } else {
            let most = (extent / f64::from(spacing)).floor().max(2.0) as usize;
            let [low, high] = [rows.low, rows.high].map(|h| ticks::value_at(&self.scale, h));
            ticks::linear_ticks(low, high, most, false)
        }
    }

    /// Horizontal grid lines with the labels of the y-axis.
    fn horizontal(&self, canvas: &mut Canvas<'_>, plot: &Plot, ticks: &[Tick], rows: Span) {
        let theme = canvas.theme();
        let hair = theme.px(1.0).round().max(1.0);
        for tick in ticks {
            let y = rows.place(ticks::height(&self.scale, tick.value));
            let line = Rect {
                left: plot.rect.left,
                top: (y - hair / 2.0).round(),
                width: plot.rect.width,
                height: hair,
            };
            let zero = tick.value == 0.0;
            canvas.rect(line, if zero { theme.axis } else { theme.grid });
            canvas.text(
                &tick.label,
                TICK_SIZE,
                plot.rect.left - theme.px(TICK_GAP),
                y + theme.px(TICK_SIZE * 0.35),
                Align::Right,
                theme.muted,
            );
        }
    }

    /// The x-axis with its ticks; as many as leave their labels clear of each other.
    fn vertical(&self, canvas: &mut Canvas<'_>, plot: &Plot) {
        let theme = canvas.theme();
        let px = |points: f32| theme.px(points);
        let hair = px(1.0).round().max(1.0);
        let columns = Span {
            from: plot.rect.left,
            to: plot.rect.right(),
            low: self.step_at(f64::from(plot.first.max(0.0))),
            high: self.step_at(if self.steps > 1 {
                f64::from(plot.last)
            } else {
                0.0
            }),
        };
        let bottom = plot.rect.bottom();
        let axis = Rect {
            left: plot.rect.left,
            top: bottom,
            width: plot.rect.width,
            height: hair,
        };
        canvas.rect(axis, theme.axis);
        let mut most = (plot.rect.width / px(64.0)).floor().max(2.0) as usize;
        let ticks = loop {
            let ticks = ticks::linear_ticks(columns.low, columns.high, most, true);
            let clear = ticks.windows(2).all(|pair| {
                let [a, b] = [&pair[0], &pair[1]].map(|tick| {
                    (
                        columns.place(tick.value),
                        canvas.text_width(&tick.label, TICK_SIZE),
                    )
                });
                b.0 - a.0 >= (a.1 + b.1) / 2.0 + px(10.0)
            });
            if clear || most <= 2 {
                break if clear {
                    ticks
                } else {
                    ticks.into_iter().take(1).collect()
                };
            }
            most -= 1;
        };
        for tick in ticks {
            let x = if self.steps > 1 {
                columns.place(tick.value)
            } else {
                plot.rect.left + plot.rect.width / 2.0
            };
            let mark = Rect {
                left: (x - hair / 2.0).round(),
                top: bottom,
                width: hair,
                height: px(4.0).round(),
            };
            canvas.rect(mark, theme.axis);
            let half = canvas.text_width(&tick.label, TICK_SIZE) / 2.0;
            let center = x.clamp(half + 1.0, (canvas.size()[0] - half - 1.0).max(half + 1.0));
            canvas.text(
                &tick.label,
                TICK_SIZE,
                center,
                bottom + px(TICK_SIZE + 6.0),
                Align::Center,
                theme.muted,
            );
        }
    }
}

/// The cross of non-finite values as it stands in a legend, made of small squares along both diagonals.
struct NonfiniteSwatch {
    center: [f32; 2],
}

impl NonfiniteSwatch {
    fn draw(&self, canvas: &mut Canvas<'_>) {
        let theme = canvas.theme();
        let arm = theme.px(MARK_ARM);
        let stroke = theme.px(STRONG_LINE_WIDTH);
        let steps = (arm * 2.0).ceil() as i32 * 2;
        for i in 0..=steps {
            let t = (i as f32 / steps as f32 * 2.0 - 1.0) * arm;
            for y in [t, -t] {
                let dot = Rect {
                    left: self.center[0] + t - stroke / 2.0,
                    top: self.center[1] + y - stroke / 2.0,
                    width: stroke,
                    height: stroke,
                };
                canvas.rect(dot, theme.nonfinite);
            }
        }
    }
}

/// A stretch of pixels and what its ends stand for.
#[derive(Clone, Copy)]
struct Span {
    from: f32,
    to: f32,
    low: f64,
    high: f64,
}

impl Span {
    fn place(&self, value: f64) -> f32 {
        let part = if self.high > self.low {
            (value - self.low) / (self.high - self.low)
        } else {
            0.5
        };
        self.from + (part as f32) * (self.to - self.from)
    }
}

/// Points that a legend entry needs before its name.
fn swatch_width(swatch: Swatch) -> f32 {
    match swatch {
        Swatch::Line(_) => 24.0,
        Swatch::Nonfinite => 2.0 * MARK_ARM + 8.0,
        Swatch::Sequential => 54.0,
    }
}

fn too_small(size: [f32; 2]) -> Error {
    Error::input(
        format!("picture of {} x {} pixels", size[0], size[1]),
        "a chart with its title and axes does not fit",
        "give it at least 240 x 180 points",
    )
}
