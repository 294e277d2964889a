//! Functions of one element: ReLU and its kin, and the heads that bound a log-variance.

use std::ops::Range;

use super::activation_gradient::ActivationGradient;
use crate::gpu::{Binding, Dispatch, Gpu, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError,
    ValueRange, elements, expect_inputs,
};
use crate::nn::{BackwardRule, Mode, Propagation};
use crate::{Result, gpu_struct, shader};

static ACTIVATION: Shader = shader!("nn/ops/activation.wgsl");

/// A function of one element; input and output have the same shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` above zero, `slope x` below; the slope must be positive.
    LeakyRelu {
        /// Below zero.
        slope: f32,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `5 tanh(x / 5)`: the soft clamp of a log-variance (NVAE, Vahdat and Kautz 2020).
    BoundedLogVariance,
    /// `2 ln(softplus(x) + 0.001)`: the log-variance of a standard deviation that comes out of a softplus with a
    /// floor.
    SoftplusLogVariance,
    /// `x P(X <= x)` for a standard normal X, in its exact form (Hendrycks and Gimpel 2016).
    Gelu,
    /// `x sigmoid(x)` (Elfwing, Uchibe and Doya 2017).
    Silu,
    /// `x` above zero, `alpha (exp(x) - 1)` below (Clevert, Unterthiner and Hochreiter 2016); alpha must be positive.
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// `scale x + shift`, both fixed: brings pixels in `[0, 1]` to `[-1, 1]`, or back.
    Affine {
        /// The factor.
        scale: f32,
        /// What is added.
        shift: f32,
    },
}

const BOUND: f64 = 5.0;
const FLOOR: f64 = 1e-3;
/// Below the minimum of GELU, which it has at -0.75.
const LEAST_GELU: f64 = -0.17;
/// Below the minimum of SiLU, which it has at -1.28.
const LEAST_SILU: f64 = -0.2785;

gpu_struct! {
    struct ActivationUniforms in ACTIVATION::Uniforms {
        vectors: u32,
        slope: f32,
        shift: f32,
    }
}

impl Activation {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Relu => 0,
            Self::LeakyRelu { .. } => 1,
            Self::Tanh => 2,
            Self::Sigmoid => 3,
            Self::Softplus => 4,
            Self::BoundedLogVariance => 5,
            Self::SoftplusLogVariance => 6,
            Self::Gelu => 7,
            Self::Silu => 8,
            Self::Elu { .. } => 9,
            Self::Affine { .. } => 10,
        }
    }

    pub(super) fn slope(self) -> f32 {
        match self {
            Self::LeakyRelu { slope } => slope,
            Self::Elu { alpha } => alpha,
            Self::Affine { scale, .. } => scale,
            _ => 0.0,
        }
    }

    fn shift(self) -> f32 {
        match self {
            Self::Affine { shift, .. } => shift,
            _ => 0.0,
        }
    }

    /// The float64 reference implementation of the function.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Relu if x < 0.0 => 0.0,
            Self::Relu => x,
            Self::LeakyRelu { slope } if x < 0.0 => f64::from(slope) * x,
            Self::LeakyRelu { .. } => x,
            Self::Tanh => x.tanh(),
            Self::Sigmoid => sigmoid(x),
            Self::Softplus => softplus(x),
            Self::BoundedLogVariance => BOUND * (x / BOUND).tanh(),
            Self::SoftplusLogVariance => 2.0 * (softplus(x) + FLOOR).ln(),
            Self::Gelu => x * normal_cdf(x),
            Self::Silu => x * sigmoid(x),
            Self::Elu { alpha } if x < 0.0 => f64::from(alpha) * x.exp_m1(),
            Self::Elu { .. } => x,
            Self::Affine { scale, shift } => f64::from(scale) * x + f64::from(shift),
        }
    }

    /// The float64 reference implementation of its derivative.
    pub fn derivative(self, x: f64) -> f64 {
        match self {
            Self::Relu if x <= 0.0 => 0.0,
            Self::LeakyRelu { slope } if x <= 0.0 => f64::from(slope),
            Self::Elu { alpha } if x <= 0.0 => f64::from(alpha) * x.exp(),
            Self::Affine { scale, .. } => f64::from(scale),
            Self::Relu | Self::LeakyRelu { .. } | Self::Elu { .. } => 1.0,
            Self::Tanh => 1.0 - x.tanh().powi(2),
            Self::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
            Self::Softplus => sigmoid(x),
            Self::BoundedLogVariance => 1.0 - (x / BOUND).tanh().powi(2),
            Self::SoftplusLogVariance => 2.0 * sigmoid(x) / (softplus(x) + FLOOR),
            Self::Gelu => {
                let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                normal_cdf(x) + x * density
            }
            Self::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        }
    }

    /// The float64 reference implementation of its second derivative; at a kink 0.
    pub fn second_derivative(self, x: f64) -> f64 {
        let logistic = sigmoid(x) * sigmoid(-x);
        match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Affine { .. } => 0.0,
            Self::Elu { alpha } if x <= 0.0 => f64::from(alpha) * x.exp(),
            Self::Elu { .. } => 0.0,
            Self::Tanh => -2.0 * x.tanh() / x.cosh().powi(2),
            Self::Sigmoid => logistic * (1.0 - 2.0 * sigmoid(x)),
            Self::Softplus => logistic,
            Self::BoundedLogVariance => {
                let x = x / BOUND;
                -2.0 / BOUND * x.tanh() / x.cosh().powi(2)
            }
            Self::SoftplusLogVariance => {
                let (p, s) = (softplus(x) + FLOOR, sigmoid(x));
                2.0 * (logistic / p - (s / p).powi(2))
            }
            Self::Gelu => {
                let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                density * (2.0 - x * x)
            }
            Self::Silu => logistic * (2.0 + x * (1.0 - 2.0 * sigmoid(x))),
        }
    }

    /// Whether its second derivative is more than 0 somewhere but at a kink.
    pub(super) fn is_curved(self) -> bool {
        !matches!(
            self,
            Self::Relu | Self::LeakyRelu { .. } | Self::Affine { .. }
        )
    }

    /// The function whose derivative a backward pass takes.
    fn differentiated(self, rule: BackwardRule) -> Self {
        match (self, rule) {
            // Both derivatives follow from the sign of the output of the ReLU.
            (Self::Relu, BackwardRule::LeakyRelu { slope }) => Self::LeakyRelu { slope },
            _ => self,
        }
    }

    fn saves_output(self) -> bool {
        !matches!(
            self,
            Self::Softplus | Self::SoftplusLogVariance | Self::Gelu | Self::Silu
        )
    }

    /// Applies `entry` to `count` elements: all `buffers` are read, but the last, which is written.
    fn dispatch(
        self,
        gpu: &Gpu,
        entry: &'static str,
        count: usize,
        accumulate: bool,
        buffers: &[Binding<'_>],
    ) -> Dispatch {
        let vectors = count.div_ceil(4);
        let uniform = gpu.uniform(
            "activation",
            &ActivationUniforms {
                vectors: vectors as u32,
                slope: self.slope(),
                shift: self.shift(),
            },
        );
        let constants = [
            ("KIND", f64::from(self.number())),
            ("ACCUMULATE", f64::from(u8::from(accumulate))),
            gpu.profile().image_loads_constant(),
        ];
        let kernel = gpu.kernel(&ACTIVATION, entry, &constants);
        let mut bindings = vec![(0, uniform.binding())];
        bindings.extend((1..).zip(buffers.iter().copied()));
        let (_, read) = buffers.split_last().expect("the last is written");
        bindings.extend((4..).zip(read.iter().map(|buffer| buffer.as_image())));
        kernel.bind(gpu, &bindings, grid(vectors, 64))
    }
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The standard normal distribution function to the precision of f64: a series of positive terms near zero, a continued
/// fraction (Abramowitz and Stegun 26.2.11 and 26.2.14) in the tails.
fn normal_cdf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x.abs() < 3.0 {
        let mut term = x;
        let mut sum = x;
        for n in 1..60 {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 0.5 + density * sum;
    }
    let magnitude = x.abs();
    let fraction = (1..100)
        .rev()
        .fold(magnitude, |rest, n| magnitude + f64::from(n) / rest);
    let tail = density / fraction;
    if x < 0.0 { tail } else { 1.0 - tail }
}

impl Operation for Activation {
    fn kind(&self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softplus => "softplus",
            Self::BoundedLogVariance => "bounded_log_variance",
            Self::SoftplusLogVariance => "softplus_log_variance",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Elu { .. } => "elu",
            Self::Affine { .. } => "affine",
        }
    }

    fn properties(&self) -> &'static [Property] {
        match self {
            Self::Relu => &[Property::Rectifier],
            Self::Tanh | Self::Sigmoid => &[Property::Saturating],
            Self::BoundedLogVariance | Self::SoftplusLogVariance => &[Property::LogVariance],
            Self::Affine { .. } => &[Property::Affine],
            _ => &[],
        }
    }

    fn range(&self) -> ValueRange {
        let above = |least| ValueRange::new(least, f64::INFINITY);
        match *self {
            Self::Relu | Self::Softplus => ValueRange::NOT_NEGATIVE,
            Self::Tanh => ValueRange::new(-1.0, 1.0),
            Self::Sigmoid => ValueRange::new(0.0, 1.0),
            Self::BoundedLogVariance => ValueRange::new(-BOUND, BOUND),
            Self::SoftplusLogVariance => above(2.0 * FLOOR.ln()),
            Self::Gelu => above(LEAST_GELU),
            Self::Silu => above(LEAST_SILU),
            Self::Elu { alpha } => above(-f64::from(alpha)),
            Self::LeakyRelu { .. } | Self::Affine { .. } => ValueRange::UNBOUNDED,
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        match self {
            Self::LeakyRelu { slope } if *slope <= 0.0 || !slope.is_finite() => {
                Err(ShapeError::new(
                    format!("a slope of {slope}"),
                    "a positive slope (use relu for 0)",
                ))
            }
            Self::Elu { alpha } if *alpha <= 0.0 || !alpha.is_finite() => Err(ShapeError::new(
                format!("an alpha of {alpha}"),
                "a positive alpha",
            )),
            _ => Ok(x.to_vec()),
        }
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: !self.saves_output(),
            output: self.saves_output(),
        }
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(match self {
            Self::Affine { .. } => Propagation::Affine,
            _ => Propagation::Elementwise,
        })
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn input_gradient(&self, _input: &[usize], _node: usize) -> Option<InputGradient> {
        let gradient = ActivationGradient(*self);
        Some(InputGradient::OfInput(Box::new(gradient)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let count = context.batch * elements(io.output_shape);
        let buffers = [io.inputs[0].binding(), io.output.binding()];
        Ok(vec![self.dispatch(
            context.gpu,
            "forward",
            count,
            false,
            &buffers,
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let count = context.batch * elements(io.output_shape);
        let saved = if self.saves_output() {
            io.output
        } else {
            io.inputs[0]
        };
        let buffers = [
            saved.binding(),
            io.output_gradient.binding(),
            target.buffer.binding(),
        ];
        Ok(vec![self.differentiated(context.rule).dispatch(
            context.gpu,
            "backward",
            count,
            target.accumulate,
            &buffers,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Activation {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        io.inputs[0].iter().map(|&x| self.value(x)).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let gradient = io.forward.inputs[0]
            .iter()
            .zip(io.output_gradient)
            .map(|(&x, &upstream)| self.differentiated(io.rule).derivative(x) * upstream)
            .collect();
        ReferenceGradients {
            inputs: vec![gradient],
            parameters: Vec::new(),
        }
    }
}
