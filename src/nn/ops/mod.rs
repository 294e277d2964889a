//! One file per operation, each paired with its shader in `shaders/nn`.

mod activation;
mod anneal;
mod batch_norm;
mod conv2d;
mod conv_transpose2d;
mod dense;
mod dropout;
mod embedding;
mod given_noise;
mod join;
mod layer_norm;
mod pool;
mod reparameterize;
mod reshape;
mod slice;
mod softmax;
mod standard_normal;
mod upsample;

pub use activation::Activation;
pub use anneal::Anneal;
pub use batch_norm::BatchNorm;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::{Embedding, Lookup};
pub use given_noise::GivenNoise;
pub use join::{Add, Concat};
pub use layer_norm::LayerNorm;
pub use pool::Pool;
pub use reparameterize::Reparameterize;
pub use reshape::Reshape;
pub use slice::Slice;
pub use softmax::Softmax;
pub use standard_normal::StandardNormal;
pub use upsample::Upsample;
