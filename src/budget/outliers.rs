//! Lines that lie apart from all others of their tensor: what a sample must not lose.

use super::recording::Record;
use crate::tensor::TensorKind;

/// A line is apart where every other line of its tensor is at least this far away somewhere, in units of the range of the
/// tensor's values.
const RADIUS: f64 = 0.1;
/// Lines of a tensor that are compared at most; of more, every n-th is.
const MAX_LINES: usize = 1024;
/// Records at which lines are compared at most.
const MAX_RECORDS: usize = 512;

/// The lines that are apart in the whole record.
#[derive(Debug, Clone)]
pub(super) struct Outliers {
    /// Lines that were compared.
    pub lines: usize,
    tensors: Vec<TensorOutliers>,
}

#[derive(Debug, Clone)]
struct TensorOutliers {
    tensor: String,
    kind: TensorKind,
    /// Every how many of the units are compared.
    stride: usize,
    range: [f64; 2],
    /// Numbers of the units.
    units: Vec<usize>,
}

impl Outliers {
    pub fn of(record: &Record) -> Self {
        let mut lines = 0;
        let mut tensors = Vec::new();
        for entry in record.tensors() {
            let stride = entry.units.div_ceil(MAX_LINES);
            let compared = compared(record.lines(entry), stride);
            lines += compared.len();
            let finite = || {
                compared
                    .iter()
                    .flat_map(|(_, line)| line)
                    .filter(|v| v.is_finite())
            };
            let low = finite().copied().fold(f64::INFINITY, f64::min);
            let high = finite().copied().fold(f64::NEG_INFINITY, f64::max);
            let range = [low, high - low];
            let is_apart = |index: &usize| is_apart(&compared, *index, range);
            let apart = (0..compared.len()).filter(is_apart);
            tensors.push(TensorOutliers {
                tensor: entry.tensor.clone(),
                kind: entry.kind,
                stride,
                range,
                units: apart.map(|index| compared[index].0).collect(),
            });
        }
        Self { lines, tensors }
    }

    pub fn count(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.units.len()).sum()
    }

    /// The share of them that is still recorded and apart.
    pub fn recall(&self, smaller: &Record) -> Option<f64> {
        let all = self.count();
        if all == 0 {
            return None;
        }
        let found = self.tensors.iter().map(|own| {
            let Some(entry) = smaller.layout.find(&own.tensor, own.kind) else {
                return 0;
            };
            let compared = compared(smaller.lines(entry), own.stride);
            let is_found = |unit: &&usize| {
                let index = compared.iter().position(|(number, _)| number == *unit);
                index.is_some_and(|index| is_apart(&compared, index, own.range))
            };
            own.units.iter().filter(is_found).count()
        });
        Some(found.sum::<usize>() as f64 / all as f64)
    }
}

/// Every n-th unit, at most [`MAX_RECORDS`] records of each.
fn compared(lines: Vec<(usize, Vec<f64>)>, stride: usize) -> Vec<(usize, Vec<f64>)> {
    let kept = lines
        .into_iter()
        .filter(|(unit, _)| unit.is_multiple_of(stride));
    kept.map(|(unit, line)| {
        let every = line.len().div_ceil(MAX_RECORDS).max(1);
        (unit, line.into_iter().step_by(every).collect())
    })
    .collect()
}

/// Whether all other lines are far from a line somewhere. A value that is not finite is far from all that are.
fn is_apart(lines: &[(usize, Vec<f64>)], index: usize, [_, range]: [f64; 2]) -> bool {
    let line = &lines[index].1;
    let is_far = |(a, b): (&f64, &f64)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs() >= RADIUS * range && range > 0.0,
        (false, false) => false,
        _ => true,
    };
    let mut others = lines
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    lines.len() > 1 && others.all(|(_, (_, other))| line.iter().zip(other).any(is_far))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_apart_where_no_other_goes_along() {
        let lines = vec![
            (0, vec![0.0, 0.0, 0.0]),
            (1, vec![0.0, 1.0, 0.0]),
            (2, vec![0.05, 0.05, 0.0]),
            (3, vec![0.0, f64::NAN, 0.0]),
        ];
        let apart: Vec<bool> = (0..4)
            .map(|index| is_apart(&lines, index, [0.0, 1.0]))
            .collect();
        assert_eq!(apart, [false, true, false, true]);
        assert!(!is_apart(&lines[..1], 0, [0.0, 1.0]), "alone is not apart");
        assert!(!is_apart(&lines[..3], 1, [0.0, 0.0]), "a range of nothing");
    }
}
