//! Where the lines of a sample come from: a buffer on the GPU, or a table of which parts are uploaded one after another.

use std::sync::atomic::{AtomicBool, Ordering};

use super::envelope::{Envelopes, columns_per_quad, spans};
use super::exact_rows::{ExactRows, extent};
use crate::gpu::Gpu;
use crate::series::{Scale, SeriesBuffer, SeriesTable, Stored, ValueAxis};
use crate::{Error, ErrorKind, Result};

/// Bytes of a table that are uploaded at once, as far as one line does not need more.
const PART_BYTES: usize = 32 << 20;

/// Lines to sample.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// All on the GPU.
    Buffer(&'a SeriesBuffer),
    /// Uploaded in parts, since all together may be more than an adapter binds.
    Table(&'a SeriesTable, Stored),
}

impl<'a> Source<'a> {
    pub fn table(table: &'a SeriesTable, scale: Scale) -> Self {
        Self::Table(table, table.stored(scale))
    }

    pub fn lines(&self) -> usize {
        match self {
            Self::Buffer(series) => series.lines(),
            Self::Table(table, _) => table.lines,
        }
    }

    pub fn steps(&self) -> usize {
        match self {
            Self::Buffer(series) => series.steps(),
            Self::Table(table, _) => table.steps.len(),
        }
    }

    /// The lines as rows of heights on the GPU.
    pub fn envelopes(
        &self,
        gpu: &Gpu,
        columns: usize,
        cancelled: &AtomicBool,
    ) -> Result<Envelopes> {
        let (table, stored) = match self {
            Self::Buffer(series) => return Envelopes::new(gpu, series, columns),
            Self::Table(table, stored) => (table, stored),
        };
        let (lines, steps) = (table.lines, table.steps.len());
        let envelopes = Envelopes::allocate(gpu, lines, steps, columns)?;
        let part = (PART_BYTES / (size_of::<f32>() * steps)).max(1);
        for first in (0..lines).step_by(part) {
            stop_if(cancelled)?;
            let end = lines.min(first + part);
            let values = table.narrowed(first..end, stored);
            let values = gpu.upload("series", &values).map_err(|error| {
                error.with_hint(
                    "sample every second step, or fewer, since one line is uploaded whole",
                )
            })?;
            envelopes.fill(gpu, first, end - first, &values, stored.scale);
        }
        Ok(envelopes)
    }

    /// The same rows in float64, from the values themselves.
    pub fn exact_rows(&self, gpu: &Gpu, columns: usize) -> Result<ExactRows> {
        let steps = self.steps();
        let spans = spans(steps, columns);
        let per_column = 4 / columns_per_quad(steps, columns);
        let collect = |height: &dyn Fn(usize) -> f64, bottom: f64| {
            let mut rows = ExactRows::default();
            for line in 0..self.lines() {
                let heights = |step: u32| height(line * steps + step as usize);
                let is_finite = (0..steps as u32).all(|step| heights(step).is_finite());
                let row = spans.iter().filter(|[first, end]| first < end);
                let row = row.flat_map(|&[first, end]| {
                    let (low, high) = extent((first..end).map(heights), bottom);
                    [low, high].into_iter().take(per_column)
                });
                rows.push(row, is_finite);
            }
            rows
        };
        Ok(match self {
            Self::Table(table, stored) => {
                collect(&|at| stored.scaled(table.values.get(at)), stored.bottom())
            }
            Self::Buffer(series) => {
                let values = gpu.read(series.values())?;
                let axis = ValueAxis::from(series.scale());
                collect(&|at| axis.scaled(values[at].into()), axis.bottom())
            }
        })
    }
}

/// An error where the user has asked to stop.
pub(super) fn stop_if(cancelled: &AtomicBool) -> Result<()> {
    if !cancelled.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Cancelled,
        "sample",
        "it was stopped before it was done",
        "nothing was written; start it again",
    ))
}
