//! Rows of heights in float64, for lines that float32 does not tell apart. A gap is NaN here, an infinity is infinite.
//! Heights are above that of a value of 0 and not above the lowest one, which may be huge and round the others away.

use super::envelope::HEIGHTS;

/// Rows of all lines.
#[derive(Debug, Default)]
pub(super) struct ExactRows {
    heights: Vec<f64>,
    row_len: usize,
    /// Whether all values of a line are finite.
    is_finite: Vec<bool>,
}

impl ExactRows {
    /// Appends a line.
    pub fn push(&mut self, row: impl Iterator<Item = f64>, is_finite: bool) {
        self.heights.extend(row);
        self.is_finite.push(is_finite);
        self.row_len = self.heights.len() / self.is_finite.len();
    }

    /// The distance of two lines (see [`super::Envelopes`]), or some number of at least `limit` where it is not below.
    pub fn distance_below(&self, a: u32, b: u32, limit: f64) -> f64 {
        let (a, b) = (a as usize, b as usize);
        if self.is_finite[a] != self.is_finite[b] {
            return f64::INFINITY;
        }
        let row = |line: usize| &self.heights[line * self.row_len..][..self.row_len];
        let mut largest = None;
        for (&a, &b) in row(a).iter().zip(row(b)) {
            let difference = match (a.is_nan(), b.is_nan()) {
                (false, false) if a == b => 0.0,
                (false, false) => (a - b).abs(),
                _ if a.is_infinite() || b.is_infinite() => f64::INFINITY,
                _ => continue,
            };
            if difference >= limit {
                return difference;
            }
            largest = Some(difference.max(largest.unwrap_or(0.0)));
        }
        largest.unwrap_or(f64::INFINITY)
    }
}

/// Lowest and highest of some heights, without those that are NaN; a gap where all are. The chart begins at `bottom`.
pub(super) fn extent(heights: impl Iterator<Item = f64>, bottom: f64) -> (f64, f64) {
    let [lowest, highest] = [*HEIGHTS.start(), *HEIGHTS.end()].map(|rim| bottom + f64::from(rim));
    let bound = |height: f64| match height.is_infinite() {
        true => height,
        false => height.clamp(lowest, highest),
    };
    let heights = heights.filter(|height| !height.is_nan()).map(bound);
    // The minimum of NaN and a number is the number.
    heights.fold((f64::NAN, f64::NAN), |(low, high), height| {
        (height.min(low), height.max(high))
    })
}
