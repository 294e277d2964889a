//! What a tensor is called, outside of any graph or file format.

use serde::{Deserialize, Serialize};

/// What the values of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TensorKind {
    /// The output of a layer, `[batch, ...shape]`.
    Activation,
    /// The gradient of the loss with respect to that output.
    Gradient,
    /// A parameter or a state of a layer, before the step's update.
    Weight,
    /// What the step added to a parameter.
    Update,
}

impl TensorKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Activation, Self::Gradient, Self::Weight, Self::Update];

    /// The word that run directories and commands use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Gradient => "gradient",
            Self::Weight => "weight",
            Self::Update => "update",
        }
    }
}

/// A tensor on the CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name; a parameter's is PyTorch's, such as `encoder.0.weight`.
    pub name: String,
    /// Its shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

impl NamedTensor {
    /// A tensor of these values.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            name: name.into(),
            shape,
            values,
        }
    }
}
