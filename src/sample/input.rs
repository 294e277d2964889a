//! Series from files: NumPy arrays and CSV tables, one line a row. Files are not trusted: nothing is set aside for
//! what a header promises before the file is seen to hold it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use npyz::{DType, NpyFile, NpyHeader, Order, TypeChar};

use crate::{Error, Result};

/// Lines of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Lines.
    pub lines: usize,
    /// Values of a line.
    pub steps: usize,
    /// `[lines, steps]`, row after row; may hold values that are not finite.
    pub values: Vec<f32>,
}

/// Values read at most: 4 GiB of float32, which is also what the sampler takes.
const MOST_VALUES: u64 = 1 << 30;

/// Bytes of a NumPy header at most; the header of two plain dimensions takes 128.
const MOST_HEADER: usize = 4096;

/// Reads a `.npy` array `[lines, steps]` of real numbers, of any byte order and in C or Fortran order, or a `.csv` table
/// of one line a row. A first row of a table without any number is taken for a header; `nan` and `inf` are values.
/// Values beyond float32 become infinite.
///
/// # Errors
/// A missing, broken, empty or oversized file, an array of another rank or type, rows of unequal length, an empty cell
/// or one that is no number: names file, place and mend.
pub fn read(path: &Path) -> Result<Series> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let series = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("npy") => read_npy(path)?,
        Some("csv") => read_csv(path)?,
        _ => {
            return Err(wrong(
                path,
                "it is neither .npy nor .csv",
                "save the series as a NumPy array [lines, steps] or as CSV, one line a row",
            ));
        }
    };
    if series.lines == 0 || series.steps == 0 {
        return Err(wrong(
            path,
            "it holds no series",
            "give it at least one line of one value",
        ));
    }
    Ok(series)
}

fn wrong(path: &Path, problem: impl Into<String>, mend: &str) -> Error {
    Error::input(path.display().to_string(), problem, mend)
}

fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |error| Error::io(path, "read the series", &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(wrong(
            path,
            "it is a folder",
            "name a .npy or .csv file in it",
        ));
    }
    Ok((file, metadata.len()))
}

fn read_npy(path: &Path) -> Result<Series> {
    const AGAIN: &str = "save it again with numpy.save";
    let (file, size) = open(path)?;
    let mut reader = BufReader::new(file);
    let (header, data_size) = npy_header(&mut reader, size)
        .map_err(|error| wrong(path, format!("it is no NumPy array: {error}"), AGAIN))?;
    let &[lines, steps] = header.shape() else {
        let shape: Vec<_> = header.shape().iter().map(u64::to_string).collect();
        return Err(wrong(
            path,
            format!("its shape is ({})", shape.join(", ")),
            "save an array of two dimensions, [lines, steps]; array.reshape(lines, -1) makes one",
        ));
    };
    let DType::Plain(kind) = header.dtype() else {
        return Err(wrong(
            path,
            "it holds records",
            "save an array of plain numbers",
        ));
    };
    let bytes = kind.size_field();
    match lines
        .checked_mul(steps)
        .filter(|&count| count <= MOST_VALUES)
    {
        Some(count)
            if count
                .checked_mul(bytes)
                .is_some_and(|needed| needed <= data_size) => {}
        Some(_) => {
            return Err(wrong(
                path,
                format!(
                    "it is cut short: {data_size} bytes cannot hold {lines} x {steps} values of {bytes} bytes"
                ),
                AGAIN,
            ));
        }
        None => {
            return Err(wrong(
                path,
                format!("{lines} x {steps} values are too many"),
                "sample a part of them, at most 1,073,741,824 values",
            ));
        }
    }
    let is_fortran = header.order() == Order::Fortran;
    let array = NpyFile::with_header(header, reader);
    let values = match (kind.type_char(), bytes) {
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
                path,
                format!("its values are of type '{kind}'"),
                "save it as float32: array.astype('float32')",
            ));
        }
    };
    let values = values.map_err(|error| Error::io(path, "read the series", &error))?;
    let (lines, steps) = (lines as usize, steps as usize);
    let values = if is_fortran {
        let from = |i: usize| values[(i % steps) * lines + i / steps];
        (0..lines * steps).map(from).collect()
    } else {
        values
    };
    Ok(Series {
        lines,
        steps,
        values,
    })
}

/// The header, after which `reader` stands at the data, and the bytes of data that follow.
fn npy_header(reader: &mut (impl Read + Seek), size: u64) -> io::Result<(NpyHeader, u64)> {
    let invalid = |problem: &str| io::Error::new(io::ErrorKind::InvalidData, problem);
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(MOST_HEADER as u64)
        .read_to_end(&mut start)?;
    let (length, text) = match start.as_slice() {
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            (u32::from(u16::from_le_bytes([*a, *b])), 10)
        }
        [
            b'\x93',
            b'N',
            b'U',
            b'M',
            b'P',
            b'Y',
            2 | 3,
            _,
            a,
            b,
            c,
            d,
            ..,
        ] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
        _ => return Err(invalid("it does not begin as one")),
    };
    let end = text + length as usize;
    let Some(text) = start.get(text..end) else {
        return Err(invalid("its header is cut short or too long"));
    };
    // The parser behind recurses into brackets and multiplies the dimensions as they come: a header of two plain
    // dimensions nests once, and a product of fewer than 20 digits in all stays within 64 bits.
    let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
    let brackets = count(|byte| b"([{".contains(byte));
    let digits = count(u8::is_ascii_digit);
    if brackets > 8 || digits > 19 {
        return Err(invalid(
            "its header is not that of an array of plain numbers",
        ));
    }
    let header = NpyHeader::from_reader(&start[..end])?;
    reader.seek(SeekFrom::Start(end as u64))?;
    Ok((header, size.saturating_sub(end as u64)))
}

fn collect<T: npyz::Deserialize>(
    array: NpyFile<impl Read>,
    convert: impl Fn(T) -> f32,
) -> io::Result<Vec<f32>> {
    let data = array
        .data::<T>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    data.map(|value| value.map(&convert)).collect()
}

fn read_csv(path: &Path) -> Result<Series> {
    let (file, _) = open(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(BufReader::new(file));
    let mut series = Series {
        lines: 0,
        steps: 0,
        values: Vec::new(),
    };
    let mut record = csv::StringRecord::new();
    let mut is_first = true;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(series),
            Err(error) => return Err(broken_csv(path, error)),
        }
        let row = record.position().map_or(0, csv::Position::line);
        let is_header = is_first && record.iter().all(|cell| cell.parse::<f32>().is_err());
        is_first = false;
        if is_header {
            continue;
        }
        if series.lines == 0 {
            series.steps = record.len();
        } else if record.len() != series.steps {
            return Err(wrong(
                path,
                format!(
                    "row {row} has {} cells, the rows before it have {}",
                    record.len(),
                    series.steps
                ),
                "give every row the same number of cells",
            ));
        }
        for (column, cell) in record.iter().enumerate() {
            let value = cell
                .parse()
                .map_err(|_| bad_cell(path, row, column + 1, cell))?;
            series.values.push(value);
        }
        if series.values.len() as u64 > MOST_VALUES {
            return Err(wrong(
                path,
                "it holds too many values",
                "sample a part of them, at most 1,073,741,824 values",
            ));
        }
        series.lines += 1;
    }
}

fn bad_cell(path: &Path, row: u64, column: usize, cell: &str) -> Error {
    let problem = if cell.is_empty() {
        format!("row {row}, column {column} is empty")
    } else {
        let shown: String = cell.chars().take(20).collect();
        format!("row {row}, column {column}: '{shown}' is no number")
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
