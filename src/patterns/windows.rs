//! The windows of a series: their means and norms in float64, and which of them are constant or not finite.

/// Values beyond this (2^100) count as not finite: their squares are not float32 numbers any more.
pub const LARGEST: f32 = 1.267_650_6e30;
/// A window whose deviations have a norm below this (2^-120) is constant: adapters take smaller numbers for zero.
const SMALLEST: f64 = 7.523_163_845_262_64e-37;

/// What can be compared of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowClass {
    /// It has a shape.
    Varied,
    /// All of its values are equal.
    Constant,
    /// A value is NaN, infinite or beyond [`LARGEST`].
    Nonfinite,
}

/// All windows of one length of a series, each with what brings it to mean 0 and norm 1.
#[derive(Debug, Clone)]
pub struct Windows {
    /// The number of values in a window.
    pub length: usize,
    /// The series, with the last finite value in place of each that is not.
    pub values: Vec<f32>,
    /// The mean of each window.
    pub means: Vec<f64>,
    /// The root of the sum of squared deviations from the mean; 0 where the window is constant.
    pub norms: Vec<f64>,
    /// What can be compared.
    pub classes: Vec<WindowClass>,
}

impl Windows {
    /// Of a series of at least `length` values.
    pub fn new(series: &[f32], length: usize) -> Self {
        let mut last = 0.0;
        let (mut broken, mut equal) = (length, 0);
        let mut values: Vec<f32> = Vec::with_capacity(series.len());
        let mut classes = Vec::new();
        for (t, &value) in series.iter().enumerate() {
            let is_finite = value.abs() <= LARGEST;
            let value = if is_finite { value } else { last };
            // How many records ago the last one that is not finite was, and how many are equal to this one in a row.
            broken = if is_finite { broken + 1 } else { 0 };
            equal = if t > 0 && value == last { equal + 1 } else { 1 };
            last = value;
            values.push(value);
            if t + 1 >= length {
                classes.push(if broken < length {
                    WindowClass::Nonfinite
                } else if equal >= length {
                    WindowClass::Constant
                } else {
                    WindowClass::Varied
                });
            }
        }
        let count = classes.len();
        let mut windows = Self {
            length,
            values,
            means: vec![0.0; count],
            norms: vec![0.0; count],
            classes,
        };
        windows.measure();
        windows
    }

    /// The number of windows.
    pub fn count(&self) -> usize {
        self.classes.len()
    }

    /// Means and norms in time that does not depend on the length. Sums reach from a window's start to the next multiple of
    /// the length and from there to its end (van Herk), so nothing outside of a window has a part in them, and they are
    /// taken around a value of the window: that loses at most a factor of the length in precision.
    fn measure(&mut self) {
        let (length, count) = (self.length, self.count());
        for start in (0..count).step_by(length) {
            self.measure_one(start);
            let next = start + length;
            let last = (next - 1).min(count.saturating_sub(1));
            if last == start || next >= self.values.len() {
                continue;
            }
            let anchor = f64::from(self.values[next]);
            let deviation = |t: usize| f64::from(self.values[t]) - anchor;
            // Sums from each place to the end of the block.
            let mut before = vec![[0.0; 2]; length];
            let mut sums = [0.0; 2];
            for t in (start + 1..next).rev() {
                sums = add(sums, deviation(t));
                before[t - start] = sums;
            }
            let mut after = [0.0; 2];
            let mut found = Vec::with_capacity(length);
            for t in start + 1..=last {
                after = add(after, deviation(t + length - 1));
                let [sum, squares] = [0, 1].map(|k| before[t - start][k] + after[k]);
                let spread = squares - sum * sum / length as f64;
                found.push((anchor + sum / length as f64, spread.max(0.0).sqrt()));
            }
            for (t, (mean, norm)) in (start + 1..).zip(found) {
                self.set(t, mean, norm);
            }
        }
    }

    fn measure_one(&mut self, start: usize) {
        let values = &self.values[start..start + self.length];
        let anchor = f64::from(values[0]);
        let sums = values
            .iter()
            .fold([0.0; 2], |sums, &v| add(sums, f64::from(v) - anchor));
        let mean = sums[0] / self.length as f64;
        let spread = (sums[1] - sums[0] * mean).max(0.0);
        self.set(start, anchor + mean, spread.sqrt());
    }

    fn set(&mut self, start: usize, mean: f64, norm: f64) {
        self.means[start] = mean;
        if norm < SMALLEST && self.classes[start] == WindowClass::Varied {
            self.classes[start] = WindowClass::Constant;
        }
        let is_constant = norm < SMALLEST || self.classes[start] == WindowClass::Constant;
        self.norms[start] = if is_constant { 0.0 } else { norm };
    }

    /// A window with mean 0 and norm 1; zeros where it is constant.
    pub fn normalized(&self, start: usize) -> impl Iterator<Item = f64> + '_ {
        let (mean, norm) = (self.means[start], self.norms[start]);
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        let values = self.values[start..start + self.length].iter();
        values.map(move |&value| (f64::from(value) - mean) * scale)
    }

    /// The distance of two windows of the same length after each is brought to mean 0 and deviation 1.
    pub fn distance(&self, start: usize, other: &Self, other_start: usize) -> f64 {
        let length = self.length as f64;
        match (self.classes[start], other.classes[other_start]) {
            (WindowClass::Nonfinite, _) | (_, WindowClass::Nonfinite) => f64::INFINITY,
            (WindowClass::Constant, WindowClass::Constant) => 0.0,
            (WindowClass::Constant, _) | (_, WindowClass::Constant) => length.sqrt(),
            _ => {
                let pairs = self.normalized(start).zip(other.normalized(other_start));
                let squares = pairs.map(|(a, b)| (a - b) * (a - b));
                (length * squares.sum::<f64>()).sqrt()
            }
        }
    }
}

fn add(sums: [f64; 2], deviation: f64) -> [f64; 2] {
    [sums[0] + deviation, sums[1] + deviation * deviation]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means and norms of each window alone, in two passes.
    fn check(series: &[f32], length: usize) {
        let windows = Windows::new(series, length);
        assert_eq!(windows.count(), series.len() - length + 1);
        for (start, values) in windows.values.windows(length).enumerate() {
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / length as f64;
            let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
            let norm = squares.sum::<f64>().sqrt();
            if windows.norms[start] > 0.0 {
                assert!((windows.norms[start] / norm - 1.0).abs() < 1e-7, "{start}");
                assert!((windows.means[start] - mean).abs() < 1e-9 * norm.max(mean.abs()));
            } else {
                let size = f64::from(values[0].abs()).max(1e-20);
                assert!(norm < 1e-9 * size, "{start}: {norm}");
            }
        }
    }

    #[test]
    fn means_and_norms_are_of_the_window_alone() {
        let noise = |t: usize| ((t as f32 * 12.9898).sin() * 43_758.547).fract();
        let mut series: Vec<f32> = (0..103).map(noise).collect();
        for length in [3, 8, 10, 50, 103] {
            check(&series, length);
        }
        // A spike of thirty orders of magnitude leaves nothing in the windows after it.
        series[40] = 1e30;
        check(&series, 10);
        let based: Vec<f32> = (0..200).map(|t| 1e6 + noise(t)).collect();
        check(&based, 12);
    }

    #[test]
    fn constant_and_nonfinite_windows_are_known() {
        use WindowClass::{Constant, Nonfinite, Varied};
        let windows = Windows::new(&[1.0, 1.0, 1.0, 2.0, 1.0, f32::NAN, 3.0, 4.0, 4.0, 4.0], 3);
        let wanted = [
            Constant, Varied, Varied, Nonfinite, Nonfinite, Nonfinite, Varied, Constant,
        ];
        assert_eq!(windows.classes, wanted);
        assert_eq!(Windows::new(&[2e30, 1.0], 2).classes, [Nonfinite]);
        assert_eq!(Windows::new(&[f32::INFINITY; 4], 2).classes, [Nonfinite; 3]);
        assert_eq!(Windows::new(&[0.0, 1e-44, 0.0], 3).classes, [Constant]);
        assert_eq!(Windows::new(&[0.0, -0.0, 0.0], 3).classes, [Constant]);
    }
}
