//! A credit as a picture: a waterfall from nothing to the measured change, and bars of predecessors and successors with the
//! same limits on both sides, red where they pushed the unit up and blue where they pushed it down.

use super::canvas::Canvas;
use super::credit_maps::MapPanel;
use super::geometry::Rect;
use super::label::{LINE_HEIGHT, MARGIN, MAX_NOTE_LINES, heading};
use super::painter::Painter;
use super::picture::Picture;
use super::theme::{Color, LABEL_SIZE, TICK_SIZE, diverging_at};
use super::ticks::linear_ticks;
use super::typeface::{Align, TextMetrics};
use crate::credit::{Contribution, Credit, Hop, OtherCredit};
use crate::number;

/// Height of a row of a panel, in points.
const ROW: f32 = 20.0;
/// Height of a bar, in points.
const BAR: f32 = 13.0;
/// Width of the names and of the values beside the bars, in points.
const NAMES: f32 = 120.0;
/// Rows of a panel of contributions at most.
const MOST_ROWS: usize = 16;
/// Points below a panel's rows: its axis, and the space to what follows.
const UNDER: f32 = 40.0;

/// The decompositions of one or several units, drawn one below the other.
#[derive(Debug, Clone, Copy)]
pub struct CreditChart<'a> {
    /// What is drawn.
    pub credits: &'a [Credit],
}

/// A bar from one value to another.
#[derive(Debug, Clone)]
struct Bar {
    name: String,
    from: f64,
    to: f64,
    /// Bars without are measured, not explained.
    is_part: bool,
}

/// Bars with one axis.
#[derive(Debug)]
struct Panel {
    title: String,
    bars: Vec<Bar>,
    low: f64,
    high: f64,
}

impl CreditChart<'_> {
    /// The height that it needs, in points.
    pub fn height(&self) -> f32 {
        let blocks = self.credits.iter().map(|credit| {
            let maps = MapPanel::of(credit);
            let maps: f32 = maps.iter().map(MapPanel::height).sum();
            let decompositions = Decomposition::all(credit);
            let panels = decompositions.iter().map(|d| height(&d.panels()));
            panels.sum::<f32>() + maps + 70.0
        });
        blocks.sum::<f32>() + 2.0 * MARGIN
    }

    /// Draws it into a picture.
    pub fn draw(&self, painter: &Painter, picture: &Picture) {
        let mut canvas = Canvas::new(painter, picture);
        let theme = canvas.theme().clone();
        let px = |points: f32| theme.px(points);
        let width = canvas.size().x;
        let mut offset = 0.0;
        for credit in self.credits {
            let (mut labels, top) = heading(
                canvas.metrics(),
                width,
                &title(credit),
                &note(credit),
                MAX_NOTE_LINES,
            );
            for label in &mut labels {
                label.baseline += offset;
            }
            canvas.labels(&labels);
            offset += top;
            let left = px(MARGIN);
            let all = width - 2.0 * left;
            for decomposition in Decomposition::all(credit) {
                let panels = decomposition.panels();
                let [waterfall, before, behind] = &panels;
                waterfall.draw(&mut canvas, Rect::new(left, offset, all, 0.0));
                let top = offset + px(waterfall.height());
                let half = (all - px(28.0)) / 2.0;
                before.draw(&mut canvas, Rect::new(left, top, half, 0.0));
                behind.draw(&mut canvas, Rect::new(left + all - half, top, half, 0.0));
                offset += px(height(&panels));
            }
            for maps in MapPanel::of(credit) {
                maps.draw(&mut canvas, Rect::new(left, offset, all, 0.0));
                offset += px(maps.height());
            }
        }
        canvas.finish();
    }
}

fn title(credit: &Credit) -> String {
    format!(
        "What moved unit {} of {}{} from step {} to {}",
        credit.unit,
        credit.layer,
        credit.chosen(),
        credit.from,
        credit.to
    )
}

fn note(credit: &Credit) -> String {
    let magnitude = credit.magnitude();
    let share = if magnitude > 0.0 {
        100.0 * credit.residual.abs() / magnitude
    } else {
        0.0
    };
    let over = match credit.chosen().is_all() {
        true => "over the probe batch",
        false => "there",
    };
    let mut note = format!(
        "Its mean {over} changed by {}. Red pushed it up, blue down; the residual is {} % of the sum of magnitudes, of which {} % is left after parts have cancelled each other.",
        number::short(credit.change),
        number::short(share),
        number::short(100.0 * credit.cancellation),
    );
    if let Some(first) = &credit.first_nonfinite {
        note = format!(
            "{note} The range ends before step {}, which computes a value that is not finite ({}).",
            first.step, first.what
        );
    }
    note
}

/// The decomposition itself, or that of a further hop.
struct Decomposition<'a> {
    title: String,
    /// What is decomposed, and how it is called.
    whole: (&'static str, f64),
    predecessors: &'a [Contribution],
    successors: &'a [Contribution],
    other: &'a OtherCredit,
    residual: f64,
}

/// The height of a waterfall and the two panels side by side below it, in points.
fn height([waterfall, before, behind]: &[Panel; 3]) -> f32 {
    waterfall.height() + before.height().max(behind.height())
}

impl<'a> Decomposition<'a> {
    fn all(credit: &'a Credit) -> Vec<Self> {
        let first = Self {
            title: "From nothing to the measured change".to_owned(),
            whole: ("measured change", credit.change),
            predecessors: &credit.predecessors,
            successors: &credit.successors,
            other: &credit.other,
            residual: credit.residual,
        };
        let hops = credit.hops.iter().map(Self::of_hop);
        std::iter::once(first).chain(hops).collect()
    }

    fn of_hop(hop: &'a Hop) -> Self {
        Self {
            title: format!(
                "Hop {}, to {}: from nothing to what the predecessors did",
                hop.hop,
                hop.layers.join(", ")
            ),
            whole: ("what they did", hop.explains),
            predecessors: &hop.predecessors,
            successors: &hop.successors,
            other: &hop.other,
            residual: hop.residual,
        }
    }

    /// The waterfall, the predecessors and the successors.
    fn panels(&self) -> [Panel; 3] {
        let sum = |parts: &[Contribution]| parts.iter().map(|part| part.credit).sum::<f64>();
        let mut parts = vec![
            ("predecessors".to_owned(), sum(self.predecessors)),
            ("successors".to_owned(), sum(self.successors)),
        ];
        let other = self.other.parts().into_iter();
        let other = other.filter(|(_, value)| *value != 0.0);
        parts.extend(other.map(|(name, value)| (name.replace('_', " "), value)));
        parts.push(("residual".to_owned(), self.residual));
        let waterfall = Panel::waterfall(&self.title, parts, self.whole);
        let both = self.predecessors.iter().chain(self.successors);
        let limit = both.map(|part| part.credit.abs()).fold(0.0, f64::max);
        [
            waterfall,
            Panel::of_contributions("Predecessors", self.predecessors, limit),
            Panel::of_contributions("Successors", self.successors, limit),
        ]
    }
}

/// Bars of the contributions of the greatest magnitude, and how many others there are that are not 0.
fn strongest(contributions: &[Contribution]) -> (Vec<Bar>, usize) {
    let parts = contributions.iter();
    let mut sorted: Vec<&Contribution> = parts.filter(|part| part.credit != 0.0).collect();
    sorted.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
    let shown = sorted.len().min(MOST_ROWS);
    let bars = sorted[..shown].iter().map(|part| Bar {
        name: part.name(),
        from: 0.0,
        to: part.credit,
        is_part: true,
    });
    (bars.collect(), sorted.len() - shown)
}

impl Panel {
    /// From nothing by all parts to the whole.
    fn waterfall(title: &str, parts: Vec<(String, f64)>, (name, whole): (&str, f64)) -> Self {
        let mut bars = Vec::new();
        let mut at = 0.0;
        for (name, value) in parts {
            bars.push(Bar {
                name,
                from: at,
                to: at + value,
                is_part: true,
            });
            at += value;
        }
        bars.push(Bar {
            name: name.to_owned(),
            from: 0.0,
            to: whole,
            is_part: false,
        });
        let ends = || bars.iter().flat_map(|bar| [bar.from, bar.to]);
        let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
        Self {
            title: title.to_owned(),
            low,
            high,
            bars,
        }
    }

    /// The strongest contributions, with the same limit on both sides.
    fn of_contributions(title: &str, contributions: &[Contribution], limit: f64) -> Self {
        let (bars, left_out) = strongest(contributions);
        let title = match (bars.len(), left_out) {
            (0, _) => format!("{title}: all credits are 0"),
            (_, 0) => title.to_owned(),
            (shown, _) => format!("{title}, the strongest {shown} of {}", shown + left_out),
        };
        let limit = if bars.is_empty() { 0.0 } else { limit };
        Self {
            title,
            bars,
            low: -limit,
            high: limit,
        }
    }

    /// Its height in points.
    fn height(&self) -> f32 {
        LABEL_SIZE * LINE_HEIGHT + self.bars.len().max(1) as f32 * ROW + UNDER
    }

    /// Draws it at the top left corner of `room`, as wide as that.
    fn draw(&self, canvas: &mut Canvas<'_>, room: Rect) {
        let theme = canvas.theme().clone();
        let metrics = canvas.metrics();
        let px = |points: f32| theme.px(points);
        let title = metrics.fitted(&self.title, LABEL_SIZE, room.size.x);
        let baseline = room.top() + px(LABEL_SIZE);
        canvas.text(
            &title,
            LABEL_SIZE,
            room.left(),
            baseline,
            Align::Left,
            theme.text,
        );
        let top = room.top() + px(LABEL_SIZE * LINE_HEIGHT);
        let bottom = top + px(ROW) * self.bars.len().max(1) as f32;
        // A little of the axis is left beyond the longest bar; without any, the zero is in the middle.
        let span = self.high - self.low;
        let (low, high) = if span > 0.0 {
            (self.low - 0.02 * span, self.high + 0.02 * span)
        } else {
            (-1.0, 1.0)
        };
        let names = px(NAMES).min(room.size.x / 3.0);
        let values = px(NAMES / 2.0).min(room.size.x / 5.0);
        let (left, right) = (room.left() + names, room.right() - values);
        let x = |value: f64| left + ((value - low) / (high - low)) as f32 * (right - left);
        let line = px(1.0);
        if span > 0.0 {
            for tick in linear_ticks(
                low,
                high,
                ((right - left) / px(72.0)).max(2.0) as usize,
                false,
            ) {
                canvas.rect(
                    Rect::new(x(tick.value), top, line, bottom - top),
                    theme.grid,
                );
                let at = bottom + px(TICK_SIZE + 3.0);
                canvas.text(
                    &tick.label,
                    TICK_SIZE,
                    x(tick.value),
                    at,
                    Align::Center,
                    theme.muted,
                );
            }
        }
        if !self.bars.is_empty() {
            canvas.rect(Rect::new(x(0.0), top, line, bottom - top), theme.axis);
        }
        let limit = self.low.abs().max(self.high.abs());
        for (row, bar) in self.bars.iter().enumerate() {
            let middle = top + px(ROW) * (row as f32 + 0.5);
            let baseline = middle + px(TICK_SIZE * 0.35);
            let name = unit_fitted(&metrics, &bar.name, names - px(8.0));
            canvas.text(
                &name,
                TICK_SIZE,
                left - px(6.0),
                baseline,
                Align::Right,
                theme.muted,
            );
            let value = number::short(bar.to - bar.from);
            canvas.text(
                &value,
                TICK_SIZE,
                right + px(6.0),
                baseline,
                Align::Left,
                theme.text,
            );
            let [start, end] = [x(bar.from.min(bar.to)), x(bar.from.max(bar.to))];
            let shape = Rect::new(
                start,
                middle - px(BAR) / 2.0,
                (end - start).max(line),
                px(BAR),
            );
            canvas.rect(shape, theme.axis);
            let inner = Rect::new(
                shape.left() + line,
                shape.top() + line,
                (shape.size.x - 2.0 * line).max(0.0),
                shape.size.y - 2.0 * line,
            );
            canvas.rect(inner, color(bar, limit, theme.axis));
        }
    }
}

/// A name in a width: where it is too long its layer is cut and the number of its unit is not.
fn unit_fitted(metrics: &TextMetrics, name: &str, width: f32) -> String {
    match name.rsplit_once(' ') {
        Some((layer, unit)) if metrics.width(name, TICK_SIZE) > width => {
            let unit = format!(" {unit}");
            let left = width - metrics.width(&unit, TICK_SIZE);
            metrics.fitted(layer, TICK_SIZE, left) + &unit
        }
        _ => metrics.fitted(name, TICK_SIZE, width),
    }
}

/// White at zero, the deepest red and blue at the limits.
fn color(bar: &Bar, limit: f64, measured: Color) -> Color {
    if !bar.is_part {
        return measured;
    }
    let share = if limit > 0.0 {
        (bar.to - bar.from) / limit
    } else {
        0.0
    };
    diverging_at(share as f32)
}
