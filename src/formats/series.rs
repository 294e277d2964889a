//! Series from NumPy arrays, and which reader reads a file.

use std::path::Path;

use npyz::TypeChar;

use super::csv_table;
use super::layout::{LinesAre, ReadOptions, TableLayout};
use super::npy::Array;
use super::series_file::{MAX_VALUES, SeriesFile, too_many};
use crate::series::{Numbers, SeriesTable};
use crate::{Error, Result};

/// Reads a `.npy` array `[lines, steps]` of real numbers, of any byte order and in C or Fortran order, or a `.csv` or
/// `.parquet` table of one line a row or, with [`LinesAre::Columns`], a column. `nan` and `inf` are values.
///
/// What float32 does not hold exactly stays float64, and whole numbers beyond 2^53 lose none of their digits.
///
/// A table's first row is taken for its header where it is words, or integers that ascend evenly over other values;
/// [`SeriesFile::layout`] tells what was taken for what.
///
/// # Errors
/// A missing, broken, empty or oversized file, an array of another rank or type, rows of unequal length, an empty cell
/// or one that is not a number: the message names the file and the position in it, and what the file is where it is
/// something else.
pub fn read_series(path: &Path, options: ReadOptions) -> Result<SeriesFile> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some(kind @ ("npy" | "parquet")) => {
            let series = match kind {
                "npy" => read_npy(path)?,
                _ => super::parquet::read(path)?,
            };
            Ok(match options.lines_are {
                LinesAre::Rows => series,
                LinesAre::Columns => series.transposed(),
            })
        }
        Some("csv") => csv_table::read(path, options),
        Some("npz") => Err(wrong(
            path,
            "it is an archive of NumPy arrays (.npz)",
            "save one of its arrays with numpy.save",
        )),
        _ => Err(wrong(
            path,
            "neither a .npy nor a .csv nor a .parquet file",
            "save the series as a NumPy array [lines, steps] or as CSV or Parquet, one line a row",
        )),
    }
}

fn wrong(path: &Path, problem: impl Into<String>, hint: &str) -> Error {
    Error::file(path.display().to_string(), problem, hint)
}

fn read_npy(path: &Path) -> Result<SeriesFile> {
    let array = Array::open(path)?;
    let kind = array.kind()?;
    let &[lines, steps] = array.shape() else {
        return Err(wrong(
            path,
            format!("its shape is ({})", array.shape_text()),
            "save an array of two dimensions, [lines, steps]; array.reshape(lines, -1) makes one",
        ));
    };
    let count = lines.checked_mul(steps);
    if count.is_none_or(|count| count > MAX_VALUES) {
        return Err(too_many(path, format!("{lines} x {steps} values")));
    }
    if count == Some(0) {
        return Err(wrong(
            path,
            format!("no series in it: its shape is ({})", array.shape_text()),
            "give it at least one line of one value",
        ));
    }
    let (lines, steps) = (lines as usize, steps as usize);
    let order = Order {
        is_fortran: array.is_fortran(),
        lines,
        steps,
    };
    let table = match kind {
        // What float32 holds exactly.
        (TypeChar::Bool, _)
        | (TypeChar::Float, 2 | 4)
        | (TypeChar::Int | TypeChar::Uint, 1 | 2) => {
            let values = array.numbers(|number| Ok(number.to_f64() as f32))?;
            SeriesTable::new(lines, Numbers::F32(order.rows(values)))
        }
        (TypeChar::Int | TypeChar::Uint, 8) => {
            let values = order.rows(array.numbers(|number| Ok(number.to_i128()))?);
            SeriesTable::of_integers(lines, values.iter().copied())
        }
        _ => {
            let values = array.numbers(|number| Ok(number.to_f64()))?;
            SeriesTable::new(lines, Numbers::F64(order.rows(values)))
        }
    };
    Ok(SeriesFile {
        table,
        names: Vec::new(),
        columns: Vec::new(),
        layout: TableLayout {
            lines,
            steps,
            ..TableLayout::default()
        },
    })
}

/// The order in which a file holds its values.
struct Order {
    is_fortran: bool,
    lines: usize,
    steps: usize,
}

impl Order {
    /// The values line after line.
    fn rows<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        let Self { lines, steps, .. } = *self;
        if !self.is_fortran {
            return values;
        }
        (0..lines * steps)
            .map(|i| values[(i % steps) * lines + i / steps])
            .collect()
    }
}
