//! A trace that holds a budget of bytes: the older its records are, the fewer of them are left.
//!
//! Where the closed segments take more than the budget, two neighboring ones of the same density become one of half the
//! density, those of the densest and among these the oldest first. So the distance of records doubles with their age, and
//! there are few segments however long the run is. A merged segment is written whole before those that it replaces are
//! removed: a run that is killed in between opens, since readers skip steps that they have seen.

use std::ops::Range;
use std::path::Path;

use super::TraceLayout;
use super::segment::{SegmentFile, Statistics, StatisticsFile};
use crate::files;
use crate::{Error, Result};

/// What the statistics of a run may take, and what is never left out of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceBudget {
    /// Bytes of all closed segments of statistics together.
    pub bytes: u64,
    /// Steps before the end that keep all of their records, which detectors look back at.
    pub recent: u64,
    /// Steps on each side of an event that keep all of their records.
    pub around: u64,
    /// Other steps that keep all of their records.
    pub whole: Vec<Range<u64>>,
}

/// A closed segment, as far as thinning has to know it.
#[derive(Debug)]
struct Closed {
    file: SegmentFile,
    bytes: u64,
    /// The largest power of two that divides its steps, except those of which all stay.
    stride: u64,
}

impl TraceBudget {
    /// Thins the closed segments in the folder `trace` of a run until they hold the budget, or only what is never left out
    /// is left. They reach up to step `to`, after which the run has a checkpoint: it resumes there or later.
    ///
    /// # Errors
    /// A segment is damaged, or the disk cannot be written.
    pub(super) fn hold(
        &self,
        run: &Path,
        trace: &Path,
        whole: &[Range<u64>],
        to: u64,
    ) -> Result<()> {
        remove_replaced(trace)?;
        loop {
            let segments = closed(trace, whole)?;
            let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
            if bytes <= self.bytes {
                return Ok(());
            }
            let is_old = |segment: &&Closed| segment.file.to.saturating_add(self.recent) <= to;
            let old: Vec<&Closed> = segments.iter().take_while(is_old).collect();
            let of_pair = |pair: &&[&Closed]| pair[0].stride.max(pair[1].stride);
            // Of equal ones the first is the minimum.
            if let Some(pair) = old.windows(2).min_by_key(of_pair) {
                let [a, b] = [pair[0].stride, pair[1].stride];
                let stride = if a == b { 2 * a } else { a.max(b) };
                rewrite((run, trace), whole, pair, stride)?;
                continue;
            }
            let Some(&only) = old.first() else {
                return Ok(());
            };
            if !rewrite((run, trace), whole, &[only], 2 * only.stride)? {
                return Ok(());
            }
        }
    }
}

/// Whether a record of a step stays when those stay that `stride` divides.
fn is_kept(step: u64, stride: u64, whole: &[Range<u64>]) -> bool {
    step.is_multiple_of(stride) || whole.iter().any(|steps| steps.contains(&step))
}

/// The largest power of two, up to the length of the segment, that divides all steps that may be left out.
fn stride(file: &SegmentFile, steps: &[u64], whole: &[Range<u64>]) -> u64 {
    let most = (file.to - file.from).max(1).next_power_of_two();
    let mut stride = 1;
    while stride < most && steps.iter().all(|&step| is_kept(step, 2 * stride, whole)) {
        stride *= 2;
    }
    stride
}

fn closed(trace: &Path, whole: &[Range<u64>]) -> Result<Vec<Closed>> {
    let all = SegmentFile::list(trace)?.into_iter().map(|file| {
        let steps = StatisticsFile::open(&file.path)?.steps;
        Ok(Closed {
            bytes: size(&file.path)?,
            stride: stride(&file, &steps, whole),
            file,
        })
    });
    all.collect()
}

/// Writes what stays of some neighboring segments as one, and removes them. Returns whether that left anything out.
fn rewrite(
    (run, trace): (&Path, &Path),
    whole: &[Range<u64>],
    segments: &[&Closed],
    stride: u64,
) -> Result<bool> {
    let mut layout = TraceLayout::new();
    let mut kept = Statistics::default();
    let mut left_out = 0;
    for segment in segments {
        let (own, statistics) = Statistics::read(&segment.file.path)?;
        let rows = statistics.values.chunks_exact(own.rows().max(1));
        for (&step, values) in statistics.steps.iter().zip(rows) {
            // A segment without a record is none.
            if kept.steps.is_empty() || is_kept(step, stride, whole) {
                kept.steps.push(step);
                kept.values.extend_from_slice(values);
            } else {
                left_out += 1;
            }
        }
        layout = own;
    }
    let [first, last] = [&segments[0].file, &segments[segments.len() - 1].file];
    let merged = SegmentFile::new(trace, first.from, last.to);
    files::write_whole_from(run, &merged.path, &kept.encode(&layout)?)?;
    for replaced in segments
        .iter()
        .filter(|segment| segment.file.path != merged.path)
    {
        files::remove(&replaced.file.path)?;
    }
    Ok(left_out > 0)
}
/// Removes segments that a merged one contains: the run was killed before that was done.
fn remove_replaced(trace: &Path) -> Result<()> {
    let segments = SegmentFile::list(trace)?;
    for segment in &segments {
        let contains = |other: &SegmentFile| {
            other != segment && other.from <= segment.from && segment.to <= other.to
        };
        if segments.iter().any(contains) {
            files::remove(&segment.path)?;
        }
    }
    Ok(())
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, "read it", &error))?;
    Ok(metadata.len())
}
