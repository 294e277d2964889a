//! Distances of windows by their definition, on the CPU in float64: what the kernels are compared with.

use super::profile::exclusion_zone;
use super::windows::LARGEST;

/// A window with mean 0 and deviation 1; `Err` where it has none: `None` for a constant one, and infinity, which is its
/// distance to all others, where a value is not finite.
fn standardized(window: &[f32]) -> Standardized {
    if window
        .iter()
        .any(|value| value.is_nan() || value.abs() > LARGEST)
    {
        return Err(Some(f64::INFINITY));
    }
    if window.iter().all(|value| *value == window[0]) {
        return Err(None);
    }
    let count = window.len() as f64;
    let mean = window.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = window
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    Ok(window
        .iter()
        .map(|&value| (f64::from(value) - mean) / deviation)
        .collect())
}

/// What is left of a window for comparing it.
type Standardized = Result<Vec<f64>, Option<f64>>;

fn apart(a: &Standardized, b: &Standardized, length: usize) -> f64 {
    match (a, b) {
        (Err(Some(far)), _) | (_, Err(Some(far))) => *far,
        (Err(None), Err(None)) => 0.0,
        (Err(None), _) | (_, Err(None)) => (length as f64).sqrt(),
        (Ok(a), Ok(b)) => {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f64>().sqrt()
        }
    }
}

/// The distance of two windows.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    apart(&standardized(a), &standardized(b), a.len())
}

/// The distance of each window to the nearest other one outside of the exclusion zone, and where that begins, the first of
/// equally near ones.
pub fn profile(series: &[f32], length: usize) -> Vec<(f64, Option<usize>)> {
    let zone = exclusion_zone(length);
    let windows: Vec<Standardized> = series.windows(length).map(standardized).collect();
    let nearest = |(i, a): (usize, &Standardized)| {
        let others = windows.iter().enumerate();
        let outside = others.filter(|(j, _)| i.abs_diff(*j) > zone);
        outside.fold((f64::INFINITY, None), |best, (j, b)| {
            let distance = apart(a, b, length);
            if distance < best.0 {
                (distance, Some(j))
            } else {
                best
            }
        })
    };
    windows.iter().enumerate().map(nearest).collect()
}
