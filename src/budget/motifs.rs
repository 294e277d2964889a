//! The most alike windows of a line: the motif pair of its matrix profile, exactly and in float64.

use super::recording::Record;
use crate::tensor::TensorKind;

/// Lines whose motifs are looked for: those that vary most.
const LINES: usize = 32;
/// Points of a line at most.
const MAX_POINTS: usize = 512;
/// A window is this share of a line.
const WINDOWS: usize = 12;
/// The shortest window.
const MIN_WINDOW: usize = 4;
/// Windows whose values vary less than this share of their magnitude are constant: they are like each other and like
/// nothing else.
const CONSTANT: f64 = 1e-9;

/// Motifs of the whole record.
#[derive(Debug, Clone)]
pub(super) struct Motifs {
    steps: Vec<u64>,
    window: usize,
    found: Vec<Motif>,
}

#[derive(Debug, Clone)]
struct Motif {
    tensor: String,
    kind: TensorKind,
    unit: usize,
    /// Where the two windows begin.
    pair: [usize; 2],
}

impl Motifs {
    pub fn of(record: &Record) -> Self {
        let every = record.steps.len().div_ceil(MAX_POINTS).max(1);
        let steps: Vec<u64> = record.steps.iter().copied().step_by(every).collect();
        let window = (steps.len() / WINDOWS).max(MIN_WINDOW);
        let mut lines = Vec::new();
        for entry in record.tensors() {
            let all = record.lines(entry);
            let finite = || {
                all.iter()
                    .flat_map(|(_, line)| line)
                    .filter(|v| v.is_finite())
            };
            let low = finite().copied().fold(f64::INFINITY, f64::min);
            let high = finite().copied().fold(f64::NEG_INFINITY, f64::max);
            for (unit, line) in &all {
                let line: Vec<f64> = line.iter().copied().step_by(every).collect();
                if line.iter().all(|value| value.is_finite()) && high > low {
                    let variation = deviation(&line) / (high - low);
                    lines.push((variation, entry.tensor.clone(), entry.kind, *unit, line));
                }
            }
        }
        lines.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = lines
            .into_iter()
            .filter(|(variation, ..)| *variation > 0.0)
            .take(LINES);
        let found = found.filter_map(|(_, tensor, kind, unit, line)| {
            let pair = motif(&line, window)?;
            Some(Motif {
                tensor,
                kind,
                unit,
                pair,
            })
        });
        Self {
            found: found.collect(),
            steps,
            window,
        }
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The share of the pairs that is found at the same steps, within half a window, in the smaller recording: what is
    /// between its records is drawn as a straight line.
    pub fn recall(&self, smaller: &Record) -> Option<f64> {
        if self.found.is_empty() {
            return None;
        }
        let is_found = |own: &&Motif| {
            let entry = smaller.layout.find(&own.tensor, own.kind)?;
            let line = smaller.line_of(entry, own.unit)?;
            let line = interpolated(&smaller.steps, &line, &self.steps);
            let pair = motif(&line, self.window)?;
            let near = |a: usize, b: usize| a.abs_diff(b) <= self.window / 2;
            Some(near(pair[0], own.pair[0]) && near(pair[1], own.pair[1]))
        };
        let found = self.found.iter().filter(|own| is_found(own) == Some(true));
        Some(found.count() as f64 / self.found.len() as f64)
    }
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count)
        .sqrt()
}

/// The values at `wanted` on the straight lines between those at `steps`; beyond the last step its value.
pub(super) fn interpolated(steps: &[u64], values: &[f64], wanted: &[u64]) -> Vec<f64> {
    let at = |&step: &u64| {
        let after = steps.partition_point(|&known| known < step);
        if after == 0 {
            return values[0];
        }
        let Some(&next) = steps.get(after) else {
            return values[values.len() - 1];
        };
        let before = steps[after - 1];
        let part = (step - before) as f64 / (next - before) as f64;
        values[after - 1] + part * (values[after] - values[after - 1])
    };
    wanted.iter().map(at).collect()
}

/// Where the two most alike windows begin that do not overlap by more than three quarters, by their distance after each is
/// brought to mean 0 and deviation 1. The first pair of equal distance counts.
fn motif(line: &[f64], window: usize) -> Option<[usize; 2]> {
    let windows: Vec<Option<Vec<f64>>> = line.windows(window).map(normalized).collect();
    let exclusion = window.div_ceil(4);
    let mut best: Option<(f64, [usize; 2])> = None;
    for (i, a) in windows.iter().enumerate() {
        let Some(a) = a else { continue };
        for (j, b) in windows.iter().enumerate().skip(i + exclusion + 1) {
            let Some(b) = b else { continue };
            let limit = best.map_or(f64::INFINITY, |(distance, _)| distance);
            let mut distance = 0.0;
            for (a, b) in a.iter().zip(b) {
                distance += (a - b).powi(2);
                if distance >= limit {
                    break;
                }
            }
            if distance < limit {
                best = Some((distance, [i, j]));
            }
        }
    }
    best.map(|(_, pair)| pair)
}

/// A window with mean 0 and deviation 1; `None` where it is constant or not finite, which no motif is.
fn normalized(window: &[f64]) -> Option<Vec<f64>> {
    let mean = window.iter().sum::<f64>() / window.len() as f64;
    let deviation = deviation(window);
    let largest = window
        .iter()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    let varies = deviation.is_finite() && deviation > CONSTANT * largest;
    varies.then(|| {
        window
            .iter()
            .map(|value| (value - mean) / deviation)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise with one shape in it twice, at another height and scale.
    fn planted(at: [usize; 2]) -> Vec<f64> {
        // No stretch of this noise comes twice, as one of a shorter period would.
        let noise = |i: usize| ((i as f64 * 12.9898).sin() * 43_758.545).fract();
        let mut line: Vec<f64> = (0..120).map(noise).collect();
        for (start, scale) in at.into_iter().zip([3.0, 5.0]) {
            for i in 0..10 {
                line[start + i] =
                    scale * (1.0 + (i as f64).powf(1.5) - 0.2 * (i as f64 * 2.0).sin());
            }
        }
        line
    }

    #[test]
    fn the_planted_shape_is_found() {
        assert_eq!(motif(&planted([20, 77]), 10), Some([20, 77]));
        assert_eq!(motif(&[1.0; 40], 8), None, "nothing varies");
        assert_eq!(motif(&[0.0, 1.0, 2.0], 8), None, "shorter than a window");
    }

    #[test]
    fn between_records_the_line_is_straight() {
        let got = interpolated(&[2, 4, 8], &[1.0, 3.0, -1.0], &[0, 2, 3, 4, 7, 8, 9]);
        assert_eq!(got, [1.0, 1.0, 2.0, 3.0, 0.0, -1.0, -1.0]);
    }
}
