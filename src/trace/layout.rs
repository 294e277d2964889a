//! What is recorded: which tensors, in which rows of a step's statistics.

use super::FIGURES;
use crate::tensor::TensorKind;

/// One figure of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// Mean of the finite values.
    Mean,
    /// Their standard deviation (of the population).
    Std,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The fraction of them that is zero.
    ZeroFraction,
    /// How many values are NaN or infinite.
    Nonfinite,
}

impl Statistic {
    /// All of them, in the order in which they lie in a row of statistics.
    pub const ALL: [Self; FIGURES] = [
        Self::Mean,
        Self::Std,
        Self::Min,
        Self::Max,
        Self::ZeroFraction,
        Self::Nonfinite,
    ];

    /// The column in the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Min => "min",
            Self::Max => "max",
            Self::ZeroFraction => "zero_fraction",
            Self::Nonfinite => "nonfinite",
        }
    }
}

/// A recorded tensor and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEntry {
    /// Name of the layer or parameter.
    pub tensor: String,
    /// What its values are.
    pub kind: TensorKind,
    /// How many units it has.
    pub units: usize,
    /// The row of its first unit.
    pub first_row: usize,
}

/// All recorded tensors; their rows lie one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceLayout {
    entries: Vec<TraceEntry>,
    rows: usize,
}

impl TraceLayout {
    /// A layout of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor of `units` units and returns the row of the first.
    pub fn push(&mut self, tensor: impl Into<String>, kind: TensorKind, units: usize) -> usize {
        let first_row = self.rows;
        self.entries.push(TraceEntry {
            tensor: tensor.into(),
            kind,
            units,
            first_row,
        });
        self.rows += units;
        first_row
    }

    /// The tensors in the order of their rows.
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    /// Rows of all of them.
    pub fn rows(&self) -> usize {
        self.rows
    }
}
