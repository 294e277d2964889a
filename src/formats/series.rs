//! Series from NumPy arrays and CSV tables, one series a row.

use std::io::BufReader;
use std::path::Path;

use npyz::TypeChar;

use super::npy::Array;
use crate::series::{Numbers, SeriesTable};
use crate::{Error, Result, files};

/// The most values of a file: 4 GiB of float32, which is also what the sampler takes.
const MAX_VALUES: u64 = 1 << 30;

/// Reads a `.npy` array `[lines, steps]` of real numbers, of any byte order and in C or Fortran order, or a `.csv` table
/// of one line a row. A first row of a table without any number is taken for a header; `nan` and `inf` are values.
/// What float32 does not hold exactly stays float64, and whole numbers beyond 2^53 lose none of their digits.
///
/// # Errors
/// A missing, broken, empty or oversized file, an array of another rank or type, rows of unequal length, an empty cell
/// or one that is no number: the message names the file and the position in it.
pub fn read_series(path: &Path) -> Result<SeriesTable> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let series = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("npy") => read_npy(path)?,
        Some("csv") => read_csv(path)?,
        _ => {
            return Err(wrong(
                path,
                "neither a .npy nor a .csv file",
                "save the series as a NumPy array [lines, steps] or as CSV, one line a row",
            ));
        }
    };
    if series.values.is_empty() {
        return Err(wrong(
            path,
            "no series in it",
            "give it at least one line of one value",
        ));
    }
    Ok(series)
}

fn wrong(path: &Path, problem: impl Into<String>, hint: &str) -> Error {
    Error::file(path.display().to_string(), problem, hint)
}

fn read_npy(path: &Path) -> Result<SeriesTable> {
    let array = Array::open(path)?;
    let &[lines, steps] = array.shape() else {
        return Err(wrong(
            path,
            format!("its shape is ({})", array.shape_text()),
            "save an array of two dimensions, [lines, steps]; array.reshape(lines, -1) makes one",
        ));
    };
    let count = lines.checked_mul(steps);
    if count.is_none_or(|count| count > MAX_VALUES) {
        return Err(wrong(
            path,
            format!("{lines} x {steps} values are too many"),
            "sample a part of them, at most 1,073,741,824 values",
        ));
    }
    let (lines, steps) = (lines as usize, steps as usize);
    let order = Order {
        is_fortran: array.is_fortran(),
        lines,
        steps,
    };
    let single = |values: Vec<f32>| SeriesTable::new(lines, Numbers::F32(order.rows(values)));
    let double = |values: Vec<f64>| SeriesTable::new(lines, Numbers::F64(order.rows(values)));
    match array.kind()? {
        (TypeChar::Float, 4) => array.collect(Ok).map(single),
        (TypeChar::Float, 8) => array.collect(Ok).map(double),
        (TypeChar::Int, 1) => array.collect(|v: i8| Ok(v.into())).map(single),
        (TypeChar::Int, 2) => array.collect(|v: i16| Ok(v.into())).map(single),
        (TypeChar::Int, 4) => array.collect(|v: i32| Ok(v.into())).map(double),
        (TypeChar::Uint, 1) => array.collect(|v: u8| Ok(v.into())).map(single),
        (TypeChar::Uint, 2) => array.collect(|v: u16| Ok(v.into())).map(single),
        (TypeChar::Uint, 4) => array.collect(|v: u32| Ok(v.into())).map(double),
        (TypeChar::Int, 8) => {
            let values = order.rows(array.collect::<i64, _>(Ok)?);
            Ok(SeriesTable::of_integers(
                lines,
                values.iter().map(|&v| v.into()),
            ))
        }
        (TypeChar::Uint, 8) => {
            let values = order.rows(array.collect::<u64, _>(Ok)?);
            Ok(SeriesTable::of_integers(
                lines,
                values.iter().map(|&v| v.into()),
            ))
        }
        _ => Err(wrong(
            path,
            format!("its values are of type '{}'", array.kind_text()),
            "save it as float32: array.astype('float32')",
        )),
    }
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

fn read_csv(path: &Path) -> Result<SeriesTable> {
    let (file, _) = files::open(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(BufReader::new(file));
    let mut values: Vec<f64> = Vec::new();
    // The same numbers as long as all are whole: beyond 2^53 float64 would round them.
    let mut whole = Some(Vec::<i64>::new());
    let (mut lines, mut steps) = (0, 0);
    let mut record = csv::StringRecord::new();
    let mut is_first = true;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => {
                return Ok(match whole {
                    Some(whole) => SeriesTable::of_integers(lines, whole.iter().map(|&v| v.into())),
                    None => SeriesTable::new(lines, Numbers::F64(values)),
                });
            }
            Err(error) => return Err(broken_csv(path, error)),
        }
        let row = record.position().map_or(0, csv::Position::line);
        let is_header = is_first && record.iter().all(|cell| cell.parse::<f64>().is_err());
        is_first = false;
        if is_header {
            continue;
        }
        if lines == 0 {
            steps = record.len();
        } else if record.len() != steps {
            return Err(wrong(
                path,
                format!(
                    "row {row} has {} cells, the rows before it have {}",
                    record.len(),
                    steps
                ),
                "give every row the same number of cells",
            ));
        }
        for (column, cell) in record.iter().enumerate() {
            let value = cell
                .parse()
                .map_err(|_| bad_cell(path, row, column + 1, cell))?;
            values.push(value);
            if let Some(numbers) = &mut whole {
                match cell.parse() {
                    Ok(number) => numbers.push(number),
                    Err(_) => whole = None,
                }
            }
        }
        if values.len() as u64 > MAX_VALUES {
            return Err(wrong(
                path,
                "too many values",
                "sample a part of them, at most 1,073,741,824 values",
            ));
        }
        lines += 1;
    }
}

fn bad_cell(path: &Path, row: u64, column: usize, cell: &str) -> Error {
    let problem = if cell.is_empty() {
        format!("row {row}, column {column} is empty")
    } else {
        let shown: String = cell.chars().take(20).collect();
        format!("row {row}, column {column}: '{shown}' is not a number")
    };
    wrong(
        path,
        problem,
        "write a number there, or nan where there is none",
    )
}

fn broken_csv(path: &Path, error: csv::Error) -> Error {
    let row = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::io(path, "read the series", &error),
        csv::ErrorKind::Utf8 { .. } => wrong(
            path,
            format!("row {row} is not UTF-8 text"),
            "save it as a UTF-8 CSV file",
        ),
        other => wrong(
            path,
            format!("row {row} cannot be read: {other:?}"),
            "save it as a UTF-8 CSV file",
        ),
    }
}
