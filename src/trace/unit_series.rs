//! Series of values over steps, one for each unit.

/// One number of each of some units at each of some steps: a [`Statistic`](super::Statistic) of a tensor's units, or the
/// lines of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitSeries {
    /// The steps, ascending.
    pub steps: Vec<u64>,
    /// How many units there are.
    pub units: usize,
    /// `[units, steps]`, row-major; may hold values that are not finite.
    pub values: Vec<f32>,
}

impl UnitSeries {
    /// The series of each unit, in order; none where there are no steps.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &[f32]> + ExactSizeIterator {
        self.values.chunks_exact(self.steps.len().max(1))
    }

    /// The value of each unit at the last step; none where there are no steps.
    pub fn last(&self) -> impl Iterator<Item = f32> {
        self.rows().map(|row| row[row.len() - 1])
    }

    /// The distance between neighboring steps where it is the same everywhere; 1 for fewer than two steps.
    pub fn stride(&self) -> Option<u64> {
        let mut distances = self.steps.windows(2).map(|pair| pair[1] - pair[0]);
        let first = distances.next().unwrap_or(1);
        distances.all(|distance| distance == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(steps: &[u64]) -> UnitSeries {
        UnitSeries {
            steps: steps.to_vec(),
            units: 2,
            values: (0..2 * steps.len()).map(|value| value as f32).collect(),
        }
    }

    #[test]
    fn rows_are_units() {
        let three = series(&[0, 10, 20]);
        assert!(three.rows().eq([&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0]]));
        assert!(three.last().eq([2.0, 5.0]));
        assert_eq!(series(&[]).rows().len(), 0);
        assert_eq!(series(&[]).last().next(), None);
    }

    #[test]
    fn stride_is_known_where_steps_are_even() {
        assert_eq!(series(&[0, 10, 20]).stride(), Some(10));
        assert_eq!(series(&[0, 10, 21]).stride(), None);
        assert_eq!(series(&[7]).stride(), Some(1));
        assert_eq!(series(&[]).stride(), Some(1));
    }
}
