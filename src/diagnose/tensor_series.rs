//! The statistics of whole tensors over the steps of a run, made of those of their units.

use std::collections::HashMap;

use crate::Result;
use crate::tensor::TensorKind;
use crate::trace::{RunView, UnitStatistics};

/// Statistics of a tensor at each recorded step. A step at which no unit has a finite value has NaN.
#[derive(Debug, Clone, Default)]
pub(super) struct TensorSeries {
    pub steps: Vec<u64>,
    /// The root of the mean square of all values.
    pub rms: Vec<f64>,
    /// The mean of the units' standard deviations.
    pub std: Vec<f64>,
    pub min: Vec<f64>,
    pub max: Vec<f64>,
    /// The share of values that are 0.
    pub zeros: Vec<f64>,
    /// The share of units that are nothing but 0.
    pub dead: Vec<f64>,
    /// The standard deviation of the units' means.
    pub spread: Vec<f64>,
    pub nonfinite: Vec<f64>,
    pub units: usize,
}

impl TensorSeries {
    fn push(&mut self, step: u64, units: &[UnitStatistics]) {
        let finite = || units.iter().filter(|unit| unit.mean.is_finite());
        let count = finite().count() as f64;
        let mean =
            |value: &dyn Fn(&UnitStatistics) -> f64| finite().map(value).sum::<f64>() / count;
        let square = |value: f32| f64::from(value).powi(2);
        let center = mean(&|unit| unit.mean.into());
        let fold = |value: fn(&UnitStatistics) -> f32, pick: fn(f64, f64) -> f64| {
            finite()
                .map(|unit| f64::from(value(unit)))
                .fold(f64::NAN, pick)
        };
        self.steps.push(step);
        self.rms
            .push(mean(&|unit| square(unit.mean) + square(unit.std)).sqrt());
        self.std.push(mean(&|unit| unit.std.into()));
        self.min.push(fold(|unit| unit.min, f64::min));
        self.max.push(fold(|unit| unit.max, f64::max));
        self.zeros.push(mean(&|unit| unit.zero_fraction.into()));
        self.dead
            .push(mean(&|unit| f64::from(u8::from(unit.zero_fraction >= 1.0))));
        self.spread
            .push(mean(&|unit| (f64::from(unit.mean) - center).powi(2)).sqrt());
        self.nonfinite
            .push(units.iter().map(|unit| f64::from(unit.nonfinite)).sum());
        self.units = units.len();
    }

    /// The first step with a value that is not finite.
    pub fn first_nonfinite(&self) -> Option<u64> {
        let mut steps = self.steps.iter().zip(&self.nonfinite);
        steps
            .find(|(_, count)| **count > 0.0)
            .map(|(step, _)| *step)
    }

    /// The largest magnitude of any value over all steps.
    pub fn magnitude(&self) -> f64 {
        let ends = self.min.iter().chain(&self.max);
        ends.filter(|value| value.is_finite())
            .fold(0.0, |most, value| most.max(value.abs()))
    }

    /// The first step at which `holds` is true of the value of `column` there, and stays true to the end.
    pub fn since(&self, column: &[f64], holds: impl Fn(f64) -> bool) -> Option<u64> {
        let from = column
            .iter()
            .rposition(|value| !holds(*value))
            .map_or(0, |last| last + 1);
        self.steps.get(from).copied()
    }

    /// The mean of a column over the last tenth of the steps.
    pub fn late(column: &[f64]) -> f64 {
        let last = &column[column.len() - column.len().div_ceil(10)..];
        last.iter().sum::<f64>() / last.len().max(1) as f64
    }
}

/// The series of all recorded tensors of a run.
pub(super) fn series_of(run: &RunView) -> Result<HashMap<(String, TensorKind), TensorSeries>> {
    let mut all: Vec<TensorSeries> = vec![TensorSeries::default(); run.entries().len()];
    run.each_record(|step, statistics| {
        for (entry, series) in run.entries().iter().zip(&mut all) {
            series.push(step, &statistics[entry.rows()]);
        }
    })?;
    let names = run
        .entries()
        .iter()
        .map(|entry| (entry.tensor.clone(), entry.kind));
    Ok(names.zip(all).collect())
}
