//! A run directory looked at without its model or data, also where a part of it is damaged.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::event::Event;
use super::event_file::read_lines;
use super::layout::{TraceEntry, TraceLayout};
use super::model_description::ModelDescription;
use super::run_info::RunInfo;
use super::run_reader;
use super::run_writer::{EVENTS, GRAPH, SCALARS, SCENARIO, TRACE};
use super::segment::{Scalars, SegmentFile, StatisticsFile, read_scalars};
use super::{Statistic, UnitSeries, UnitStatistics};
use crate::tensor::TensorKind;
use crate::{Error, Result, files};

/// Damaged lines of `events.jsonl` that are named one by one.
const MAX_NAMED_LINES: usize = 8;

/// What a run directory holds, read as far as it can be read.
///
/// Nothing but the directory is needed: not the data, not the model, not the adapter, and no scenario, which a run that
/// was recorded elsewhere does not have. A damaged part is left out and named in [`RunView::problems`]. Resuming and
/// replaying need every bit and use the strict [`RunReader`](super::RunReader) instead.
///
/// # Examples
/// ```no_run
/// use trainscope::tensor::TensorKind;
/// use trainscope::trace::{RunView, Statistic};
///
/// # fn main() -> trainscope::Result<()> {
/// let run = RunView::open("runs/vae-mnist".as_ref())?;
/// for problem in run.problems() {
///     eprintln!("left out: {problem}");
/// }
/// let means = run.series("encoder.1", TensorKind::Activation, Statistic::Mean)?;
/// println!("{}: {} units at {} steps", run.name(), means.units, means.steps.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RunView {
    folder: PathBuf,
    info: Option<RunInfo>,
    scenario: Option<String>,
    model: ModelDescription,
    layout: TraceLayout,
    trace: Vec<SegmentFile>,
    scalars: Scalars,
    events: Vec<Event>,
    checkpoints: Vec<u64>,
    problems: Vec<Error>,
    /// Segments of statistics that have not been looked at yet.
    unread: VecDeque<SegmentFile>,
    /// Where among the problems that of the next segment belongs.
    next_problem: usize,
}

impl RunView {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// The folder has no `run.json`, or its format is newer than this version.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut run = Self::open_overview(folder)?;
        while run.read_on() {}
        Ok(run)
    }

    /// Opens the run in `folder` with the first segment of its statistics of units alone: scalars, events, model and
    /// recorded tensors are there at once, however large the run is. [`RunView::read_on`] adds the other segments.
    ///
    /// # Errors
    /// As [`RunView::open`].
    pub fn open_overview(folder: &Path) -> Result<Self> {
        let mut problems = Vec::new();
        let info = match RunInfo::read_known(&run_reader::run_file(folder)?)? {
            Ok(info) => Some(info),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let mut part = Parts {
            folder,
            problems: &mut problems,
        };
        let scenario = part.optional(SCENARIO, files::read_text);
        let model = part.optional(GRAPH, ModelDescription::read);
        let unread = part.or_default(SegmentFile::list(&folder.join(TRACE)));
        let next_problem = part.problems.len();
        let scalars = part.scalars();
        let events = part.events();
        let checkpoints = part.or_default(run_reader::list_checkpoints(folder));
        let mut run = Self {
            folder: folder.to_owned(),
            info,
            scenario,
            model: model.unwrap_or_default(),
            layout: TraceLayout::new(),
            trace: Vec::new(),
            scalars,
            events,
            checkpoints,
            problems,
            unread: unread.into(),
            next_problem,
        };
        while run.trace.is_empty() && run.read_on() {}
        Ok(run)
    }

    /// Verifies the next segment of statistics and adds it, or names it among the problems. Returns whether there was one.
    pub fn read_on(&mut self) -> bool {
        let Some(mut segment) = self.unread.pop_front() else {
            return false;
        };
        let problem = match StatisticsFile::verify(&mut segment) {
            Ok(file) => {
                if self.trace.is_empty() {
                    self.layout = file.layout.clone();
                }
                (file.layout != self.layout).then(|| run_reader::other_layout(&segment))
            }
            Err(problem) => Some(problem),
        };
        match problem {
            None => self.trace.push(segment),
            Some(problem) => {
                self.problems.insert(self.next_problem, problem);
                self.next_problem += 1;
            }
        }
        true
    }

    /// How many segments of statistics there are that [`RunView::read_on`] has not added yet.
    pub fn unread(&self) -> usize {
        self.unread.len()
    }

    /// Takes over what another view of the same directory has verified, as far as the files are the same.
    #[cfg(feature = "window")]
    pub(crate) fn known_from(mut self, other: &Self) -> Self {
        for segment in &mut self.unread {
            let known = other.trace.iter().find(|known| known.path == segment.path);
            segment.verified = known.and_then(|known| known.verified);
        }
        self
    }

    /// A segment of statistics by its number.
    #[cfg(feature = "window")]
    pub(crate) fn statistics_file(&self, number: usize) -> Result<Option<StatisticsFile>> {
        let segment = self.trace.get(number);
        segment.map(StatisticsFile::open_segment).transpose()
    }

    /// Opens one segment of a trace as if it were a run, with nothing else in it. `None` where the file is no segment.
    ///
    /// # Errors
    /// The file cannot be read, or it is a segment and damaged.
    pub fn open_segment(path: &Path) -> Result<Option<Self>> {
        if !SegmentFile::is_one(path)? {
            return Ok(None);
        }
        let file = StatisticsFile::open(path)?;
        let segment = SegmentFile {
            from: file.steps.first().copied().unwrap_or(0),
            to: file.steps.last().map_or(0, |last| last + 1),
            path: path.to_owned(),
            verified: None,
        };
        Ok(Some(Self {
            folder: path.to_owned(),
            info: None,
            scenario: None,
            model: ModelDescription::default(),
            layout: file.layout,
            trace: vec![segment],
            scalars: Scalars::new(),
            events: Vec::new(),
            checkpoints: Vec::new(),
            problems: Vec::new(),
            unread: VecDeque::new(),
            next_problem: 0,
        }))
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `run.json` holds; `None` where that is damaged.
    pub fn info(&self) -> Option<&RunInfo> {
        self.info.as_ref()
    }

    /// The run's name; the directory's where the run's own is lost.
    pub fn name(&self) -> String {
        match &self.info {
            Some(info) => info.name.clone(),
            None => {
                let name = self.folder.file_name().unwrap_or(self.folder.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// The scenario as it was written; `None` where the run has none.
    pub fn scenario(&self) -> Option<&str> {
        self.scenario.as_deref()
    }

    /// The graphs of the model; without any where `graph.json` is missing or damaged.
    pub fn model(&self) -> &ModelDescription {
        &self.model
    }

    /// What is recorded of each step.
    pub fn layout(&self) -> &TraceLayout {
        &self.layout
    }

    /// The recorded tensors; none before the first segment is closed.
    pub fn entries(&self) -> &[TraceEntry] {
        self.layout.entries()
    }

    /// All scalars by their names, each as (step, value) with ascending steps.
    pub fn scalars(&self) -> &BTreeMap<String, Vec<(u64, f64)>> {
        &self.scalars
    }

    /// A statistic of all units of `tensor` over all recorded steps.
    ///
    /// # Errors
    /// The tensor is not recorded in this kind (the message lists what is), or a file has changed since the run was
    /// opened.
    pub fn series(
        &self,
        tensor: &str,
        kind: TensorKind,
        statistic: Statistic,
    ) -> Result<UnitSeries> {
        let entry = run_reader::find_entry(&self.folder, &self.layout, tensor, kind)?;
        run_reader::read_series(&self.trace, entry, statistic)
    }

    /// The statistics of each recorded step in `from..to`, in the order of the layout's rows.
    ///
    /// # Errors
    /// A file has changed since the run was opened.
    pub fn statistics(&self, from: u64, to: u64) -> Result<Vec<(u64, Vec<UnitStatistics>)>> {
        run_reader::read_statistics(&self.trace, &self.layout, from, to)
    }

    /// Calls `visit` with each recorded step and its statistics, in the order of the steps; reads one segment at a time.
    ///
    /// # Errors
    /// A file has changed since the run was opened.
    pub fn each_record(&self, mut visit: impl FnMut(u64, &[UnitStatistics])) -> Result<()> {
        let mut next = 0;
        for segment in &self.trace {
            let segment = std::slice::from_ref(segment);
            for (step, statistics) in
                run_reader::read_statistics(segment, &self.layout, next, u64::MAX)?
            {
                visit(step, &statistics);
                next = step + 1;
            }
        }
        Ok(())
    }

    /// The steps of each closed segment of statistics, ascending.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.trace.iter().map(|segment| segment.from..segment.to)
    }

    /// All events in the order in which they were written.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Steps after which there is a checkpoint, ascending.
    pub fn checkpoints(&self) -> &[u64] {
        &self.checkpoints
    }

    /// What could not be read and is left out.
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }
}

/// Reads the parts of a directory and collects what is wrong with them.
struct Parts<'a> {
    folder: &'a Path,
    problems: &'a mut Vec<Error>,
}

impl Parts<'_> {
    fn or_default<T: Default>(&mut self, part: Result<T>) -> T {
        part.unwrap_or_else(|problem| {
            self.problems.push(problem);
            T::default()
        })
    }

    /// A file that a run may lack.
    fn optional<T>(&mut self, name: &str, read: impl Fn(&Path) -> Result<T>) -> Option<T> {
        let path = self.folder.join(name);
        let part = path.exists().then(|| read(&path)).transpose();
        self.or_default(part)
    }

    fn scalars(&mut self) -> Scalars {
        let mut scalars = Scalars::new();
        for segment in self.or_default(SegmentFile::list(&self.folder.join(SCALARS))) {
            // A damaged segment is left out as a whole.
            let mut rows = Vec::new();
            let read = read_scalars(&segment.path, |row| {
                rows.push((row.name.to_owned(), row.step, row.value));
            });
            match read {
                Ok(()) => rows.iter().for_each(|(name, step, value)| {
                    run_reader::push_scalar(&mut scalars, name, *step, *value)
                }),
                Err(problem) => self.problems.push(problem),
            }
        }
        scalars
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut damaged = Vec::new();
        for (_, event) in self.or_default(read_lines(&self.folder.join(EVENTS))) {
            match event {
                Ok(event) => events.push(event),
                Err(problem) => damaged.push(problem),
            }
        }
        let unnamed = damaged.len().saturating_sub(MAX_NAMED_LINES);
        self.problems
            .extend(damaged.into_iter().take(MAX_NAMED_LINES));
        if unnamed > 0 {
            self.problems.push(Error::file(
                self.folder.join(EVENTS).display().to_string(),
                format!("{unnamed} more lines are not valid events"),
                "restore the file from a copy",
            ));
        }
        events
    }
}
