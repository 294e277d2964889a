//! Events: what a run noticed while it trained.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tensor::TensorKind;

/// Something that happened in a run: the first non-finite value, a dead unit, a spike of the loss, a GAN out of balance.
/// Its JSON form is a line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The training step at which it was noticed, counted from 0.
    pub step: u64,
    /// What happened.
    pub kind: EventKind,
    /// How bad that is.
    pub severity: Severity,
    /// What it happened to.
    pub subject: Subject,
    /// The step since which it has held; `step` itself where no earlier one is known.
    pub since: u64,
    /// Measured values by their names.
    pub statistics: BTreeMap<String, f64>,
    /// The samples of the step's batch, by their numbers in the data set, where they may be the reason.
    pub samples: Vec<u32>,
}

impl Event {
    /// An event at `step` without further details, with the severity of its kind.
    pub fn new(step: u64, kind: EventKind, subject: Subject) -> Self {
        Self {
            step,
            severity: kind.severity(),
            kind,
            subject,
            since: step,
            statistics: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    /// The event, which has held since an earlier step.
    pub fn since(mut self, step: u64) -> Self {
        self.since = step;
        self
    }

    /// The event with a measured value.
    pub fn with(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.statistics.insert(name.to_owned(), value.into());
        self
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// The first NaN or infinity of a run.
    Nonfinite,
    /// A unit of a rectifier gave nothing but zeros for some records in a row.
    DeadUnit,
    /// The loss rose far above its running average.
    Spike,
    /// A GAN's discriminator tells real from generated images with certainty.
    DiscriminatorSaturated,
    /// A GAN's generated images are nearly all alike.
    DiversityCollapse,
    /// Units of a rectifier that were dead give other values than zero again.
    Revived,
    /// The loss rose far above where it began, and stayed there.
    Explosion,
    /// Updates are as large as the weights that they change.
    LargeUpdates,
    /// Updates are too small to change anything.
    TinyUpdates,
    /// The units of a sigmoid or hyperbolic tangent are at their bounds for nearly all samples.
    SaturatedUnits,
    /// Next to nothing of the gradient reaches the first layer.
    VanishingGradient,
    /// A loss that cannot be negative is.
    NegativeLoss,
    /// No latent unit of a VAE depends on the input any more.
    PosteriorCollapse,
    /// The log-variance of a VAE's latent units leaves the range that data ask for, or that of its pixels sinks far below
    /// their mean.
    LogVarianceDrift,
    /// A critic's scores grow without bound.
    UnboundedScore,
    /// A kind that this version does not know, by its word.
    Other(String),
}

impl EventKind {
    /// The kinds that this version knows.
    pub const KNOWN: [Self; 15] = [
        Self::Nonfinite,
        Self::DeadUnit,
        Self::Spike,
        Self::DiscriminatorSaturated,
        Self::DiversityCollapse,
        Self::Revived,
        Self::Explosion,
        Self::LargeUpdates,
        Self::TinyUpdates,
        Self::SaturatedUnits,
        Self::VanishingGradient,
        Self::NegativeLoss,
        Self::PosteriorCollapse,
        Self::LogVarianceDrift,
        Self::UnboundedScore,
    ];

    /// Its word in `events.jsonl`.
    pub fn name(&self) -> &str {
        match self {
            Self::Nonfinite => "nonfinite",
            Self::DeadUnit => "dead",
            Self::Spike => "spike",
            Self::DiscriminatorSaturated => "discriminator_saturated",
            Self::DiversityCollapse => "diversity_collapse",
            Self::Revived => "revived",
            Self::Explosion => "explosion",
            Self::LargeUpdates => "large_updates",
            Self::TinyUpdates => "tiny_updates",
            Self::SaturatedUnits => "saturated",
            Self::VanishingGradient => "vanishing_gradient",
            Self::NegativeLoss => "negative_loss",
            Self::PosteriorCollapse => "posterior_collapse",
            Self::LogVarianceDrift => "log_variance_drift",
            Self::UnboundedScore => "unbounded_score",
            Self::Other(name) => name,
        }
    }

    /// How bad an event of this kind is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Nonfinite => Severity::Fatal,
            Self::DiscriminatorSaturated
            | Self::DiversityCollapse
            | Self::Explosion
            | Self::NegativeLoss
            | Self::PosteriorCollapse
            | Self::UnboundedScore => Severity::Serious,
            Self::Revived => Severity::Note,
            Self::DeadUnit
            | Self::Spike
            | Self::LargeUpdates
            | Self::TinyUpdates
            | Self::SaturatedUnits
            | Self::VanishingGradient
            | Self::LogVarianceDrift
            | Self::Other(_) => Severity::Warning,
        }
    }
}

impl From<&str> for EventKind {
    fn from(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|kind| kind.name() == name);
        known.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It happens in most healthy runs.
    Note,
    /// It happens in some healthy runs.
    Warning,
    /// The run will hardly get better while it lasts.
    Serious,
    /// The run cannot recover.
    Fatal,
}

impl Severity {
    /// Its word in `events.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Serious => "serious",
            Self::Fatal => "fatal",
        }
    }
}

/// What an event happened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A unit of a recorded tensor.
    Unit {
        /// Name of the layer or parameter.
        tensor: String,
        /// Which of its values.
        kind: TensorKind,
        /// The unit, counted from 0.
        unit: usize,
    },
    /// Some units of a recorded tensor.
    Units {
        /// Name of the layer or parameter.
        tensor: String,
        /// Which of its values.
        kind: TensorKind,
        /// The units, ascending; at least two.
        units: Vec<usize>,
    },
    /// A recorded tensor as a whole.
    Tensor {
        /// Name of the layer or parameter.
        tensor: String,
        /// Which of its values.
        kind: TensorKind,
    },
    /// A scalar of the run, by its name.
    Scalar(String),
    /// The run as a whole.
    Run,
}

impl Subject {
    /// A unit of a tensor.
    pub fn unit(tensor: impl Into<String>, kind: TensorKind, unit: usize) -> Self {
        Self::Unit {
            tensor: tensor.into(),
            kind,
            unit,
        }
    }

    /// A tensor as a whole.
    pub fn tensor(tensor: impl Into<String>, kind: TensorKind) -> Self {
        Self::Tensor {
            tensor: tensor.into(),
            kind,
        }
    }

    /// Some units of a tensor, ascending: one unit, several or, where there are none, the tensor as a whole.
    pub fn of_units(tensor: impl Into<String>, kind: TensorKind, units: Vec<usize>) -> Self {
        match units[..] {
            [] => Self::tensor(tensor, kind),
            [unit] => Self::unit(tensor, kind, unit),
            _ => Self::Units {
                tensor: tensor.into(),
                kind,
                units,
            },
        }
    }

    /// The numbers of the units that are meant; none where it is no unit.
    pub fn units(&self) -> &[usize] {
        match self {
            Self::Unit { unit, .. } => std::slice::from_ref(unit),
            Self::Units { units, .. } => units,
            _ => &[],
        }
    }

    /// The tensor's name, where it is one or units of one.
    pub fn tensor_name(&self) -> Option<&str> {
        match self {
            Self::Unit { tensor, .. }
            | Self::Units { tensor, .. }
            | Self::Tensor { tensor, .. } => Some(tensor),
            _ => None,
        }
    }

    /// The number of the unit, where it is one.
    pub fn unit_index(&self) -> Option<usize> {
        match self {
            Self::Unit { unit, .. } => Some(*unit),
            _ => None,
        }
    }

    /// The same without the number of a unit: events of units of one tensor belong together.
    pub fn group(&self) -> Self {
        match self {
            Self::Unit { tensor, kind, .. } | Self::Units { tensor, kind, .. } => {
                Self::tensor(tensor, *kind)
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Subject {
    /// In words: `unit 3 of encoder.0 activation`, `encoder.0 activation`, `loss`; nothing for the run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { tensor, kind, unit } => {
                write!(f, "unit {unit} of {tensor} {}", kind.name())
            }
            Self::Units {
                tensor,
                kind,
                units,
            } => write!(f, "{} units of {tensor} {}", units.len(), kind.name()),
            Self::Tensor { tensor, kind } => write!(f, "{tensor} {}", kind.name()),
            Self::Scalar(name) => f.write_str(name),
            Self::Run => Ok(()),
        }
    }
}
