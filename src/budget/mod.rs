//! How much of a record its analysis needs: what would still be found in a run if fewer steps, units, bits or checkpoints
//! had been kept, against the bytes that they take.
//!
//! What is found in the whole record is the measure: lines that lie apart from all others (`outliers`), units that behave
//! alike (`clusters`), events (`events`) and the most alike windows of a line (`motifs`). Each is looked for again in every smaller recording.
//! What happened between the records of the run itself cannot be known from it.
//!
//! ```no_run
//! # fn main() -> trainscope::Result<()> {
//! let run = trainscope::trace::RunView::open("runs/vae-mnist".as_ref())?;
//! let found = trainscope::budget::budget(&run)?;
//! for point in &found.curve {
//!     println!("{}: {} bytes, {:?} of the outliers", point.recording, point.bytes, point.recall_outliers);
//! }
//! println!("{}", found.recommendation.text);
//! # Ok(())
//! # }
//! ```

mod clusters;
mod events;
mod files;
mod motifs;
mod outliers;
mod recording;

use serde::Serialize;

use self::clusters::Clusters;
use self::events::Detection;
use self::files::RunBytes;
use self::motifs::Motifs;
use self::outliers::Outliers;
use self::recording::{Change, Record};
use crate::trace::RunView;
use crate::{ByteSize, Error, Result};

/// A recommended recording finds at least this share of each sort.
pub const ENOUGH: f64 = 0.95;
/// With the recommended checkpoints a replay runs at most this share of the run's steps before it reaches the wanted one.
const REPLAY_SHARE: f64 = 0.1;

/// A recording of the run, and what is still found in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetPoint {
    /// In words: `as recorded`, `every 40 steps`, `half of the units`, `16 bits a value`, `every second checkpoint`.
    pub recording: String,
    /// Settings that make a run record so; none where the recorder cannot.
    pub set: Vec<String>,
    /// Bytes of the run directory.
    pub bytes: u64,
    /// Share of the lines apart from all others that are still apart; `None` where the whole record has none.
    pub recall_outliers: Option<f64>,
    /// Share of the pairs of units of which it is still seen whether they behave alike; `None` where no tensor of the whole
    /// record has clusters.
    pub recall_clusters: Option<f64>,
    /// Share of the events that are found again; `None` where the whole record shows none.
    pub recall_events: Option<f64>,
    /// Share of the most alike windows that are found again; `None` where the record is too short for windows.
    pub recall_motifs: Option<f64>,
    /// Steps that a replay runs before the wanted one, on the mean; `None` without a checkpoint.
    pub replay_steps: Option<f64>,
}

impl BudgetPoint {
    fn is_enough(&self) -> bool {
        let recalls = [
            self.recall_outliers,
            self.recall_clusters,
            self.recall_events,
            self.recall_motifs,
        ];
        recalls.into_iter().flatten().all(|recall| recall >= ENOUGH)
    }
}

/// What to record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// Settings, for `--set`; none where the run's own are recommended.
    pub set: Vec<String>,
    /// Bytes of such a run directory.
    pub bytes: u64,
    /// Why, in sentences.
    pub text: String,
}

/// What [`budget`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetReport {
    /// Recordings: first the run as it is, then fewer steps, units, bits and checkpoints.
    pub curve: Vec<BudgetPoint>,
    /// What to record.
    pub recommendation: Recommendation,
    /// Lines apart from all others in the whole record.
    pub outliers: usize,
    /// Lines that were looked at.
    pub lines: usize,
    /// Clusters of the units of all tensors in the whole record.
    pub clusters: usize,
    /// Events that the detectors find in the whole record.
    pub events: usize,
    /// Lines whose most alike windows were looked for.
    pub motifs: usize,
    /// Records that were looked at; fewer than the run has where that many do not fit into memory.
    pub records: usize,
}

/// Measures what smaller recordings of a run would still show.
///
/// # Errors
/// Nothing is recorded yet, or a file has changed since the run was opened.
pub fn budget(run: &RunView) -> Result<BudgetReport> {
    let record = Record::read(run)?;
    if record.steps.len() < 2 {
        return Err(Error::input(
            run.folder().display().to_string(),
            format!(
                "it has {} records, too few to leave some out",
                record.steps.len()
            ),
            "train it longer, or with a smaller record.every",
        ));
    }
    let bytes = RunBytes::of(run);
    let whole = record.changed(Change::None);
    let measure = Measure {
        outliers: Outliers::of(&whole),
        clusters: Clusters::of(&whole),
        detection: Detection::of(run, &whole),
        motifs: Motifs::of(&whole),
        encoded: whole.encoded_bytes()?,
        record: &record,
        bytes,
    };
    let checkpoints = run.checkpoints();
    let mut curve = Vec::new();
    for change in recording::changes(&record) {
        curve.push(measure.point(run, change)?);
    }
    let lasting: Vec<usize> = (0..checkpoints.len()).collect();
    for (every, words) in [
        (2, "every second checkpoint"),
        (4, "every fourth checkpoint"),
    ] {
        let kept: Vec<usize> = lasting.iter().copied().step_by(every).collect();
        if kept.len() > 1 {
            curve.push(measure.with_checkpoints(run, &curve[0], &kept, words, every as u64));
        }
    }
    if !checkpoints.is_empty() {
        curve.push(measure.with_checkpoints(run, &curve[0], &[], "no checkpoint", 0));
    }
    Ok(BudgetReport {
        recommendation: recommend(run, &record, &curve),
        outliers: measure.outliers.count(),
        lines: measure.outliers.lines,
        clusters: measure.clusters.count(),
        events: measure.detection.count(),
        motifs: measure.motifs.count(),
        records: record.steps.len(),
        curve,
    })
}

/// The whole record, and what is found in it.
struct Measure<'a> {
    record: &'a Record,
    outliers: Outliers,
    clusters: Clusters,
    detection: Detection,
    motifs: Motifs,
    /// Bytes of the record as a file.
    encoded: u64,
    bytes: RunBytes,
}

impl Measure<'_> {
    fn point(&self, run: &RunView, change: Change) -> Result<BudgetPoint> {
        let smaller = self.record.changed(change);
        // The files of the run have more steps where not all records were read.
        let share = smaller.encoded_bytes()? as f64 / self.encoded as f64;
        let trace = (self.bytes.trace as f64 * share).round() as u64;
        let set = match change {
            Change::Older => vec![format!("record.budget={trace}")],
            _ => change.settings(self.record),
        };
        Ok(BudgetPoint {
            recording: change.words(self.record),
            set,
            bytes: self.bytes.rest() + self.bytes.all_checkpoints() + trace,
            recall_outliers: self.outliers.recall(&smaller),
            recall_clusters: self.clusters.recall(&smaller),
            recall_events: self.detection.recall(run, &smaller),
            recall_motifs: self.motifs.recall(&smaller),
            replay_steps: replay_steps(run.checkpoints(), self.record.steps_done),
        })
    }

    /// The same record with the checkpoints at these places of the list.
    fn with_checkpoints(
        &self,
        run: &RunView,
        whole: &BudgetPoint,
        kept: &[usize],
        words: &str,
        every: u64,
    ) -> BudgetPoint {
        let steps: Vec<u64> = kept.iter().map(|&index| run.checkpoints()[index]).collect();
        let bytes: u64 = kept
            .iter()
            .map(|&index| self.bytes.checkpoints[index])
            .sum();
        let distance = match run.checkpoints() {
            [first, second, ..] => second - first,
            _ => 0,
        };
        let is_settable = every > 0 && distance > 0;
        BudgetPoint {
            recording: words.to_owned(),
            set: is_settable
                .then(|| format!("record.checkpoint_every={}", distance * every))
                .into_iter()
                .collect(),
            bytes: self.bytes.rest() + self.bytes.trace + bytes,
            replay_steps: replay_steps(&steps, self.record.steps_done),
            ..whole.clone()
        }
    }
}

/// The mean over all steps of the distance from the checkpoint at or before it.
fn replay_steps(checkpoints: &[u64], steps: u64) -> Option<f64> {
    let &first = checkpoints.first()?;
    let ends = checkpoints[1..].iter().copied().chain([steps.max(first)]);
    let parts = checkpoints.iter().zip(ends);
    let sum: f64 = parts
        .map(|(&from, to)| {
            let length = to.saturating_sub(from) as f64;
            length * (length - 1.0).max(0.0) / 2.0
        })
        .sum();
    Some(sum / (steps.saturating_sub(first).max(1)) as f64)
}

/// The sparsest recording of steps, and of checkpoints, in which enough is found.
fn recommend(run: &RunView, record: &Record, curve: &[BudgetPoint]) -> Recommendation {
    let whole = &curve[0];
    let of = |key: &str| {
        let prefix = format!("{key}=");
        move |point: &&BudgetPoint| point.set.iter().any(|set| set.starts_with(&prefix))
    };
    let steps = curve.iter().filter(of("record.every"));
    let best = steps.take_while(|point| point.is_enough()).last();
    let mut set = Vec::new();
    let mut bytes = whole.bytes;
    // Where no fewer steps are enough, fewer older ones may be.
    let mut older = curve.iter().filter(of("record.budget"));
    let older = older.rfind(|point| point.is_enough());
    let mut text = match best.or(older) {
        Some(point) => {
            set.extend(point.set.iter().cloned());
            bytes -= whole.bytes - point.bytes.min(whole.bytes);
            format!(
                "Recording {} shows {} in {} instead of {}.",
                point.recording,
                found(point),
                ByteSize(point.bytes),
                ByteSize(whole.bytes)
            )
        }
        None => {
            let next = curve.iter().find(of("record.every"));
            let loss = next.map_or(String::new(), |point| {
                format!(
                    ": recording {} would show only {}",
                    point.recording,
                    found(point)
                )
            });
            format!("Record no fewer steps{loss}.")
        }
    };
    let limit = REPLAY_SHARE * record.steps_done as f64;
    let fewer = curve.iter().filter(of("record.checkpoint_every"));
    let is_near = |point: &&BudgetPoint| point.replay_steps.is_some_and(|steps| steps <= limit);
    if let Some(point) = fewer.take_while(is_near).last() {
        let saved = whole.bytes.saturating_sub(point.bytes);
        set.extend(point.set.iter().cloned());
        bytes = bytes.saturating_sub(saved);
        text.push_str(&format!(
            " With {} a replay runs {:.0} steps on the mean before the wanted one, and {} are saved.",
            point.recording,
            point.replay_steps.unwrap_or_default(),
            ByteSize(saved)
        ));
    }
    if record.every() > 1 {
        text.push_str(&format!(
            " The run itself recorded every {} steps: what a denser record would show is not known.",
            record.every()
        ));
    }
    if run.problems().iter().next().is_some() {
        text.push_str(" Parts of the run could not be read and are not counted.");
    }
    Recommendation { set, bytes, text }
}

/// What a recording shows, in words.
fn found(point: &BudgetPoint) -> String {
    let sorts = [
        ("outliers", point.recall_outliers),
        ("clusters", point.recall_clusters),
        ("events", point.recall_events),
        ("motifs", point.recall_motifs),
    ];
    let shares = sorts.iter().filter_map(|(name, recall)| {
        let recall = (*recall)?;
        Some(format!("{:.0} % of the {name}", (100.0 * recall).floor()))
    });
    let shares: Vec<String> = shares.collect();
    match shares.split_last() {
        None => {
            "nothing less (the whole record has no outlier, cluster, event or motif)".to_owned()
        }
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_begins_at_the_checkpoint_before() {
        assert_eq!(replay_steps(&[], 10), None);
        assert_eq!(replay_steps(&[0], 10), Some(4.5));
        assert_eq!(replay_steps(&[0, 5, 10], 10), Some(2.0));
        assert_eq!(replay_steps(&[0], 0), Some(0.0));
    }
}
