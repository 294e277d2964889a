//! Long lines with fewer steps, which look the same in a chart.

use super::{Numbers, SeriesTable};

/// Values that stay of each stretch of steps: its lowest and its highest.
const PER_STRETCH: usize = 2;

impl SeriesTable {
    /// Lines of at most `most` values, two for each stretch of steps: its lowest and its highest one in the order in which
    /// they come, or one that is not finite where there is any. Also how many steps a value stands for: 1 where nothing
    /// has to be left out.
    pub fn thinned(&self, most: usize) -> (SeriesTable, u64) {
        let steps = self.steps.len();
        if steps <= most {
            return (self.clone(), 1);
        }
        let stretches = (most / PER_STRETCH).max(1);
        let length = steps.div_ceil(stretches).next_multiple_of(PER_STRETCH);
        let stretch = |line: usize, first: usize| {
            let values =
                (first..steps.min(first + length)).map(|step| self.values.get(line * steps + step));
            extremes(values)
        };
        let values: Vec<f64> = (0..self.lines)
            .flat_map(|line| (0..steps).step_by(length).map(move |first| (line, first)))
            .flat_map(|(line, first)| stretch(line, first))
            .collect();
        let values = match &self.values {
            Numbers::F32(_) => Numbers::F32(values.iter().map(|&value| value as f32).collect()),
            Numbers::F64(_) => Numbers::F64(values),
        };
        let table = Self {
            origin: self.origin,
            ..Self::new(self.lines, values)
        };
        (table, (length / PER_STRETCH) as u64)
    }
}

/// The lowest and the highest value in the order in which they come; the second is one that is not finite where there is
/// any.
fn extremes(values: impl Iterator<Item = f64> + Clone) -> [f64; PER_STRETCH] {
    let finite = values.clone().filter(|value| value.is_finite());
    let broken = values.clone().find(|value| !value.is_finite());
    let numbered = || finite.clone().enumerate();
    let low = numbered().min_by(|a, b| a.1.total_cmp(&b.1));
    let high = numbered().max_by(|a, b| a.1.total_cmp(&b.1));
    match (low, high, broken) {
        (Some(low), Some(high), None) if low.0 <= high.0 => [low.1, high.1],
        (Some(low), Some(high), None) => [high.1, low.1],
        (_, Some(high), Some(broken)) => [high.1, broken],
        (_, _, broken) => [broken.unwrap_or(f64::NAN); PER_STRETCH],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_gaps_stay() {
        let mut values: Vec<f32> = (0..2000).map(|step| (step % 7) as f32).collect();
        values[321] = 50.0;
        values[1500] = f32::NAN;
        let table = SeriesTable::new(2, Numbers::F32(values));
        let (thin, stride) = table.thinned(100);
        assert_eq!((thin.lines, thin.steps.len(), stride), (2, 100, 10));
        let found: Vec<f64> = thin.values.iter().collect();
        assert_eq!(found.iter().filter(|value| **value == 50.0).count(), 1);
        assert_eq!(found[32..34], [50.0, 0.0]);
        assert!(found[151].is_nan());
        assert_eq!(table.thinned(1000).1, 1);
        let (thin, stride) = table.thinned(300);
        assert!(thin.steps.len() <= 300 && stride == 4);
    }
}
