//! The time axis that all levels of the window share: columns of training steps, of which long quiet stretches may be folded.
//!
//! A long run has few steps at which something happens. A folded axis shows those and the steps around them one by one,
//! and folds what lies between: folds grow with the distance from the next step of interest, so that a run of any length
//! takes at most [`MAX_FOLDED`] columns. A linear and a logarithmic axis are the same thing with other columns.

use serde::{Deserialize, Serialize};

use crate::series::{EvenSteps, farthest};

/// Columns of a folded axis at most.
pub const MAX_FOLDED: usize = 200;
/// Columns of a logarithmic axis at most.
const MAX_LOGARITHMIC: usize = 512;
/// Moments of interest that are unfolded at most; with a fold on either side of each they fit a folded axis.
const MAX_MOMENTS: usize = 60;
/// Columns that steps around moments may take in all.
const MAX_AROUND: usize = 120;
/// Steps on either side of a moment that are shown one by one, where there is room.
const AROUND: [usize; 6] = [8, 5, 3, 2, 1, 0];
/// How much wider each fold is than its neighbor nearer to a moment; the first that fits is taken.
const GROWTH: [f64; 13] = [
    1.0,
    1.05,
    1.1,
    1.2,
    1.35,
    1.5,
    2.0,
    3.0,
    4.0,
    8.0,
    16.0,
    64.0,
    f64::INFINITY,
];

/// How steps become columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeScale {
    /// Steps around events one by one, quiet stretches folded.
    #[default]
    Folded,
    /// Every column as many steps.
    Linear,
    /// Columns grow with the distance from the first step.
    Logarithmic,
}

impl TimeScale {
    /// All of them, in the order of a switch.
    pub const ALL: [Self; 3] = [Self::Folded, Self::Linear, Self::Logarithmic];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folded => "folded",
            Self::Linear => "linear",
            Self::Logarithmic => "logarithmic",
        }
    }
}

/// The steps of one column, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSpan {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl StepSpan {
    /// How many training steps it spans.
    pub fn steps(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Columns of ascending steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeAxis {
    scale: TimeScale,
    columns: Vec<StepSpan>,
    /// Columns of the steps of interest, the most interesting first.
    moments: Vec<usize>,
}

impl TimeAxis {
    /// An axis over recorded steps, which ascend. `moments` are the steps of interest, the most interesting first; those
    /// beyond the first 60, and those outside of the steps, are not unfolded. `None` without steps.
    pub fn new(scale: TimeScale, steps: &[u64], moments: &[u64]) -> Option<Self> {
        let even = EvenSteps::over(steps)?;
        let (&first, &last) = (steps.first()?, steps.last()?);
        let columns = match scale {
            TimeScale::Folded => {
                let at = |step: u64| {
                    let is_inside = (first..=last).contains(&step);
                    is_inside.then(|| steps.partition_point(|other| *other <= step).max(1) - 1)
                };
                let moments: Vec<usize> = moments.iter().filter_map(|step| at(*step)).collect();
                let spans = folded(steps.len(), &moments).into_iter();
                spans
                    .map(|span| StepSpan {
                        first: steps[span.start],
                        last: steps[span.end - 1],
                    })
                    .collect()
            }
            TimeScale::Linear => (0..even.columns as u64)
                .map(|column| {
                    let begin = first + column * even.stride;
                    StepSpan {
                        first: begin,
                        last: begin.saturating_add(even.stride - 1).min(last.max(begin)),
                    }
                })
                .collect(),
            TimeScale::Logarithmic => logarithmic(first, last, even.stride),
        };
        let mut axis = Self {
            scale,
            columns,
            moments: Vec::new(),
        };
        // What a column looks like is how its last recorded step left it.
        for span in &mut axis.columns {
            let until = steps.partition_point(|step| *step <= span.last);
            let recorded = until.checked_sub(1).map(|index| steps[index]);
            span.last = recorded.unwrap_or(span.last).max(span.first);
        }
        for step in moments.iter().filter(|step| (first..=last).contains(step)) {
            let column = axis.column_of(*step);
            if !axis.moments.contains(&column) {
                axis.moments.push(column);
            }
        }
        axis.moments.truncate(MAX_MOMENTS);
        Some(axis)
    }

    /// How steps become columns.
    pub fn scale(&self) -> TimeScale {
        self.scale
    }

    /// The columns; at least one.
    pub fn columns(&self) -> &[StepSpan] {
        &self.columns
    }

    /// The column of a step; the nearest one of a step outside.
    pub fn column_of(&self, step: u64) -> usize {
        let after = self.columns.partition_point(|column| column.first <= step);
        after.max(1) - 1
    }

    /// The step at a column, which may lie outside: the last of the steps that the nearest column holds, which is what a
    /// run looked like after them.
    pub fn step_at(&self, column: f32) -> u64 {
        let nearest = (column.round().max(0.0) as usize).min(self.columns.len() - 1);
        self.columns[nearest].last
    }

    /// Columns in the order in which they deserve a label: the ends, the moments of interest, round numbers, and then
    /// ever finer parts of the axis.
    pub fn labeled(&self) -> Vec<usize> {
        let last = self.columns.len() - 1;
        let mut order = vec![0, last];
        order.extend(&self.moments);
        if self.scale == TimeScale::Logarithmic {
            let origin = self.columns[0].first;
            for factor in [1, 2, 5] {
                let decades = (0..19).map(|exponent| factor * 10u64.pow(exponent));
                let inside = decades.filter_map(|step| origin.checked_add(step));
                order.extend(
                    inside
                        .filter(|step| *step <= self.columns[last].last)
                        .map(|step| self.column_of(step)),
                );
            }
        }
        let mut parts = 2;
        while parts / 2 <= last.max(1) {
            order.extend((1..parts).step_by(2).map(|part| part * last / parts));
            parts *= 2;
        }
        let mut seen = vec![false; self.columns.len()];
        order.retain(|column| !std::mem::replace(&mut seen[*column], true));
        order
    }

    /// One value for each column of the values of a line, as [`EvenSteps::resample`] chooses it: the value farthest from
    /// the mean of its column, so that spikes survive; a non-finite one where there is any; the value before where nothing
    /// was recorded.
    pub fn resample(&self, steps: &[u64], values: &[f32]) -> Vec<f32> {
        let mut before = f32::NAN;
        self.each(steps, values, |here| {
            before = farthest(here).unwrap_or(before);
            before
        })
    }

    /// The lowest and the highest value of each column; both are not finite where any of its values is, and those of the
    /// column before where nothing was recorded.
    pub fn envelope(&self, steps: &[u64], values: &[f32]) -> [Vec<f32>; 2] {
        let side = |choose: fn(f32, f32) -> f32| {
            let mut before = f32::NAN;
            self.each(steps, values, |here| {
                let extreme = here.iter().copied().reduce(choose);
                let broken = here.iter().copied().find(|value| !value.is_finite());
                before = broken.or(extreme).unwrap_or(before);
                before
            })
        };
        [side(f32::min), side(f32::max)]
    }

    fn each<T>(
        &self,
        steps: &[u64],
        values: &[f32],
        mut column: impl FnMut(&[f32]) -> T,
    ) -> Vec<T> {
        let count = steps.len().min(values.len());
        let steps = &steps[..count];
        // Values before the axis belong to no column.
        let mut at = steps.partition_point(|step| *step < self.columns[0].first);
        self.columns
            .iter()
            .map(|span| {
                let begin = at;
                at += steps[at..].partition_point(|step| *step <= span.last);
                column(&values[begin..at])
            })
            .collect()
    }
}

/// Spans of `count` things, of which those around `moments` are alone.
fn folded(count: usize, moments: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut chosen = vec![0, count - 1];
    for moment in moments {
        if chosen.len() < MAX_MOMENTS && !chosen.contains(moment) {
            chosen.push(*moment);
        }
    }
    chosen.sort_unstable();
    let alone = AROUND
        .into_iter()
        .map(|reach| around(&chosen, reach, count))
        .find(|alone| alone.len() <= MAX_AROUND)
        .unwrap_or(chosen);
    let fits = |growth: f64| {
        let mut spans = Vec::new();
        let mut from = 0;
        for single in alone.iter().copied() {
            fold(from..single, growth, &mut spans);
            spans.push(single..single + 1);
            from = single + 1;
            if spans.len() > MAX_FOLDED {
                return None;
            }
        }
        Some(spans)
    };
    GROWTH.into_iter().find_map(fits).unwrap_or_default()
}

/// What lies within `reach` of the chosen ones; the ends of the axis need no company.
fn around(chosen: &[usize], reach: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = chosen
        .iter()
        .flat_map(|&at| {
            let reach = if at == 0 || at == count - 1 { 0 } else { reach };
            at.saturating_sub(reach)..=(at + reach).min(count - 1)
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Divides a stretch into folds that grow from both of its ends toward its middle.
fn fold(gap: std::ops::Range<usize>, growth: f64, spans: &mut Vec<std::ops::Range<usize>>) {
    let (mut from, mut to) = (gap.start, gap.end);
    let (mut width, mut right) = (1.0f64, Vec::new());
    while from < to && spans.len() + right.len() <= MAX_FOLDED {
        width *= growth;
        // A float beyond the largest integer becomes that.
        let here = (width as usize).max(1);
        if to - from <= here {
            spans.push(from..to);
            break;
        }
        spans.push(from..from + here);
        from += here;
        let here = here.min(to - from);
        right.push(to - here..to);
        to -= here;
    }
    spans.extend(right.into_iter().rev());
}

/// Columns whose ends are evenly spaced in the logarithm of the distance from the first step.
fn logarithmic(first: u64, last: u64, stride: u64) -> Vec<StepSpan> {
    let strides = (last - first) / stride + 1;
    let extent = (strides as f64).ln();
    let count = (strides as usize).min(MAX_LOGARITHMIC);
    let mut columns: Vec<StepSpan> = Vec::new();
    let mut begin = 0u64;
    for column in 0..count {
        let part = (column + 1) as f64 / count as f64;
        let end = ((part * extent).exp().round() as u64).clamp(begin, strides);
        let end = if column + 1 == count { strides } else { end };
        if end > begin {
            columns.push(StepSpan {
                first: first + begin * stride,
                last: (first + end * stride - 1).min(last),
            });
            begin = end;
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(scale: TimeScale, count: u64, moments: &[u64]) -> TimeAxis {
        let steps: Vec<u64> = (0..count).collect();
        TimeAxis::new(scale, &steps, moments).unwrap()
    }

    #[test]
    fn steps_around_an_event_are_alone_and_quiet_stretches_are_folded() {
        let axis = axis(TimeScale::Folded, 24_397, &[24_384]);
        assert!(axis.columns().len() <= MAX_FOLDED);
        for step in 24_376..=24_392 {
            assert_eq!(axis.columns()[axis.column_of(step)].steps(), 1, "{step}");
        }
        let widest = axis.columns().iter().map(|span| span.steps()).max();
        assert!(widest.unwrap() > 500);
        // Folds grow away from what happens.
        let before: Vec<u64> = axis.columns()[axis.column_of(24_000)..axis.column_of(24_375)]
            .iter()
            .map(|span| span.steps())
            .collect();
        assert!(
            before.windows(2).all(|pair| pair[0] >= pair[1]),
            "{before:?}"
        );
    }

    #[test]
    fn short_runs_are_not_folded() {
        for scale in TimeScale::ALL {
            let axis = axis(scale, 1, &[]);
            assert_eq!(axis.columns(), [StepSpan { first: 0, last: 0 }]);
            assert_eq!(axis.labeled(), [0]);
        }
        let axis = axis(TimeScale::Folded, 180, &[90]);
        assert!(axis.columns().iter().all(|span| span.steps() == 1));
        assert!(TimeAxis::new(TimeScale::Folded, &[], &[1]).is_none());
    }

    #[test]
    fn ends_and_events_are_labeled_first() {
        let axis = axis(TimeScale::Folded, 5000, &[3000, 40]);
        let labeled = axis.labeled();
        let steps: Vec<u64> = labeled[..4]
            .iter()
            .map(|column| axis.columns()[*column].last)
            .collect();
        assert_eq!(steps, [0, 4999, 3000, 40]);
    }

    #[test]
    fn envelopes_hold_all_values_and_name_what_is_not_finite() {
        let steps: Vec<u64> = (0..1000).collect();
        let mut values: Vec<f32> = steps.iter().map(|step| (*step as f32).sin()).collect();
        values[500] = f32::INFINITY;
        let axis = TimeAxis::new(TimeScale::Folded, &steps, &[]).unwrap();
        let [low, high] = axis.envelope(&steps, &values);
        for (step, value) in values.iter().enumerate() {
            let column = axis.column_of(step as u64);
            let is_broken = axis.column_of(500) == column;
            assert_eq!(high[column].is_finite(), !is_broken);
            assert!(is_broken || (low[column]..=high[column]).contains(value));
        }
        assert_eq!(axis.resample(&steps, &values).len(), axis.columns().len());
    }

    proptest! {
        #[test]
        fn every_recorded_step_is_in_one_column_and_there_are_few(
            count in 1usize..40_000,
            every in 1u64..50,
            moments in proptest::collection::vec(0u64..2_000_000, 0..200),
            scale in 0usize..3,
        ) {
            let steps: Vec<u64> = (0..count as u64).map(|index| 7 + index * every).collect();
            let axis = TimeAxis::new(TimeScale::ALL[scale], &steps, &moments).unwrap();
            let columns = axis.columns();
            let most = [MAX_FOLDED, 2048, MAX_LOGARITHMIC][scale];
            prop_assert!(columns.len() <= most, "{}", columns.len());
            prop_assert!(columns.iter().all(|span| span.first <= span.last));
            prop_assert!(columns.windows(2).all(|pair| pair[0].last < pair[1].first));
            let is_inside = |step: &u64| {
                let span = columns[axis.column_of(*step)];
                (span.first..=span.last).contains(step)
            };
            prop_assert!(steps.iter().all(is_inside));
            prop_assert_eq!(axis.labeled().len(), columns.len());
            for (column, span) in columns.iter().enumerate() {
                prop_assert_eq!(axis.column_of(axis.step_at(column as f32)), column);
                prop_assert!(span.steps() >= 1);
            }
        }
    }
}
