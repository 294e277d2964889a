//! Operations whose output is one number per sample. The loss that is trained on is a weighted sum of their means over the
//! batch ([`crate::nn::Loss`]).

mod cross_entropy;
mod elementwise;
mod gan;
mod gaussian_kl;
mod gaussian_likelihood;
mod gaussian_pair_kl;

pub use cross_entropy::SoftmaxCrossEntropy;
pub use elementwise::ElementwiseLoss;
pub use gan::{GanLoss, GanObjective, GanRole};
pub use gaussian_kl::GaussianKl;
pub use gaussian_likelihood::GaussianLikelihood;
pub use gaussian_pair_kl::GaussianPairKl;
