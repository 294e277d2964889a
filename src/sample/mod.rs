//! Blue-noise sampling of polylines on the GPU.

mod scale;

pub use scale::{Scale, ValueScale};
