//! One stretch of a unit, and where else a unit does the same.

use std::fmt;
use std::ops::Range;

use super::lines::RunLines;
use super::motifs::{Match, nearest_matches};
use super::profile::{MIN_WINDOW, distances_to};
use super::windows::Windows;
use crate::gpu::Gpu;
use crate::{Error, Result};

/// Some steps of a unit, which other windows are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The tensor.
    pub tensor: String,
    /// Its unit.
    pub unit: usize,
    /// The steps.
    pub steps: Range<u64>,
}

/// The windows that are most like a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryMatches {
    /// Records in the query, and in each window.
    pub length: usize,
    /// The nearest one first.
    pub matches: Vec<Match>,
}

impl Query {
    /// Reads `TENSOR:UNIT:FROM:TO`, such as `encoder.1:12:300:360`; `TO` is the step after the last. `None` of anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.rsplitn(4, ':').collect();
        let &[to, from, unit, tensor] = parts.as_slice() else {
            return None;
        };
        let steps = from.parse().ok()?..to.parse().ok()?;
        (steps.start < steps.end).then_some(Self {
            tensor: tensor.to_owned(),
            unit: unit.parse().ok()?,
            steps,
        })
    }

    /// The `count` windows of all lines that are nearest to it; windows that overlap it or a nearer one do not count.
    ///
    /// # Errors
    /// No such unit is looked at, too few records are in it, one of them is not finite, or an adapter without room.
    pub fn nearest(&self, gpu: &Gpu, lines: &RunLines, count: usize) -> Result<QueryMatches> {
        let line = lines.find(&self.tensor, self.unit)?;
        let start = lines.steps.partition_point(|&step| step < self.steps.start);
        let end = lines.steps.partition_point(|&step| step < self.steps.end);
        let length = end.saturating_sub(start);
        if length < MIN_WINDOW {
            let ends = [lines.steps.first(), lines.steps.last()];
            let [first, last] = ends.map(|step| step.copied().unwrap_or(0));
            return Err(Error::usage(
                self.to_string(),
                format!("{length} records are in it, of {MIN_WINDOW} that have a shape"),
                format!(
                    "name more steps; records are {} steps apart, from step {first} to {last}",
                    lines.stride
                ),
            ));
        }
        let mut values = lines.line(line)[start..end].iter();
        if values.any(|value| !value.is_finite()) {
            return Err(Error::usage(
                self.to_string(),
                "a value in it is not finite or not recorded, so nothing is like it",
                "name steps before that",
            ));
        }
        let windows: Vec<Windows> = (0..lines.count())
            .map(|line| Windows::new(lines.line(line), length))
            .collect();
        let distances = distances_to(gpu, (&windows[line], start), &windows)?;
        let matches = nearest_matches(&distances, length, (line, start), count);
        Ok(QueryMatches { length, matches })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tensor,
            unit,
            steps,
        } = self;
        write!(f, "{tensor}:{unit}:{}:{}", steps.start, steps.end)
    }
}
