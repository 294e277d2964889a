//! The sampler on the CPU, one line after another: what the kernels are compared with, and what to read first.

use super::envelope::{HEIGHTS, columns_per_quad, spans};
use super::priority::PriorityTier;
use crate::series::{ValueAxis, ValueScale};

/// A line as its row of heights. A gap is NaN, an infinity is infinite.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The heights, as [`Envelopes::read`](super::Envelopes::read) gives them.
    pub heights: &'a [f32],
    /// Whether all values of the line are finite.
    pub is_finite: bool,
}

impl<'a> Row<'a> {
    /// Rows of so many heights each, of lines with these tiers.
    pub fn all(heights: &'a [f32], row_len: usize, tiers: &[PriorityTier]) -> Vec<Self> {
        let rows = heights.chunks_exact(row_len).zip(tiers);
        rows.map(|(heights, tier)| Self {
            heights,
            is_finite: *tier > PriorityTier::Nonfinite,
        })
        .collect()
    }
}

/// The rows of [`Envelopes`](super::Envelopes) in float64: `[lines][row_len]` from `values` `[lines, steps]`.
pub fn envelopes(values: &[f32], steps: usize, columns: usize, scale: ValueScale) -> Vec<Vec<f64>> {
    let axis = ValueAxis::from(scale);
    let heights_per_column = 4 / columns_per_quad(steps, columns);
    let row = |line: &[f32]| {
        let columns = spans(steps, columns).into_iter();
        let columns = columns.filter(|[first, end]| first < end);
        let heights = columns.flat_map(|[first, end]| {
            let (low, high) = extent(&line[first as usize..end as usize], axis);
            [low, high].into_iter().take(heights_per_column)
        });
        heights.collect()
    };
    values.chunks_exact(steps).map(row).collect()
}

/// Lowest and highest height of some steps.
fn extent(steps: &[f32], axis: ValueAxis) -> (f64, f64) {
    let (lowest, highest) = (f64::from(*HEIGHTS.start()), f64::from(*HEIGHTS.end()));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let values = steps.iter().filter(|value| !value.is_nan());
    for &value in values.clone() {
        let height = match value.is_finite() {
            true => axis.height(value.into()).clamp(lowest, highest),
            false => value.into(),
        };
        (low, high) = (low.min(height), high.max(height));
    }
    match values.count() {
        0 => (f64::NAN, f64::NAN),
        _ => (low, high),
    }
}

/// The tier of each row (see [`PriorityTier`]), from moments in float64; `values` `[lines, steps]` are those of the rows.
pub fn priority_tiers(rows: &[Vec<f64>], values: &[f32]) -> Vec<PriorityTier> {
    let row_len = rows.first().map_or(0, Vec::len);
    let moments: Vec<(f64, f64)> = (0..row_len)
        .map(|index| {
            let heights = || rows.iter().map(|row| row[index]).filter(|h| h.is_finite());
            let count = heights().count().max(1) as f64;
            let mean = heights().sum::<f64>() / count;
            let variance = heights().map(|height| (height - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        })
        .collect();
    let tier = |(row, values): (&Vec<f64>, &[f32])| {
        let is_far = |(height, (mean, deviation)): (&f64, &(f64, f64))| {
            (height - mean).abs() > 4.0 * deviation + 0.002
        };
        if values.iter().all(|value| value.is_nan()) {
            PriorityTier::Empty
        } else if values.iter().any(|value| !value.is_finite()) {
            PriorityTier::Nonfinite
        } else if row.iter().zip(&moments).any(is_far) {
            PriorityTier::Outlier
        } else {
            PriorityTier::Ordinary
        }
    };
    let steps = values.len() / rows.len().max(1);
    rows.iter()
        .zip(values.chunks_exact(steps.max(1)))
        .map(tier)
        .collect()
}

/// The distance of two rows: the largest difference between their heights where both have one. Each difference is rounded
/// to float32, as the kernels round it. Infinite where an infinity meets anything but itself, where nothing can be
/// compared, and between a line that is finite everywhere and one that is not.
pub fn distance(a: Row<'_>, b: Row<'_>) -> f32 {
    if a.is_finite != b.is_finite {
        return f32::INFINITY;
    }
    let pairs = a.heights.iter().zip(b.heights);
    let differences = pairs.filter_map(|(&a, &b)| match (a.is_nan(), b.is_nan()) {
        (false, false) if a == b => Some(0.0),
        (false, false) => Some((a - b).abs()),
        _ if a.is_infinite() || b.is_infinite() => Some(f32::INFINITY),
        _ => None,
    });
    differences.reduce(f32::max).unwrap_or(f32::INFINITY)
}

/// Takes rows in `order`, each unless it is closer than `radius` to one taken before.
pub fn greedy(rows: &[Row<'_>], order: &[u32], radius: f32) -> Vec<u32> {
    let mut kept: Vec<u32> = Vec::new();
    for &line in order {
        let row = rows[line as usize];
        let is_apart = |&taken: &u32| distance(row, rows[taken as usize]) >= radius;
        if kept.iter().all(is_apart) {
            kept.push(line);
        }
    }
    kept
}

/// For each row the index in `kept` of the nearest one, the first of equally near ones, and its distance.
pub fn nearest(rows: &[Row<'_>], kept: &[u32]) -> Vec<(u32, f32)> {
    let of = |row: &Row<'_>| {
        let mut best = (0, f32::INFINITY);
        for (index, &line) in (0..).zip(kept) {
            let distance = distance(*row, rows[line as usize]);
            if distance < best.1 {
                best = (index, distance);
            }
        }
        best
    };
    rows.iter().map(of).collect()
}
