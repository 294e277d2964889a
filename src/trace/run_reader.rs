//! Reading a run directory, also one whose run goes on or was killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::FIGURES;
use super::checkpoint;
use super::event::{Event, read_events};
use super::layout::{Statistic, TraceEntry, TraceLayout};
use super::run_info::{RunInfo, read_json};
use super::run_writer::{CHECKPOINTS, EVENTS, GRAPH, RUN, SCALARS, SCENARIO, TRACE};
use super::segment::{Scalars, SegmentFile, Statistics, StatisticsFile, read_scalars, step_of};
use crate::files;
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// One figure of every unit of a tensor over the recorded steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Recorded steps, ascending.
    pub steps: Vec<u64>,
    /// Units of the tensor.
    pub units: usize,
    /// `[units, steps]`, row-major.
    pub values: Vec<f32>,
}

/// A run directory, open for reading. Files are read when they are asked for; a directory that still grows can be
/// opened anew at any time.
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
        if !folder.join(RUN).is_file() {
            return Err(Error::input(
                folder.display().to_string(),
                format!("it is no run directory: there is no {RUN} in it"),
                "name a directory that `trainscope train` has written",
            ));
        }
        Ok(Self {
            info: RunInfo::read(&folder.join(RUN))?,
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
    /// The file is missing or no text.
    pub fn scenario(&self) -> Result<String> {
        files::read_text(&self.folder.join(SCENARIO))
    }

    /// `graph.json`.
    ///
    /// # Errors
    /// The file is missing or no JSON.
    pub fn graph(&self) -> Result<serde_json::Value> {
        read_json(&self.folder.join(GRAPH))
    }

    /// All scalars by their names, each as (step, value) with ascending steps.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn scalars(&self) -> Result<BTreeMap<String, Vec<(u64, f64)>>> {
        let mut all = Scalars::new();
        for segment in &self.scalars {
            read_scalars(&segment.path, |name, step, value| {
                let series = match all.get_mut(name) {
                    Some(series) => series,
                    None => all.entry(name.to_owned()).or_default(),
                };
                // A resume that was killed half-way may leave a segment and its trimmed copy side by side.
                if series.last().is_none_or(|&(last, _)| last < step) {
                    series.push((step, value));
                }
            })?;
        }
        Ok(all)
    }

    /// What is recorded; empty before the first segment is closed.
    ///
    /// # Errors
    /// A damaged segment.
    pub fn entries(&self) -> Result<Vec<TraceEntry>> {
        Ok(self.layout()?.entries().to_vec())
    }

    fn layout(&self) -> Result<TraceLayout> {
        match self.trace.first() {
            Some(segment) => Ok(StatisticsFile::open(&segment.path)?.layout),
            None => Ok(TraceLayout::new()),
        }
    }

    /// A figure of all units of `tensor` over all recorded steps.
    ///
    /// # Errors
    /// The tensor is not recorded in this kind (the message lists what is), or a segment is damaged.
    pub fn series(&self, tensor: &str, kind: TensorKind, quantity: Statistic) -> Result<Series> {
        let layout = self.layout()?;
        let wanted = |entry: &&TraceEntry| entry.tensor == tensor && entry.kind == kind;
        let Some(entry) = layout.entries().iter().find(wanted) else {
            let mut known: Vec<&str> = layout
                .entries()
                .iter()
                .filter(|entry| entry.kind == kind)
                .map(|entry| entry.tensor.as_str())
                .collect();
            known.dedup();
            return Err(Error::input(
                format!("{} of '{tensor}'", kind.name()),
                format!("{} has no such record", self.folder.display()),
                if known.is_empty() {
                    "wait until its first segment is written".to_owned()
                } else {
                    format!("choose one of: {}", known.join(", "))
                },
            ));
        };
        let mut parts = Vec::new();
        let mut steps: Vec<u64> = Vec::new();
        for segment in &self.trace {
            let file = StatisticsFile::open(&segment.path)?;
            let known = file
                .steps
                .partition_point(|step| steps.last().is_some_and(|last| step <= last));
            if known == file.steps.len() {
                continue;
            }
            steps.extend(&file.steps[known..]);
            parts.push((file.series(entry, quantity)?, file.steps.len(), known));
        }
        let mut values = Vec::with_capacity(entry.units * steps.len());
        for unit in 0..entry.units {
            for (part, width, known) in &parts {
                values.extend_from_slice(&part[unit * width + known..(unit + 1) * width]);
            }
        }
        Ok(Series {
            steps,
            units: entry.units,
            values,
        })
    }

    /// The statistics of each recorded step in `from..to`, `[rows, 6]` in the order of [`RunReader::entries`], as
    /// they were handed to [`super::RunWriter::record`].
    ///
    /// # Errors
    /// A damaged segment.
    pub fn statistics(&self, from: u64, to: u64) -> Result<Vec<(u64, Vec<f32>)>> {
        let mut found: Vec<(u64, Vec<f32>)> = Vec::new();
        let layout = self.layout()?;
        let size = layout.rows() * FIGURES;
        for segment in &self.trace {
            if segment.to <= from || to <= segment.from {
                continue;
            }
            let (recorded, part) = Statistics::read(&segment.path)?;
            if recorded != layout {
                return Err(Error::input(
                    segment.path.display().to_string(),
                    "it records other tensors than the segments before it",
                    "remove it and resume or replay the run over these steps",
                ));
            }
            for (&step, values) in part.steps.iter().zip(part.values.chunks_exact(size.max(1))) {
                let fresh = found.last().is_none_or(|(last, _)| *last < step);
                if (from..to).contains(&step) && fresh {
                    found.push((step, values.to_vec()));
                }
            }
        }
        Ok(found)
    }

    /// All events in the order in which they were written.
    ///
    /// # Errors
    /// A damaged line.
    pub fn events(&self) -> Result<Vec<Event>> {
        read_events(&self.folder.join(EVENTS))
    }

    /// The step of the last checkpoint.
    ///
    /// # Errors
    /// There is none, or the folder cannot be listed.
    pub fn last_checkpoint(&self) -> Result<u64> {
        self.checkpoints()?.last().copied().ok_or_else(|| {
            Error::input(
                self.folder.display().to_string(),
                "it holds no checkpoint",
                "start the run anew with trainscope train",
            )
        })
    }

    /// Steps after which there is a checkpoint, ascending.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<u64>> {
        let folder = self.folder.join(CHECKPOINTS);
        let mut steps: Vec<u64> = files::names(&folder)?
            .iter()
            .filter(|name| folder.join(name).join(checkpoint::DIGEST).is_file())
            .filter_map(|name| step_of(name))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }
}
