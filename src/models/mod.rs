//! Models built from [`crate::nn`]: what a scenario's `[model]` section describes.

mod classifier;
mod gan;
mod layer;
mod vae;

pub use classifier::{Classifier, ClassifierConfig};
pub use gan::{Gan, GanConfig, Judgement};
pub use layer::{Layer, stack};
pub use vae::{Decoder, ReconstructionLoss, Reconstructor, Vae, VaeConfig, Variance};
