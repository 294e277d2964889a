//! Layers as a scenario writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::ops::{
    Activation, Add, BatchNorm, Conv2d, ConvTranspose2d, Dense, Dropout, LayerNorm, Pool, Reshape,
    Upsample,
};
use crate::nn::{Conv2dGeometry, Graph, Initialization, NodeId, Size2};

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
    /// [`BatchNorm`] with PyTorch's defaults.
    BatchNorm,
    /// [`LayerNorm`] over the whole sample.
    LayerNorm,
    /// [`Dropout`] with this probability: `{ dropout = 0.5 }`.
    Dropout(f32),
}

fn is_false(value: &bool) -> bool {
    !value
}

fn default_slope() -> f32 {
    0.01
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

/// Adds `layers` after `input`, named `section.0`, `section.1`, ... as PyTorch's `Sequential` counts them, and
/// returns the last. Layers within a residual are `section.0.0`, `section.0.1`, ...
///
/// # Errors
/// A layer does not fit what comes before it.
pub fn stack(graph: &mut Graph, section: &str, layers: &[Layer], input: NodeId) -> Result<NodeId> {
    let mut node = input;
    for (index, layer) in layers.iter().enumerate() {
        let name = format!("{section}.{index}");
        let inputs = [node];
        node = match layer {
            &Layer::Dense {
                units,
                initialization,
                spectral_norm,
            } => {
                let dense = Dense {
                    units,
                    initialization,
                    spectral_norm,
                };
                graph.add(&name, dense, &inputs)?
            }
            &Layer::Conv2d {
                channels,
                kernel,
                stride,
                padding,
                dilation,
                initialization,
                spectral_norm,
            } => {
                let geometry = Conv2dGeometry {
                    kernel,
                    stride,
                    padding,
                    dilation,
                };
                let conv = Conv2d {
                    channels,
                    geometry,
                    initialization,
                    spectral_norm,
                };
                graph.add(&name, conv, &inputs)?
            }
            &Layer::ConvTranspose2d {
                channels,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                initialization,
            } => {
                let geometry = Conv2dGeometry {
                    kernel,
                    stride,
                    padding,
                    dilation,
                };
                let conv = ConvTranspose2d {
                    channels,
                    geometry,
                    output_padding,
                    initialization,
                };
                graph.add(&name, conv, &inputs)?
            }
            Layer::Relu => graph.add(&name, Activation::Relu, &inputs)?,
            &Layer::LeakyRelu { slope } => {
                graph.add(&name, Activation::LeakyRelu { slope }, &inputs)?
            }
            Layer::Tanh => graph.add(&name, Activation::Tanh, &inputs)?,
            Layer::Sigmoid => graph.add(&name, Activation::Sigmoid, &inputs)?,
            Layer::Softplus => graph.add(&name, Activation::Softplus, &inputs)?,
            Layer::Gelu => graph.add(&name, Activation::Gelu, &inputs)?,
            Layer::Silu => graph.add(&name, Activation::Silu, &inputs)?,
            &Layer::Elu { alpha } => graph.add(&name, Activation::Elu { alpha }, &inputs)?,
            &Layer::Affine { scale, shift } => {
                graph.add(&name, Activation::Affine { scale, shift }, &inputs)?
            }
            &Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => graph.add(&name, Pool::Max(pooled(kernel, stride, padding)), &inputs)?,
            &Layer::AvgPool2d {
                kernel,
                stride,
                padding,
            } => {
                let geometry = pooled(kernel, stride, padding);
                graph.add(&name, Pool::Average(geometry), &inputs)?
            }
            Layer::GlobalAvgPool => graph.add(&name, Pool::GlobalAverage, &inputs)?,
            &Layer::Upsample { factor } => graph.add(&name, Upsample { factor }, &inputs)?,
            Layer::Residual(layers) => {
                let last = stack(graph, &name, layers, node)?;
                graph.add(&name, Add, &[node, last])?
            }
            Layer::Flatten => {
                let shape = vec![graph.node(node).size()];
                graph.add(&name, Reshape { shape }, &inputs)?
            }
            Layer::Reshape(shape) => {
                let reshape = Reshape {
                    shape: shape.clone(),
                };
                graph.add(&name, reshape, &inputs)?
            }
            Layer::BatchNorm => graph.add(&name, BatchNorm::default(), &inputs)?,
            Layer::LayerNorm => graph.add(&name, LayerNorm::default(), &inputs)?,
            &Layer::Dropout(probability) => graph.add(&name, Dropout { probability }, &inputs)?,
        };
    }
    Ok(node)
}
