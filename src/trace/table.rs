//! Parquet files, written and read column by column, and sealed with a checksum.
//!
//! The seal is a CRC-32 over the whole file, kept in the file's own metadata (its eight digits count as zeros), so
//! that a bent bit gives a sentence instead of wrong figures, and the decoder only ever sees files as they were
//! written. Other tools ignore it.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::files;
use crate::{Error, Result};

const SEAL: &str = "crc32:";
const SEAL_DIGITS: usize = 8;
/// The most bytes of a file and the most rows in it: far more than a segment is allowed to grow to.
const MOST_BYTES: u64 = 1 << 30;
const MOST_ROWS: i64 = 1 << 24;
/// Rows decoded at once, so that memory grows with what the file holds and not with what it claims.
const CHUNK: usize = 1 << 16;

/// The values of one column in a row group.
pub(super) enum Column {
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
    write(schema, continuous, key, text, groups)
        .map(seal)
        .map_err(|error| Error::input("segment", error.to_string(), "report this as a bug"))
}

fn write(
    schema: &str,
    continuous: &[&str],
    key: &str,
    text: String,
    groups: impl Iterator<Item = Vec<Column>>,
) -> ParquetResult<Vec<u8>> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("trainscope ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![
            KeyValue::new(key.to_owned(), text),
            KeyValue::new(
                "trainscope.seal".to_owned(),
                format!("{SEAL}{}", "0".repeat(SEAL_DIGITS)),
            ),
        ]));
    for name in continuous {
        // Plain rather than split by bytes: Spark's vectorised reader knows no other encoding of floats.
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    let schema = Arc::new(parse_message_type(schema)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
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

/// Where the digits of the seal stand: after the last marker, because metadata lies at the end of a file.
fn seal_at(bytes: &[u8]) -> Option<usize> {
    let marker = SEAL.as_bytes();
    let start = bytes.windows(marker.len()).rposition(|at| at == marker)?;
    let digits = start + marker.len();
    (digits + SEAL_DIGITS <= bytes.len()).then_some(digits)
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = seal_at(&bytes) {
        let digits = format!("{:08x}", checksum(&bytes, at));
        bytes[at..at + SEAL_DIGITS].copy_from_slice(digits.as_bytes());
    }
    bytes
}

fn checksum(bytes: &[u8], seal_at: usize) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[..seal_at]);
    crc.update(&[b'0'; SEAL_DIGITS]);
    crc.update(&bytes[seal_at + SEAL_DIGITS..]);
    crc.sum()
}

/// A sealed file, open for reading.
pub(super) struct Table {
    place: String,
    reader: SerializedFileReader<File>,
}

impl Table {
    /// Opens a file after checking its seal.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let bytes = files::read_bounded(path, MOST_BYTES)?;
        let sound = seal_at(&bytes).is_some_and(|at| {
            bytes[at..at + SEAL_DIGITS] == *format!("{:08x}", checksum(&bytes, at)).as_bytes()
        });
        if !sound {
            return Err(Error::input(
                place,
                "it is damaged or was not written by trainscope: its checksum is wrong",
                "restore it from a copy, or remove it and resume or replay the run over these steps",
            ));
        }
        drop(bytes);
        let file = File::open(path).map_err(|error| Error::io(path, "open it", &error))?;
        let reader = guarded(&place, || SerializedFileReader::new(file))?;
        let rows = reader.metadata().file_metadata().num_rows();
        let groups = reader.metadata().row_groups();
        let sums_up = groups
            .iter()
            .try_fold(0i64, |sum, group| {
                sum.checked_add(group.num_rows())
                    .filter(|_| group.num_rows() >= 0)
            })
            .is_some_and(|sum| sum == rows);
        if !sums_up || rows > MOST_ROWS {
            return Err(unusable(&place, &format!("it claims {rows} rows")));
        }
        Ok(Self { place, reader })
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

    /// All values of a required column of that type in a group.
    pub fn column<T: DataType>(&self, group: usize, name: &str) -> Result<Vec<T::T>> {
        let rows = self.rows(group);
        let found = guarded(&self.place, || {
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
                .ok_or_else(|| ParquetError::General(format!("it has no column '{name}'")))?;
            let mut reader = get_typed_column_reader::<T>(group.get_column_reader(index)?);
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
            return Err(unusable(&self.place, &problem));
        }
        Ok(found)
    }

    /// An error about this file.
    pub fn unusable(&self, problem: &str) -> Error {
        unusable(&self.place, problem)
    }
}

fn unusable(place: &str, problem: &str) -> Error {
    Error::input(
        place,
        problem,
        "restore the file from a copy, or remove it and resume or replay the run over these steps",
    )
}

/// Turns the decoder's errors, and panics of a decoder that met a forged file, into sentences.
fn guarded<T>(place: &str, decode: impl FnOnce() -> ParquetResult<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unusable(place, &error.to_string())),
        Err(panic) => {
            let reason = panic_text(panic.as_ref());
            Err(unusable(place, &format!("it cannot be decoded: {reason}")))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason is given")
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

    /// Bent bits under a forged seal reach the decoder: an error or other values, never a panic or a wait.
    #[test]
    fn forged_files_are_survived() {
        let folder = tempfile::tempdir().expect("a place for files");
        let path = folder.path().join("t.parquet");
        let good = small();
        let mut refused = 0;
        for bit in (0..good.len() * 8).step_by(3) {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, seal(bent)).expect("written");
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
