//! The buffers that an operation reads and writes.

use std::ops::Range;

use crate::gpu::{Binding, Buffer};

/// A parameter's part of the buffers of all parameters and all gradients.
#[derive(Debug, Clone, Copy)]
pub struct ParameterSlice<'a> {
    /// Values of all parameters.
    pub values: &'a Buffer<f32>,
    /// Gradients of all parameters.
    pub gradients: &'a Buffer<f32>,
    /// First element.
    pub start: usize,
    /// Elements.
    pub len: usize,
}

impl<'a> ParameterSlice<'a> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// The values as a binding.
    pub fn value(&self) -> Binding<'a> {
        self.values.binding_of(self.range())
    }

    /// The gradients as a binding.
    pub fn gradient(&self) -> Binding<'a> {
        self.gradients.binding_of(self.range())
    }
}

/// Buffers of a forward pass. Tensors are batch-major: `[batch, ...shape]`.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Input values.
    pub inputs: Vec<&'a Buffer<f32>>,
    /// Per-sample shapes of the inputs.
    pub input_shapes: Vec<&'a [usize]>,
    /// Parameters, in the order of [`Operation::parameters`](super::Operation::parameters), then state, in that of
    /// [`Operation::buffers`](super::Operation::buffers).
    pub parameters: Vec<ParameterSlice<'a>>,
    /// Memory that lives until the backward pass, where [`Operation::workspace`](super::Operation::workspace) asks for some.
    pub workspace: Option<&'a Buffer<f32>>,
    /// The output, to be written.
    pub output: &'a Buffer<f32>,
    /// Its per-sample shape.
    pub output_shape: &'a [usize],
}

/// Where the gradient of an input goes.
#[derive(Debug, Clone, Copy)]
pub struct GradientTarget<'a> {
    /// The buffer, of the input's size.
    pub buffer: &'a Buffer<f32>,
    /// Another consumer of the same input has written before: add.
    pub accumulate: bool,
}

/// Buffers of a backward pass.
#[derive(Debug)]
pub struct Backward<'a> {
    /// Input values; only valid where [`Operation::saved`](super::Operation::saved) asks for them.
    pub inputs: Vec<&'a Buffer<f32>>,
    /// Per-sample shapes of the inputs.
    pub input_shapes: Vec<&'a [usize]>,
    /// Parameters and state, as in [`Forward::parameters`].
    pub parameters: Vec<ParameterSlice<'a>>,
    /// As the forward pass left it.
    pub workspace: Option<&'a Buffer<f32>>,
    /// The output's value; only valid where [`Operation::saved`](super::Operation::saved) asks for it.
    pub output: &'a Buffer<f32>,
    /// Its per-sample shape.
    pub output_shape: &'a [usize],
    /// The gradient of the output.
    pub output_gradient: &'a Buffer<f32>,
    /// Where the gradient of each input goes; `None` for inputs whose gradient is not asked for.
    pub input_gradients: Vec<Option<GradientTarget<'a>>>,
    /// Whether the gradients of the trainable parameters are asked for, into [`ParameterSlice::gradient`]. If not, the
    /// backward pass must leave them as they are.
    pub parameter_gradients: bool,
}
