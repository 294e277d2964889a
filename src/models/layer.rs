//! Layers as a scenario writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::ops::{
    Activation, Add, BatchNorm, Conv2d, ConvTranspose2d, Dense, Dropout, LayerNorm, Pool, Reshape,
    Softmax, Upsample,
};
use crate::nn::{Conv2dGeometry, Graph, Initialization, Module, NodeId, Operation, Size2};

/// One layer of a sequence: `"relu"`, `{ dense = { units = 400 } }`, `{ reshape = [1, 28, 28] }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// [`Dense`].
    Dense {
        /// Outputs.
        units: usize,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialization: Initialization,
        /// Whether the weight is divided by its largest singular value.
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// [`Conv2d`].
    Conv2d {
        /// Channels that come out.
        channels: usize,
        /// A number, or height and width; so are the others.
        kernel: Size2,
        /// From position to position.
        #[serde(default = "one")]
        stride: Size2,
        /// Zeros around the image.
        #[serde(default = "zero")]
        padding: Size2,
        /// Between neighboring elements of the kernel.
        #[serde(default = "one")]
        dilation: Size2,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialization: Initialization,
        /// Whether the weight is divided by its largest singular value.
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// [`ConvTranspose2d`].
    ConvTranspose2d {
        /// Channels that come out.
        channels: usize,
        /// A number, or height and width; so are the others.
        kernel: Size2,
        /// From position to position of the output.
        #[serde(default = "one")]
        stride: Size2,
        /// What is cut off the output on each side.
        #[serde(default = "zero")]
        padding: Size2,
        /// Rows and columns more at the output's end.
        #[serde(default = "zero")]
        output_padding: Size2,
        /// Between neighboring elements of the kernel.
        #[serde(default = "one")]
        dilation: Size2,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialization: Initialization,
    },
    /// [`Activation::Relu`].
    Relu,
    /// [`Activation::LeakyRelu`].
    LeakyRelu {
        /// Below zero.
        #[serde(default = "default_slope")]
        slope: f32,
    },
    /// [`Activation::Tanh`].
    Tanh,
    /// [`Activation::Sigmoid`].
    Sigmoid,
    /// [`Softmax`] over all values of the sample.
    Softmax,
    /// [`Activation::Softplus`].
    Softplus,
    /// [`Activation::Gelu`].
    Gelu,
    /// [`Activation::Silu`].
    Silu,
    /// [`Activation::Elu`].
    Elu {
        /// Minus the limit at minus infinity.
        #[serde(default = "default_alpha")]
        alpha: f32,
    },
    /// [`Activation::Affine`]: `{ affine = { scale = 2.0, shift = -1.0 } }`.
    Affine {
        /// The factor.
        scale: f32,
        /// What is added.
        shift: f32,
    },
    /// [`Pool::Max`].
    MaxPool2d {
        /// A number, or height and width; so are the others.
        kernel: Size2,
        /// From position to position; the kernel where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Size2>,
        /// Around the image.
        #[serde(default = "zero")]
        padding: Size2,
    },
    /// [`Pool::Average`].
    AvgPool2d {
        /// A number, or height and width; so are the others.
        kernel: Size2,
        /// From position to position; the kernel where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Size2>,
        /// Zeros around the image; they count.
        #[serde(default = "zero")]
        padding: Size2,
    },
    /// [`Pool::GlobalAverage`].
    GlobalAvgPool,
    /// [`Upsample`].
    Upsample {
        /// A number, or height and width.
        factor: Size2,
    },
    /// What comes in is added to what these layers make of it.
    Residual(Vec<Layer>),
    /// [`Reshape`] to one dimension.
    Flatten,
    /// [`Reshape`] to a per-sample shape.
    Reshape(Vec<usize>),
    /// [`BatchNorm`]: `"batch_norm"`, or `{ batch_norm = { momentum = 0.01 } }`.
    BatchNorm {
        /// Share of the batch in the running statistics.
        #[serde(default = "default_momentum")]
        momentum: f32,
        /// Added to the variance.
        #[serde(default = "default_eps")]
        eps: f32,
    },
    /// [`LayerNorm`] over the whole sample.
    LayerNorm,
    /// [`Dropout`] with this probability: `{ dropout = 0.5 }`.
    Dropout(f32),
}

impl Layer {
    /// Batch normalization with PyTorch's settings.
    pub fn batch_norm() -> Self {
        Self::BatchNorm {
            momentum: default_momentum(),
            eps: default_eps(),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn default_slope() -> f32 {
    0.01
}

fn default_momentum() -> f32 {
    BatchNorm::default().momentum
}

fn default_eps() -> f32 {
    BatchNorm::default().eps
}

fn default_alpha() -> f32 {
    1.0
}

fn one() -> Size2 {
    1.into()
}

fn zero() -> Size2 {
    0.into()
}

fn pooled(kernel: Size2, stride: Option<Size2>, padding: Size2) -> Conv2dGeometry {
    Conv2dGeometry::new(kernel)
        .stride(stride.unwrap_or(kernel))
        .padding(padding)
}

/// A layer is a module, so that a list of them is what [`Graph::sequential`] chains; layers within a residual of the name
/// `layers.0` are `layers.0.0`, `layers.0.1`, ...
impl Module for &Layer {
    fn add_to(self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId> {
        let operation: Box<dyn Operation> = match *self {
            Layer::Dense {
                units,
                initialization,
                spectral_norm,
            } => Box::new(Dense {
                units,
                initialization,
                spectral_norm,
            }),
            Layer::Conv2d {
                channels,
                kernel,
                stride,
                padding,
                dilation,
                initialization,
                spectral_norm,
            } => Box::new(Conv2d {
                channels,
                geometry: Conv2dGeometry {
                    kernel,
                    stride,
                    padding,
                    dilation,
                },
                initialization,
                spectral_norm,
            }),
            Layer::ConvTranspose2d {
                channels,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                initialization,
            } => Box::new(ConvTranspose2d {
                channels,
                geometry: Conv2dGeometry {
                    kernel,
                    stride,
                    padding,
                    dilation,
                },
                output_padding,
                initialization,
            }),
            Layer::Relu => Box::new(Activation::Relu),
            Layer::LeakyRelu { slope } => Box::new(Activation::LeakyRelu { slope }),
            Layer::Tanh => Box::new(Activation::Tanh),
            Layer::Sigmoid => Box::new(Activation::Sigmoid),
            Layer::Softmax => Box::new(Softmax),
            Layer::Softplus => Box::new(Activation::Softplus),
            Layer::Gelu => Box::new(Activation::Gelu),
            Layer::Silu => Box::new(Activation::Silu),
            Layer::Elu { alpha } => Box::new(Activation::Elu { alpha }),
            Layer::Affine { scale, shift } => Box::new(Activation::Affine { scale, shift }),
            Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => Box::new(Pool::Max(pooled(kernel, stride, padding))),
            Layer::AvgPool2d {
                kernel,
                stride,
                padding,
            } => Box::new(Pool::Average(pooled(kernel, stride, padding))),
            Layer::GlobalAvgPool => Box::new(Pool::GlobalAverage),
            Layer::Upsample { factor } => Box::new(Upsample { factor }),
            Layer::Residual(ref layers) => {
                let last = graph.sequential(name, layers, input)?;
                return graph.add(name, Add, &[input, last]);
            }
            Layer::Flatten => Box::new(Reshape {
                shape: vec![graph.node(input).size()],
            }),
            Layer::Reshape(ref shape) => Box::new(Reshape {
                shape: shape.clone(),
            }),
            Layer::BatchNorm { momentum, eps } => Box::new(BatchNorm { eps, momentum }),
            Layer::LayerNorm => Box::new(LayerNorm::default()),
            Layer::Dropout(probability) => Box::new(Dropout { probability }),
        };
        graph.add_boxed(name, operation, &[input])
    }
}
