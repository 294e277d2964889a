//! What is recorded: which tensors, in which rows of a step's statistics.

use serde::{Deserialize, Serialize};

use super::FIGURES;

/// What the values of a recorded tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Outputs of a layer over the batch.
    Activation,
    /// Gradients of the loss by those outputs.
    Gradient,
    /// A parameter before the step's update.
    Weight,
    /// What the step added to it.
    Update,
}

impl Kind {
    /// The word in the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Gradient => "gradient",
            Self::Weight => "weight",
            Self::Update => "update",
        }
    }
}

/// One figure of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
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

impl Quantity {
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
    pub kind: Kind,
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
    pub fn push(&mut self, tensor: impl Into<String>, kind: Kind, units: usize) -> usize {
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
