//! Metrics: what is measured of a step beside its loss. Nothing learns from them.

mod accuracy;
mod diversity;
mod gradient_norms;

pub use accuracy::Accuracy;
pub use diversity::{diversity, reference_diversity};
pub use gradient_norms::{GradientNorms, reference_norm};
