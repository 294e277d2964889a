//! What is kept in memory of a run that trains: every scalar, and as many recorded steps as fit.

use crate::Result;
use crate::trace::{RunView, Statistic, TraceEntry, TraceLayout, UnitSeries, UnitStatistics};

/// Bytes of statistics at most; beyond that every second record is dropped.
const MAX_BYTES: usize = 256 << 20;

/// Scalars and statistics of a run so far.
#[derive(Debug)]
pub(super) struct History {
    layout: TraceLayout,
    names: Vec<String>,
    /// For each name its values, as (step, value).
    scalars: Vec<Vec<(u64, f64)>>,
    records: Vec<(u64, Vec<UnitStatistics>)>,
}

impl History {
    pub fn new(layout: TraceLayout, names: Vec<String>) -> Self {
        Self {
            layout,
            scalars: vec![Vec::new(); names.len()],
            names,
            records: Vec::new(),
        }
    }

    /// The tensors that are recorded.
    pub fn entries(&self) -> &[TraceEntry] {
        self.layout.entries()
    }

    /// The names of the scalars.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of the scalar with this index among the names, as (step, value).
    pub fn scalar(&self, index: usize) -> &[(u64, f64)] {
        &self.scalars[index]
    }

    /// Adds what a step has left behind: its scalars, and the statistics of every row of the layout if it was recorded.
    pub fn push(&mut self, step: u64, scalars: &[f32], statistics: Option<&[UnitStatistics]>) {
        for (values, value) in self.scalars.iter_mut().zip(scalars) {
            values.push((step, f64::from(*value)));
        }
        if let Some(statistics) = statistics {
            self.keep(step, statistics.to_vec(), MAX_BYTES);
        }
    }

    /// Adds what a run directory holds, which comes before everything that is pushed.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn recall(&mut self, run: &RunView) -> Result<()> {
        for (name, values) in self.names.iter().zip(&mut self.scalars) {
            values.extend(run.scalars().get(name).into_iter().flatten());
        }
        run.each_record(|step, statistics| self.keep(step, statistics.to_vec(), MAX_BYTES))
    }

    fn keep(&mut self, step: u64, statistics: Vec<UnitStatistics>, max_bytes: usize) {
        let bytes = size_of_val(statistics.as_slice());
        self.records.push((step, statistics));
        if self.records.len() * bytes > max_bytes {
            let mut index = 0;
            self.records.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    /// The recorded steps and the statistics of every row of the layout.
    pub fn records(&self) -> &[(u64, Vec<UnitStatistics>)] {
        &self.records
    }

    /// One statistic of every unit of a tensor over the recorded steps.
    pub fn series(&self, entry: &TraceEntry, statistic: Statistic) -> UnitSeries {
        let mut values = Vec::with_capacity(entry.units * self.records.len());
        for row in entry.rows() {
            values.extend(
                self.records
                    .iter()
                    .map(|(_, units)| units[row].get(statistic)),
            );
        }
        UnitSeries {
            steps: self.records.iter().map(|(step, _)| *step).collect(),
            units: entry.units,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorKind;

    fn history() -> History {
        let mut layout = TraceLayout::new();
        layout.push("a", TensorKind::Activation, 2);
        layout.push("b", TensorKind::Gradient, 1);
        History::new(layout, vec!["loss".to_owned(), "elbo".to_owned()])
    }

    fn statistics(mean: f32) -> UnitStatistics {
        UnitStatistics {
            mean,
            ..UnitStatistics::default()
        }
    }

    #[test]
    fn series_are_rows_of_units_over_recorded_steps() {
        let mut history = history();
        for step in 0..4u32 {
            let first = step as f32;
            let means = [first, 10.0 + first, 20.0 + first];
            let units = means.map(statistics);
            let recorded = step.is_multiple_of(2).then_some(&units[..]);
            history.push(u64::from(step), &[first, -first], recorded);
        }
        assert_eq!(history.scalar(1)[3], (3, -3.0));
        let series = history.series(&history.entries()[0], Statistic::Mean);
        assert_eq!(series.steps, [0, 2]);
        assert_eq!(series.values, [0.0, 2.0, 10.0, 12.0]);
        let series = history.series(&history.entries()[1], Statistic::Mean);
        assert_eq!((series.units, &series.values[..]), (1, &[20.0, 22.0][..]));
    }

    #[test]
    fn every_second_record_is_dropped_where_memory_is_short() {
        let mut history = history();
        let bytes = 3 * size_of::<UnitStatistics>();
        for step in 0..100 {
            history.keep(step, vec![UnitStatistics::default(); 3], 10 * bytes);
            assert!(history.records.len() <= 10);
        }
        assert_eq!(history.records[0].0, 0);
        assert!(history.records.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
