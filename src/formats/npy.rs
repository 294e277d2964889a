//! NumPy arrays. A file that is read is untrusted: no memory is allocated for what its header promises before the file is
//! known to hold it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use npyz::{AutoSerialize, DType, Endianness, NpyHeader, Order, TypeChar, WriterBuilder as _};

use crate::number::from_half;
use crate::signature::{self, Expected, other_kind};
use crate::text::{quoted, shortened};
use crate::{Error, Result, files};

/// The most bytes of a header; that of two plain dimensions takes 128.
const MAX_HEADER: usize = 4096;
/// Bytes that are decoded at once.
const CHUNK: usize = 1 << 16;

/// An array whose header was read.
pub(crate) struct Array {
    path: PathBuf,
    header: NpyHeader,
    /// Is at the data.
    reader: BufReader<File>,
    /// Bytes that the file has for it.
    data_size: u64,
}

/// A value of an array.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Float(f64),
    Integer(i128),
    Bool(bool),
}

impl Number {
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Integer(value) => value as f64,
            Self::Bool(value) => f64::from(u8::from(value)),
        }
    }

    /// An integer exactly; a float without its fraction.
    pub fn to_i128(self) -> i128 {
        match self {
            Self::Float(value) => value as i128,
            Self::Integer(value) => value,
            Self::Bool(value) => i128::from(value),
        }
    }
}

impl Array {
    /// Reads and checks the header.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, size) = files::open(path)?;
        let mut reader = BufReader::new(file);
        let (header, data_size) = read_header(path, &mut reader, size)?;
        Ok(Self {
            path: path.to_owned(),
            header,
            reader,
            data_size,
        })
    }

    pub fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    /// The shape in Python's words, without its parentheses.
    pub fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape().iter().map(u64::to_string).collect();
        sizes.join(", ")
    }

    /// Whether the first dimension varies fastest.
    pub fn is_fortran(&self) -> bool {
        self.header.order() == Order::Fortran
    }

    /// What its values are, and the bytes of one.
    ///
    /// # Errors
    /// They are no plain numbers.
    pub fn kind(&self) -> Result<(TypeChar, u64)> {
        let (problem, hint) = match self.header.dtype() {
            DType::Plain(kind) => match (kind.type_char(), kind.size_field()) {
                (TypeChar::Bool, 1)
                | (TypeChar::Float, 2 | 4 | 8)
                | (TypeChar::Int | TypeChar::Uint, 1 | 2 | 4 | 8) => {
                    return Ok((kind.type_char(), kind.size_field()));
                }
                (TypeChar::Complex, _) => (
                    "complex numbers",
                    "save their magnitude, numpy.abs(array), or array.real",
                ),
                (TypeChar::DateTime | TypeChar::TimeDelta, _) => (
                    "dates or times",
                    "save numbers, such as array.astype('int64')",
                ),
                (TypeChar::ByteStr | TypeChar::UnicodeStr, _) => {
                    ("text", "save numbers, such as array.astype('float64')")
                }
                (TypeChar::Object, _) => (
                    "Python objects",
                    "save numbers: numpy.stack(list) where it holds lines of equal length",
                ),
                (TypeChar::Float, _) => ("long floats", "save array.astype('float64')"),
                _ => ("no numbers", "save numbers, such as float32"),
            },
            DType::Array(..) => ("subarrays", "save an array of plain numbers"),
            DType::Record(_) => (
                "records of named fields",
                "save plain numbers: numpy.lib.recfunctions.structured_to_unstructured(array), or array['field']",
            ),
        };
        let kind = shortened(&self.kind_text(), 40);
        Err(Error::file(
            self.path.display().to_string(),
            format!("its values are {problem} ('{kind}')"),
            hint,
        ))
    }

    /// NumPy's name of that.
    pub fn kind_text(&self) -> String {
        match self.header.dtype() {
            DType::Plain(kind) => kind.to_string(),
            other => other.descr(),
        }
    }

    /// All values in the order of the file; `convert` may refuse one.
    pub fn numbers<U>(
        mut self,
        mut convert: impl FnMut(Number) -> std::result::Result<U, String>,
    ) -> Result<Vec<U>> {
        let (kind, size) = self.kind()?;
        let mut sizes = self.shape().iter();
        let needed = sizes.try_fold(size, |product, &size| product.checked_mul(size));
        let needed = needed
            .filter(|&needed| needed <= self.data_size)
            .ok_or_else(|| {
                let sizes = self.shape_text().replace(", ", " x ");
                let problem = format!(
                    "it is cut short: {} bytes cannot hold {sizes} values of {size} bytes",
                    self.data_size
                );
                broken(&self.path, problem)
            })?;
        let is_big_endian = match self.header.dtype() {
            DType::Plain(kind) => kind.endianness() == Endianness::Big,
            _ => false,
        };
        let size = size as usize;
        let mut values = Vec::with_capacity(needed as usize / size);
        let mut chunk = vec![0; CHUNK];
        let mut left = needed as usize;
        while left > 0 {
            let bytes = &mut chunk[..left.min(CHUNK)];
            self.reader
                .read_exact(bytes)
                .map_err(|error| Error::io(&self.path, "read it", &error))?;
            left -= bytes.len();
            for value in bytes.chunks_exact_mut(size) {
                if is_big_endian {
                    value.reverse();
                }
                let value = convert(number(kind, value)).map_err(|problem| {
                    Error::file(
                        self.path.display().to_string(),
                        format!("value {}: {problem}", values.len()),
                        "change it and save the array again",
                    )
                })?;
                values.push(value);
            }
        }
        Ok(values)
    }
}

/// A value of a [kind](Array::kind) from its little-endian bytes.
fn number(kind: TypeChar, bytes: &[u8]) -> Number {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(wide);
    match (kind, bytes.len()) {
        (TypeChar::Bool, _) => Number::Bool(bits != 0),
        (TypeChar::Float, 2) => Number::Float(from_half(bits as u16).into()),
        (TypeChar::Float, 4) => Number::Float(f32::from_bits(bits as u32).into()),
        (TypeChar::Float, _) => Number::Float(f64::from_bits(bits)),
        (TypeChar::Int, size) => {
            // The sign is the highest of its bits.
            let unused = 64 - 8 * size as u32;
            Number::Integer((((bits << unused) as i64) >> unused).into())
        }
        _ => Number::Integer(bits.into()),
    }
}

fn broken(path: &Path, problem: impl Into<String>) -> Error {
    Error::file(
        path.display().to_string(),
        problem,
        "save it again with numpy.save",
    )
}

/// The header, after which `reader` is at the data, and the bytes of data that follow.
fn read_header(
    path: &Path,
    reader: &mut (impl Read + Seek),
    size: u64,
) -> Result<(NpyHeader, u64)> {
    let failed = |error| Error::io(path, "read it", &error);
    let invalid = |problem: &str| broken(path, format!("not a valid NumPy array: {problem}"));
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(MAX_HEADER as u64)
        .read_to_end(&mut start)
        .map_err(failed)?;
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
        _ => {
            let start = &start[..start.len().min(signature::START)];
            let name = path.display().to_string();
            return Err(other_kind(&name, start, Expected::Npy)
                .unwrap_or_else(|| invalid("it does not begin as one")));
        }
    };
    let end = text + length as usize;
    if start.len() < end {
        return Err(invalid("its header is cut short or too long"));
    }
    without_long_suffix(&mut start[text..end]);
    let dictionary = String::from_utf8_lossy(&start[text..end]).into_owned();
    // The parser behind recurses into brackets and multiplies the dimensions as they come: a header of two plain
    // dimensions nests once, and a product of fewer than 20 digits in all stays within 64 bits.
    let count = |wanted: fn(&u8) -> bool| start[text..end].iter().filter(|b| wanted(b)).count();
    let brackets = count(|byte| b"([{".contains(byte));
    let digits = count(u8::is_ascii_digit);
    if brackets > 8 || digits > 19 {
        return Err(invalid(
            "its header is not that of an array of plain numbers",
        ));
    }
    let header = NpyHeader::from_reader(&start[..end]).map_err(|_| {
        invalid(&format!(
            "its header cannot be read: {}",
            quoted(&dictionary)
        ))
    })?;
    reader.seek(SeekFrom::Start(end as u64)).map_err(failed)?;
    Ok((header, size.saturating_sub(end as u64)))
}

/// Turns sizes as Python 2 wrote them, `40L`, into plain ones.
fn without_long_suffix(dictionary: &mut [u8]) {
    for index in 1..dictionary.len() {
        if dictionary[index] == b'L' && dictionary[index - 1].is_ascii_digit() {
            dictionary[index] = b' ';
        }
    }
}

/// Writes line numbers as a NumPy array of int64 `[ids]`; an array that is there is replaced as a whole.
///
/// # Errors
/// The file cannot be written.
pub fn write_ids(path: &Path, ids: &[u32]) -> Result<()> {
    write(path, &[ids.len()], ids.iter().map(|&id| i64::from(id)))
}

/// Writes values as a NumPy array of float32 of a shape; an array that is there is replaced as a whole.
///
/// # Errors
/// There are not as many values as the shape says, or the file cannot be written.
pub fn write_values(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    write(path, shape, values.iter().copied())
}

fn write<T: AutoSerialize>(
    path: &Path,
    shape: &[usize],
    values: impl Iterator<Item = T>,
) -> Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
    let encode = || {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend(values)?;
        writer.finish()?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|error| Error::io(path, "write it", &error))?;
    files::write_whole(path, &bytes)
}
