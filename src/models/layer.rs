//! Layers as a scenario writes them.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::ops::{
    Activation, Add, BatchNorm, Conv2d, ConvTranspose2d, Dense, Dropout, LayerNorm, Pool, Reshape,
    Upsample,
};
use crate::nn::{Graph, Initialisation, NodeId, Pair, Window};

/// One layer of a sequence: `"relu"`, `{ dense = { units = 400 } }`, `{ reshape = [1, 28, 28] }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// [`Dense`].
    Dense {
        /// Outputs.
        units: usize,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialisation: Initialisation,
        /// Whether the weight is divided by its largest singular value.
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// [`Conv2d`].
    Conv2d {
        /// Channels that come out.
        channels: usize,
        /// A number, or height and width; so are the others.
        kernel: Pair,
        /// From place to place.
        #[serde(default = "one")]
        stride: Pair,
        /// Zeros around the image.
        #[serde(default = "zero")]
        padding: Pair,
        /// Between neighbouring elements of the kernel.
        #[serde(default = "one")]
        dilation: Pair,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialisation: Initialisation,
        /// Whether the weight is divided by its largest singular value.
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// [`ConvTranspose2d`].
    ConvTranspose2d {
        /// Channels that come out.
        channels: usize,
        /// A number, or height and width; so are the others.
        kernel: Pair,
        /// From place to place of the output.
        #[serde(default = "one")]
        stride: Pair,
        /// What is cut off the output on each side.
        #[serde(default = "zero")]
        padding: Pair,
        /// Rows and columns more at the output's end.
        #[serde(default = "zero")]
        output_padding: Pair,
        /// Between neighbouring elements of the kernel.
        #[serde(default = "one")]
        dilation: Pair,
        /// How weight and bias start.
        #[serde(default, rename = "init")]
        initialisation: Initialisation,
    },
    /// [`Activation::Relu`].
    Relu,
    /// [`Activation::LeakyRelu`].
    LeakyRelu {
        /// Below zero.
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
        kernel: Pair,
        /// From place to place; the kernel where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Around the image.
        #[serde(default = "zero")]
        padding: Pair,
    },
    /// [`Pool::Average`].
    AvgPool2d {
        /// A number, or height and width; so are the others.
        kernel: Pair,
        /// From place to place; the kernel where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Zeros around the image; they count.
        #[serde(default = "zero")]
        padding: Pair,
    },
    /// [`Pool::GlobalAverage`].
    GlobalAvgPool,
    /// [`Upsample`].
    Upsample {
        /// A number, or height and width.
        factor: Pair,
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

fn one() -> Pair {
    1.into()
}

fn zero() -> Pair {
    0.into()
}

fn pooled(kernel: Pair, stride: Option<Pair>, padding: Pair) -> Window {
    Window::new(kernel)
        .stride(stride.unwrap_or(kernel))
        .padding(padding)
}

/// Adds `layers` behind `input`, named `section.0`, `section.1`, ... as PyTorch's `Sequential` counts them, and
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
                initialisation,
                spectral_norm,
            } => {
                let dense = Dense {
                    units,
                    initialisation,
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
                initialisation,
                spectral_norm,
            } => {
                let window = Window {
                    kernel,
                    stride,
                    padding,
                    dilation,
                };
                let conv = Conv2d {
                    channels,
                    window,
                    initialisation,
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
                initialisation,
            } => {
                let window = Window {
                    kernel,
                    stride,
                    padding,
                    dilation,
                };
                let conv = ConvTranspose2d {
                    channels,
                    window,
                    output_padding,
                    initialisation,
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
                let window = pooled(kernel, stride, padding);
                graph.add(&name, Pool::Average(window), &inputs)?
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
