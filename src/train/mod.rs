//! Scenario, training loop, checkpoints, resume and replay.

mod around_events;
mod branch;
mod debounce;
mod event_windows;
mod events;
mod first_nonfinite;
mod gan_monitor;
mod initial_parameters;
mod inspection;
mod kept_states;
mod latent_monitor;
mod loss_monitor;
mod name_pattern;
mod pixel_variance_monitor;
mod preview;
mod probe_batch;
mod probe_lines;
mod replay;
mod resume;
mod run;
mod scenario;
mod statistics_probe;
mod tensor_capture;
mod thresholds;
mod tolerance;
mod trainer;
mod trainer_builder;
mod unit_monitor;
mod update_monitor;
mod validator;
mod verification;

pub use events::EventDetector;
pub(crate) use events::first_nonfinite;
pub(crate) use gan_monitor::least_loss;
pub use inspection::Inspection;
pub use preview::ModelPreview;
pub use probe_batch::{ProbeBatch, ProbedGraph};
pub use probe_lines::{ProbeLine, ProbeLines, ProbeLinesRequest};
pub use replay::{Replay, ReplayBuilder};
pub use run::{Finished, Run};
pub use scenario::{
    AugmentSection, BUILT_IN, BackgroundKind, BuiltIn, ClipTask, CorruptSection, DataSection,
    ModelConfig, ModelKind, ModelSection, RecordSection, Scenario, Source, Split, TrainSection,
    ValidateSection, ValidationSplit,
};
pub use tensor_capture::{TensorCapture, TensorRequest};
pub use thresholds::DetectSection;
pub use tolerance::Deviation;
pub use trainer::{StepRecord, Trainer};
pub use trainer_builder::TrainerBuilder;
pub(crate) use unit_monitor::is_saturated;
pub use validator::{Confusion, ValidationResult};
pub use verification::Verification;
