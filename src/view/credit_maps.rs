//! Credit place by place: maps in one diverging scale, with the same limits on both sides.

use super::canvas::Canvas;
use super::geometry::Rect;
use super::label::LINE_HEIGHT;
use super::theme::{LABEL_SIZE, TICK_SIZE, diverging_at};
use super::typeface::Align;
use crate::credit::{Contribution, Credit, CreditMaps};
use crate::number;
use crate::tensor::NamedTensor;

/// Maps beside each other at most.
const MOST_COLUMNS: usize = 8;
/// Predecessors whose maps are drawn.
const MOST_ROWS: usize = 4;
/// Side of a map and the space between two, in points.
const SIDE: f32 = 76.0;
const GAP: f32 = 8.0;
/// Width of the names beside the maps, in points.
const NAMES: f32 = 120.0;

/// A row of maps of one shape.
#[derive(Debug)]
struct Row<'a> {
    name: String,
    height: usize,
    width: usize,
    maps: Vec<(String, &'a [f32])>,
}

/// Rows of maps with one scale.
#[derive(Debug)]
pub(super) struct MapPanel<'a> {
    title: &'static str,
    rows: Vec<Row<'a>>,
    limit: f32,
}

impl<'a> MapPanel<'a> {
    /// The panels of a credit whose maps have height and width; those of vectors say no more than bars.
    pub fn of(credit: &'a Credit) -> Vec<Self> {
        let CreditMaps {
            predecessors,
            successors,
        } = &credit.maps;
        let before = predecessors.iter().filter_map(|tensor| {
            let rows = rows_of_samples(tensor, &credit.predecessors);
            Self::new("Predecessors, sample by sample of the probe batch", rows)
        });
        let behind = Self::new(
            "Successors, all samples together",
            successors
                .iter()
                .filter_map(|tensor| row_of_units(tensor, &credit.successors))
                .collect(),
        );
        before.chain(behind).collect()
    }

    fn new(title: &'static str, rows: Vec<Row<'a>>) -> Option<Self> {
        let maps = rows.iter().flat_map(|row| &row.maps);
        let values = maps.flat_map(|(_, map)| map.iter());
        let limit = values.fold(0.0, |limit: f32, value| limit.max(value.abs()));
        (limit > 0.0).then_some(Self { title, rows, limit })
    }

    /// Its height in points.
    pub fn height(&self) -> f32 {
        let row = SIDE + TICK_SIZE * LINE_HEIGHT + GAP;
        LABEL_SIZE * LINE_HEIGHT + self.rows.len() as f32 * row + GAP
    }

    /// Draws it at the top left corner of `room`.
    pub fn draw(&self, canvas: &mut Canvas<'_>, room: Rect) {
        let theme = canvas.theme().clone();
        let metrics = canvas.metrics();
        let px = |points: f32| theme.px(points);
        let title = format!(
            "{}; deepest red and blue: {} a place",
            self.title,
            number::short(f64::from(self.limit))
        );
        let title = metrics.fitted(&title, LABEL_SIZE, room.size.x);
        let baseline = room.top() + px(LABEL_SIZE);
        let (left, muted) = (room.left(), theme.muted);
        canvas.text(&title, LABEL_SIZE, left, baseline, Align::Left, theme.text);
        let mut top = (room.top() + px(LABEL_SIZE * LINE_HEIGHT)).round();
        for row in &self.rows {
            let name = metrics.fitted(&row.name, TICK_SIZE, px(NAMES - 8.0));
            let (middle, right) = (top + px(SIDE) / 2.0, left + px(NAMES - 6.0));
            canvas.text(&name, TICK_SIZE, right, middle, Align::Right, muted);
            // Places are squares of whole pixels, so that no seams show; the longer side fills the room of a map.
            let place = (px(SIDE) / row.height.max(row.width) as f32)
                .floor()
                .max(1.0);
            let size = [row.width, row.height].map(|count| place * count as f32);
            for (column, (name, map)) in row.maps.iter().enumerate() {
                let x = (left + px(NAMES) + column as f32 * px(SIDE + GAP)).round();
                let line = px(1.0);
                let frame = Rect::new(
                    x - line,
                    top - line,
                    size[0] + 2.0 * line,
                    size[1] + 2.0 * line,
                );
                canvas.rect(frame, theme.axis);
                for (at, &value) in map.iter().enumerate() {
                    let corner = [at % row.width, at / row.width].map(|at| place * at as f32);
                    let square = Rect::new(x + corner[0], top + corner[1], place, place);
                    let color = if value.is_finite() {
                        diverging_at(value / self.limit)
                    } else {
                        theme.nonfinite
                    };
                    canvas.rect(square, color);
                }
                let below = top + size[1] + px(TICK_SIZE + 2.0);
                let name = metrics.fitted(name, TICK_SIZE, px(SIDE));
                canvas.text(
                    &name,
                    TICK_SIZE,
                    x + size[0] / 2.0,
                    below,
                    Align::Center,
                    muted,
                );
            }
            top += px(SIDE + TICK_SIZE * LINE_HEIGHT + GAP).round();
        }
    }
}

/// The channels of a tensor `[samples, channels, height, width]` with the strongest credit, each for the first samples.
fn rows_of_samples<'a>(tensor: &'a NamedTensor, credits: &[Contribution]) -> Vec<Row<'a>> {
    let [samples, channels, height, width] = tensor.shape[..] else {
        return Vec::new();
    };
    let row = |channel: usize| Row {
        name: format!("{} {channel}", tensor.name),
        height,
        width,
        maps: (0..samples.min(MOST_COLUMNS))
            .map(|sample| {
                let plane = sample * channels + channel;
                let map = &tensor.values[plane * height * width..][..height * width];
                (format!("sample {sample}"), map)
            })
            .collect(),
    };
    strongest(&tensor.name, channels, credits, MOST_ROWS)
        .map(row)
        .collect()
}

/// The units of a tensor `[units, height, width]` with the strongest credit.
fn row_of_units<'a>(tensor: &'a NamedTensor, credits: &[Contribution]) -> Option<Row<'a>> {
    let [units, height, width] = tensor.shape[..] else {
        return None;
    };
    let map = |unit: usize| {
        let map = &tensor.values[unit * height * width..][..height * width];
        (format!("{unit}"), map)
    };
    Some(Row {
        name: tensor.name.clone(),
        height,
        width,
        maps: strongest(&tensor.name, units, credits, MOST_COLUMNS)
            .map(map)
            .collect(),
    })
}

/// The units of a tensor with the credits of the greatest magnitude, the strongest first; the first units where the tensor
/// has no credits of its own.
fn strongest(
    tensor: &str,
    units: usize,
    credits: &[Contribution],
    most: usize,
) -> impl Iterator<Item = usize> + use<> {
    let own = credits.iter().filter(|part| part.layer == tensor);
    let mut sorted: Vec<&Contribution> = own.collect();
    sorted.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
    let mut chosen: Vec<usize> = sorted.iter().map(|part| part.unit).collect();
    if chosen.is_empty() {
        chosen = (0..units).collect();
    }
    chosen.truncate(most);
    chosen.into_iter()
}
