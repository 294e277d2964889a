//! Models built from [`crate::nn`]: what a scenario's `[model]` section describes, and what a user adds.
//!
//! A [`Model`] has graphs and builds a [`TrainStep`] with a [`StepBuilder`]: [`TrainableNetwork`]s, and the
//! [`CommandList`]s that train them. [`Supervised`] is a whole model of any graph with losses; [`Vae`], [`Classifier`]
//! (also of two streams) and [`Gan`] are the built-in ones.

mod classifier;
mod command_list;
mod gan;
mod gan_step;
mod gaussian_heads;
mod gradient_penalty;
mod layer;
mod model;
mod network;
mod preview;
mod reconstruction;
mod second_latent;
mod step_builder;
mod supervised;
mod train_step;
mod two_stream;
mod vae;
mod validation;

pub use classifier::{Classifier, ClassifierConfig, ClassifierLoss};
pub use command_list::CommandList;
pub use gan::{DiscriminatorPass, Gan, GanConfig};
pub use gaussian_heads::Variance;
pub use gradient_penalty::GradientPenalty;
pub use layer::Layer;
pub use model::{DataShape, Model};
pub use network::TrainableNetwork;
pub use preview::{Decoder, Reconstructor};
pub use reconstruction::ReconstructionLoss;
pub use second_latent::{SecondLatent, SecondLatentNodes};
pub use step_builder::StepBuilder;
pub use supervised::Supervised;
pub use train_step::{Halves, Scalar, TrainConfig, TrainStep};
pub use two_stream::{Fusion, Pooling, Streams, Targets, TwoStreamConfig};
pub use vae::{Vae, VaeConfig};
pub use validation::Validation;
