//! Losses: operations whose output is one number per sample. A graph's loss is the weighted sum of their means over
//! the batch ([`crate::nn::Graph::loss`]).

mod adversarial;
mod cross_entropy;
mod gaussian_kl;
mod reconstruction;

pub use adversarial::{Adversarial, Objective, Side};
pub use cross_entropy::SoftmaxCrossEntropy;
pub use gaussian_kl::GaussianKl;
pub use reconstruction::Reconstruction;
