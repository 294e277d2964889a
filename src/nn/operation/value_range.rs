//! An interval of numbers, either end of which may be open to infinity.

use serde::{Deserialize, Serialize};

/// An interval that holds the values of a tensor. In JSON it is `[least, greatest]`, with `null` where there is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[Option<f64>; 2]", into = "[Option<f64>; 2]")]
pub struct ValueRange {
    /// No value is below this.
    pub least: f64,
    /// No value is above this.
    pub greatest: f64,
}

impl ValueRange {
    /// Every number.
    pub const UNBOUNDED: Self = Self {
        least: f64::NEG_INFINITY,
        greatest: f64::INFINITY,
    };
    /// No number below zero.
    pub const NOT_NEGATIVE: Self = Self {
        least: 0.0,
        greatest: f64::INFINITY,
    };

    /// From `least` to `greatest`.
    pub const fn new(least: f64, greatest: f64) -> Self {
        Self { least, greatest }
    }

    /// Whether there is no bound on either side.
    pub fn is_unbounded(&self) -> bool {
        *self == Self::UNBOUNDED
    }

    /// Whether there is a bound on both sides.
    pub fn is_bounded(&self) -> bool {
        self.least.is_finite() && self.greatest.is_finite()
    }
}

impl Default for ValueRange {
    fn default() -> Self {
        Self::UNBOUNDED
    }
}

impl From<[Option<f64>; 2]> for ValueRange {
    fn from([least, greatest]: [Option<f64>; 2]) -> Self {
        Self {
            least: least.unwrap_or(f64::NEG_INFINITY),
            greatest: greatest.unwrap_or(f64::INFINITY),
        }
    }
}

impl From<ValueRange> for [Option<f64>; 2] {
    fn from(range: ValueRange) -> Self {
        [range.least, range.greatest].map(|end| end.is_finite().then_some(end))
    }
}
