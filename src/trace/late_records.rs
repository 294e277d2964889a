//! Records that come after those of later steps: they are put where they belong, also into segments that are closed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::UnitStatistics;
use super::run_writer::{RunWriter, SCALARS, TRACE};
use super::segment::{Scalars, SegmentFile, Statistics, WallTimes, encode_scalars, read_scalars};
use crate::Result;
use crate::files;

/// What is recorded of a step once later ones are.
#[derive(Debug, Clone, PartialEq)]
pub struct LateRecord {
    /// The step.
    pub step: u64,
    /// Scalars by their names; those that the run has of the step stay as they are.
    pub scalars: Vec<(String, f64)>,
    /// The statistics, in the order of the layout's rows.
    pub statistics: Vec<UnitStatistics>,
}

impl RunWriter {
    /// Puts records of earlier steps, ascending, among those that are there. What the run has of a step already stays as it
    /// is. A segment is replaced as a whole, so that a run that is killed opens.
    ///
    /// # Errors
    /// A closed segment among whose records they belong is damaged, or the disk cannot be written.
    pub fn insert(&mut self, records: &[LateRecord]) -> Result<()> {
        let closed = records.partition_point(|record| record.step < self.from);
        let (closed, open) = records.split_at(closed);
        self.insert_closed(closed)?;
        if open.is_empty() {
            return Ok(());
        }
        let statistics = std::mem::take(&mut self.statistics);
        self.statistics = merged(statistics, self.layout.rows(), open);
        self.scalar_count += insert_scalars(&mut self.scalars, open);
        Ok(())
    }

    fn insert_closed(&self, records: &[LateRecord]) -> Result<()> {
        let [traces, scalars] = [TRACE, SCALARS].map(|name| self.folder().join(name));
        let by_step = SegmentFile::list(&scalars)?;
        // Where no record of a segment is left there is no file of it.
        let mut places = SegmentFile::list(&traces)?;
        for segment in &by_step {
            let is_covered =
                |known: &SegmentFile| known.from <= segment.from && segment.to <= known.to;
            if !places.iter().any(is_covered) {
                places.push(SegmentFile::new(&traces, segment.from, segment.to));
            }
        }
        for (path, own) in grouped(&places, records) {
            let before = match path.exists() {
                true => Statistics::read(&path)?.1,
                false => Statistics::default(),
            };
            let bytes = merged(before, self.layout.rows(), &own).encode(&self.layout)?;
            files::write_whole_from(self.folder(), &path, &bytes)?;
        }
        for (path, own) in grouped(&by_step, records) {
            let (mut all, mut wall_times) = (Scalars::new(), WallTimes::new());
            read_scalars(&path, |row| {
                let series = all.entry(row.name.to_owned()).or_default();
                series.push((row.step, row.value));
                wall_times.extend(row.wall_time.map(|time| (row.step, time)));
            })?;
            insert_scalars(&mut all, &own);
            let bytes = encode_scalars(&all, &wall_times)?;
            files::write_whole_from(self.folder(), &path, &bytes)?;
        }
        Ok(())
    }
}

/// The records by the segment that they belong to.
fn grouped(segments: &[SegmentFile], records: &[LateRecord]) -> BTreeMap<PathBuf, Vec<LateRecord>> {
    let mut groups: BTreeMap<PathBuf, Vec<LateRecord>> = BTreeMap::new();
    for record in records {
        let holds = |segment: &&SegmentFile| (segment.from..segment.to).contains(&record.step);
        if let Some(segment) = segments.iter().find(holds) {
            let group = groups.entry(segment.path.clone()).or_default();
            group.push(record.clone());
        }
    }
    groups
}

/// Statistics with those of other steps among them.
fn merged(statistics: Statistics, rows: usize, records: &[LateRecord]) -> Statistics {
    let late = records
        .iter()
        .map(|record| (record.step, record.statistics.as_slice()));
    let mut all: BTreeMap<u64, &[UnitStatistics]> = late.collect();
    let known = statistics.steps.iter().copied();
    all.extend(known.zip(statistics.values.chunks_exact(rows.max(1))));
    Statistics {
        steps: all.keys().copied().collect(),
        values: all.into_values().flatten().copied().collect(),
    }
}

/// Puts scalars among those that are there, and says how many were new.
fn insert_scalars(all: &mut Scalars, records: &[LateRecord]) -> usize {
    let mut added = 0;
    for record in records {
        for (name, value) in &record.scalars {
            let series = all.entry(name.clone()).or_default();
            if let Err(place) = series.binary_search_by_key(&record.step, |(step, _)| *step) {
                series.insert(place, (record.step, *value));
                added += 1;
            }
        }
    }
    added
}
