//! What an explanation consists of: findings with their evidence and fixes, and the verdict over all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::push::Push;
use crate::trace::{Severity, Statistic};

/// Something that a person can change and that made a run go wrong. The words are those of `explain --json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // Each variant is described by its title.
pub enum Cause {
    LearningRateTooHigh,
    LearningRateTooLow,
    ScheduleWrong,
    MomentumTooHigh,
    WeightDecayTooStrong,
    GradientClipTooTight,
    WeightClipTooSmall,
    WeightClipMissing,
    UnscaledInputs,
    FaintInputs,
    ConstantInputs,
    CorruptSamples,
    LabelNoise,
    ClassImbalance,
    TooLittleData,
    UnshuffledData,
    AugmentationTooStrong,
    Overfitting,
    ZeroInitialization,
    InitializationTooLarge,
    MissingNormalization,
    MissingNonlinearity,
    Bottleneck,
    SaturatingActivations,
    DeadUnits,
    DropoutTooHigh,
    FrozenLayers,
    BatchTooSmall,
    VanishingGradients,
    ExplodingGradients,
    OutputActivation,
    LossScale,
    LogVarianceOverflow,
    LogVarianceDrift,
    KlWeightTooHigh,
    PosteriorCollapse,
    UnboundedLikelihood,
    DiscriminatorTooStrong,
    DiscriminatorTooWeak,
    ModeCollapse,
    NoiseIgnored,
}

impl Cause {
    /// Whether it makes the steps of training smaller: a run that diverges does so in spite of it.
    pub(super) fn holds_back(self) -> bool {
        matches!(
            self,
            Self::LearningRateTooLow
                | Self::ScheduleWrong
                | Self::GradientClipTooTight
                | Self::WeightClipTooSmall
        )
    }

    /// The cause in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::LearningRateTooHigh => "the learning rate is too high",
            Self::LearningRateTooLow => "the learning rate is too low",
            Self::ScheduleWrong => "the schedule keeps the learning rate next to zero",
            Self::MomentumTooHigh => "the momentum is too high",
            Self::WeightDecayTooStrong => "the weight decay takes more than the gradients give",
            Self::GradientClipTooTight => "the gradients are clipped to next to nothing",
            Self::WeightClipTooSmall => "the critic's weights are clipped too tightly",
            Self::WeightClipMissing => "nothing bounds the critic",
            Self::UnscaledInputs => "the inputs are not scaled",
            Self::FaintInputs => "the inputs are next to zero",
            Self::ConstantInputs => "all inputs are the same",
            Self::CorruptSamples => "some samples are corrupt",
            Self::LabelNoise => "the labels do not belong to the inputs",
            Self::ClassImbalance => "nearly all samples are of one class",
            Self::TooLittleData => "there are too few different samples",
            Self::UnshuffledData => "the samples come sorted by class",
            Self::AugmentationTooStrong => "augmentation moves most of the image away",
            Self::Overfitting => "the model learns the training samples by heart",
            Self::ZeroInitialization => "the weights all start alike",
            Self::InitializationTooLarge => "the weights start too large",
            Self::MissingNormalization => "a deep network has no normalization",
            Self::MissingNonlinearity => "layers follow each other without a non-linearity",
            Self::Bottleneck => "a layer is too narrow",
            Self::SaturatingActivations => "saturating activations stop the gradient",
            Self::DeadUnits => "the units of a layer are dead",
            Self::FrozenLayers => "layers are frozen",
            Self::DropoutTooHigh => "dropout leaves next to nothing",
            Self::BatchTooSmall => "the batch is too small",
            Self::VanishingGradients => "the gradients vanish on their way to the first layers",
            Self::ExplodingGradients => "the gradients explode",
            Self::OutputActivation => "the output's activation does not fit the loss or the data",
            Self::LossScale => "the scale of the loss is wrong",
            Self::LogVarianceOverflow => {
                "the log-variance has no bound, and its exponential overflows"
            }
            Self::LogVarianceDrift => "the log-variance drifted away quietly, then overshot",
            Self::KlWeightTooHigh => "the KL divergence weighs too much",
            Self::PosteriorCollapse => "the posterior collapsed to the prior",
            Self::UnboundedLikelihood => "the likelihood has no upper bound",
            Self::DiscriminatorTooStrong => "the discriminator is too strong",
            Self::DiscriminatorTooWeak => "the discriminator is too weak",
            Self::ModeCollapse => "generated images are all alike",
            Self::NoiseIgnored => "the generator ignores its noise",
        }
    }
}

/// A measured sentence that supports a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The sentence, with its figures.
    pub text: String,
    /// The figures by their names.
    pub statistics: BTreeMap<String, f64>,
    /// The command that shows it.
    pub command: Option<String>,
}

impl Evidence {
    /// Evidence without figures of its own.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            statistics: BTreeMap::new(),
            command: None,
        }
    }

    /// The same with a figure. Figures that are not finite are left out, because JSON has none.
    pub fn with(mut self, name: &str, value: f64) -> Self {
        if value.is_finite() {
            self.statistics.insert(name.to_owned(), value);
        }
        self
    }

    /// The same with the command that shows it.
    pub fn command(mut self, command: String) -> Self {
        self.command = Some(command);
        self
    }
}

/// A change of the scenario that removes a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// Arguments of `--set`; none where the data have to change.
    pub set: Vec<String>,
    /// The change in words, as an imperative without its end.
    pub text: String,
    /// Whether a run with the change was free of the finding; `None` where it was not tried.
    pub verified: Option<bool>,
    /// What the trial showed.
    pub result: Option<String>,
    /// The trial's run directory, below that of the run.
    #[serde(default)]
    pub trial: Option<String>,
}

impl Fix {
    /// A change that was not tried.
    pub fn new(set: Vec<String>, text: impl Into<String>) -> Self {
        Self {
            set,
            text: text.into(),
            verified: None,
            result: None,
            trial: None,
        }
    }
}

/// A cause with what supports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What went wrong.
    pub cause: Cause,
    /// The same in words, with what it is about.
    pub title: String,
    /// How bad it is for the run.
    pub severity: Severity,
    /// From 0 to 1: how much of what was seen it explains.
    pub confidence: f64,
    /// The first step at which it acted, where that is known.
    pub since: Option<u64>,
    /// The step that shows it best.
    pub step: Option<u64>,
    /// The layer that it is about.
    pub layer: Option<String>,
    /// Which of its values, or which scalar.
    pub quantity: Option<String>,
    /// Which statistic of those values over the batch shows it best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// The units that it is about; none for all of them.
    pub units: Vec<usize>,
    /// The samples that it is about.
    pub samples: Vec<u32>,
    /// What supports it.
    pub evidence: Vec<Evidence>,
    /// What removes it.
    pub fixes: Vec<Fix>,
    /// Who pushed the unit that it is about, where the steps before a failure were looked at.
    #[serde(default)]
    pub pushes: Vec<Push>,
}

impl Finding {
    /// A finding titled after its cause.
    pub fn new(cause: Cause, severity: Severity, confidence: f64) -> Self {
        Self {
            cause,
            title: cause.title().to_owned(),
            severity,
            confidence,
            since: None,
            step: None,
            layer: None,
            quantity: None,
            statistic: None,
            units: Vec::new(),
            samples: Vec::new(),
            evidence: Vec::new(),
            fixes: Vec::new(),
            pushes: Vec::new(),
        }
    }

    /// The same with another title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The same about a layer and one of its quantities.
    pub fn layer(mut self, layer: &str, quantity: &str) -> Self {
        self.layer = Some(layer.to_owned());
        self.quantity = Some(quantity.to_owned());
        self
    }

    /// The same, which a statistic of those values shows best.
    pub fn statistic(mut self, statistic: Statistic) -> Self {
        self.statistic = Some(statistic);
        self
    }

    /// The same since a step.
    pub fn since(mut self, step: u64) -> Self {
        self.since = Some(step);
        self.step.get_or_insert(step);
        self
    }

    /// The same with one more piece of evidence.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// The same with one more fix.
    pub fn fix(mut self, set: impl IntoIterator<Item = String>, text: impl Into<String>) -> Self {
        self.fixes.push(Fix::new(set.into_iter().collect(), text));
        self
    }
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing above a note was found.
    Healthy,
    /// Something is off that healthy runs may have, too.
    Suspicious,
    /// It does not do what it was meant to.
    Failed,
}

impl Verdict {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspicious => "suspicious",
            Self::Failed => "failed",
        }
    }
}

/// Why a run went as it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Whether the run is done, as `run.json` says.
    pub status: String,
    /// How it went.
    pub verdict: Verdict,
    /// The verdict as one sentence: since when, because of what, what to try.
    pub headline: String,
    /// The causes, first the one that explains most.
    pub findings: Vec<Finding>,
    /// Causes that this run alone cannot tell apart, the first finding's among them; none where the first stands out.
    #[serde(default)]
    pub undecided: Vec<Cause>,
    /// What could not be looked at, and why.
    pub unknown: Vec<String>,
}
