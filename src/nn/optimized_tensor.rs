//! The tensor that an optimizer works on.

use super::parameters::Parameters;
use crate::gpu::Buffer;

/// What an optimizer updates: all parameters of a network that are not frozen (`&Parameters` becomes this), or any tensor that a loss
/// is differentiated with respect to, such as an input that shall activate a unit.
#[derive(Debug, Clone, Copy)]
pub struct OptimizedTensor<'a> {
    /// Its values.
    pub values: &'a Buffer<f32>,
    /// Its gradients, in whose place the updates are left.
    pub gradients: &'a Buffer<f32>,
    /// Elements at the front of both that are updated. The elements after them up to a multiple of four are updated too, and
    /// a clip by norm counts their gradients, so those must be zero.
    pub len: usize,
    /// Elements that the memories of an optimizer have: at least those that are updated. Of frozen parameters behind them an
    /// average of weights holds the values, and all other memories zeros.
    pub memory: usize,
}

impl<'a> From<&'a Parameters> for OptimizedTensor<'a> {
    fn from(parameters: &'a Parameters) -> Self {
        Self {
            values: &parameters.values,
            gradients: &parameters.gradients,
            len: parameters.updated_len(),
            memory: parameters.trainable_len(),
        }
    }
}

impl OptimizedTensor<'_> {
    /// Vectors of four elements.
    pub(super) fn vectors(&self) -> usize {
        self.len.div_ceil(4)
    }
}
