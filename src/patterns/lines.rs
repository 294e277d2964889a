//! The recorded series of a run's units at evenly spaced steps: windows of as many records are then of as many steps.

use crate::series::{LineGroup, UnitLine};
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic, TraceEntry, UnitSeries, UnitStatistics};
use crate::{Error, Result};

/// Records that are compared at most: of longer runs every second, third ... is.
const MAX_RECORDS: u64 = 4096;
/// The share of evenly spaced steps that must be recorded, so that the others count as missing.
const COVERED: f64 = 0.9;

/// Which series of a run are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineOptions {
    /// The tensors; all of the kind where none is named.
    pub tensors: Vec<String>,
    /// Which of their values.
    pub kind: TensorKind,
    /// Which statistic of each unit.
    pub statistic: Statistic,
}

impl Default for LineOptions {
    /// The mean activations of all units.
    fn default() -> Self {
        Self {
            tensors: Vec::new(),
            kind: TensorKind::Activation,
            statistic: Statistic::Mean,
        }
    }
}

/// Series of units at the same evenly spaced steps.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLines {
    /// The steps; the last column may hold a record that is a little before its step.
    pub steps: Vec<u64>,
    /// The distance of neighboring steps.
    pub stride: u64,
    /// Which tensor a line belongs to.
    pub groups: Vec<LineGroup>,
    /// `[lines, steps]`; NaN where a unit is not finite or nothing is recorded.
    pub values: Vec<f32>,
    /// Records of the run, of which some may be between the steps.
    pub records: usize,
    columns: Columns,
}

/// Which record is in each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// The distance of columns in steps.
    pub stride: u64,
    first: u64,
    /// For each column the numbers of the records in it, the one at its step last.
    records: Vec<std::ops::Range<usize>>,
    /// Whether a record is at the very step of the column.
    is_exact: Vec<bool>,
}

impl Columns {
    /// The narrowest distance of columns at which nearly all are recorded. Denser stretches lie between columns, sparser
    /// ones make the distance wider: what is compared is even everywhere.
    pub fn over(steps: &[u64]) -> Self {
        let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else {
            return Self::default();
        };
        let mut distances: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        distances.sort_unstable();
        distances.dedup();
        let is_covered = |stride: &u64| {
            let on_grid = steps
                .iter()
                .filter(|step| (*step - first).is_multiple_of(*stride));
            on_grid.count() as f64 >= COVERED * ((last - first) / stride + 1) as f64
        };
        let widest = distances.last().copied().unwrap_or(1).max(1);
        let stride = distances.iter().copied().find(is_covered).unwrap_or(widest);
        let stride = stride * ((last - first) / stride + 1).div_ceil(MAX_RECORDS).max(1);
        let count = (last - first).div_ceil(stride) + 1;
        let mut records = Vec::with_capacity(count as usize);
        let mut at = 0;
        for column in 0..count {
            let begin = at;
            let step = first.saturating_add(column * stride);
            at += steps[at..].partition_point(|&known| known <= step);
            records.push(begin..at);
        }
        let is_at = |(column, own): (u64, &std::ops::Range<usize>)| {
            let is_last = column + 1 == count;
            !own.is_empty() && (is_last || steps[own.end - 1] == first + column * stride)
        };
        let is_exact = (0..).zip(&records).map(is_at).collect();
        Self {
            stride,
            first,
            records,
            is_exact,
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn steps(&self) -> Vec<u64> {
        let columns = 0..self.len() as u64;
        columns
            .map(|column| self.first + column * self.stride)
            .collect()
    }

    /// The record of each column for a unit: the one at its step, but one that is not finite where there is any; `None`
    /// where nothing is recorded.
    pub fn records_of<'a>(
        &'a self,
        is_finite: impl Fn(usize) -> bool + 'a,
    ) -> impl Iterator<Item = Option<usize>> + 'a {
        self.records
            .iter()
            .zip(&self.is_exact)
            .map(move |(own, &is_exact)| {
                let broken = own.clone().find(|&record| !is_finite(record));
                broken.or_else(|| own.clone().next_back().filter(|_| is_exact))
            })
    }
}

impl RunLines {
    /// Reads them.
    ///
    /// # Errors
    /// A tensor is not recorded, nothing of the kind is, or a file has changed since the run was opened.
    pub fn read(run: &RunView, options: &LineOptions) -> Result<Self> {
        let entries = entries(run, options)?;
        let mut lines: Option<Self> = None;
        for entry in entries {
            let statistic = |of| run.series(&entry.tensor, entry.kind, of);
            let series = statistic(options.statistic)?;
            let nonfinite = statistic(Statistic::Nonfinite)?;
            let lines = lines
                .get_or_insert_with(|| Self::of_columns(Columns::over(&series.steps), &series));
            lines.push(entry, &series, &nonfinite, options.statistic);
        }
        lines
            .filter(|lines| !lines.values.is_empty())
            .ok_or_else(|| {
                Error::input(
                    run.folder().display().to_string(),
                    format!("no {} is recorded yet", options.kind.name()),
                    "wait until its first segment is written, or choose another --kind",
                )
            })
    }

    fn of_columns(columns: Columns, series: &UnitSeries) -> Self {
        Self {
            steps: columns.steps(),
            stride: columns.stride,
            groups: Vec::new(),
            values: Vec::new(),
            records: series.steps.len(),
            columns,
        }
    }

    fn push(
        &mut self,
        entry: &TraceEntry,
        series: &UnitSeries,
        nonfinite: &UnitSeries,
        statistic: Statistic,
    ) {
        let first = self.count();
        for (values, broken) in series.rows().zip(nonfinite.rows()) {
            let is_finite = |record: usize| values[record].is_finite() && broken[record] == 0.0;
            // How many values are not finite is a number that is always there.
            let is_count = statistic == Statistic::Nonfinite;
            let records = self.columns.records_of(is_finite);
            let value = |record: Option<usize>| match record {
                Some(record) if is_count || is_finite(record) => values[record],
                _ => f32::NAN,
            };
            self.values.extend(records.map(value));
        }
        self.groups.push(LineGroup {
            tensor: entry.tensor.clone(),
            kind: entry.kind,
            lines: first..first + series.units,
        });
    }

    /// The statistics of a unit in each column, from those of all records.
    pub(super) fn columns_of(&self, records: &[UnitStatistics]) -> Vec<Option<UnitStatistics>> {
        let is_finite =
            |record: usize| records[record].nonfinite == 0.0 && records[record].mean.is_finite();
        let records_of = self.columns.records_of(is_finite);
        records_of
            .map(|record| record.map(|record| records[record]))
            .collect()
    }

    /// The number of lines.
    pub fn count(&self) -> usize {
        self.groups.last().map_or(0, |group| group.lines.end)
    }

    /// The values of a line.
    pub fn line(&self, line: usize) -> &[f32] {
        let steps = self.steps.len();
        &self.values[line * steps..][..steps]
    }

    /// The unit that a line is of.
    ///
    /// # Panics
    /// There are fewer lines.
    pub fn unit(&self, line: usize) -> UnitLine<'_> {
        UnitLine::of(&self.groups, line).expect("every line is in a group")
    }

    /// The steps of some neighboring columns: the first, and the one after the last.
    pub fn range(&self, columns: std::ops::Range<usize>) -> std::ops::Range<u64> {
        self.steps[columns.start]..self.steps[columns.end - 1] + 1
    }

    /// The line of a unit.
    ///
    /// # Errors
    /// The tensor is not among these, or has no such unit.
    pub fn find(&self, tensor: &str, unit: usize) -> Result<usize> {
        let context = || format!("{tensor}:{unit}");
        let Some(group) = self.groups.iter().find(|group| group.tensor == tensor) else {
            let names: Vec<&str> = self
                .groups
                .iter()
                .map(|group| group.tensor.as_str())
                .collect();
            return Err(Error::usage(
                context(),
                "no such tensor is looked at",
                format!("choose one of: {}", names.join(", ")),
            ));
        };
        if unit >= group.lines.len() {
            return Err(Error::usage(
                context(),
                format!("{tensor} has {} units", group.lines.len()),
                format!("choose one from 0 to {}", group.lines.len() - 1),
            ));
        }
        Ok(group.lines.start + unit)
    }
}

/// The recorded tensors that are asked for.
fn entries<'a>(run: &'a RunView, options: &LineOptions) -> Result<Vec<&'a TraceEntry>> {
    let of_kind = || {
        run.entries()
            .iter()
            .filter(|entry| entry.kind == options.kind)
    };
    if options.tensors.is_empty() {
        return Ok(of_kind().collect());
    }
    let find = |name: &String| {
        of_kind()
            .find(|entry| entry.tensor == *name)
            .ok_or_else(|| {
                let names: Vec<&str> = of_kind().map(|entry| entry.tensor.as_str()).collect();
                Error::usage(
                    format!("--tensor {name}"),
                    format!("no {} of it is recorded", options.kind.name()),
                    format!("choose one of: {}", names.join(", ")),
                )
            })
    };
    options.tensors.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(steps: &[u64], broken: Option<usize>) -> (Vec<u64>, Vec<Option<usize>>) {
        let columns = Columns::over(steps);
        let records = columns
            .records_of(|record| Some(record) != broken)
            .collect();
        (columns.steps(), records)
    }

    #[test]
    fn columns_are_even_whatever_was_recorded() {
        let even: Vec<u64> = (0..40).map(|i| 5 + 10 * i).collect();
        let (steps, records) = columns(&even, None);
        assert_eq!(steps, even);
        assert!(records.into_iter().eq((0..40).map(Some)));
        // A dense stretch lies between columns, but what is not finite there is seen.
        let mut dense = even.clone();
        dense.splice(20..21, 196..=205);
        assert_eq!(columns(&dense, None).0, even);
        assert_eq!(columns(&dense, None).1[20], Some(29));
        let (_, records) = columns(&dense, Some(24));
        assert_eq!(records[20], Some(24));
        // Thinned early steps make all columns as wide.
        let thinned: Vec<u64> = (0..400).step_by(40).chain((400..800).step_by(10)).collect();
        let (steps, records) = columns(&thinned, None);
        assert_eq!(steps[..3], [0, 40, 80]);
        assert!(records.iter().all(Option::is_some));
        // A lost segment is missing.
        let mut holed = even.clone();
        holed.drain(10..13);
        let (steps, records) = columns(&holed, None);
        assert_eq!(steps, even);
        assert_eq!(records.iter().filter(|record| record.is_none()).count(), 3);
        // The last record counts even where it is off the grid.
        let (steps, records) = columns(&[0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 97], None);
        assert_eq!(
            (steps.last(), records.last()),
            (Some(&100), Some(&Some(10)))
        );
        assert!(columns(&[], None).0.is_empty());
        assert_eq!(columns(&[7], None).1, [Some(0)]);
        assert!(Columns::over(&(0..100_000).collect::<Vec<_>>()).len() <= 4096);
    }
}
