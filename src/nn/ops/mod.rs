//! One file per operation, each paired with its shader in `shaders/nn`.

mod activation;
mod batch_norm;
mod conv2d;
mod conv_transpose2d;
mod dense;
mod dropout;
mod embedding;
mod layer_norm;
mod reparameterise;
mod reshape;
mod standard_normal;

pub use activation::Activation;
pub use batch_norm::BatchNorm;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use reparameterise::Reparameterise;
pub use reshape::Reshape;
pub use standard_normal::StandardNormal;
