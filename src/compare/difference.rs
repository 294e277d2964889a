//! A value that two runs do not share.

use serde::Serialize;

use crate::tensor::TensorKind;
use crate::trace::Statistic;

/// What sort of value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferingKind {
    /// A recorded activation.
    Activation,
    /// A recorded gradient.
    Gradient,
    /// A parameter or state, recorded or in a checkpoint.
    Weight,
    /// A recorded update of a parameter.
    Update,
    /// What an optimizer remembers, in a checkpoint.
    Optimizer,
    /// A scalar, such as the loss.
    Scalar,
}

impl DifferingKind {
    /// Its word in messages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Gradient => "gradient",
            Self::Weight => "weight",
            Self::Update => "update",
            Self::Optimizer => "optimizer",
            Self::Scalar => "scalar",
        }
    }
}

impl From<TensorKind> for DifferingKind {
    fn from(kind: TensorKind) -> Self {
        match kind {
            TensorKind::Activation => Self::Activation,
            TensorKind::Gradient => Self::Gradient,
            TensorKind::Weight => Self::Weight,
            TensorKind::Update => Self::Update,
        }
    }
}

/// The first value that two runs do not share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The step, counted from 0; of a checkpoint the step that starts from it.
    pub step: u64,
    /// The name of the layer, parameter or scalar.
    pub tensor: String,
    /// What of it differs.
    pub kind: DifferingKind,
    /// The first unit that differs; `None` of a scalar.
    pub unit: Option<usize>,
    /// How many units of the tensor differ at that step; 1 of a scalar.
    pub units: usize,
    /// Which statistic of the unit differs; `None` of a scalar and of a value in a checkpoint.
    pub statistic: Option<Statistic>,
    /// The value in either run.
    #[serde(serialize_with = "numbers")]
    pub values: [f64; 2],
    /// Orders the differences of one step as a step computes: parameters, activations, gradients, updates, scalars.
    #[serde(skip)]
    pub(super) rank: usize,
}

/// JSON has no non-finite numbers: they are written as "NaN", "inf" and "-inf".
fn numbers<S: serde::Serializer>(
    values: &[f64; 2],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(values.map(number))
}

/// A number as JSON, a non-finite one in words.
pub(super) fn number(value: f64) -> serde_json::Value {
    if value.is_finite() {
        value.into()
    } else {
        value.to_string().into()
    }
}

/// Whether two values are the same: the same bits, or not a number both.
pub(super) fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}
