//! Recorded steps as evenly spaced columns, which charts need.

/// Columns of a chart at most; longer runs put several steps into one.
const MAX_COLUMNS: u64 = 2048;

/// Evenly spaced columns of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvenSteps {
    /// The training step at which the first column begins.
    pub first: u64,
    /// Training steps from one column to the next.
    pub stride: u64,
    /// The number of columns.
    pub columns: usize,
}

impl EvenSteps {
    /// Columns for ascending steps: as wide as the smallest distance between two, or wider where that makes too
    /// many. `None` without steps.
    pub fn over(steps: &[u64]) -> Option<Self> {
        let (&first, &last) = (steps.first()?, steps.last()?);
        let span = last.saturating_sub(first);
        let nearest = steps
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .min()
            .unwrap_or(1);
        let stride = nearest.max(span.div_ceil(MAX_COLUMNS - 1)).max(1);
        Some(Self {
            first,
            stride,
            columns: (span / stride + 1) as usize,
        })
    }

    /// One value for each column of the values of one line: the value farthest from the mean of its column, so that spikes
    /// survive; a non-finite one where there is any; the value of the column before where nothing was recorded.
    pub fn resample(&self, steps: &[u64], values: &[f32]) -> Vec<f32> {
        let mut columns = Vec::with_capacity(self.columns);
        let mut at = 0;
        for column in 0..self.columns as u64 {
            let end = self
                .first
                .saturating_add((column + 1).saturating_mul(self.stride));
            let begin = at;
            while at < steps.len().min(values.len()) && steps[at] < end {
                at += 1;
            }
            let here = &values[begin..at];
            let before = columns.last().copied().unwrap_or(f32::NAN);
            columns.push(farthest(here).unwrap_or(before));
        }
        columns
    }
}

/// The value farthest from the mean, or the first that is not finite; `None` without values.
pub(crate) fn farthest(values: &[f32]) -> Option<f32> {
    if let Some(broken) = values.iter().find(|value| !value.is_finite()) {
        return Some(*broken);
    }
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
    let distance = |value: f32| (f64::from(value) - mean).abs();
    values
        .iter()
        .copied()
        .max_by(|a, b| distance(*a).total_cmp(&distance(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spaced_steps_are_unchanged() {
        let steps: Vec<u64> = (0..50).map(|i| 7 + 10 * i).collect();
        let values: Vec<f32> = (0..50).map(|i| i as f32).collect();
        let even = EvenSteps::over(&steps).unwrap();
        assert_eq!((even.first, even.stride, even.columns), (7, 10, 50));
        assert_eq!(even.resample(&steps, &values), values);
        assert_eq!(EvenSteps::over(&[]), None);
    }

    #[test]
    fn gaps_hold_the_last_value_and_long_runs_keep_spikes() {
        let even = EvenSteps::over(&[0, 10, 40]).unwrap();
        assert_eq!(
            even.resample(&[0, 10, 40], &[1.0, 2.0, 3.0]),
            [1.0, 2.0, 2.0, 2.0, 3.0]
        );
        let steps: Vec<u64> = (0..100_000).collect();
        let mut values = vec![1.0f32; steps.len()];
        values[54_321] = 9.0;
        values[70_000] = f32::NAN;
        let even = EvenSteps::over(&steps).unwrap();
        let columns = even.resample(&steps, &values);
        assert!(columns.len() <= MAX_COLUMNS as usize);
        assert_eq!(columns.iter().filter(|v| **v == 9.0).count(), 1);
        assert_eq!(columns.iter().filter(|v| v.is_nan()).count(), 1);
        let huge = EvenSteps::over(&[0, u64::MAX]).unwrap();
        assert!(huge.columns <= MAX_COLUMNS as usize);
        assert_eq!(
            huge.resample(&[0, u64::MAX], &[1.0, 2.0]).len(),
            huge.columns
        );
    }
}
