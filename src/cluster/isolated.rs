//! Units that are far from all others.

use crate::number::short;

/// How many times the usual distance to the nearest other unit is far.
const FAR: f64 = 10.0;
/// Fewer units tell nothing of what is usual.
const MIN_UNITS: usize = 8;

/// The points of `distances` `[points, points]` whose nearest other point is farther away than ten times the median of all
/// such distances, and than half of all pairs are: with why. Distances in words are multiplied by `scale`. Two such points
/// next to each other are a small cluster, and no outliers.
pub(super) fn isolated(distances: &[f32], points: usize, scale: f64) -> Vec<(usize, String)> {
    if points < MIN_UNITS {
        return Vec::new();
    }
    let row = |point: usize| {
        let row = &distances[point * points..][..points];
        let others = row
            .iter()
            .enumerate()
            .filter(move |(other, _)| *other != point);
        others.map(|(_, &distance)| f64::from(distance))
    };
    let nearest: Vec<f64> = (0..points)
        .map(|point| row(point).fold(f64::INFINITY, f64::min))
        .collect();
    // Units that are always alike, such as dead ones, say nothing of how far apart others are.
    let usual = median(
        nearest
            .iter()
            .copied()
            .filter(|distance| *distance > 0.0)
            .collect(),
    );
    let middle = median((0..points).flat_map(row).collect());
    let far = (FAR * usual).max(middle);
    let is_far = |(_, nearest): &(usize, &f64)| usual > 0.0 && **nearest > far;
    let found = nearest.iter().enumerate().filter(is_far);
    found
        .map(|(point, nearest)| {
            let [nearest, usual] = [nearest * scale, usual * scale].map(short);
            let why = format!(
                "its nearest other unit is {nearest} away; the median of such distances, those of 0 aside, is {usual}"
            );
            (point, why)
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[f64]) -> Vec<usize> {
        let distances: Vec<f32> = points
            .iter()
            .flat_map(|a| points.iter().map(move |b| (a - b).abs() as f32))
            .collect();
        let found = isolated(&distances, points.len(), 1.0).into_iter();
        found.map(|(point, _)| point).collect()
    }

    #[test]
    fn a_point_far_from_all_is_isolated_and_a_far_pair_is_not() {
        let mut points: Vec<f64> = (0..20)
            .map(|i| f64::from(i % 10) + 0.1 * f64::from(i / 10))
            .collect();
        assert_eq!(of(&points), [0usize; 0]);
        points.push(100.0);
        assert_eq!(of(&points), [20]);
        points.push(100.5);
        assert_eq!(of(&points), [0usize; 0]);
        assert_eq!(of(&[0.0; 30]), [0usize; 0]);
    }
}
