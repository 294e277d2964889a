//! What is recorded: which tensors, in which rows of a step's statistics.

use std::ops::Range;

use crate::tensor::TensorKind;

/// A recorded tensor and the rows of its units.
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

impl TraceEntry {
    /// The rows of its units in a step's statistics.
    pub fn rows(&self) -> Range<usize> {
        self.first_row..self.first_row + self.units
    }
}

/// All recorded tensors, in the order of their rows and of computation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceLayout {
    entries: Vec<TraceEntry>,
    rows: usize,
}

impl TraceLayout {
    /// A layout without any tensor.
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

    /// The entry of a tensor, where it is recorded in this kind.
    pub fn find(&self, tensor: &str, kind: TensorKind) -> Option<&TraceEntry> {
        let is_wanted = |entry: &&TraceEntry| entry.tensor == tensor && entry.kind == kind;
        self.entries.iter().find(is_wanted)
    }

    /// How many rows all tensors have together.
    pub fn rows(&self) -> usize {
        self.rows
    }
}
