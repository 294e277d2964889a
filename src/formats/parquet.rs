//! Lines from a Parquet table of numbers, one line a row, as pandas, Polars and DuckDB write it.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::data_type::{BoolType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::layout::TableLayout;
use super::series_file::{MAX_VALUES, SeriesFile};
use crate::parquet_pages::column_reader;
use crate::series::{Numbers, SeriesTable};
use crate::{Error, Result, files};

/// Rows decoded at once, so that memory grows with what the file holds and not with what it claims.
const CHUNK: usize = 1 << 16;
/// What pandas calls an index without a name, which is no data.
const INDEX: &str = "__index_level_0__";

/// The numbers of one column; `None` where a cell is empty.
enum Column {
    Single(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
    Whole(Vec<Option<i128>>),
}

/// Reads all columns of numbers. Empty cells are NaN.
pub(super) fn read(path: &Path) -> Result<SeriesFile> {
    let (file, _) = files::open(path)?;
    let unusable = |problem: String| {
        Error::file(
            path.display().to_string(),
            problem,
            "save a table of plain numbers, one line a row, such as DataFrame(array).to_parquet(path)",
        )
    };
    match catch_unwind(AssertUnwindSafe(|| decode(file))) {
        Ok(Ok((columns, names))) => {
            let table = table(columns).map_err(unusable)?;
            if table.values.is_empty() {
                return Err(unusable("no series in it".to_owned()));
            }
            Ok(SeriesFile {
                layout: TableLayout {
                    lines: table.lines,
                    steps: table.steps.len(),
                    ..TableLayout::default()
                },
                table,
                names: Vec::new(),
                columns: names,
            })
        }
        Ok(Err(error)) => Err(unusable(format!("cannot be read: {error}")).with_source(error)),
        Err(panic) => Err(unusable(format!("cannot be decoded: {}", reason(&panic)))),
    }
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.unwrap_or("its contents contradict each other")
}

/// The columns of numbers of all row groups, and their names.
fn decode(file: File) -> ParquetResult<(Vec<Column>, Vec<String>)> {
    let reader = SerializedFileReader::new(file)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr_ptr();
    let names = schema.columns().iter().enumerate();
    let wanted: Vec<usize> = names
        .filter(|(_, column)| column.name() != INDEX)
        .map(|(index, _)| index)
        .collect();
    let rows = metadata.file_metadata().num_rows();
    let values = u64::try_from(rows)
        .ok()
        .and_then(|rows| rows.checked_mul(wanted.len() as u64));
    if values.is_none_or(|values| values > MAX_VALUES) {
        let problem = format!("{rows} rows of {} columns are too many", wanted.len());
        return Err(ParquetError::General(problem));
    }
    let mut columns: Vec<Column> = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for (position, &index) in wanted.iter().enumerate() {
            let part = column(group.as_ref(), index, &schema.column(index))?;
            match (columns.get_mut(position), part) {
                (None, part) => columns.push(part),
                (Some(Column::Single(all)), Column::Single(part)) => all.extend(part),
                (Some(Column::Double(all)), Column::Double(part)) => all.extend(part),
                (Some(Column::Whole(all)), Column::Whole(part)) => all.extend(part),
                _ => {
                    return Err(ParquetError::General(
                        "a column changes its type".to_owned(),
                    ));
                }
            }
        }
    }
    let name = |&index: &usize| schema.column(index).name().to_owned();
    Ok((columns, wanted.iter().map(name).collect()))
}

fn column(
    group: &dyn RowGroupReader,
    index: usize,
    describes: &ColumnDescriptor,
) -> ParquetResult<Column> {
    if describes.max_rep_level() > 0 || describes.max_def_level() > 1 {
        let problem = format!("column '{}' holds lists or records", describes.name());
        return Err(ParquetError::General(problem));
    }
    let unsigned = matches!(
        describes.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    );
    let whole = |number: i64, bits: u32| match unsigned {
        true => i128::from(number).rem_euclid(1 << bits),
        false => i128::from(number),
    };
    Ok(match describes.physical_type() {
        Physical::FLOAT => Column::Single(cells::<FloatType, _>(group, index, |v| *v)?),
        Physical::DOUBLE => Column::Double(cells::<DoubleType, _>(group, index, |v| *v)?),
        Physical::BOOLEAN => Column::Single(cells::<BoolType, _>(group, index, |v| {
            f32::from(u8::from(*v))
        })?),
        Physical::INT32 => Column::Whole(cells::<Int32Type, _>(group, index, |v| {
            whole((*v).into(), 32)
        })?),
        Physical::INT64 => Column::Whole(cells::<Int64Type, _>(group, index, |v| whole(*v, 64))?),
        _ => {
            let problem = format!("column '{}' holds no numbers", describes.name());
            return Err(ParquetError::General(problem));
        }
    })
}

/// The cells of one column in a row group.
fn cells<T: DataType, N>(
    group: &dyn RowGroupReader,
    index: usize,
    number: impl Fn(&T::T) -> N,
) -> ParquetResult<Vec<Option<N>>> {
    let rows = group.metadata().num_rows().max(0) as usize;
    let mut reader = column_reader::<T>(group, index)?;
    let mut cells = Vec::new();
    while cells.len() < rows {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let most = CHUNK.min(rows - cells.len());
        let (read, _, _) = reader.read_records(most, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            let problem = format!("{} of {rows} rows are there", cells.len());
            return Err(ParquetError::General(problem));
        }
        let mut values = values.iter();
        // A required column has no levels.
        levels.resize(
            read.max(levels.len()),
            if levels.is_empty() { 1 } else { 0 },
        );
        cells.extend(levels.iter().map(|level| match level {
            0 => None,
            _ => values.next().map(&number),
        }));
    }
    Ok(cells)
}

/// Rows from columns.
fn table(columns: Vec<Column>) -> std::result::Result<SeriesTable, String> {
    let len = |column: &Column| match column {
        Column::Single(cells) => cells.len(),
        Column::Double(cells) => cells.len(),
        Column::Whole(cells) => cells.len(),
    };
    let lines = columns.first().map_or(0, len);
    if columns.iter().any(|column| len(column) != lines) {
        return Err("its columns have different lengths".to_owned());
    }
    let rows = || (0..lines).flat_map(|row| columns.iter().map(move |column| (row, column)));
    let is_whole = columns
        .iter()
        .all(|column| matches!(column, Column::Whole(cells) if cells.iter().all(Option::is_some)));
    if is_whole && !columns.is_empty() {
        let number = |(row, column): (usize, &Column)| match column {
            Column::Whole(cells) => cells[row].unwrap_or_default(),
            _ => 0,
        };
        return Ok(SeriesTable::of_integers(lines, rows().map(number)));
    }
    if columns
        .iter()
        .all(|column| matches!(column, Column::Single(_)))
    {
        let number = |(row, column): (usize, &Column)| match column {
            Column::Single(cells) => cells[row].unwrap_or(f32::NAN),
            _ => f32::NAN,
        };
        return Ok(SeriesTable::new(
            lines,
            Numbers::F32(rows().map(number).collect()),
        ));
    }
    let number = |(row, column): (usize, &Column)| match column {
        Column::Single(cells) => cells[row].map(f64::from),
        Column::Double(cells) => cells[row],
        Column::Whole(cells) => cells[row].map(|whole| whole as f64),
    };
    let values = rows()
        .map(|cell| number(cell).unwrap_or(f64::NAN))
        .collect();
    Ok(SeriesTable::new(lines, Numbers::F64(values)))
}
