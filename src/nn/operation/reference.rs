//! The float64 reference implementation of an operation, which its kernels are held against.

use crate::nn::{BackwardRule, Mode};

/// Inputs of a float64 reference implementation's forward pass.
#[derive(Debug)]
pub struct ReferenceForward<'a> {
    /// Samples in a batch.
    pub batch: usize,
    /// Input values.
    pub inputs: Vec<&'a [f64]>,
    /// Per-sample shapes of the inputs.
    pub input_shapes: Vec<&'a [usize]>,
    /// Parameter values, then state.
    pub parameters: Vec<&'a [f64]>,
    /// Per-sample shape of the output.
    pub output_shape: &'a [usize],
    /// Seed, step and index in the graph, for operations that draw noise.
    pub noise_key: (u64, u32, usize),
    /// As [`Context::mode`](super::Context::mode).
    pub mode: Mode,
}

/// Inputs of a float64 reference implementation's backward pass.
#[derive(Debug)]
pub struct ReferenceBackward<'a> {
    /// What the forward pass saw.
    pub forward: ReferenceForward<'a>,
    /// What it returned.
    pub output: &'a [f64],
    /// The gradient of that.
    pub output_gradient: &'a [f64],
    /// As [`Context::rule`](super::Context::rule).
    pub rule: BackwardRule,
}

/// What a float64 reference implementation's backward pass returns.
#[derive(Debug, Clone, Default)]
pub struct ReferenceGradients {
    /// For each input.
    pub inputs: Vec<Vec<f64>>,
    /// For each parameter.
    pub parameters: Vec<Vec<f64>>,
}

/// The reference implementation of an operation in float64 on the CPU: slow, plain, and only for tests.
pub trait ReferenceOperation {
    /// The value of the output.
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64>;

    /// The state after a forward pass in training.
    fn reference_buffers(&self, _io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The gradients of inputs and parameters.
    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients;
}
