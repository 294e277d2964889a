//! Steps of a run that are run again on another adapter than the run's: how far they come out from what it recorded.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::StepRecord;
use crate::trace::RunReader;
use crate::{Error, Result};

/// How far the steps that were run again are from those of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deviation {
    /// The adapter that the run was made on.
    pub made_on: String,
    /// The adapter that its steps were run again on.
    pub run_on: String,
    /// Steps whose scalars were compared.
    pub steps: u64,
    /// The largest difference of a scalar from the run's, as a share of the largest magnitude that the scalar has in the
    /// run.
    pub largest: f64,
    /// Of which scalar.
    pub scalar: Option<String>,
    /// In which step.
    pub step: Option<u64>,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            made_on,
            run_on,
            steps,
            largest,
            ..
        } = self;
        write!(f, "the run was made on '{made_on}', this is '{run_on}': ")?;
        match (&self.scalar, self.step) {
            _ if *steps == 0 => write!(f, "no step could be compared"),
            (Some(scalar), Some(step)) => write!(
                f,
                "over {steps} steps its scalars come out otherwise by at most {largest:.1e} of their size ({scalar} in step {step})"
            ),
            _ => write!(f, "over {steps} steps its scalars come out the same"),
        }
    }
}

/// A scalar of the run.
#[derive(Debug)]
struct Kept {
    /// Its largest finite magnitude.
    size: f64,
    values: Vec<(u64, f64)>,
}

/// Compares each step with the run, and refuses to go on where they are too far apart.
#[derive(Debug)]
pub(super) struct Tolerance {
    most: f64,
    kept: BTreeMap<String, Kept>,
    last_step: Option<u64>,
    pub deviation: Deviation,
}

impl Tolerance {
    /// For a run that is repeated on the adapter `run_on`, where scalars may differ by the share `most` of their size.
    pub fn new(reader: &RunReader, run_on: &str, most: f64) -> Result<Self> {
        let kept = reader.scalars()?.into_iter().map(|(name, values)| {
            let finite = values.iter().map(|(_, value)| value.abs());
            let size = finite.filter(|value| value.is_finite()).fold(0.0, f64::max);
            (name, Kept { size, values })
        });
        Ok(Self {
            most,
            kept: kept.collect(),
            last_step: None,
            deviation: Deviation {
                made_on: reader.info().adapter.clone(),
                run_on: run_on.to_owned(),
                steps: 0,
                largest: 0.0,
                scalar: None,
                step: None,
            },
        })
    }

    /// Compares the scalars of a step, whose names are `names`.
    pub fn compare(&mut self, names: &[String], record: &StepRecord) -> Result<()> {
        let mut is_known = false;
        for (name, &value) in names.iter().zip(&record.scalars) {
            let Some(kept) = self.kept.get(name) else {
                continue;
            };
            let values = &kept.values;
            let Ok(at) = values.binary_search_by_key(&record.step, |(step, _)| *step) else {
                continue;
            };
            is_known = true;
            let share = difference(f64::from(value), values[at].1, kept.size);
            if share > self.deviation.largest {
                self.deviation.largest = share;
                self.deviation.scalar = Some(name.clone());
                self.deviation.step = Some(record.step);
            }
        }
        // A step may be run more than once.
        if is_known && self.last_step.is_none_or(|last| record.step > last) {
            self.last_step = Some(record.step);
            self.deviation.steps += 1;
        }
        if self.deviation.largest <= self.most {
            return Ok(());
        }
        Err(Error::input(
            format!("--tolerance {}", self.most),
            self.deviation.to_string(),
            "give a larger tolerance, or choose the adapter of the run with --adapter",
        ))
    }
}

/// The difference of two values as a share of a size; infinite where only one of them is finite.
fn difference(now: f64, kept: f64, size: f64) -> f64 {
    let is_same = now == kept || (now.is_nan() && kept.is_nan());
    match (now - kept).abs() {
        _ if is_same => 0.0,
        difference if difference.is_finite() && size > 0.0 => difference / size,
        _ => f64::INFINITY,
    }
}
