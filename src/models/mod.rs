//! Models built from [`crate::nn`]: what a scenario's `[model]` section describes.

mod classifier;
mod gan;
mod layer;
mod two_stream;
mod vae;

pub use classifier::{Classifier, ClassifierConfig};
pub use gan::{Gan, GanConfig, Judgement};
pub use layer::{Layer, stack};
pub use two_stream::{Fusion, Pooling, Streams, Targets, TwoStreamConfig};
pub use vae::{Decoder, ReconstructionLoss, Reconstructor, Vae, VaeConfig, Variance};
