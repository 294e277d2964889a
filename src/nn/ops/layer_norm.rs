//! Layer normalization (Ba, Kiros and Hinton 2016).

use super::layer_norm_gradient::LayerNormGradient;
use crate::gpu::{Dispatch, Shader, Uniform, grid};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, ParameterSpec, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError,
    elements, expect_inputs,
};
use crate::nn::{BackwardRule, Initialization, Mode, Propagation};
use crate::{Result, gpu_struct, shader};

static LAYER_NORM: Shader = shader!("nn/ops/layer_norm.wgsl");

/// Normalizes each sample over its last dimensions, with PyTorch's formula:
/// `(x - mean) / sqrt(variance + eps) * weight + bias`, the variance without Bessel's correction. Parameters: `weight`
/// and `bias`, of the shape that is normalized over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNorm {
    /// How many of the last dimensions are normalized over; `None`: all.
    pub dimensions: Option<usize>,
    /// Added to the variance.
    pub eps: f32,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self {
            dimensions: None,
            eps: 1e-5,
        }
    }
}

gpu_struct! {
    struct LayerNormUniforms in LAYER_NORM::Uniforms {
        rows: u32,
        size: u32,
        epsilon: f32,
        accumulate: u32,
    }
}

impl LayerNorm {
    pub(super) fn normalized<'s>(&self, shape: &'s [usize]) -> &'s [usize] {
        &shape[shape
            .len()
            .saturating_sub(self.dimensions.unwrap_or(shape.len()))..]
    }

    pub(super) fn rows(&self, batch: usize, shape: &[usize]) -> usize {
        batch * elements(shape) / elements(self.normalized(shape))
    }

    fn uniform(&self, context: &Context<'_>, shape: &[usize], accumulate: bool) -> Uniform {
        context.gpu.uniform(
            "layer norm",
            &LayerNormUniforms {
                rows: self.rows(context.batch, shape) as u32,
                size: elements(self.normalized(shape)) as u32,
                epsilon: self.eps,
                accumulate: accumulate.into(),
            },
        )
    }

    /// Of each row: mean and `1 / sqrt(variance + eps)`.
    pub(super) fn statistics(&self, row: &[f64]) -> (f64, f64) {
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + f64::from(self.eps)).sqrt())
    }
}

impl Operation for LayerNorm {
    fn kind(&self) -> &'static str {
        "layer_norm"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Normalization]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if let Some(dimensions) = self.dimensions
            && (dimensions == 0 || dimensions > x.len())
        {
            return Err(ShapeError::new(
                format!("{x:?} to normalize over the last {dimensions} dimensions"),
                format!("from 1 to {} dimensions", x.len()),
            ));
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(ShapeError::new(
                format!("eps = {}", self.eps),
                "a positive eps",
            ));
        }
        Ok(x.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, initialization| ParameterSpec {
            name,
            shape: self.normalized(inputs[0]).to_vec(),
            initialization,
        };
        vec![
            spec("weight", Initialization::Ones),
            spec("bias", Initialization::Zeros),
        ]
    }

    fn workspace(&self, batch: usize, inputs: &[&[usize]]) -> usize {
        2 * self.rows(batch, inputs[0])
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Affine)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::SymmetricBeforeGain)
    }

    fn input_gradient(&self, _input: &[usize], _node: usize) -> Option<InputGradient> {
        let gradient = LayerNormGradient(*self);
        Some(InputGradient::OfInput(Box::new(gradient)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let shape = io.output_shape;
        let uniform = self.uniform(context, shape, false);
        let kernel = context
            .gpu
            .kernel(&LAYER_NORM, "forward", &context.long_row_constants());
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, io.inputs[0].binding()),
                (2, io.workspace.expect("asked for").binding()),
                (3, io.parameters[0].value()),
                (4, io.parameters[1].value()),
                (5, io.output.binding()),
            ],
            context.long_row_grid(self.rows(context.batch, shape)),
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let (gpu, shape) = (context.gpu, io.output_shape);
        let statistics = io.workspace.expect("asked for");
        let uniform = self.uniform(context, shape, false);
        let size = elements(self.normalized(shape));
        let mut dispatches = Vec::new();
        if io.parameter_gradients {
            let kernel = gpu.kernel(&LAYER_NORM, "backward_parameters", &[]);
            dispatches.push(kernel.bind(
                gpu,
                &[
                    (0, uniform.binding()),
                    (1, io.inputs[0].binding()),
                    (2, statistics.binding()),
                    (5, io.output_gradient.binding()),
                    (6, io.parameters[0].gradient()),
                    (7, io.parameters[1].gradient()),
                ],
                grid(size, 64),
            ));
        }
        if let Some(target) = io.input_gradients[0] {
            let uniform = self.uniform(context, shape, target.accumulate);
            let mut bindings = vec![
                (0, uniform.binding()),
                (2, statistics.binding()),
                (3, io.parameters[0].value()),
                (5, io.output_gradient.binding()),
                (6, target.buffer.binding()),
            ];
            let entry = match context.rule {
                BackwardRule::Rescale => "backward_rescale",
                BackwardRule::Epsilon { .. } => "backward_fixed_scale",
                BackwardRule::Gradient | BackwardRule::LeakyRelu { .. } => "backward",
            };
            if entry != "backward_fixed_scale" {
                bindings.push((1, io.inputs[0].binding()));
            }
            let kernel = gpu.kernel(&LAYER_NORM, entry, &context.long_row_constants());
            dispatches.push(kernel.bind(
                gpu,
                &bindings,
                context.long_row_grid(self.rows(context.batch, shape)),
            ));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for LayerNorm {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (weight, bias) = (io.parameters[0], io.parameters[1]);
        let rows = io.inputs[0].chunks(weight.len());
        rows.flat_map(|row| {
            let (mean, scale) = self.statistics(row);
            let scaled = row.iter().zip(weight).zip(bias);
            scaled.map(move |((x, w), b)| (x - mean) * scale * w + b)
        })
        .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let weight = io.forward.parameters[0];
        let size = weight.len();
        let count = size as f64;
        let mean_of = |values: &[f64]| values.iter().sum::<f64>() / count;
        let mut input = Vec::new();
        let mut to_weight = vec![0.0; size];
        let mut to_bias = vec![0.0; size];
        let rows: Vec<&[f64]> = io.forward.inputs[0].chunks(size).collect();
        for (index, upstream) in io.output_gradient.chunks(size).enumerate() {
            let row = rows[index];
            let (mean, scale) = self.statistics(row);
            let centered: Vec<f64> = row.iter().map(|x| x - mean).collect();
            for i in 0..size {
                to_weight[i] += upstream[i] * centered[i] * scale;
                to_bias[i] += upstream[i];
            }
            // The rule of rescaling takes the mean of sample and baseline, every other one a pair of the same rows.
            let partner = match io.rule {
                BackwardRule::Rescale => rows[(index + rows.len() / 2) % rows.len()],
                _ => row,
            };
            let (partner_mean, partner_scale) = self.statistics(partner);
            let middle: Vec<f64> = partner
                .iter()
                .zip(&centered)
                .map(|(x, centered)| 0.5 * (centered + x - partner_mean))
                .collect();
            let scaled: Vec<f64> = upstream.iter().zip(weight).map(|(g, w)| g * w).collect();
            let shift = mean_of(&scaled);
            let products: Vec<f64> = scaled.iter().zip(&middle).map(|(g, c)| g * c).collect();
            let quotient = match io.rule {
                BackwardRule::Epsilon { .. } => 0.0,
                _ => -(scale * partner_scale).powi(2) / (scale + partner_scale),
            };
            let slope = 2.0 * quotient * mean_of(&products);
            for i in 0..size {
                let through_values = 0.5 * (scale + partner_scale) * (scaled[i] - shift);
                input.push(through_values + middle[i] * slope);
            }
        }
        ReferenceGradients {
            inputs: vec![input],
            parameters: vec![to_weight, to_bias],
        }
    }
}
