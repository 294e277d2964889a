//! Losses: operations whose output is one number per sample. A graph's loss is the weighted sum of their means over
//! the batch ([`crate::nn::Graph::loss`]).

mod cross_entropy;
mod elementwise;
mod gan;
mod gaussian_kl;

pub use cross_entropy::SoftmaxCrossEntropy;
pub use elementwise::ElementwiseLoss;
pub use gan::{Adversarial, Objective, Side};
pub use gaussian_kl::GaussianKl;
