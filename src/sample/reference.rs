//! The sampler on the CPU, one line after another: what the kernels are compared with, and what to read first.

use super::envelope::{HEIGHTS, SENTINEL, columns_per_quad, spans};
use super::priority::PriorityTier;
use crate::series::ValueScale;

/// The rows of [`Envelopes`](super::Envelopes) in float64: `[lines][row_len]` from `values` `[lines, steps]`.
pub fn envelopes(values: &[f32], steps: usize, columns: usize, scale: ValueScale) -> Vec<Vec<f64>> {
    let spans = spans(steps, columns);
    let heights_per_column = 4 / columns_per_quad(steps, columns);
    let row = |line: &[f32]| {
        let heights = spans.iter().flat_map(|&[first, end]| {
            let (low, high) = extent(&line[first as usize..end as usize], scale);
            [low, high].into_iter().take(heights_per_column)
        });
        heights.collect()
    };
    values.chunks_exact(steps).map(row).collect()
}

/// Lowest and highest height of some steps.
fn extent(steps: &[f32], scale: ValueScale) -> (f64, f64) {
    let (lowest, highest) = (f64::from(*HEIGHTS.start()), f64::from(*HEIGHTS.end()));
    if steps.is_empty() {
        return (0.0, 0.0);
    }
    if steps.iter().any(|value| !value.is_finite()) {
        return (f64::from(SENTINEL), f64::from(SENTINEL));
    }
    let heights = steps
        .iter()
        .map(|&value| height(value, scale).clamp(lowest, highest));
    heights.fold((highest, lowest), |(low, high), height| {
        (low.min(height), high.max(height))
    })
}

fn height(value: f32, scale: ValueScale) -> f64 {
    let value = f64::from(value);
    let threshold = f64::from(scale.linear_threshold);
    let transformed = if threshold > 0.0 {
        (1.0 + value.abs() / threshold).log10().copysign(value)
    } else {
        value
    };
    (transformed - f64::from(scale.low)) / 16.0 * f64::from(scale.inverse_extent)
}

/// The tier of each row (see [`PriorityTier`]), from moments in float64.
pub fn priority_tiers(rows: &[Vec<f64>]) -> Vec<PriorityTier> {
    let row_len = rows.first().map_or(0, Vec::len);
    let is_finite = |height: &f64| *height < f64::from(SENTINEL);
    let moments: Vec<(f64, f64)> = (0..row_len)
        .map(|index| {
            let heights = || rows.iter().map(|row| row[index]).filter(is_finite);
            let count = heights().count().max(1) as f64;
            let mean = heights().sum::<f64>() / count;
            let variance = heights().map(|height| (height - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        })
        .collect();
    let tier = |row: &Vec<f64>| {
        let is_far = |(height, (mean, deviation)): (&f64, &(f64, f64))| {
            (height - mean).abs() > 4.0 * deviation + 0.002
        };
        if !row.iter().all(&is_finite) {
            PriorityTier::Nonfinite
        } else if row.iter().zip(&moments).any(is_far) {
            PriorityTier::Outlier
        } else {
            PriorityTier::Ordinary
        }
    };
    rows.iter().map(tier).collect()
}

/// The distance of two rows: the largest difference between their heights. Each difference is rounded to float32, as the
/// kernels round it.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Takes rows in `order`, each unless it is closer than `radius` to one taken before.
pub fn greedy(rows: &[&[f32]], order: &[u32], radius: f32) -> Vec<u32> {
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
pub fn nearest(rows: &[&[f32]], kept: &[u32]) -> Vec<(u32, f32)> {
    let of = |row: &&[f32]| {
        let mut best = (0, f32::INFINITY);
        for (index, &line) in (0..).zip(kept) {
            let distance = distance(row, rows[line as usize]);
            if distance < best.1 {
                best = (index, distance);
            }
        }
        best
    };
    rows.iter().map(of).collect()
}
