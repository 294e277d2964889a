//! Series from files: NumPy arrays and CSV tables, one line a row.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar};

use crate::{Error, Result};

/// Lines of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Lines.
    pub lines: usize,
    /// Values of a line.
    pub steps: usize,
    /// `[lines, steps]`; may hold values that are not finite.
    pub values: Vec<f32>,
}

/// Values read at most: 4 GiB of float32.
const MOST_VALUES: u64 = 1 << 30;

/// Reads a `.npy` array `[lines, steps]` of numbers or a `.csv` table (one line a row, an optional header).
///
/// # Errors
/// A missing, broken, empty or oversized file, an array of another rank, rows of unequal length, a cell that is no
/// number: names file, place and mend.
pub fn read(path: &Path) -> Result<Series> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let series = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("npy") => read_npy(path)?,
        Some("csv") => read_csv(path)?,
        _ => {
            return Err(Error::input(
                path.display().to_string(),
                "it is neither .npy nor .csv nor a run directory",
                "save the series as a NumPy array [lines, steps] or as CSV, one line a row",
            ));
        }
    };
    if series.lines == 0 || series.steps == 0 {
        return Err(Error::input(
            path.display().to_string(),
            "it holds no series",
            "give it at least one line of one value",
        ));
    }
    Ok(series)
}

fn read_npy(path: &Path) -> Result<Series> {
    let wrong =
        |problem: String, mend: &str| Error::input(path.display().to_string(), problem, mend);
    let file = File::open(path).map_err(|error| Error::io(path, "read the series", &error))?;
    let size = file
        .metadata()
        .map_err(|error| Error::io(path, "read the series", &error))?
        .len();
    let array = NpyFile::new(BufReader::new(file)).map_err(|error| {
        wrong(
            format!("it is no NumPy array: {error}"),
            "save it with numpy.save",
        )
    })?;
    let &[lines, steps] = array.shape() else {
        return Err(wrong(
            format!("its shape is {:?}", array.shape()),
            "save an array of two dimensions, [lines, steps]",
        ));
    };
    let DType::Plain(kind) = array.dtype() else {
        return Err(wrong(
            "it holds records".into(),
            "save an array of plain numbers",
        ));
    };
    // What the header promises must be in the file before anything is set aside for it.
    let count = lines
        .checked_mul(steps)
        .filter(|&count| count <= MOST_VALUES);
    let bytes = kind.size_field();
    match count {
        Some(count)
            if count
                .checked_mul(bytes)
                .is_some_and(|needed| needed <= size) => {}
        Some(_) => {
            let problem =
                format!("it is cut short: {size} bytes cannot hold {lines} x {steps} values");
            return Err(wrong(problem, "save it again"));
        }
        None => {
            let problem = format!("{lines} x {steps} values are too many");
            return Err(wrong(problem, "give at most 1,073,741,824 values"));
        }
    }
    let fortran = array.order() == Order::Fortran;
    let shown = kind.to_string();
    let broken =
        |error: std::io::Error| wrong(format!("it cannot be read: {error}"), "save it again");
    let values: Vec<f32> = match (kind.type_char(), bytes) {
        (TypeChar::Float, 4) => collect::<f32>(array, |v| v),
        (TypeChar::Float, 8) => collect::<f64>(array, |v| v as f32),
        (TypeChar::Int, 1) => collect::<i8>(array, f32::from),
        (TypeChar::Int, 2) => collect::<i16>(array, f32::from),
        (TypeChar::Int, 4) => collect::<i32>(array, |v| v as f32),
        (TypeChar::Int, 8) => collect::<i64>(array, |v| v as f32),
        (TypeChar::Uint, 1) => collect::<u8>(array, f32::from),
        (TypeChar::Uint, 2) => collect::<u16>(array, f32::from),
        (TypeChar::Uint, 4) => collect::<u32>(array, |v| v as f32),
        (TypeChar::Uint, 8) => collect::<u64>(array, |v| v as f32),
        _ => {
            return Err(wrong(
                format!("its numbers are of type {shown}"),
                "save it as float32: array.astype('float32')",
            ));
        }
    }
    .map_err(broken)?;
    let (lines, steps) = (lines as usize, steps as usize);
    let values = if fortran {
        (0..lines * steps)
            .map(|i| values[(i % steps) * lines + i / steps])
            .collect()
    } else {
        values
    };
    Ok(Series {
        lines,
        steps,
        values,
    })
}

fn collect<T: npyz::Deserialize>(
    array: NpyFile<BufReader<File>>,
    convert: impl Fn(T) -> f32,
) -> std::io::Result<Vec<f32>> {
    let data = array
        .data::<T>()
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    data.map(|value| value.map(&convert)).collect()
}

fn read_csv(path: &Path) -> Result<Series> {
    let wrong =
        |problem: String, mend: &str| Error::input(path.display().to_string(), problem, mend);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => Error::io(path, "read the series", &error),
            other => wrong(format!("it is no CSV table: {other:?}"), "save it as CSV"),
        })?;
    let mut values: Vec<f32> = Vec::new();
    let mut steps = 0;
    let mut lines = 0;
    for (row, record) in reader.records().enumerate() {
        let record = record
            .map_err(|error| wrong(format!("row {}: {error}", row + 1), "save it as UTF-8 text"))?;
        let cells: Vec<_> = record.iter().map(str::parse::<f32>).collect();
        // A first row without any number is a header.
        if row == 0 && cells.iter().all(|cell| cell.is_err()) {
            continue;
        }
        if lines == 0 {
            steps = cells.len();
        } else if cells.len() != steps {
            return Err(wrong(
                format!(
                    "row {} has {} cells, the rows before have {steps}",
                    row + 1,
                    cells.len()
                ),
                "give every row the same length",
            ));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            match cell {
                Ok(value) => values.push(value),
                Err(_) => {
                    let shown: String = record[column].chars().take(20).collect();
                    return Err(wrong(
                        format!(
                            "row {}, column {}: '{shown}' is no number",
                            row + 1,
                            column + 1
                        ),
                        "write a number, or nan where there is none",
                    ));
                }
            }
        }
        if values.len() as u64 > MOST_VALUES {
            return Err(wrong(
                "it holds too many values".into(),
                "give at most 1,073,741,824",
            ));
        }
        lines += 1;
    }
    Ok(Series {
        lines,
        steps,
        values,
    })
}
