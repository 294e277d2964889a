//! Writing a run directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::checkpoint::{self, CHECKPOINTS};
use super::event::{Event, Severity};
use super::event_file::{self, read_lines};
use super::model_description::ModelDescription;
use super::run_info::{RUN, RunInfo, Status};
use super::segment::{
    Scalars, SegmentFile, Statistics, StatisticsFile, WallTimes, encode_scalars, read_scalars,
    step_of,
};
use super::thinning::TraceBudget;
use super::{TraceLayout, UnitStatistics};
use crate::files;
use crate::{Error, ErrorKind, Result};

/// Bytes in memory after which a segment is closed early.
const MAX_OPEN_BYTES: usize = 32 << 20;

pub(super) const SCENARIO: &str = "scenario.toml";
pub(super) const GRAPH: &str = "graph.json";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const TRACE: &str = "trace";
pub(super) const SCALARS: &str = "scalars";
/// Locked by the process that writes the run; empty.
const LOCK: &str = "lock";

/// A run directory that is being written. Steps are counted from 0: what is recorded of step `t` is in the segment
/// `from..to` that contains `t`, and a run that resumes from the checkpoint after `s` steps continues with step `s`.
///
/// What is recorded waits in memory until its segment is closed. Close it before each checkpoint, so that a killed
/// run can resume there without a gap.
#[derive(Debug)]
pub struct RunWriter {
    folder: PathBuf,
    info: RunInfo,
    pub(super) layout: TraceLayout,
    events: File,
    /// Never read: the lock lasts as long as the file is open, and goes with a killed process.
    _lock: File,
    /// First step of the open segment.
    pub(super) from: u64,
    /// Where the interim copy of the open segment ends.
    interim_to: Option<u64>,
    pub(super) statistics: Statistics,
    pub(super) scalars: Scalars,
    wall_times: WallTimes,
    pub(super) scalar_count: usize,
    last_scalar: Option<u64>,
}

impl RunWriter {
    /// Creates a run directory with the scenario as text, `run.json`, `graph.json` and empty folders.
    ///
    /// # Errors
    /// The directory exists and is not empty, another run starts there, or it cannot be written. Nothing is left behind
    /// then.
    pub fn create(
        folder: &Path,
        scenario: &str,
        info: RunInfo,
        model: &ModelDescription,
        layout: TraceLayout,
    ) -> Result<Self> {
        let hint = "choose another with --out, or continue the run in it with --resume";
        let refused = |problem: String| Error::input(folder.display().to_string(), problem, hint);
        let is_file = |path: &&Path| path.exists() && !path.is_dir();
        match folder.ancestors().find(is_file) {
            Some(path) if path == folder => {
                return Err(refused("not a directory".to_owned()));
            }
            Some(path) => {
                return Err(refused(format!("{} is not a directory", path.display())));
            }
            None => {}
        }
        let not_empty = || refused("the directory is not empty".to_owned());
        if !files::names(folder)?.is_empty() {
            return Err(not_empty());
        }
        // Folders that do not exist yet, the deepest first: these and all below them may be removed again.
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        let lock_path = folder.join(LOCK);
        let locked = files::make_folder(folder).and_then(|()| match File::create_new(&lock_path) {
            Ok(lock) => Ok(lock),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(not_empty()),
            Err(error) => Err(Error::io(&lock_path, "write it", &error)),
        });
        if locked.is_err() {
            for path in &missing {
                // A folder that is not empty belongs to another process by now, and stays.
                let _ = fs::remove_dir(path);
            }
        }
        let lock = locked?;
        let made =
            acquire_lock(folder, &lock).and_then(|()| Self::make(folder, scenario, &info, model));
        if made.is_err() {
            match missing.last() {
                Some(path) if path.exists() => files::remove(path)?,
                Some(_) => {}
                None => {
                    for name in files::names(folder)? {
                        files::remove(&folder.join(name))?;
                    }
                }
            }
        }
        Ok(Self::from_parts(folder, info, layout, (made?, lock), 0))
    }

    fn make(
        folder: &Path,
        scenario: &str,
        info: &RunInfo,
        model: &ModelDescription,
    ) -> Result<File> {
        for name in [TRACE, SCALARS, CHECKPOINTS] {
            files::make_folder(&folder.join(name))?;
        }
        files::write_whole(&folder.join(SCENARIO), scenario.as_bytes())?;
        model.write(&folder.join(GRAPH))?;
        let events = open_events(folder)?;
        // Last, because a directory with it is a run.
        info.write(&folder.join(RUN))?;
        Ok(events)
    }

    fn from_parts(
        folder: &Path,
        info: RunInfo,
        layout: TraceLayout,
        (events, lock): (File, File),
        from: u64,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            info,
            layout,
            events,
            _lock: lock,
            from,
            interim_to: None,
            statistics: Statistics::default(),
            scalars: Scalars::new(),
            wall_times: WallTimes::new(),
            scalar_count: 0,
            last_scalar: None,
        }
    }

    /// Opens a run directory to continue from the checkpoint after `step` steps. Everything that was recorded of `step`
    /// and later is removed, as are later checkpoints and unfinished files.
    ///
    /// # Errors
    /// No run directory, one of a newer format, one that another process is writing, damaged segments that need
    /// trimming, a run that recorded something else than `layout`, or a disk that cannot be written.
    pub fn resume(folder: &Path, step: u64, layout: TraceLayout) -> Result<Self> {
        let mut info = RunInfo::read(&folder.join(RUN))?;
        let path = |name: &str| folder.join(name);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path(LOCK))
            .map_err(|error| Error::io(&path(LOCK), "write it", &error))?;
        acquire_lock(folder, &lock)?;
        // Everything is checked before anything is changed.
        for segment in SegmentFile::list(&path(TRACE))? {
            if segment.from < step && StatisticsFile::open(&segment.path)?.layout != layout {
                return Err(Error::file(
                    segment.path.display().to_string(),
                    "records other tensors than the resumed run would",
                    "resume with the scenario that the run was started with",
                ));
            }
        }
        let mut events = Vec::new();
        for (line, event) in read_lines(&path(EVENTS))? {
            // Lines stay as they are, with the keys of whichever version wrote them.
            if event?.step < step {
                events.extend(line);
            }
        }
        // Before anything is removed: a directory that is left half-way never says that it has steps that are gone.
        info.status = Status::Running;
        info.steps_done = step;
        info.write(&path(RUN))?;
        for name in [TRACE, SCALARS, CHECKPOINTS] {
            files::make_folder(&path(name))?;
            // Earlier versions wrote unfinished files there.
            files::remove_unfinished(&path(name))?;
        }
        files::remove_unfinished(folder)?;
        trim(folder, TRACE, step, |path| {
            let (_, mut statistics) = Statistics::read(path)?;
            let keep = statistics.steps.partition_point(|&at| at < step);
            statistics.steps.truncate(keep);
            statistics.values.truncate(keep * layout.rows());
            statistics.encode(&layout)
        })?;
        trim(folder, SCALARS, step, |path| {
            let (mut scalars, mut wall_times) = (Scalars::new(), WallTimes::new());
            read_scalars(path, |row| {
                if row.step < step {
                    let series = scalars.entry(row.name.to_owned()).or_default();
                    series.push((row.step, row.value));
                    wall_times.extend(row.wall_time.map(|time| (row.step, time)));
                }
            })?;
            encode_scalars(&scalars, &wall_times)
        })?;
        files::write_whole(&path(EVENTS), &events)?;
        for name in files::names(&path(CHECKPOINTS))? {
            if let Some(after) = step_of(&name).filter(|after| *after > step) {
                checkpoint::remove(folder, after)?;
            }
        }
        let files = (open_events(folder)?, lock);
        Ok(Self::from_parts(folder, info, layout, files, step))
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `run.json` holds.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// Changes `run.json`.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn update(&mut self, change: impl FnOnce(&mut RunInfo)) -> Result<()> {
        change(&mut self.info);
        self.info.write(&self.folder.join(RUN))
    }

    /// Records the statistics of `step`, in the order of the layout's rows.
    ///
    /// # Errors
    /// A step that is not after the last one, another number of rows, or a full segment that cannot be written.
    pub fn record(&mut self, step: u64, statistics: &[UnitStatistics]) -> Result<()> {
        let last = self.statistics.steps.last().copied();
        if step < self.from || last.is_some_and(|last| step <= last) {
            return Err(Error::input(
                format!("step {step}"),
                "statistics of this or of a later step are recorded already",
                "record steps in order",
            ));
        }
        if statistics.len() != self.layout.rows() {
            return Err(Error::input(
                format!("statistics of step {step}"),
                format!(
                    "expected {} rows, got {}",
                    self.layout.rows(),
                    statistics.len()
                ),
                "record one for each row of the layout",
            ));
        }
        self.make_room(step)?;
        self.statistics.steps.push(step);
        self.statistics.values.extend_from_slice(statistics);
        Ok(())
    }

    /// Records a scalar (the loss, one of its terms, a metric) of `step`, and when the first of that step came.
    ///
    /// # Errors
    /// A full segment that cannot be written.
    pub fn scalar(&mut self, step: u64, name: &str, value: f64) -> Result<()> {
        self.make_room(step)?;
        match self.scalars.get_mut(name) {
            Some(series) => series.push((step, value)),
            None => {
                self.scalars.insert(name.to_owned(), vec![(step, value)]);
            }
        }
        self.wall_times.entry(step).or_insert_with(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0.0, |since| since.as_secs_f64())
        });
        self.scalar_count += 1;
        self.last_scalar = self.last_scalar.max(Some(step));
        Ok(())
    }

    /// Appends to `events.jsonl`, at once.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        // One write for the whole line: a killed run leaves it whole or without its end.
        self.events
            .write_all(event_file::line(event).as_bytes())
            .map_err(|error| Error::io(&self.folder.join(EVENTS), "write it", &error))
    }

    /// The last step in memory.
    fn last_step(&self) -> Option<u64> {
        self.last_scalar.max(self.statistics.steps.last().copied())
    }

    /// Closes the segment before `step` begins, if it has grown too large.
    fn make_room(&mut self, step: u64) -> Result<()> {
        let open = self.statistics.values.len() * size_of::<UnitStatistics>()
            + self.scalar_count * size_of::<(u64, f64)>();
        if open >= MAX_OPEN_BYTES && self.last_step().is_some_and(|last| last < step) {
            self.close_segment(step)?;
        }
        Ok(())
    }

    /// Writes what is in memory as the segment that ends before step `to`, and `to` as the number of steps done.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn close_segment(&mut self, to: u64) -> Result<()> {
        let to = self.write_segment(to)?;
        self.statistics = Statistics::default();
        self.scalars.clear();
        self.wall_times.clear();
        self.scalar_count = 0;
        self.last_scalar = None;
        self.from = to;
        self.interim_to = None;
        self.update(|info| info.steps_done = to)
    }

    /// The same, but the segment stays open: what is written now is replaced when the segment is closed, so that a run
    /// leaves the same files however often this was called.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn write_interim_segment(&mut self, to: u64) -> Result<()> {
        let to = self.write_segment(to)?;
        self.interim_to = Some(to);
        self.update(|info| info.steps_done = to)
    }

    /// Writes what is in memory, and removes the interim copy of a part of it afterwards. Returns where the segment ends.
    fn write_segment(&self, to: u64) -> Result<u64> {
        let to = to.max(self.last_step().map_or(self.from, |last| last + 1));
        let file =
            |folder: &str, to: u64| SegmentFile::new(&self.folder.join(folder), self.from, to);
        if !self.statistics.steps.is_empty() && self.layout.rows() > 0 {
            let bytes = self.statistics.encode(&self.layout)?;
            files::write_whole_from(&self.folder, &file(TRACE, to).path, &bytes)?;
        }
        if !self.scalars.is_empty() {
            let bytes = encode_scalars(&self.scalars, &self.wall_times)?;
            files::write_whole_from(&self.folder, &file(SCALARS, to).path, &bytes)?;
        }
        if let Some(interim_to) = self.interim_to.filter(|interim_to| *interim_to != to) {
            for folder in [TRACE, SCALARS] {
                let replaced = file(folder, interim_to).path;
                if replaced.exists() {
                    files::remove(&replaced)?;
                }
            }
        }
        Ok(to)
    }

    /// Thins the closed segments until they hold the budget. The run must have a checkpoint where the last of them ends, so
    /// that it never resumes from before what was thinned.
    ///
    /// # Errors
    /// A segment or an event is damaged, or the disk cannot be written.
    pub fn hold_budget(&self, budget: &TraceBudget) -> Result<()> {
        let mut whole = budget.whole.clone();
        for (_, event) in read_lines(&self.folder.join(EVENTS))? {
            let event = event?;
            if event.severity > Severity::Note {
                let around = |step: u64| {
                    step.saturating_sub(budget.around)..step.saturating_add(budget.around + 1)
                };
                whole.extend([event.since, event.step].map(around));
            }
        }
        budget.hold(&self.folder, &self.folder.join(TRACE), &whole, self.from)
    }

    /// Ends the run after `steps_done` steps: closes the open segment and writes the status.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn finish(&mut self, status: Status, steps_done: u64) -> Result<()> {
        self.close_segment(steps_done)?;
        self.update(|info| {
            info.status = status;
            info.steps_done = steps_done;
        })
    }
}

/// Locks the run in `folder` for this process, where the file system supports locks.
fn acquire_lock(folder: &Path, lock: &File) -> Result<()> {
    for wait in [0, 20, 80] {
        // A process that the previous holder has just started keeps its files open for a moment.
        std::thread::sleep(Duration::from_millis(wait));
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
    Err(Error::new(
        ErrorKind::InUse,
        folder.display().to_string(),
        "another process is writing this run",
        "wait until it has ended, or stop it",
    ))
}

fn open_events(folder: &Path) -> Result<File> {
    let path = folder.join(EVENTS);
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|error| Error::io(&path, "write it", &error))
}

/// Removes `step` and later from the segments of a folder of the run `run`: `cut` encodes what stays of a file that has
/// steps on both sides.
fn trim(run: &Path, folder: &str, step: u64, cut: impl Fn(&Path) -> Result<Vec<u8>>) -> Result<()> {
    let folder = run.join(folder);
    for segment in SegmentFile::list(&folder)? {
        if segment.from < step && step < segment.to {
            let kept = SegmentFile::new(&folder, segment.from, step);
            files::write_whole_from(run, &kept.path, &cut(&segment.path)?)?;
        }
        if step < segment.to {
            files::remove(&segment.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_writer_tests.rs"]
mod tests;
