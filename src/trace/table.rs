//! Parquet files, written and read column by column, with a checksum.
//!
//! The checksum is a CRC-32 over the whole file, kept in the file's own metadata (its eight digits count as zeros). A
//! flipped bit is an error instead of a wrong number, and the decoder only sees files as they were written. Other tools
//! ignore it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
#[cfg(feature = "window")]
use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};

use crate::files;
use crate::panics;
use crate::parquet_pages::column_reader;
use crate::signature::{Expected, START, other_kind};
use crate::{Error, Result};

/// In the form that parquet-mr reads; it ignores statistics of text columns of writers that it does not understand.
const CREATED_BY: &str = concat!(
    "trainscope version ",
    env!("CARGO_PKG_VERSION"),
    " (build ",
    env!("CARGO_PKG_NAME"),
    ")"
);
const MARKER: &str = "crc32:";
const CHECKSUM_DIGITS: usize = 8;
/// The most bytes of a file and the most rows in it: far more than a segment is allowed to grow to.
pub(super) const MAX_BYTES: u64 = 1 << 30;
const MAX_ROWS: i64 = 1 << 24;
/// Rows decoded at once, so that memory grows with what the file holds and not with what it claims.
const CHUNK: usize = 1 << 16;

/// The values of one column in a row group.
pub(crate) enum Column {
    Text(Vec<ByteArray>),
    Long(Vec<i64>),
    Int(Vec<i32>),
    Float(Vec<f32>),
    Double(Vec<f64>),
}

/// Encodes row groups under a message type of `parquet::schema`, with some text under `key` in the metadata.
/// Columns named in `continuous` hold values that hardly ever repeat.
pub(super) fn encode(
    schema: &str,
    continuous: &[&str],
    (key, text): (&str, String),
    groups: impl Iterator<Item = Vec<Column>>,
) -> Result<Vec<u8>> {
    parse_message_type(schema)
        .and_then(|schema| write(schema, continuous, key, text, groups))
        .map(write_checksum)
        .map_err(|error| Error::file("segment", error.to_string(), "report this as a bug"))
}

/// Encodes columns of the same length and of different names as one row group; the metadata say what they are of.
#[cfg(feature = "window")]
pub(crate) fn encode_columns(of: &str, columns: Vec<(String, Column)>) -> Result<Vec<u8>> {
    let field = |(name, column): &(String, Column)| {
        let (kind, logical) = match column {
            Column::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Column::Long(_) => (PhysicalType::INT64, None),
            Column::Int(_) => (PhysicalType::INT32, None),
            Column::Float(_) => (PhysicalType::FLOAT, None),
            Column::Double(_) => (PhysicalType::DOUBLE, None),
        };
        let builder = Type::primitive_type_builder(name, kind)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        builder.build().map(Arc::new)
    };
    let fields: ParquetResult<Vec<_>> = columns.iter().map(field).collect();
    let is_continuous =
        |(_, column): &&(String, Column)| matches!(column, Column::Float(_) | Column::Double(_));
    let names = columns.iter().filter(is_continuous);
    let continuous: Vec<String> = names.map(|(name, _)| name.clone()).collect();
    let continuous: Vec<&str> = continuous.iter().map(String::as_str).collect();
    let values: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
    let key = "trainscope.view";
    fields
        .and_then(|fields| Type::group_type_builder("view").with_fields(fields).build())
        .and_then(|schema| {
            write(
                schema,
                &continuous,
                key,
                of.to_owned(),
                [values].into_iter(),
            )
        })
        .map(write_checksum)
        .map_err(|error| Error::file(of, error.to_string(), "report this as a bug"))
}

fn write(
    schema: Type,
    continuous: &[&str],
    key: &str,
    text: String,
    groups: impl Iterator<Item = Vec<Column>>,
) -> ParquetResult<Vec<u8>> {
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![
            KeyValue::new(key.to_owned(), text),
            KeyValue::new(
                "trainscope.seal".to_owned(),
                format!("{MARKER}{}", "0".repeat(CHECKSUM_DIGITS)),
            ),
        ]));
    for name in continuous {
        // Plain rather than split by bytes: Spark's vectorized reader supports no other encoding of floats.
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
    for columns in groups {
        let mut group = writer.next_row_group()?;
        for column in columns {
            let mut out = group
                .next_column()?
                .ok_or_else(|| ParquetError::General("more columns than the schema".to_owned()))?;
            match column {
                Column::Text(v) => out.typed::<ByteArrayType>().write_batch(&v, None, None)?,
                Column::Long(v) => out.typed::<Int64Type>().write_batch(&v, None, None)?,
                Column::Int(v) => out.typed::<Int32Type>().write_batch(&v, None, None)?,
                Column::Float(v) => out.typed::<FloatType>().write_batch(&v, None, None)?,
                Column::Double(v) => out.typed::<DoubleType>().write_batch(&v, None, None)?,
            };
            out.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}

/// The position of the checksum's digits: after the last marker, because metadata is at the end of a file.
fn checksum_position(bytes: &[u8]) -> Option<usize> {
    let marker = MARKER.as_bytes();
    let start = bytes.windows(marker.len()).rposition(|at| at == marker)?;
    let digits = start + marker.len();
    (digits + CHECKSUM_DIGITS <= bytes.len()).then_some(digits)
}

fn write_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = checksum_position(&bytes) {
        let digits = format!("{:08x}", checksum(&bytes, at));
        bytes[at..at + CHECKSUM_DIGITS].copy_from_slice(digits.as_bytes());
    }
    bytes
}

fn checksum(bytes: &[u8], position: usize) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[..position]);
    crc.update(&[b'0'; CHECKSUM_DIGITS]);
    crc.update(&bytes[position + CHECKSUM_DIGITS..]);
    crc.sum()
}

/// A file with a checksum, open for reading.
pub(super) struct Table {
    context: String,
    reader: SerializedFileReader<File>,
}

impl Table {
    /// Opens a file after verifying its checksum.
    pub fn open(path: &Path) -> Result<Self> {
        Self::verify(path)?;
        Self::open_verified(path)
    }

    fn verify(path: &Path) -> Result<()> {
        let context = path.display().to_string();
        let bytes = files::read_bounded(path, MAX_BYTES)?;
        let sound = checksum_position(&bytes).is_some_and(|at| {
            bytes[at..at + CHECKSUM_DIGITS] == *format!("{:08x}", checksum(&bytes, at)).as_bytes()
        });
        if !sound {
            let start = &bytes[..bytes.len().min(START)];
            if let Some(error) = other_kind(&context, start, Expected::Parquet) {
                return Err(error);
            }
            return Err(Error::file(
                context,
                "damaged, or not written by trainscope: its checksum is wrong",
                "restore it from a copy, or remove it and resume or replay the run over these steps",
            ));
        }
        Ok(())
    }

    /// Opens a file whose checksum was verified before: what is asked for is read, and not the whole file.
    pub fn open_verified(path: &Path) -> Result<Self> {
        let context = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::io(path, "open it", &error))?;
        let reader = catch_decoder_panic(&context, || SerializedFileReader::new(file))?;
        let rows = reader.metadata().file_metadata().num_rows();
        let groups = reader.metadata().row_groups();
        let sums_up = groups
            .iter()
            .try_fold(0i64, |sum, group| {
                sum.checked_add(group.num_rows())
                    .filter(|_| group.num_rows() >= 0)
            })
            .is_some_and(|sum| sum == rows);
        if !sums_up || rows > MAX_ROWS {
            return Err(unusable(
                &context,
                &format!("its header claims {rows} rows"),
            ));
        }
        Ok(Self { context, reader })
    }

    /// The text under `key` in the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        let pairs = self
            .reader
            .metadata()
            .file_metadata()
            .key_value_metadata()?;
        let pair = pairs.iter().find(|pair| pair.key == key)?;
        pair.value.as_deref()
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// Rows of a group.
    pub fn rows(&self, group: usize) -> usize {
        self.reader.metadata().row_group(group).num_rows() as usize
    }

    /// Whether it has a column of that name.
    pub fn has(&self, name: &str) -> bool {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.columns().iter().any(|column| column.name() == name)
    }

    /// All values of a required column of that type in a group.
    pub fn column<T: DataType>(&self, group: usize, name: &str) -> Result<Vec<T::T>> {
        let rows = self.rows(group);
        let found = catch_decoder_panic(&self.context, || {
            let group = self.reader.get_row_group(group)?;
            let columns = group.metadata().columns();
            let index = columns
                .iter()
                .position(|column| {
                    let describes = column.column_descr();
                    describes.name() == name
                        && describes.physical_type() == T::get_physical_type()
                        && describes.max_def_level() == 0
                        && describes.max_rep_level() == 0
                })
                .ok_or_else(|| ParquetError::General(format!("no column '{name}'")))?;
            let mut reader = column_reader::<T>(group.as_ref(), index)?;
            let mut values = Vec::new();
            while values.len() < rows {
                let most = CHUNK.min(rows - values.len());
                let (read, _, _) = reader.read_records(most, None, None, &mut values)?;
                if read == 0 {
                    break;
                }
            }
            Ok(values)
        })?;
        if found.len() != rows {
            let problem = format!("column '{name}' has {} of {rows} values", found.len());
            return Err(unusable(&self.context, &problem));
        }
        Ok(found)
    }

    /// An error about this file.
    pub fn unusable(&self, problem: &str) -> Error {
        unusable(&self.context, problem)
    }
}

fn unusable(context: &str, problem: &str) -> Error {
    Error::file(
        context,
        problem,
        "restore the file from a copy, or remove it and resume or replay the run over these steps",
    )
}

/// Turns the decoder's errors, and its panics on a forged file, into errors.
fn catch_decoder_panic<T>(context: &str, decode: impl FnOnce() -> ParquetResult<T>) -> Result<T> {
    match panics::catch(decode) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let problem = match &error {
                // The only one of our own words.
                ParquetError::General(problem) if problem.starts_with("no column") => problem,
                _ => "it cannot be decoded: its parts do not fit each other",
            };
            Err(unusable(context, problem).with_source(error))
        }
        Err(panic) => {
            let problem = format!("cannot be decoded: {}", panic.message);
            Err(unusable(context, &problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<u8> {
        let schema = "message m { REQUIRED INT64 step; REQUIRED BYTE_ARRAY name (UTF8); REQUIRED FLOAT mean; }";
        let columns = || {
            vec![
                Column::Long((0..50).collect()),
                Column::Text(vec![ByteArray::from("loss"); 50]),
                Column::Float((0..50).map(|i| (i as f32).sin()).collect()),
            ]
        };
        let groups = [columns(), columns()].into_iter();
        encode(schema, &["mean"], ("key", "text".to_owned()), groups).expect("encodes")
    }

    /// Flipped bits under a forged checksum reach the decoder: an error or other values, never a panic or a hang.
    #[test]
    fn forged_files_do_not_break_the_decoder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("t.parquet");
        let good = small();
        let mut refused = 0;
        for bit in (0..good.len() * 8).step_by(3) {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, write_checksum(flipped)).expect("written");
            let read = || -> Result<()> {
                let table = Table::open(&path)?;
                for group in 0..table.groups() {
                    table.column::<Int64Type>(group, "step")?;
                    table.column::<ByteArrayType>(group, "name")?;
                    table.column::<FloatType>(group, "mean")?;
                }
                Ok(())
            };
            refused += usize::from(read().is_err());
        }
        assert!(
            refused > good.len() / 3,
            "{refused} of {} bits",
            good.len() * 8
        );
    }
}
