//! Scalars of several runs side by side.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::difference::number;
use crate::trace::RunView;

/// Steps at which the values of all runs are given side by side.
const COMMON_STEPS: usize = 9;

/// A scalar in each of the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalarRow {
    /// Its name.
    pub name: String,
    /// What each run has of it, in the order of the runs; `None` where it has nothing.
    pub runs: Vec<Option<ScalarOfRun>>,
    /// Steps that every run with this scalar has, evenly chosen with the first and the last, and the values there, in the
    /// order of the runs; NaN where a run does not have the scalar.
    #[serde(serialize_with = "common")]
    pub common: Vec<(u64, Vec<f64>)>,
}

/// A scalar in one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScalarOfRun {
    /// How many values there are.
    pub values: usize,
    /// Step of the last value.
    pub final_step: u64,
    /// The last value.
    #[serde(rename = "final", serialize_with = "plain")]
    pub last: f64,
    /// Step of the smallest finite value.
    pub min_step: Option<u64>,
    /// The smallest finite value.
    pub min: Option<f64>,
    /// Step of the largest finite value.
    pub max_step: Option<u64>,
    /// The largest finite value.
    pub max: Option<f64>,
    /// How many values are NaN or infinite.
    pub nonfinite: usize,
    /// Step of the first of them.
    pub first_nonfinite: Option<u64>,
}

impl ScalarOfRun {
    fn of(series: &[(u64, f64)]) -> Option<Self> {
        let &(final_step, last) = series.last()?;
        let finite = || series.iter().filter(|(_, value)| value.is_finite());
        let by_value = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
        let min = finite().min_by(by_value);
        // The first of equal values, as of the smallest.
        let max = finite().rev().max_by(by_value);
        let broken = || series.iter().filter(|(_, value)| !value.is_finite());
        Some(Self {
            values: series.len(),
            final_step,
            last,
            min_step: min.map(|(step, _)| *step),
            min: min.map(|(_, value)| *value),
            max_step: max.map(|(step, _)| *step),
            max: max.map(|(_, value)| *value),
            nonfinite: broken().count(),
            first_nonfinite: broken().next().map(|(step, _)| *step),
        })
    }
}

/// All scalars of all runs: what is trained on and measured first, norms of gradients last, both by name.
pub(super) fn rows(runs: &[RunView]) -> Vec<ScalarRow> {
    let names = runs.iter().flat_map(|run| run.scalars().keys());
    let names: BTreeSet<(bool, bool, &String)> = names
        .map(|name| (name.contains('/'), name != "loss", name))
        .collect();
    let row = |(_, _, name): (bool, bool, &String)| {
        let series = |run: &'_ RunView| run.scalars().get(name).cloned().unwrap_or_default();
        let all: Vec<Vec<(u64, f64)>> = runs.iter().map(series).collect();
        ScalarRow {
            name: name.clone(),
            runs: all.iter().map(|series| ScalarOfRun::of(series)).collect(),
            common: common_values(&all),
        }
    };
    names.into_iter().map(row).collect()
}

/// Values at steps that every run has which has any.
fn common_values(all: &[Vec<(u64, f64)>]) -> Vec<(u64, Vec<f64>)> {
    let value = |series: &[(u64, f64)], step: u64| {
        let found = series.binary_search_by_key(&step, |(step, _)| *step);
        found.ok().map(|index| series[index].1)
    };
    let mut some = all.iter().filter(|series| !series.is_empty());
    let Some(first) = some.next() else {
        return Vec::new();
    };
    let rest: Vec<_> = some.collect();
    let in_all = |step: u64| rest.iter().all(|series| value(series, step).is_some());
    let steps: Vec<u64> = first
        .iter()
        .map(|(step, _)| *step)
        .filter(|&step| in_all(step))
        .collect();
    let count = steps.len().min(COMMON_STEPS);
    let chosen = (0..count).map(|i| steps[i * (steps.len() - 1) / (count - 1).max(1)]);
    chosen
        .map(|step| {
            let values = all
                .iter()
                .map(|series| value(series, step).unwrap_or(f64::NAN));
            (step, values.collect())
        })
        .collect()
}

fn plain<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    number(*value).serialize(serializer)
}

fn common<S: Serializer>(rows: &[(u64, Vec<f64>)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(rows.len()))?;
    for (step, values) in rows {
        let values: Vec<_> = values.iter().map(|&value| number(value)).collect();
        list.serialize_element(&serde_json::json!({ "step": step, "values": values }))?;
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_of_finite_values_and_their_first_steps() {
        let series = [(0, 2.0), (1, 5.0), (2, f64::NAN), (3, 2.0), (4, 5.0)];
        let found = ScalarOfRun::of(&series).expect("values");
        assert_eq!((found.min, found.min_step), (Some(2.0), Some(0)));
        assert_eq!((found.max, found.max_step), (Some(5.0), Some(1)));
        assert_eq!((found.nonfinite, found.first_nonfinite), (1, Some(2)));
        assert_eq!((found.last, found.final_step), (5.0, 4));
        assert_eq!(ScalarOfRun::of(&[]), None);
    }

    #[test]
    fn common_steps_are_those_of_all_runs() {
        let every = |stride: u64, count: u64| -> Vec<(u64, f64)> {
            (0..count)
                .map(|i| (i * stride, (i * stride) as f64))
                .collect()
        };
        let common = common_values(&[every(2, 50), every(3, 50), Vec::new()]);
        assert_eq!(common.len(), COMMON_STEPS);
        assert_eq!(common[0].0, 0);
        assert_eq!(common[COMMON_STEPS - 1].0, 96);
        assert!(
            common
                .iter()
                .all(|(step, values)| step.is_multiple_of(6) && values[0] == values[1])
        );
        assert!(common[3].1[2].is_nan());
        assert_eq!(common_values(&[every(2, 3), vec![(1, 0.0)]]), []);
        assert_eq!(
            common_values(&[vec![(4, 1.0)], vec![(4, 2.0)]]),
            [(4, vec![1.0, 2.0])]
        );
    }
}
