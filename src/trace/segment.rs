//! Segments of a run: the statistics and the scalars of the steps `from..to`, one Parquet file each.
//!
//! A file of statistics has one row group for each recorded tensor, and in it the whole series of the first unit,
//! then of the second: a series is read from one row group and one column, and neighboring numbers are alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use serde::{Deserialize, Serialize};

use super::layout::{TraceEntry, TraceLayout};
use super::table::{self, Column, Table};
use super::{Statistic, UnitStatistics};
use crate::Result;
use crate::files;
use crate::tensor::TensorKind;

const TRACE_SCHEMA: &str = "message trace {
    REQUIRED INT64 step; REQUIRED BYTE_ARRAY tensor (UTF8); REQUIRED BYTE_ARRAY kind (UTF8); REQUIRED INT32 unit;
    REQUIRED FLOAT mean; REQUIRED FLOAT std; REQUIRED FLOAT min; REQUIRED FLOAT max;
    REQUIRED FLOAT zero_fraction; REQUIRED INT32 nonfinite;
}";
const SCALAR_SCHEMA: &str = "message scalars {
    REQUIRED INT64 step; REQUIRED BYTE_ARRAY name (UTF8); REQUIRED DOUBLE value; {wall_time}
}";
const WALL_TIME: &str = "wall_time";
const WALL_TIME_FIELD: &str = "REQUIRED DOUBLE wall_time;";
const LAYOUT: &str = "trainscope.layout";

/// Steps `from..to` of one kind of segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    pub from: u64,
    pub to: u64,
    pub path: PathBuf,
    /// The file as it was when its checksum was verified.
    pub verified: Option<FileState>,
}

/// The length of a file, and when it was last written: while both stay, its content does.
pub(super) type FileState = (u64, SystemTime);

fn state_of(path: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

impl SegmentFile {
    pub fn new(folder: &Path, from: u64, to: u64) -> Self {
        let path = folder.join(format!("{from:06}-{to:06}.parquet"));
        Self {
            from,
            to,
            path,
            verified: None,
        }
    }

    /// Whether the file is as it was when its checksum was verified.
    pub fn is_verified(&self) -> bool {
        self.verified.is_some() && self.verified == state_of(&self.path)
    }

    /// Whether a file names what it records, as a segment of statistics does.
    pub fn is_one(path: &Path) -> Result<bool> {
        let bytes = files::read_bounded(path, table::MAX_BYTES)?;
        let name = LAYOUT.as_bytes();
        Ok(bytes.windows(name.len()).any(|part| part == name))
    }

    /// All segments of a folder by their first step. Unfinished files have other names and do not count.
    pub fn list(folder: &Path) -> Result<Vec<Self>> {
        let mut found: Vec<Self> = files::names(folder)?
            .iter()
            .filter_map(|name| {
                let (from, to) = name.strip_suffix(".parquet")?.split_once('-')?;
                let (from, to) = (step_of(from)?, step_of(to)?);
                Some(Self {
                    from,
                    to,
                    path: folder.join(name),
                    verified: None,
                })
            })
            .collect();
        found.sort_by_key(|segment| (segment.from, segment.to));
        Ok(found)
    }
}

/// The step that file names write with six digits or more.
pub(super) fn step_of(digits: &str) -> Option<u64> {
    let proper = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| proper)
}

/// Statistics of some steps.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    pub steps: Vec<u64>,
    /// `[steps, rows]`
    pub values: Vec<UnitStatistics>,
}

/// Bytes of a file of these records, for estimates of what a recording takes.
///
/// # Errors
/// They cannot be encoded.
pub(crate) fn encoded_statistics_size(
    layout: &TraceLayout,
    steps: &[u64],
    records: &[Vec<UnitStatistics>],
) -> Result<u64> {
    let statistics = Statistics {
        steps: steps.to_vec(),
        values: records.concat(),
    };
    Ok(statistics.encode(layout)?.len() as u64)
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    tensor: String,
    kind: TensorKind,
    units: usize,
}

impl Statistics {
    /// As a Parquet file.
    pub fn encode(&self, layout: &TraceLayout) -> Result<Vec<u8>> {
        let stored: Vec<StoredEntry> = layout
            .entries()
            .iter()
            .map(|entry| StoredEntry {
                tensor: entry.tensor.clone(),
                kind: entry.kind,
                units: entry.units,
            })
            .collect();
        let text = serde_json::to_string(&stored).expect("plain data");
        let groups = layout
            .entries()
            .iter()
            .map(|entry| self.columns(entry, layout.rows()));
        let continuous = ["mean", "std", "min", "max"];
        table::encode(TRACE_SCHEMA, &continuous, (LAYOUT, text), groups)
    }

    fn columns(&self, entry: &TraceEntry, rows: usize) -> Vec<Column> {
        let count = entry.units * self.steps.len();
        let by_unit = |statistic: Statistic| -> Vec<f32> {
            entry
                .rows()
                .flat_map(|row| (0..self.steps.len()).map(move |step| step * rows + row))
                .map(|index| self.values[index].get(statistic))
                .collect()
        };
        let mut columns = vec![
            Column::Long(
                (0..entry.units)
                    .flat_map(|_| self.steps.iter().map(|&step| step as i64))
                    .collect(),
            ),
            Column::Text(vec![ByteArray::from(entry.tensor.as_str()); count]),
            Column::Text(vec![ByteArray::from(entry.kind.name()); count]),
            Column::Int(
                (0..entry.units)
                    .flat_map(|unit| std::iter::repeat_n(unit as i32, self.steps.len()))
                    .collect(),
            ),
        ];
        for statistic in Statistic::ALL {
            let values = by_unit(statistic);
            columns.push(match statistic {
                Statistic::Nonfinite => Column::Int(values.iter().map(|&v| v as i32).collect()),
                _ => Column::Float(values),
            });
        }
        columns
    }

    /// Reads a whole file, and what is recorded in it.
    pub fn read(path: &Path) -> Result<(TraceLayout, Self)> {
        let file = StatisticsFile::open(path)?;
        let rows = file.layout.rows();
        let mut values = vec![[0.0; UnitStatistics::LEN]; file.steps.len() * rows];
        for entry in file.layout.entries() {
            for (field, statistic) in Statistic::ALL.into_iter().enumerate() {
                let series = file.series(entry, statistic)?;
                let units = entry.rows().zip(series.chunks_exact(file.steps.len()));
                for (row, unit) in units {
                    for (step, &value) in unit.iter().enumerate() {
                        values[step * rows + row][field] = value;
                    }
                }
            }
        }
        let values = bytemuck::cast_vec(values);
        let steps = file.steps;
        Ok((file.layout, Self { steps, values }))
    }
}

/// A segment of statistics, open for reading.
pub(crate) struct StatisticsFile {
    table: Table,
    pub layout: TraceLayout,
    /// Recorded steps, ascending.
    pub steps: Vec<u64>,
}

impl StatisticsFile {
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_table(Table::open(path)?)
    }

    /// Opens a segment; its checksum is only verified where that has not been done since it was written.
    pub(super) fn open_segment(segment: &SegmentFile) -> Result<Self> {
        match segment.is_verified() {
            true => Self::of_table(Table::open_verified(&segment.path)?),
            false => Self::open(&segment.path),
        }
    }

    /// Opens a segment, verifies it, and notes that.
    pub(super) fn verify(segment: &mut SegmentFile) -> Result<Self> {
        let state = state_of(&segment.path);
        let file = Self::open_segment(segment)?;
        segment.verified = state;
        Ok(file)
    }

    fn of_table(table: Table) -> Result<Self> {
        let stored: Vec<StoredEntry> = table
            .text(LAYOUT)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| table.unusable("its metadata does not list the recorded tensors"))?;
        let mut layout = TraceLayout::new();
        let mut steps: Vec<u64> = Vec::new();
        if stored.len() != table.groups() {
            return Err(table.unusable("expected one row group for each recorded tensor"));
        }
        for (group, entry) in stored.into_iter().enumerate() {
            let rows = table.rows(group);
            if group == 0 {
                let count = rows.checked_div(entry.units).unwrap_or(0);
                let column = table.column::<Int64Type>(0, "step")?;
                steps = column[..count].iter().map(|&step| step as u64).collect();
            }
            if entry.units.checked_mul(steps.len()) != Some(rows) || rows == 0 {
                return Err(table.unusable(&format!(
                    "tensor '{}' has {rows} rows for {} units",
                    entry.tensor, entry.units
                )));
            }
            layout.push(entry.tensor, entry.kind, entry.units);
        }
        if !steps.is_sorted_by(|a, b| a < b) {
            return Err(table.unusable("its steps are not ascending"));
        }
        Ok(Self {
            table,
            layout,
            steps,
        })
    }

    /// `[units, steps]` of a tensor of this file.
    pub fn series(&self, entry: &TraceEntry, statistic: Statistic) -> Result<Vec<f32>> {
        let group = self
            .layout
            .entries()
            .iter()
            .position(|own| own == entry)
            .ok_or_else(|| {
                self.table.unusable(&format!(
                    "records {} '{}' with other units than the segments before it",
                    entry.kind.name(),
                    entry.tensor
                ))
            })?;
        let name = statistic.name();
        match statistic {
            Statistic::Nonfinite => Ok(self
                .table
                .column::<Int32Type>(group, name)?
                .into_iter()
                .map(|value| value as f32)
                .collect()),
            _ => self.table.column::<FloatType>(group, name),
        }
    }
}

/// Scalars of some steps by their names.
pub(super) type Scalars = BTreeMap<String, Vec<(u64, f64)>>;

/// When the scalars of each step came, in seconds since 1970.
pub(super) type WallTimes = BTreeMap<u64, f64>;

/// One scalar of one step, as a file has it.
pub(super) struct ScalarRow<'a> {
    pub name: &'a str,
    pub step: u64,
    pub value: f64,
    /// When it came, in seconds since 1970. Files of earlier versions do not say.
    pub wall_time: Option<f64>,
}

/// Scalars as a Parquet file, with their times where those of all steps are known.
pub(super) fn encode_scalars(scalars: &Scalars, wall_times: &WallTimes) -> Result<Vec<u8>> {
    let count = scalars.values().map(Vec::len).sum();
    let mut names = Vec::with_capacity(count);
    let mut steps = Vec::with_capacity(count);
    let mut values = Vec::with_capacity(count);
    let mut times = Vec::with_capacity(count);
    for (name, series) in scalars {
        let name = ByteArray::from(name.as_str());
        for &(step, value) in series {
            names.push(name.clone());
            steps.push(step as i64);
            values.push(value);
            times.extend(wall_times.get(&step));
        }
    }
    let has_times = times.len() == count;
    let mut columns = vec![
        Column::Long(steps),
        Column::Text(names),
        Column::Double(values),
    ];
    if has_times {
        columns.push(Column::Double(times));
    }
    let time_field = if has_times { WALL_TIME_FIELD } else { "" };
    let schema = SCALAR_SCHEMA.replace("{wall_time}", time_field);
    let version = ("trainscope.scalars", "1".to_owned());
    let columns = std::iter::once(columns);
    table::encode(&schema, &["value"], version, columns)
}

/// Reads a file of scalars and hands each on.
pub(super) fn read_scalars(path: &Path, mut each: impl FnMut(ScalarRow<'_>)) -> Result<()> {
    let table = Table::open(path)?;
    for group in 0..table.groups() {
        let steps = table.column::<Int64Type>(group, "step")?;
        let names = table.column::<ByteArrayType>(group, "name")?;
        let values = table.column::<DoubleType>(group, "value")?;
        let times = match table.has(WALL_TIME) {
            true => table.column::<DoubleType>(group, WALL_TIME)?,
            false => Vec::new(),
        };
        let rows = steps.iter().zip(&names).zip(values);
        for (row, ((step, name), value)) in rows.enumerate() {
            let name = name
                .as_utf8()
                .map_err(|_| table.unusable("a scalar's name is not valid UTF-8"))?;
            each(ScalarRow {
                name,
                step: *step as u64,
                value,
                wall_time: times.get(row).copied(),
            });
        }
    }
    Ok(())
}
