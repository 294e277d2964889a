//! Graphs that show what a generative model makes, with the parameters of the trained one.

use crate::nn::{Graph, NodeId};

/// Images from latent vectors.
#[derive(Debug)]
pub struct Decoder {
    /// The graph.
    pub graph: Graph,
    /// The latent vectors.
    pub z: NodeId,
    /// Labels, one `u32` per sample, where the model is conditional.
    pub label: Option<NodeId>,
    /// The images, in `[0, 1]`.
    pub image: NodeId,
}

/// Images from images.
#[derive(Debug)]
pub struct Reconstructor {
    /// The graph.
    pub graph: Graph,
    /// The input images.
    pub x: NodeId,
    /// Labels, one `u32` per sample, where the model is conditional.
    pub label: Option<NodeId>,
    /// The reconstructed images, in `[0, 1]`.
    pub image: NodeId,
}
