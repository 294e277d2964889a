//! A word for what a unit does at each record, by stated rules.
//!
//! The first rule that holds gives the word:
//!
//! | word | rule |
//! | --- | --- |
//! | `missing` | nothing is recorded |
//! | `nonfinite` | a value of the unit is NaN or infinite |
//! | `dead` | all values of the unit are zero |
//! | `saturated` | the unit of a sigmoid or tanh within the network is at one bound for the whole batch |
//! | `spike` | the mean is more than [`SPIKE`] deviations from the median of the [`AROUND`] records before and after |
//! | `rise`, `fall` | the line through the [`TREND`] records before and after has a slope that is more than [`SIGNIFICANT`] times its error, and over them changes by more than [`CHANGE`] of the unit's range |
//! | `flat` | none of these |
//!
//! Deviations are scaled median absolute ones, and at least a thousandth of the unit's range. A unit's range is that of its
//! finite means without the lowest and the highest twentieth, so that the end of a failed run does not flatten its beginning.

use super::lines::RunLines;
use crate::Result;
use crate::series::LineGroup;
use crate::trace::{LayerDescription, RunView, Statistic, UnitSeries, UnitStatistics};
use crate::train::is_saturated;

/// Records on each side that a spike is compared with.
pub const AROUND: usize = 8;
/// Deviations from their median that make a spike.
pub const SPIKE: f64 = 6.0;
/// The least deviation, as a share of the unit's range.
const LEAST_DEVIATION: f64 = 1e-3;
/// What makes a median absolute deviation the standard deviation of a normal distribution.
const MAD_SCALE: f64 = 1.4826;
/// Records on each side that a trend is taken from.
pub const TREND: usize = 4;
/// How many times its error the slope of a trend is.
pub const SIGNIFICANT: f64 = 4.0;
/// How much of the unit's range a trend covers.
pub const CHANGE: f64 = 0.02;
/// The share of means on each side that does not count for the range.
const TAIL: f64 = 0.05;

/// What a unit does at a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// It grows.
    Rise,
    /// It falls.
    Fall,
    /// None of the others.
    Flat,
    /// It is far from what is around.
    Spike,
    /// It is at a bound for the whole batch.
    Saturated,
    /// It is zero for the whole batch.
    Dead,
    /// It has values that are not finite.
    Nonfinite,
    /// Nothing is recorded.
    Missing,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rise,
        Self::Fall,
        Self::Flat,
        Self::Spike,
        Self::Saturated,
        Self::Dead,
        Self::Nonfinite,
        Self::Missing,
    ];

    /// The word itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rise => "rise",
            Self::Fall => "fall",
            Self::Flat => "flat",
            Self::Spike => "spike",
            Self::Saturated => "saturated",
            Self::Dead => "dead",
            Self::Nonfinite => "nonfinite",
            Self::Missing => "missing",
        }
    }

    /// The byte that stands for it in what a regular expression searches.
    pub(super) fn byte(self) -> u8 {
        b'a' + self as u8
    }
}

/// The words of all units of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunWords {
    /// Which tensor a line belongs to.
    pub groups: Vec<LineGroup>,
    /// Words of a line.
    pub columns: usize,
    /// `[lines, columns]`.
    words: Vec<Word>,
}

impl RunWords {
    /// The words of the units of these lines, at the same steps.
    ///
    /// # Errors
    /// A file has changed since the run was opened.
    pub fn read(run: &RunView, lines: &RunLines) -> Result<Self> {
        let mut words = Vec::with_capacity(lines.values.len());
        let fields = Statistic::ALL;
        for group in &lines.groups {
            let layer = run.model().layer(&group.tensor);
            let read = |field: Statistic| run.series(&group.tensor, group.kind, field);
            let series = fields
                .map(read)
                .into_iter()
                .collect::<Result<Vec<UnitSeries>>>()?;
            for unit in 0..group.lines.len() {
                let records: Vec<UnitStatistics> = (0..lines.records)
                    .map(|record| {
                        let field = |k: usize| series[k].values[unit * lines.records + record];
                        UnitStatistics::from(std::array::from_fn(field))
                    })
                    .collect();
                let columns: Vec<Option<UnitStatistics>> = lines.columns_of(&records);
                words.extend(words_of(&columns, layer));
            }
        }
        Ok(Self {
            groups: lines.groups.clone(),
            columns: lines.steps.len(),
            words,
        })
    }

    /// The words of a line.
    pub fn line(&self, line: usize) -> &[Word] {
        &self.words[line * self.columns..][..self.columns]
    }

    /// All of them, line after line.
    pub fn lines(&self) -> impl Iterator<Item = &[Word]> {
        self.words.chunks_exact(self.columns.max(1))
    }

    /// How often each word of [`Word::ALL`] is said of the units of a group.
    pub fn counts(&self, group: &LineGroup) -> [usize; Word::ALL.len()] {
        let mut counts = [0; Word::ALL.len()];
        for line in group.lines.clone() {
            for word in self.line(line) {
                counts[*word as usize] += 1;
            }
        }
        counts
    }
}

/// Words as text, with how often each comes in a row: `rise{12} flat{80} spike nonfinite{3}`.
pub fn spelled(words: &[Word]) -> String {
    let runs = words.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => run[0].name().to_owned(),
        count => format!("{}{{{count}}}", run[0].name()),
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// The words of a unit from its statistics at each record.
pub fn words_of(records: &[Option<UnitStatistics>], layer: Option<&LayerDescription>) -> Vec<Word> {
    let means: Vec<Option<f64>> = records
        .iter()
        .map(|record| {
            let record = record.filter(|unit| unit.nonfinite == 0.0 && unit.mean.is_finite())?;
            Some(f64::from(record.mean))
        })
        .collect();
    let range = range(&means);
    let spikes: Vec<bool> = (0..means.len())
        .map(|at| is_spike(&means, at, range))
        .collect();
    let word = |(at, record): (usize, &Option<UnitStatistics>)| {
        let Some(unit) = record else {
            return Word::Missing;
        };
        if means[at].is_none() {
            Word::Nonfinite
        } else if unit.zero_fraction >= 1.0 {
            Word::Dead
        } else if layer.is_some_and(|layer| is_saturated(layer, unit)) {
            Word::Saturated
        } else if spikes[at] {
            Word::Spike
        } else {
            trend(&means, &spikes, at, range)
        }
    };
    records.iter().enumerate().map(word).collect()
}

/// The range of the finite means without their tails.
fn range(means: &[Option<f64>]) -> f64 {
    let mut finite: Vec<f64> = means.iter().copied().flatten().collect();
    finite.sort_by(f64::total_cmp);
    let tail = (TAIL * finite.len() as f64) as usize;
    match &finite[tail..finite.len() - tail] {
        [] => 0.0,
        kept => kept[kept.len() - 1] - kept[0],
    }
}

/// The records around one, as far as there are any.
fn around(count: usize, at: usize, reach: usize) -> std::ops::Range<usize> {
    at.saturating_sub(reach)..count.min(at + reach + 1)
}

fn is_spike(means: &[Option<f64>], at: usize, range: f64) -> bool {
    let Some(value) = means[at] else {
        return false;
    };
    let near = around(means.len(), at, AROUND).filter(|&other| other != at);
    let near: Vec<f64> = near.filter_map(|other| means[other]).collect();
    if near.len() < 3 {
        return false;
    }
    let middle = median(near.clone());
    let deviations = near.iter().map(|other| (other - middle).abs());
    let deviation = (MAD_SCALE * median(deviations.collect())).max(LEAST_DEVIATION * range);
    (value - middle).abs() > SPIKE * deviation
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        0 => (values[half - 1] + values[half]) / 2.0,
        _ => values[half],
    }
}

/// Whether the line through the records around one rises, falls or neither.
fn trend(means: &[Option<f64>], spikes: &[bool], at: usize, range: f64) -> Word {
    let near = around(means.len(), at, TREND).filter(|&other| !spikes[other]);
    let points = near.filter_map(|other| Some((other as f64 - at as f64, means[other]?)));
    let points: Vec<(f64, f64)> = points.collect();
    let count = points.len() as f64;
    if points.len() < 4 {
        return Word::Flat;
    }
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let spread = mean(&|point| (point.0 - x).powi(2)) * count;
    let slope = mean(&|point| (point.0 - x) * (point.1 - y)) * count / spread;
    let residual = mean(&|point| (point.1 - y - slope * (point.0 - x)).powi(2)) * count;
    let error = (residual / (count - 2.0) / spread).sqrt();
    let change = slope.abs() * (points[points.len() - 1].0 - points[0].0);
    if slope.abs() <= SIGNIFICANT * error || change <= CHANGE * range || change == 0.0 {
        return Word::Flat;
    }
    if slope > 0.0 { Word::Rise } else { Word::Fall }
}
