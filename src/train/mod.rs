//! Scenario, training loop, checkpoints, resume and replay.

mod adversarial;
mod debounce;
mod events;
mod gallery;
mod gan_monitor;
mod learner;
mod memory_estimate;
mod probes;
mod replay;
mod run;
mod scenario;
mod supervised;
mod thresholds;
mod trainer;

pub use events::EventDetector;
pub use gallery::Gallery;
pub use replay::{Verification, replay};
pub use run::{Finished, Run};
pub use scenario::{
    AugmentSection, BUILT_IN, BuiltIn, ClipTask, CorruptSection, DataSection, ModelConfig,
    ModelKind, ModelSection, RecordSection, Scenario, Source, Split, TrainSection,
};
pub use trainer::{Model, StepRecord, Trainer};
