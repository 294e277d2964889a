//! Reading a run directory exactly, also while the run continues or after it was killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::event::Event;
use super::event_file::read_events;
use super::layout::{TraceEntry, TraceLayout};
use super::model_description::ModelDescription;
use super::run_info::{RUN, RunInfo};
use super::run_writer::{EVENTS, GRAPH, SCALARS, SCENARIO, TRACE};
use super::segment::{Scalars, SegmentFile, StatisticsFile, WallTimes, read_scalars};
use super::{Statistic, UnitSeries, UnitStatistics};
use crate::files;
use crate::tensor::TensorKind;
use crate::{Error, ErrorKind, Result};

/// A run directory, open for reading. Files are read when they are asked for; a directory that still grows can be
/// opened again at any time. Every damaged part is an error; see [`RunView`](super::RunView) for what looks past it.
#[derive(Debug, Clone)]
pub struct RunReader {
    folder: PathBuf,
    info: RunInfo,
    trace: Vec<SegmentFile>,
    scalars: Vec<SegmentFile>,
}

impl RunReader {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// There is no run, its format is newer than this crate, or `run.json` is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            info: RunInfo::read(&run_file(folder)?)?,
            trace: SegmentFile::list(&folder.join(TRACE))?,
            scalars: SegmentFile::list(&folder.join(SCALARS))?,
            folder: folder.to_owned(),
        })
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `run.json` holds.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The scenario as it was written.
    ///
    /// # Errors
    /// The run has none, as a recorded run of another program, or it is not text.
    pub fn scenario(&self) -> Result<String> {
        let path = self.folder.join(SCENARIO);
        if !path.exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                self.folder.display().to_string(),
                format!(
                    "the run has no scenario ({SCENARIO}), so its steps cannot be computed again"
                ),
                "look at it with report, explain, sample, compare, budget or watch, which need none",
            ));
        }
        files::read_text(&path)
    }

    /// The graphs of the model.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn model(&self) -> Result<ModelDescription> {
        ModelDescription::read(&self.folder.join(GRAPH))
    }

    /// All scalars by their names, each as (step, value) with ascending steps.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn scalars(&self) -> Result<BTreeMap<String, Vec<(u64, f64)>>> {
        let mut all = Scalars::new();
        for segment in &self.scalars {
            read_scalars(&segment.path, |row| {
                push_scalar(&mut all, row.name, row.step, row.value);
            })?;
        }
        Ok(all)
    }

    /// When the scalars of each step came, as (step, seconds since 1970) with ascending steps. Steps that an earlier version
    /// has recorded are left out.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn wall_times(&self) -> Result<Vec<(u64, f64)>> {
        let mut times = WallTimes::new();
        for segment in &self.scalars {
            read_scalars(&segment.path, |row| {
                if let Some(time) = row.wall_time {
                    times.entry(row.step).or_insert(time);
                }
            })?;
        }
        Ok(times.into_iter().collect())
    }

    /// The recorded tensors; none before the first segment is closed.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn layout(&self) -> Result<TraceLayout> {
        match self.trace.first() {
            Some(segment) => Ok(StatisticsFile::open(&segment.path)?.layout),
            None => Ok(TraceLayout::new()),
        }
    }

    /// A statistic of all units of `tensor` over all recorded steps.
    ///
    /// # Errors
    /// The tensor is not recorded in this kind (the message lists what is), or a segment is damaged.
    pub fn series(
        &self,
        tensor: &str,
        kind: TensorKind,
        statistic: Statistic,
    ) -> Result<UnitSeries> {
        let layout = self.layout()?;
        let entry = find_entry(&self.folder, &layout, tensor, kind)?;
        read_series(&self.trace, entry, statistic)
    }

    /// The statistics of each recorded step in `from..to`, in the order of the layout's rows, as they were handed to
    /// [`super::RunWriter::record`].
    ///
    /// # Errors
    /// A damaged segment.
    pub fn statistics(&self, from: u64, to: u64) -> Result<Vec<(u64, Vec<UnitStatistics>)>> {
        read_statistics(&self.trace, &self.layout()?, from, to)
    }

    /// All events in the order in which they were written.
    ///
    /// # Errors
    /// A damaged line.
    pub fn events(&self) -> Result<Vec<Event>> {
        read_events(&self.folder.join(EVENTS))
    }

    /// The step of the last checkpoint, which may be an interim one: see [`RunReader::checkpoints`].
    ///
    /// # Errors
    /// There is none, or the folder cannot be listed.
    pub fn last_checkpoint(&self) -> Result<u64> {
        let last = checkpoint::list(&self.folder)?.last().copied();
        last.map(|(step, _)| step).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                self.folder.display().to_string(),
                "the run has no checkpoint",
                "start it again with trainscope train",
            )
        })
    }

    /// Steps after which there is a checkpoint, ascending. An interim one, which a run that goes on replaces within a
    /// minute, is not among them.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<u64>> {
        list_checkpoints(&self.folder)
    }
}

/// The path of `run.json`, which every run has.
pub(super) fn run_file(folder: &Path) -> Result<PathBuf> {
    let path = folder.join(RUN);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(
        ErrorKind::NotFound,
        folder.display().to_string(),
        format!("not a run directory: no {RUN} found"),
        "name a directory that `trainscope train` has written",
    ))
}

/// Adds a value to a scalar. A resume that was killed half-way may leave a segment and its trimmed copy side by side, so
/// a step that is known already is passed over.
pub(super) fn push_scalar(scalars: &mut Scalars, name: &str, step: u64, value: f64) {
    let series = match scalars.get_mut(name) {
        Some(series) => series,
        None => scalars.entry(name.to_owned()).or_default(),
    };
    if series.last().is_none_or(|&(last, _)| last < step) {
        series.push((step, value));
    }
}

pub(super) fn find_entry<'l>(
    folder: &Path,
    layout: &'l TraceLayout,
    tensor: &str,
    kind: TensorKind,
) -> Result<&'l TraceEntry> {
    layout.find(tensor, kind).ok_or_else(|| {
        let of_kind = layout.entries().iter().filter(|entry| entry.kind == kind);
        let mut known: Vec<&str> = of_kind.map(|entry| entry.tensor.as_str()).collect();
        known.dedup();
        Error::new(
            ErrorKind::NotFound,
            format!("{} of '{tensor}'", kind.name()),
            format!("not recorded in {}", folder.display()),
            if known.is_empty() {
                "wait until its first segment is written".to_owned()
            } else {
                format!("choose one of: {}", known.join(", "))
            },
        )
    })
}

pub(super) fn read_series(
    segments: &[SegmentFile],
    entry: &TraceEntry,
    statistic: Statistic,
) -> Result<UnitSeries> {
    let mut parts = Vec::new();
    let mut steps: Vec<u64> = Vec::new();
    for segment in segments {
        let file = StatisticsFile::open_segment(segment)?;
        let known = file
            .steps
            .partition_point(|step| steps.last().is_some_and(|last| step <= last));
        if known == file.steps.len() {
            continue;
        }
        steps.extend(&file.steps[known..]);
        parts.push((file.series(entry, statistic)?, file.steps.len(), known));
    }
    let mut values = Vec::with_capacity(entry.units * steps.len());
    for unit in 0..entry.units {
        for (part, width, known) in &parts {
            values.extend_from_slice(&part[unit * width + known..(unit + 1) * width]);
        }
    }
    Ok(UnitSeries {
        steps,
        units: entry.units,
        values,
    })
}

pub(super) fn read_statistics(
    segments: &[SegmentFile],
    layout: &TraceLayout,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, Vec<UnitStatistics>)>> {
    let mut found: Vec<(u64, Vec<UnitStatistics>)> = Vec::new();
    let overlaps = |segment: &&SegmentFile| from < segment.to && segment.from < to;
    for segment in segments.iter().filter(overlaps) {
        let (recorded, part) = super::segment::Statistics::read(&segment.path)?;
        if recorded != *layout {
            return Err(other_layout(segment));
        }
        let records = part.values.chunks_exact(layout.rows().max(1));
        for (&step, values) in part.steps.iter().zip(records) {
            let is_new = found.last().is_none_or(|(last, _)| *last < step);
            if (from..to).contains(&step) && is_new {
                found.push((step, values.to_vec()));
            }
        }
    }
    Ok(found)
}

/// The error of a segment that does not go with the others.
pub(super) fn other_layout(segment: &SegmentFile) -> Error {
    Error::file(
        segment.path.display().to_string(),
        "records other tensors than the segments before it",
        "remove it and resume or replay the run over these steps",
    )
}

pub(super) fn list_checkpoints(folder: &Path) -> Result<Vec<u64>> {
    let all = checkpoint::list(folder)?.into_iter();
    Ok(all
        .filter(|(_, is_interim)| !is_interim)
        .map(|(step, _)| step)
        .collect())
}
