//! What an operation is: a shape rule, parameters, a forward and a backward pass in WGSL, and a float64 twin.
//!
//! Adding an operation means one file in `nn/ops` that implements [`Operation`], one shader in `shaders/nn`, and
//! one line where models or scenarios name it.

use std::ops::Range;

use super::{Initialization, Mode};
use crate::gpu::{AdapterProfile, Binding, Buffer, Dispatch, Gpu, Reduction, Scratch, grid};
use crate::{Error, Result};

/// Why inputs do not fit an operation: what came in, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError {
    /// What came in.
    pub got: String,
    /// What the operation needs.
    pub needs: String,
}

impl ShapeError {
    /// A misfit in words.
    pub fn new(got: impl Into<String>, needs: impl Into<String>) -> Self {
        Self {
            got: got.into(),
            needs: needs.into(),
        }
    }
}

/// A tensor that an operation learns or keeps as its state.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// Name within the operation, in PyTorch's words: `weight`, `bias`.
    pub name: &'static str,
    /// Shape, in PyTorch's layout: a dense weight is `[out, in]`.
    pub shape: Vec<usize>,
    /// How it starts.
    pub initialization: Initialization,
}

/// Which values the backward pass reads; all others may be overwritten once the forward pass is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// The values of the inputs.
    pub inputs: bool,
    /// The value of the output.
    pub output: bool,
}

/// Rows that a workgroup sums on a CPU adapter: its eight lanes take one each, and a batch gives all threads workgroups.
const SERIAL_ROWS: usize = 8;

/// What all dispatches of a plan share.
pub struct Context<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    /// Samples in a batch.
    pub batch: usize,
    /// A buffer whose first word is the step.
    pub step_counter: &'a Buffer<u32>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Place of the node in its graph.
    pub node: usize,
    /// What the pass is for.
    pub mode: Mode,
}

impl Context<'_> {
    /// Rows that one workgroup of a row kernel sums.
    fn rows_per_group(&self) -> usize {
        match self.gpu.profile().reduction {
            Reduction::Serial => SERIAL_ROWS,
            Reduction::Parallel => 1,
        }
    }

    /// Constants of `shaders/shared/rows.wgsl` for this adapter.
    pub fn row_constants(&self) -> [(&'static str, f64); 2] {
        let lanes = match self.gpu.profile().reduction {
            Reduction::Serial => 1.0,
            Reduction::Parallel => 64.0,
        };
        [("LANES", lanes), ("ROWS", self.rows_per_group() as f64)]
    }

    /// Workgroups for [`Context::row_constants`] over any number of rows, for kernels that find their row with
    /// `linear_index` of `shared/grid.wgsl`.
    pub fn row_grid(&self, rows: usize) -> [u32; 3] {
        grid(rows, self.rows_per_group())
    }

    /// Constants of `shaders/shared/rows.wgsl` for long rows, one row a workgroup, with [`Context::long_row_grid`]: the
    /// eight lanes of a CPU adapter then read side by side.
    pub fn long_row_constants(&self) -> [(&'static str, f64); 2] {
        let lanes = match self.gpu.profile().reduction {
            Reduction::Serial => 8.0,
            Reduction::Parallel => 64.0,
        };
        [("LANES", lanes), ("ROWS", 1.0)]
    }

    /// Workgroups for [`Context::long_row_constants`], for kernels that find their row with `linear_index` of
    /// `shared/grid.wgsl`.
    pub fn long_row_grid(&self, rows: usize) -> [u32; 3] {
        grid(rows, 1)
    }

    /// Workgroups for [`Context::row_constants`] over one row for each sample.
    ///
    /// # Errors
    /// More samples than one dispatch holds.
    pub fn row_workgroups(&self) -> Result<[u32; 3]> {
        let groups = self.batch.div_ceil(self.rows_per_group());
        let most = self.gpu.limits().max_compute_workgroups_per_dimension;
        if groups > most as usize {
            return Err(Error::gpu(
                format!("batch of {}", self.batch),
                format!("it needs {groups} workgroups, the adapter allows {most}"),
                "make the batch smaller",
            ));
        }
        Ok([groups as u32, 1, 1])
    }
}

/// A parameter's place in the buffers of all parameters and all gradients.
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

impl ParameterSlice<'_> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// The values as a binding.
    pub fn value(&self) -> Binding<'_> {
        self.values.binding_of(self.range())
    }

    /// The gradients as a binding.
    pub fn gradient(&self) -> Binding<'_> {
        self.gradients.binding_of(self.range())
    }
}

/// Buffers of a forward pass. Tensors are batch-major: `[batch, ...shape]`.
pub struct Forward<'a> {
    /// Input values.
    pub inputs: Vec<&'a Buffer<f32>>,
    /// Per-sample shapes of the inputs.
    pub input_shapes: Vec<&'a [usize]>,
    /// Parameters, in the order of [`Operation::parameters`], then state, in that of [`Operation::buffers`].
    pub parameters: Vec<ParameterSlice<'a>>,
    /// Memory that lives until the backward pass, where [`Operation::workspace`] asks for some.
    pub workspace: Option<&'a Buffer<f32>>,
    /// The output, to be written.
    pub output: &'a Buffer<f32>,
    /// Its per-sample shape.
    pub output_shape: &'a [usize],
}

/// Where the gradient of an input goes.
#[derive(Clone, Copy)]
pub struct GradientTarget<'a> {
    /// The buffer, of the input's size.
    pub buffer: &'a Buffer<f32>,
    /// Another consumer of the same input has written before: add.
    pub accumulate: bool,
}

/// Buffers of a backward pass.
pub struct Backward<'a> {
    /// Input values; only valid where [`Operation::saved`] asks for them.
    pub inputs: Vec<&'a Buffer<f32>>,
    /// Per-sample shapes of the inputs.
    pub input_shapes: Vec<&'a [usize]>,
    /// Parameters and state, as in [`Forward::parameters`].
    pub parameters: Vec<ParameterSlice<'a>>,
    /// As the forward pass left it.
    pub workspace: Option<&'a Buffer<f32>>,
    /// The output's value; only valid where [`Operation::saved`] asks for it.
    pub output: &'a Buffer<f32>,
    /// Its per-sample shape.
    pub output_shape: &'a [usize],
    /// The gradient of the output.
    pub output_gradient: &'a Buffer<f32>,
    /// Where the gradient of each input goes; `None` for inputs that nothing learns from.
    pub input_gradients: Vec<Option<GradientTarget<'a>>>,
}

/// Inputs of a float64 twin's forward pass.
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
    /// Seed, step and place in the graph, for operations that draw noise.
    pub noise_key: (u64, u32, usize),
    /// As [`Context::mode`].
    pub mode: Mode,
}

/// Inputs of a float64 twin's backward pass.
pub struct ReferenceBackward<'a> {
    /// What the forward pass saw.
    pub forward: ReferenceForward<'a>,
    /// What it returned.
    pub output: &'a [f64],
    /// The gradient of that.
    pub output_gradient: &'a [f64],
}

/// What a float64 twin's backward pass returns.
#[derive(Debug, Clone, Default)]
pub struct ReferenceGradients {
    /// For each input.
    pub inputs: Vec<Vec<f64>>,
    /// For each parameter.
    pub parameters: Vec<Vec<f64>>,
}

/// A node's computation.
pub trait Operation: std::fmt::Debug + Send + Sync {
    /// Its name in messages and in `graph.json`.
    fn kind(&self) -> &'static str;

    /// The output's per-sample shape.
    ///
    /// # Errors
    /// The inputs do not fit.
    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError>;

    /// What it learns, for inputs that fit.
    fn parameters(&self, _inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// State that it keeps from step to step without learning it (PyTorch's buffers). Its forward pass in training
    /// updates it; checkpoints hold it. It follows the parameters in [`Forward::parameters`] and its kin.
    fn buffers(&self, _inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// Elements of memory of its own that live from its forward to its backward pass ([`Forward::workspace`]).
    fn workspace(&self, _batch: usize, _inputs: &[&[usize]]) -> usize {
        0
    }

    /// The memory that it uses of what all operations share, with the kernels of this profile. `differentiated` says
    /// whether any input's gradient is computed.
    fn scratch(
        &self,
        _profile: &AdapterProfile,
        _batch: usize,
        _inputs: &[&[usize]],
        _differentiated: bool,
    ) -> Vec<Scratch> {
        Vec::new()
    }

    /// Which inputs get a gradient; labels and targets do not.
    fn differentiable(&self, _input: usize) -> bool {
        true
    }

    /// What the backward pass reads.
    fn saved(&self) -> Saved;

    /// Whether the output is the first input's memory under another shape.
    fn is_view(&self) -> bool {
        false
    }

    /// The dispatches of the forward pass.
    ///
    /// # Errors
    /// The adapter's limits.
    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>>;

    /// The dispatches of the backward pass: the gradients of parameters, overwritten, and of inputs.
    ///
    /// # Errors
    /// The adapter's limits.
    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>>;

    /// The forward pass in float64.
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64>;

    /// The state after a forward pass in training, in float64.
    fn reference_buffers(&self, _io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The backward pass in float64.
    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients;
}

/// How messages call a layer.
pub(crate) fn layer(name: &str) -> String {
    format!("layer {name}")
}

/// Elements of a shape; the empty shape is a scalar.
pub(crate) fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// `n` inputs, or a misfit that says so.
pub(crate) fn expect_inputs<'s, const N: usize>(
    inputs: &[&'s [usize]],
    roles: [&str; N],
) -> std::result::Result<[&'s [usize]; N], ShapeError> {
    inputs.try_into().map_err(|_| {
        ShapeError::new(
            format!("{} inputs", inputs.len()),
            format!("{N}: {}", roles.join(", ")),
        )
    })
}

/// Elements of images that a kernel's 32-bit indices reach.
pub(crate) fn expect_indices(context: &Context<'_>, shape: &[usize]) -> Result<()> {
    let count = shape
        .iter()
        .try_fold(context.batch, |all, &size| all.checked_mul(size));
    if count.is_none_or(|count| count > 1 << 30) {
        return Err(Error::gpu(
            format!("{} images of {shape:?}", context.batch),
            "they have more elements than a kernel can number",
            "make the images or the batch smaller",
        ));
    }
    Ok(())
}
