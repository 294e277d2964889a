//! Scenario, training loop, checkpoints, resume and replay.

mod adversarial;
mod events;
mod gallery;
mod imbalance;
mod learner;
mod memory_estimate;
mod probes;
mod replay;
mod run;
mod scenario;
mod supervised;
mod trainer;

pub use gallery::Gallery;
pub use replay::{Verification, replay};
pub use run::{Finished, Run};
pub use scenario::{
    AugmentSection, BUILT_IN, BuiltIn, ClipTask, CorruptSection, DataSection, ModelConfig,
    ModelKind, ModelSection, RecordSection, Scenario, Source, Split, TrainSection,
};
pub use trainer::{Model, StepRecord, Trainer};
