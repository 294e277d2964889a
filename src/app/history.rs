//! What the window remembers of a run: every scalar, and as many recorded steps as memory allows.

use crate::Result;
use crate::trace::{RunReader, Statistic, TraceEntry, TraceLayout, UnitStatistics};
use crate::train::StepRecord;

/// Statistics kept at most; past that every second record is let go.
const MOST_BYTES: usize = 256 << 20;

/// Scalars and statistics of a run so far.
pub(super) struct History {
    pub layout: TraceLayout,
    pub names: Vec<String>,
    /// For each name its values.
    pub scalars: Vec<Scalar>,
    records: Vec<(u64, Vec<UnitStatistics>)>,
}

/// A scalar over evenly spaced steps: every one, or the recorded ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Scalar {
    pub first_step: u64,
    pub stride: u64,
    pub values: Vec<f32>,
}

impl Scalar {
    fn push(&mut self, step: u64, value: f32) {
        match self.values.len() {
            0 => self.first_step = step,
            1 => self.stride = step - self.first_step,
            _ => {}
        }
        self.values.push(value);
    }
}

/// The series of one tensor, `[units, steps]`.
pub(super) struct Matrix {
    pub first_step: u64,
    pub stride: u64,
    pub units: usize,
    pub steps: usize,
    pub values: Vec<f32>,
}

impl History {
    pub fn new(layout: TraceLayout, names: Vec<String>) -> Self {
        Self {
            layout,
            scalars: vec![Scalar::default(); names.len()],
            names,
            records: Vec::new(),
        }
    }

    /// All that a run directory holds.
    pub fn load(&mut self, reader: &RunReader) -> Result<()> {
        let scalars = reader.scalars()?;
        for (name, values) in self.names.iter().zip(&mut self.scalars) {
            let series = scalars.get(name).map(Vec::as_slice).unwrap_or_default();
            for &(step, value) in series {
                values.push(step, value as f32);
            }
        }
        for (step, statistics) in reader.statistics(0, u64::MAX)? {
            self.keep(step, statistics);
        }
        Ok(())
    }

    pub fn push(&mut self, record: &StepRecord) {
        for (values, value) in self.scalars.iter_mut().zip(&record.scalars) {
            values.push(record.step, *value);
        }
        if let Some(statistics) = &record.statistics {
            self.keep(record.step, statistics.clone());
        }
    }

    fn keep(&mut self, step: u64, statistics: Vec<UnitStatistics>) {
        let bytes = size_of_val(statistics.as_slice());
        self.records.push((step, statistics));
        if self.records.len() * bytes > MOST_BYTES {
            let mut place = 0;
            self.records.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
    }

    /// Recorded steps.
    pub fn recorded(&self) -> usize {
        self.records.len()
    }

    /// One statistic of every unit of a tensor.
    pub fn series(&self, entry: &TraceEntry, statistic: Statistic) -> Option<Matrix> {
        let first_step = self.records.first()?.0;
        // Steps between records; halving keeps them even but for the last.
        let stride = self
            .records
            .get(1)
            .map_or(1, |(step, _)| step - first_step)
            .max(1);
        let even: Vec<&Vec<UnitStatistics>> = self
            .records
            .iter()
            .filter(|(step, _)| (step - first_step).is_multiple_of(stride))
            .map(|(_, statistics)| statistics)
            .collect();
        let steps = even.len();
        let mut values = Vec::with_capacity(entry.units * steps);
        for row in entry.rows() {
            values.extend(even.iter().map(|units| units[row].get(statistic)));
        }
        Some(Matrix {
            first_step,
            stride,
            units: entry.units,
            steps,
            values,
        })
    }
}
