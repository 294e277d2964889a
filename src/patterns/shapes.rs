//! The shapes of a run's lines: the sampled ones in clusters of those that look alike when time may be stretched.
//!
//! Distances are those of dynamic time warping between lines of mean 0 and deviation 1, with a band of a tenth of their
//! length (Sakoe and Chiba 1978). Clusters are joined by their mean distances, from single lines up, and the
//! count of clusters is the one with the largest mean silhouette.

use std::sync::atomic::AtomicBool;

use super::lines::RunLines;
use crate::Result;
use crate::cluster::MIN_SILHOUETTE;
use crate::gpu::Gpu;
use crate::sample::{Budget, SampleOptions, sample_table};
use crate::series::{Numbers, Scale, SeriesTable};

/// Values that a line is reduced to: warping takes the square of them.
const POINTS: usize = 96;
/// The share of a line over which time may be stretched.
const BAND: usize = 10;
/// Clusters at most.
const MAX_COUNT: usize = 8;
/// Values that a line needs to have a shape.
const MIN_POINTS: usize = 4;

/// Lines that look alike when time may be stretched.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The sampled lines, that in the middle of them first: the one with the smallest sum of distances to the others.
    pub lines: Vec<usize>,
    /// How many lines these represent, themselves included.
    pub represented: usize,
    /// Whether the lines do not vary at all.
    pub is_constant: bool,
}

/// The shapes of all lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Shapes {
    /// The clusters, that of the most lines first.
    pub shapes: Vec<Shape>,
    /// Lines that were sampled.
    pub sampled: usize,
    /// The mean silhouette of the clusters; `None` where there is one.
    pub silhouette: Option<f64>,
}

/// Samples at most `keep` lines that represent all, and puts these into clusters. Lines are compared up to their first value
/// that is not finite.
///
/// # Errors
/// No lines, or no room for them.
pub fn shapes(gpu: &Gpu, lines: &RunLines, keep: usize) -> Result<Shapes> {
    let table = SeriesTable::new(lines.count(), Numbers::F32(lines.values.clone()));
    let options = SampleOptions {
        budget: Budget::Keep(keep),
        ..SampleOptions::default()
    };
    let never = AtomicBool::new(false);
    let sample = sample_table(gpu, &table, Scale::Linear, &options, &never)?;
    let kept = sample.kept.iter().zip(&sample.counts);
    let mut kept: Vec<(usize, usize)> = kept
        .map(|(&line, &count)| (line as usize, count as usize))
        .collect();
    kept.sort_unstable();
    let reduced: Vec<Option<Vec<f64>>> = kept
        .iter()
        .map(|(line, _)| reduced(lines.line(*line)))
        .collect();
    let varied: Vec<usize> = (0..kept.len()).filter(|&i| reduced[i].is_some()).collect();
    let curves: Vec<&[f64]> = varied
        .iter()
        .filter_map(|&i| reduced[i].as_deref())
        .collect();
    let distances = distances(&curves);
    let (labels, silhouette) = clusters(&distances);
    let count = labels.iter().max().map_or(0, |label| label + 1);
    let mut shapes: Vec<Shape> = (0..count)
        .map(|cluster| {
            let members: Vec<usize> = (0..labels.len())
                .filter(|&i| labels[i] == cluster)
                .collect();
            let sum = |i: usize| members.iter().map(|&j| distances[i][j]).sum::<f64>();
            let mut ranked = members.clone();
            ranked.sort_by(|&a, &b| sum(a).total_cmp(&sum(b)).then(a.cmp(&b)));
            shape(
                &kept,
                ranked.into_iter().map(|i| varied[i]).collect(),
                false,
            )
        })
        .collect();
    let constant: Vec<usize> = (0..kept.len()).filter(|&i| reduced[i].is_none()).collect();
    if !constant.is_empty() {
        shapes.push(shape(&kept, constant, true));
    }
    shapes.sort_by_key(|shape| (std::cmp::Reverse(shape.represented), shape.lines[0]));
    Ok(Shapes {
        shapes,
        sampled: kept.len(),
        silhouette,
    })
}

fn shape(kept: &[(usize, usize)], members: Vec<usize>, is_constant: bool) -> Shape {
    Shape {
        represented: members.iter().map(|&i| kept[i].1).sum(),
        lines: members.into_iter().map(|i| kept[i].0).collect(),
        is_constant,
    }
}

/// A line as means of at most [`POINTS`] stretches, with mean 0 and deviation 1; `None` where it does not vary or is too
/// short up to its first value that is not finite.
fn reduced(line: &[f32]) -> Option<Vec<f64>> {
    let finite = line.iter().position(|value| !value.is_finite());
    let line = &line[..finite.unwrap_or(line.len())];
    if line.len() < MIN_POINTS {
        return None;
    }
    let points = line.len().min(POINTS);
    let mean_of = |point: usize| {
        let part = &line[point * line.len() / points..(point + 1) * line.len() / points];
        part.iter().map(|&value| f64::from(value)).sum::<f64>() / part.len() as f64
    };
    let values: Vec<f64> = (0..points).map(mean_of).collect();
    let mean = values.iter().sum::<f64>() / points as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let deviation = (squares.sum::<f64>() / points as f64).sqrt();
    let size = values
        .iter()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    // What float32 rounds off is no shape.
    let varies = deviation > f64::from(f32::EPSILON) * size;
    varies.then(|| {
        values
            .iter()
            .map(|value| (value - mean) / deviation)
            .collect()
    })
}

/// The distance of two lines when time may be stretched by at most `band` points, which reaches from the end of one to the end
/// of the other: the root of the least sum of squared differences along a path that never goes back.
fn warped(a: &[f64], b: &[f64], band: usize) -> f64 {
    let mut before = vec![f64::INFINITY; b.len() + 1];
    before[0] = 0.0;
    for (i, value) in a.iter().enumerate() {
        let mut row = vec![f64::INFINITY; b.len() + 1];
        for j in i.saturating_sub(band)..(i + band + 1).min(b.len()) {
            let least = before[j].min(before[j + 1]).min(row[j]);
            row[j + 1] = least + (value - b[j]).powi(2);
        }
        before = row;
    }
    before[b.len()].sqrt()
}

fn distances(curves: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut distances = vec![vec![0.0; curves.len()]; curves.len()];
    for (i, a) in curves.iter().enumerate() {
        for (j, b) in curves.iter().enumerate().take(i) {
            // The band has to reach from the end of one to the end of the other.
            let band = (POINTS / BAND).max(a.len().abs_diff(b.len()) + 1);
            let distance = warped(a, b, band);
            (distances[i][j], distances[j][i]) = (distance, distance);
        }
    }
    distances
}

/// Labels of points, and the mean silhouette: of the joins from single points up, those with the largest one count.
fn clusters(distances: &[Vec<f64>]) -> (Vec<usize>, Option<f64>) {
    let count = distances.len();
    let mut members: Vec<Vec<usize>> = (0..count).map(|i| vec![i]).collect();
    let mut best: (Vec<usize>, Option<f64>) = (vec![0; count], None);
    while members.len() > 1 {
        if members.len() <= MAX_COUNT && members.len() < count {
            let labels = labels(&members, count);
            let silhouette = silhouette(distances, &labels, members.len());
            if silhouette >= best.1.unwrap_or(MIN_SILHOUETTE) {
                best = (labels, Some(silhouette));
            }
        }
        let mean = |a: &[usize], b: &[usize]| {
            let pairs = a
                .iter()
                .flat_map(|&i| b.iter().map(move |&j| distances[i][j]));
            pairs.sum::<f64>() / (a.len() * b.len()) as f64
        };
        let mut nearest = (f64::INFINITY, 0, 1);
        for i in 0..members.len() {
            for j in i + 1..members.len() {
                let distance = mean(&members[i], &members[j]);
                if distance < nearest.0 {
                    nearest = (distance, i, j);
                }
            }
        }
        let joined = members.remove(nearest.2);
        members[nearest.1].extend(joined);
    }
    best
}

fn labels(members: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut labels = vec![0; count];
    for (label, members) in members.iter().enumerate() {
        for &member in members {
            labels[member] = label;
        }
    }
    labels
}

/// The mean over all points of how much nearer the own cluster is than the next one (Rousseeuw 1987).
fn silhouette(distances: &[Vec<f64>], labels: &[usize], count: usize) -> f64 {
    let mean_to = |point: usize, cluster: usize| {
        let others = (0..labels.len()).filter(|&other| other != point && labels[other] == cluster);
        let (sum, size) = others.fold((0.0, 0.0), |(sum, size), other| {
            (sum + distances[point][other], size + 1.0)
        });
        (size > 0.0).then(|| sum / size)
    };
    let of_point = |point: usize| {
        let others = (0..count).filter(|&cluster| cluster != labels[point]);
        let near = others
            .filter_map(|cluster| mean_to(point, cluster))
            .min_by(f64::total_cmp);
        match (mean_to(point, labels[point]), near) {
            (Some(own), Some(near)) if own.max(near) > 0.0 => (near - own) / own.max(near),
            _ => 0.0,
        }
    };
    (0..labels.len()).map(of_point).sum::<f64>() / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretched_lines_are_alike() {
        // Steps, waves and ramps, each at several paces and heights.
        let line = |sort: usize, pace: f32| -> Vec<f32> {
            let value = |i: usize| {
                let t = (i as f32 / 200.0).powf(pace);
                match sort {
                    0 => f32::from(u8::from(t > 0.5)),
                    1 => (12.0 * t).sin(),
                    _ => -t,
                }
            };
            (0..200).map(|i| 7.0 + pace * value(i)).collect()
        };
        let sorts = [0, 1, 2, 0, 1, 2, 0, 1, 2];
        let curves: Vec<Vec<f64>> = sorts
            .iter()
            .enumerate()
            .map(|(i, &sort)| reduced(&line(sort, 1.0 + 0.04 * i as f32)).unwrap())
            .collect();
        let curves: Vec<&[f64]> = curves.iter().map(Vec::as_slice).collect();
        let (labels, silhouette) = clusters(&distances(&curves));
        assert!(silhouette.unwrap() > 0.5, "{silhouette:?}");
        for (i, a) in sorts.iter().enumerate() {
            for (j, b) in sorts.iter().enumerate() {
                assert_eq!(labels[i] == labels[j], a == b, "{labels:?}");
            }
        }
    }

    /// The least sum over all paths, one by one.
    fn over_all_paths(a: &[f64], b: &[f64], i: usize, j: usize, band: usize) -> f64 {
        if i.abs_diff(j) > band {
            return f64::INFINITY;
        }
        let here = (a[i] - b[j]).powi(2);
        let from = |i: usize, j: usize| over_all_paths(a, b, i, j, band);
        let before = match (i, j) {
            (0, 0) => 0.0,
            (0, _) => from(0, j - 1),
            (_, 0) => from(i - 1, 0),
            _ => from(i - 1, j).min(from(i, j - 1)).min(from(i - 1, j - 1)),
        };
        here + before
    }

    #[test]
    fn warping_finds_the_best_path() {
        let noise = |t: usize| ((t as f64 * 12.9898).sin() * 43_758.547).fract();
        for seed in 0..20 {
            let a: Vec<f64> = (0..7).map(|t| noise(t + 31 * seed)).collect();
            let b: Vec<f64> = (0..6).map(|t| noise(t + 17 * seed + 5)).collect();
            for band in [1, 2, 7] {
                let wanted = over_all_paths(&a, &b, 6, 5, band).sqrt();
                assert!((warped(&a, &b, band) - wanted).abs() < 1e-12, "{a:?} {b:?}");
            }
        }
        assert_eq!(warped(&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0], 3), 26f64.sqrt());
    }

    #[test]
    fn lines_without_a_shape_are_none() {
        assert_eq!(reduced(&[3.0; 40]), None);
        assert_eq!(reduced(&[1.0, 2.0, f32::NAN, 4.0, 5.0]), None);
        let cut = reduced(&[1.0, 2.0, 4.0, 3.0, f32::INFINITY, 4.0]).unwrap();
        assert_eq!(cut.len(), 4);
        let long: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        assert_eq!(reduced(&long).unwrap().len(), POINTS);
    }
}
