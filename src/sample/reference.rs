//! The sampler on the CPU, one line after the other: what the kernels are held against.

use super::ValueScale;

/// Height of the sentinel for columns with a value that is not finite.
pub const SENTINEL: f32 = 4.0;

/// (low, high) of each column of each line, in float64: `[lines, columns]`.
pub fn envelopes(
    values: &[f32],
    steps: usize,
    columns: usize,
    scale: ValueScale,
) -> Vec<Vec<(f64, f64)>> {
    let columns = columns.min(steps);
    let height = |value: f32| {
        let value = f64::from(value);
        let threshold = f64::from(scale.linear_threshold);
        let transformed = if threshold > 0.0 {
            (1.0 + value.abs() / threshold).log10().copysign(value)
        } else {
            value
        };
        (transformed - f64::from(scale.low)) * f64::from(scale.inverse_extent) / 16.0
    };
    let extent = |line: &[f32], column: usize| {
        let part = &line[column * steps / columns..(column + 1) * steps / columns];
        if part.iter().any(|value| !value.is_finite()) {
            return (f64::from(SENTINEL), f64::from(SENTINEL));
        }
        part.iter()
            .map(|&value| height(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), height| {
                (low.min(height), high.max(height))
            })
    };
    values
        .chunks(steps)
        .map(|line| (0..columns).map(|column| extent(line, column)).collect())
        .collect()
}

/// The distance of two envelopes: the largest difference over all columns.
pub fn distance<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (a.into() - b.into()).abs())
        .fold(0.0, f64::max)
}

/// Takes lines in `order` unless they are closer than `radius` to one taken before. Differences of float32 heights
/// are rounded to float32 as the kernels round them, so that the choice is the same to the last line.
pub fn greedy(envelopes: &[Vec<f32>], order: &[u32], radius: f32) -> Vec<u32> {
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() >= radius);
    let mut kept: Vec<u32> = Vec::new();
    for &line in order {
        let candidate = &envelopes[line as usize];
        if kept
            .iter()
            .all(|&taken| apart(candidate, &envelopes[taken as usize]))
        {
            kept.push(line);
        }
    }
    kept
}
