//! One file per operation, each paired with its shader in `shaders/nn`.

mod activation;
mod dense;
mod reparameterise;
mod reshape;
mod standard_normal;

pub use activation::Activation;
pub use dense::Dense;
pub use reparameterise::Reparameterise;
pub use reshape::Reshape;
pub use standard_normal::StandardNormal;
