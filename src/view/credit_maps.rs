//! Credit place by place: maps in one diverging scale, with the same limits on both sides.

use std::ops::Range;

use super::canvas::Canvas;
use super::geometry::Rect;
use super::label::LINE_HEIGHT;
use super::theme::{Color, LABEL_SIZE, TICK_SIZE, diverging_at};
use super::typeface::Align;
use crate::credit::{Contribution, Credit, CreditMaps};
use crate::number;
use crate::tensor::NamedTensor;

/// How much darker than white the greatest value shows through the credit.
const SHADE: f32 = 0.35;
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
    maps: Vec<Map<'a>>,
}

/// A map and its name.
#[derive(Debug)]
struct Map<'a> {
    name: String,
    plane: Plane<'a>,
}

/// What a map shows.
#[derive(Debug)]
enum Plane<'a> {
    /// Credit, over the values that it belongs to where they are known.
    Credit {
        credit: &'a [f32],
        values: Option<&'a [f32]>,
    },
    /// An image of some channels, and the places of each.
    Image((&'a [f32], usize)),
}

/// Rows of maps with one scale.
#[derive(Debug)]
pub(super) struct MapPanel<'a> {
    title: &'static str,
    rows: Vec<Row<'a>>,
    limit: f32,
    /// Rows and columns of the images that are framed.
    region: Option<[Range<usize>; 2]>,
}

impl<'a> MapPanel<'a> {
    /// The panels of a credit whose maps have height and width; those of vectors say no more than bars.
    pub fn of(credit: &'a Credit) -> Vec<Self> {
        let CreditMaps {
            predecessors,
            successors,
            values,
            images,
        } = &credit.maps;
        let before = predecessors.iter().filter_map(|tensor| {
            let samples = shown_samples(credit, tensor.shape[0]);
            let mut rows = rows_of_samples([Some(tensor), values.as_ref()], credit, &samples);
            if !rows.is_empty() {
                rows.splice(
                    ..0,
                    images
                        .as_ref()
                        .and_then(|images| image_row(images, &samples)),
                );
            }
            let mut panel = Self::new("Predecessors, over their values", rows)?;
            let is_part = !credit.positions.is_empty();
            panel.region = credit.region.clone().filter(|_| is_part);
            Some(panel)
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
        let credits = maps.filter_map(|map| match map.plane {
            Plane::Credit { credit, .. } => Some(credit),
            Plane::Image(_) => None,
        });
        let limit = credits
            .flatten()
            .fold(0.0, |limit: f32, value| limit.max(value.abs()));
        (limit > 0.0).then_some(Self {
            title,
            rows,
            limit,
            region: None,
        })
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
            for (column, Map { name, plane }) in row.maps.iter().enumerate() {
                let x = (left + px(NAMES) + column as f32 * px(SIDE + GAP)).round();
                let line = px(1.0);
                let frame = Rect::new(
                    x - line,
                    top - line,
                    size[0] + 2.0 * line,
                    size[1] + 2.0 * line,
                );
                canvas.rect(frame, theme.axis);
                for at in 0..row.width * row.height {
                    let corner = [at % row.width, at / row.width].map(|at| place * at as f32);
                    let square = Rect::new(x + corner[0], top + corner[1], place, place);
                    canvas.rect(square, plane.color(at, self.limit, theme.nonfinite));
                }
                if let (Plane::Image(_), Some(region)) = (plane, &self.region) {
                    frame_region(canvas, region, ([x, top], place, line), theme.highlight);
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

impl Plane<'_> {
    /// The color of a place, where the deepest red and blue are at the limit.
    fn color(&self, at: usize, limit: f32, nonfinite: Color) -> Color {
        match self {
            Self::Image(channels) => pixel_color(channels, at),
            Self::Credit { credit, .. } if !credit[at].is_finite() => nonfinite,
            Self::Credit { credit, values } => {
                let credited = diverging_at(credit[at] / limit);
                let Some(values) = values else {
                    return credited;
                };
                // The values shade the paper, as in the pictures of attribution.
                let [low, high] = [f32::min, f32::max].map(|f| values.iter().copied().reduce(f));
                let span = high.unwrap_or(0.0) - low.unwrap_or(0.0);
                let share = (values[at] - low.unwrap_or(0.0)) / span;
                let shade = if share.is_finite() { share } else { 0.0 };
                let paper = 1.0 - SHADE * shade;
                let [red, green, blue, alpha] = credited;
                let [red, green, blue] =
                    [red, green, blue].map(|color| (f32::from(color) * paper) as u8);
                [red, green, blue, alpha]
            }
        }
    }
}

/// A pixel of an image `[channels, places]`: of one channel as gray, of more the first three (two leave blue at 0).
fn pixel_color(image: &(&[f32], usize), at: usize) -> Color {
    let (values, places) = image;
    let channels = values.len() / places;
    let byte = |channel: usize| {
        let value = values.get(channel * places + at).copied().unwrap_or(0.0);
        (value.clamp(0.0, 1.0) * 255.0) as u8
    };
    match channels {
        1 => [byte(0), byte(0), byte(0), 255],
        _ => [byte(0), byte(1), byte(2), 255],
    }
}

/// A frame around some rows and columns of an image, whose pixels are squares of the side `place`.
fn frame_region(
    canvas: &mut Canvas<'_>,
    [rows, columns]: &[Range<usize>; 2],
    ([left, top], place, line): ([f32; 2], f32, f32),
    color: Color,
) {
    let [x, y] = [columns, rows].map(|range| place * range.start as f32);
    let [width, height] = [columns, rows].map(|range| place * range.len() as f32);
    let (x, y) = (left + x, top + y);
    for side in [
        Rect::new(x, y, width, line),
        Rect::new(x, y + height - line, width, line),
        Rect::new(x, y, line, height),
        Rect::new(x + width - line, y, line, height),
    ] {
        canvas.rect(side, color);
    }
}

/// The chosen samples, else the first ones.
fn shown_samples(credit: &Credit, samples: usize) -> Vec<usize> {
    let mut shown = match credit.samples.is_empty() {
        true => (0..samples).collect(),
        false => credit.samples.clone(),
    };
    shown.truncate(MOST_COLUMNS);
    shown
}

/// The images `[samples, channels, height, width]` of some samples.
fn image_row<'a>(images: &'a NamedTensor, samples: &[usize]) -> Option<Row<'a>> {
    let [_, channels, height, width] = images.shape[..] else {
        return None;
    };
    let size = channels * height * width;
    let map = |&sample: &usize| Map {
        name: format!("sample {sample}"),
        plane: Plane::Image((&images.values[sample * size..][..size], height * width)),
    };
    Some(Row {
        name: images.name.clone(),
        height,
        width,
        maps: samples.iter().map(map).collect(),
    })
}

/// The channels of a tensor `[samples, channels, height, width]` with the strongest credit, each for some samples.
fn rows_of_samples<'a>(
    [tensor, values]: [Option<&'a NamedTensor>; 2],
    credit: &Credit,
    samples: &[usize],
) -> Vec<Row<'a>> {
    let Some(tensor) = tensor else {
        return Vec::new();
    };
    let [_, channels, height, width] = tensor.shape[..] else {
        return Vec::new();
    };
    let row = |channel: usize| {
        let map = |&sample: &usize| {
            let first = (sample * channels + channel) * height * width;
            let plane = |tensor: &'a NamedTensor| &tensor.values[first..][..height * width];
            Map {
                name: format!("sample {sample}"),
                plane: Plane::Credit {
                    credit: plane(tensor),
                    values: values.map(plane),
                },
            }
        };
        Row {
            name: format!("{} {channel}", tensor.name),
            height,
            width,
            maps: samples.iter().map(map).collect(),
        }
    };
    strongest(&tensor.name, channels, &credit.predecessors, MOST_ROWS)
        .map(row)
        .collect()
}

/// The units of a tensor `[units, height, width]` with the strongest credit.
fn row_of_units<'a>(tensor: &'a NamedTensor, credits: &[Contribution]) -> Option<Row<'a>> {
    let [units, height, width] = tensor.shape[..] else {
        return None;
    };
    let map = |unit: usize| {
        let credit = &tensor.values[unit * height * width..][..height * width];
        Map {
            name: unit.to_string(),
            plane: Plane::Credit {
                credit,
                values: None,
            },
        }
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
