//! Lines of a file, and how they were read.

use std::path::Path;

use super::layout::{LinesAre, TableLayout, is_axis};
use crate::Error;
use crate::series::{Numbers, SeriesTable};

/// The most values of a file: 4 GiB of float32, which is also what the sampler takes.
pub(super) const MAX_VALUES: u64 = 1 << 30;
/// Whole numbers beyond this are not all float64 numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The lines of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesFile {
    /// The lines, in the precision of the file. Their steps are the file's own where it has some, else counted from 0.
    pub table: SeriesTable,
    /// The names of the lines; empty where the file has none.
    pub names: Vec<String>,
    /// The names of the steps; empty where the file has none.
    pub(super) columns: Vec<String>,
    /// How the file was read.
    pub layout: TableLayout,
}

impl SeriesFile {
    /// Each column as a line. Columns that say where a row lies become the axis: its steps, where they are whole numbers
    /// that ascend.
    pub(super) fn transposed(self) -> Self {
        let (rows, width) = (self.table.lines, self.table.steps.len());
        let named = |column: usize| self.columns.get(column).map_or("", String::as_str);
        let mut axes: Vec<usize> = (0..width)
            .filter(|&column| is_axis(named(column)))
            .collect();
        if axes.len() == width {
            axes.clear();
        }
        let lines: Vec<usize> = (0..width).filter(|column| !axes.contains(column)).collect();
        // A step says more than a time does.
        let is_step = |column: &&usize| !named(**column).to_ascii_lowercase().contains("time");
        let steps = axes.iter().filter(is_step);
        let steps = steps
            .map(|&column| self.whole_steps(column))
            .find_map(|steps| steps);
        let order = lines
            .iter()
            .flat_map(|&column| (0..rows).map(move |row| row * width + column));
        let values = match &self.table.values {
            Numbers::F32(values) => Numbers::F32(order.map(|index| values[index]).collect()),
            Numbers::F64(values) => Numbers::F64(order.map(|index| values[index]).collect()),
        };
        let mut table = SeriesTable::new(lines.len(), values);
        table.origin = self.table.origin;
        if let Some(steps) = steps {
            table.steps = steps;
        }
        let names = lines.iter().filter(|_| !self.columns.is_empty());
        Self {
            names: names.map(|&column| named(column).to_owned()).collect(),
            layout: TableLayout {
                lines: lines.len(),
                steps: rows,
                lines_are: LinesAre::Columns,
                axes: axes
                    .iter()
                    .map(|&column| named(column).to_owned())
                    .collect(),
                ..self.layout
            },
            table,
            columns: self.names,
        }
    }

    /// A column as steps, where its values are whole numbers that ascend.
    fn whole_steps(&self, column: usize) -> Option<Vec<u64>> {
        let table = &self.table;
        let step = |row: usize| {
            let value = table.values.get(row * table.steps.len() + column) + table.origin;
            (value >= 0.0 && value.fract() == 0.0 && value < EXACT).then_some(value as u64)
        };
        let steps: Option<Vec<u64>> = (0..table.lines).map(step).collect();
        steps.filter(|steps| steps.windows(2).all(|pair| pair[0] < pair[1]))
    }
}

pub(super) fn too_many(path: &Path, values: String) -> Error {
    Error::file(
        path.display().to_string(),
        format!("{values} are too many"),
        "sample a part of them, at most 1,073,741,824 values",
    )
}
