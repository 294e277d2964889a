//! What an operation is: a shape rule, parameters, a forward and a backward pass in WGSL, and a float64 reference
//! implementation.
//!
//! Adding an operation means one file in `nn/ops` that implements [`Operation`], one shader in `shaders/nn/ops`, and
//! one line where models or scenarios name it.

mod context;
mod differential;
mod input_gradient;
mod reference;
mod tensors;
mod value_range;

use std::ops::Range;

pub use self::context::Context;
pub(crate) use self::context::expect_indices;
pub use self::differential::Differential;
pub use self::input_gradient::InputGradient;
pub use self::reference::{
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation,
};
pub use self::tensors::{Backward, Forward, GradientTarget, ParameterSlice};
pub use self::value_range::ValueRange;
use serde::{Deserialize, Serialize};

use super::{Initialization, Mode, Propagation};
use crate::Result;
use crate::gpu::{AdapterProfile, Dispatch, Scratch};

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

/// What decides how much shared memory the passes of an operation use.
#[derive(Debug, Clone, Copy)]
pub struct ScratchRequest<'a> {
    /// The kernels of the adapter.
    pub profile: &'a AdapterProfile,
    /// Samples in a batch.
    pub batch: usize,
    /// Shapes of a sample of each input.
    pub inputs: &'a [&'a [usize]],
    /// What the forward pass is for.
    pub mode: Mode,
    /// Whether the gradient of any input is asked for.
    pub input_gradients: bool,
    /// Whether the gradients of the trainable parameters are asked for.
    pub parameter_gradients: bool,
}

/// Which values the backward pass reads; all others may be overwritten once the forward pass is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// The values of the inputs.
    pub inputs: bool,
    /// The value of the output.
    pub output: bool,
}

impl Saved {
    /// The values of the inputs and not that of the output.
    pub const INPUTS: Self = Self {
        inputs: true,
        output: false,
    };
}

/// What follows from an operation for those who look at a run, whatever the operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// Each unit is a sum of the input with trainable weights, its first parameter.
    WeightedSum,
    /// The weight has the units of the input before those of the output.
    TransposedWeight,
    /// The weight is divided by its largest singular value.
    SpectralNorm,
    /// An affine function of the input that does not mix its units by weights, in training up to statistics of the batch
    /// and dropped values: two weighted sums with nothing else between them are one.
    Affine,
    /// A unit whose outputs are all zero gets no gradient any more, so that it stays as it is.
    Rectifier,
    /// A function of each element whose slope vanishes on both sides.
    Saturating,
    /// Brings the values of a sample or of a unit to a mean of 0 and a variance of 1.
    Normalization,
    /// In training it uses statistics of the batch, and running ones elsewhere.
    BatchStatistics,
    /// In training it sets values to zero at random.
    Dropout,
    /// Makes a log-variance of any number, within the range of the operation.
    LogVariance,
    /// A loss that comes near 0 only where every sample is classified with certainty.
    CrossEntropy,
    /// A loss that is the negative logarithm of the probability of a class.
    Categorical,
    /// A loss that is the negative logarithm of the probability of a yes or no for each element: its targets are
    /// probabilities.
    Bernoulli,
    /// A loss that is a sum of squared differences.
    SquaredError,
    /// A loss that counts nats, as logarithms of probabilities do.
    Nats,
    /// A property that this version does not know.
    #[serde(other)]
    Other,
}

/// A node's computation.
pub trait Operation: std::fmt::Debug + Send + Sync {
    /// Its name in messages and in `graph.json`.
    fn kind(&self) -> &'static str;

    /// What a reader of a run may conclude from it.
    fn properties(&self) -> &'static [Property] {
        &[]
    }

    /// An interval that holds all values of its output, whatever its input is. The targets of a loss are in the range that
    /// the loss is made for.
    fn range(&self) -> ValueRange {
        ValueRange::UNBOUNDED
    }

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

    /// The memory that it uses of what all operations share.
    fn scratch(&self, _request: &ScratchRequest<'_>) -> Vec<Scratch> {
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

    /// Of a layer whose parameters are a weight and a bias for each unit of its output (a channel of images): the same
    /// layer with so many units and weights that are used as they are, without a norm. Analyses look at units through it,
    /// and know layers with weights by it.
    fn with_units(&self, _units: usize) -> Option<Box<dyn Operation>> {
        None
    }

    /// Of an operation that only moves elements: for each element of its output the number of the input that it comes from,
    /// and of the element there.
    fn origins(&self, _inputs: &[&[usize]]) -> Option<Vec<[usize; 2]>> {
        None
    }

    /// Of an operation on images: the rows and columns of its input, of this shape, on which those of its output depend. `None`
    /// stands for all.
    fn reach(&self, _region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        None
    }

    /// How a small change goes through it in training. Where nothing is said, only changes of single numbers can be followed.
    fn differential(&self) -> Option<Differential> {
        None
    }

    /// How the gradient of its output becomes that of its input, of this shape, as a node of a graph
    /// ([`Graph::input_gradient`](super::Graph::input_gradient)); `node` is its own index there. `None` where that is not
    /// done.
    fn input_gradient(&self, _input: &[usize], _node: usize) -> Option<InputGradient> {
        None
    }

    /// How rules of attribution go through it; an operation without an answer is only differentiated.
    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        None
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

    /// The float64 reference implementation, which tests hold the kernels against.
    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        None
    }
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
