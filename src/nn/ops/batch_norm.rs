//! Batch normalization (Ioffe and Szegedy 2015).

use std::ops::Range;

use crate::gpu::{Dispatch, Reduction, Scratch, Shader, Uniform, groups};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, ParameterSpec, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved,
    ScratchRequest, ShapeError, elements, expect_inputs,
};
use crate::nn::{Initialization, Mode, Propagation};
use crate::{Error, Result, gpu_struct, shader};

static BATCH_NORM: Shader = shader!("nn/ops/batch_norm.wgsl");

/// Normalizes each channel over the batch and all of its positions, with PyTorch's formulas for 1, 2 and more dimensions:
/// `(x - mean) / sqrt(variance + eps) * weight + bias`. The first dimension of a sample is the channels `[channels]`,
/// `[channels, height, width]`.
///
/// In training mean and variance are the batch's (without Bessel's correction) and the running statistics take
/// `momentum` of them (with it); in inference they are the running ones. Parameters: `weight`, `bias` `[channels]`.
/// State: `running_mean`, `running_var` `[channels]` and `num_batches_tracked` `[]`, as float32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Share of the batch in the running statistics.
    pub momentum: f32,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
        }
    }
}

gpu_struct! {
    struct BatchNormUniforms in BATCH_NORM::Uniforms {
        batch: u32,
        channels: u32,
        positions: u32,
        chunk: u32,
        epsilon: f32,
        momentum: f32,
        keep: f32,
        accumulate: u32,
    }
}

/// Floats of a channel's statistics in the shader.
const STATISTICS: usize = 4;
/// The label of the sums that the backward pass needs where the gradients of weight and bias are not asked for.
const CHANNEL_SUMS: &str = "batch norm sums";
/// A binding starts on a multiple of so many elements.
const ALIGNMENT: usize = 64;
/// One dimension of a dispatch.
const MAX_CHANNELS: usize = 65_535;

fn channels(shape: &[usize]) -> usize {
    shape[0]
}

/// Values of two sums for each channel.
fn sums_len(channels: usize) -> usize {
    channels.next_multiple_of(ALIGNMENT) + channels
}

fn positions(shape: &[usize]) -> usize {
    elements(&shape[1..])
}

/// How a workgroup's lanes are spread; see the shader.
struct Spread {
    lanes: usize,
    channels: usize,
    positions: usize,
}

impl Spread {
    fn of(context: &Context<'_>, shape: &[usize]) -> Self {
        // A CPU adapter sums strided values without barriers; a GPU's lanes share a channel's samples.
        let (lanes, channels_side_by_side) = match context.gpu.profile().reduction {
            Reduction::Serial => (64, 64),
            Reduction::Parallel => (256, 16),
        };
        match positions(shape) {
            1 => Self {
                lanes,
                channels: channels_side_by_side,
                positions: 1,
            },
            positions => Self {
                lanes,
                channels: 1,
                positions: positions.next_power_of_two().min(lanes),
            },
        }
    }

    fn constants(&self) -> [(&'static str, f64); 3] {
        [
            ("LANES", self.lanes as f64),
            ("CHANNELS", self.channels as f64),
            ("POSITIONS", self.positions as f64),
        ]
    }

    fn channel_groups(&self, shape: &[usize]) -> u32 {
        groups(channels(shape), self.channels)
    }

    /// Samples of a workgroup that goes element by element: some thousand elements, and never more workgroups than one
    /// dimension holds.
    fn chunk(&self, batch: usize, shape: &[usize]) -> usize {
        let wanted = 4096 / (positions(shape) * self.channels);
        wanted.clamp(batch.div_ceil(65_535), batch)
    }
}

impl BatchNorm {
    fn uniform(&self, context: &Context<'_>, shape: &[usize], accumulate: bool) -> Uniform {
        let chunk = Spread::of(context, shape).chunk(context.batch, shape);
        context.gpu.uniform(
            "batch norm",
            &BatchNormUniforms {
                batch: context.batch as u32,
                channels: channels(shape) as u32,
                positions: positions(shape) as u32,
                chunk: chunk as u32,
                epsilon: self.eps,
                momentum: self.momentum,
                keep: (1.0 - f64::from(self.momentum)) as f32,
                accumulate: accumulate.into(),
            },
        )
    }

    /// Mean and variance of each channel of the batch.
    fn measure(io: &ReferenceForward<'_>) -> (Vec<f64>, Vec<f64>) {
        let (channels, positions) = (channels(io.output_shape), positions(io.output_shape));
        let count = (io.batch * positions) as f64;
        let of = |value: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; channels];
            for (i, &x) in io.inputs[0].iter().enumerate() {
                let channel = i / positions % channels;
                sums[channel] += value(channel, x) / count;
            }
            sums
        };
        let means = of(&|_, x| x);
        let variances = of(&|channel, x| (x - means[channel]).powi(2));
        (means, variances)
    }

    /// Mean and `1 / sqrt(variance + eps)` of each channel, as the forward pass uses them.
    fn statistics(&self, io: &ReferenceForward<'_>) -> (Vec<f64>, Vec<f64>) {
        let (means, variances) = if io.mode.is_training() {
            Self::measure(io)
        } else {
            (io.parameters[2].to_vec(), io.parameters[3].to_vec())
        };
        let scale = |variance: &f64| 1.0 / (variance + f64::from(self.eps)).sqrt();
        let scales = variances.iter().map(scale).collect();
        (means, scales)
    }
}

impl Operation for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn properties(&self) -> &'static [Property] {
        &[
            Property::Affine,
            Property::Normalization,
            Property::BatchStatistics,
        ]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        if x.is_empty() || x[0] > MAX_CHANNELS {
            return Err(ShapeError::new(
                format!("shape {x:?}"),
                format!("[channels, ...] with at most {MAX_CHANNELS} channels"),
            ));
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(ShapeError::new(
                format!("eps = {}", self.eps),
                "a positive eps",
            ));
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(ShapeError::new(
                format!("a momentum of {}", self.momentum),
                "a momentum from 0 to 1",
            ));
        }
        Ok(x.to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, initialization| ParameterSpec {
            name,
            shape: vec![channels(inputs[0])],
            initialization,
        };
        vec![
            spec("weight", Initialization::Ones),
            spec("bias", Initialization::Zeros),
        ]
    }

    fn buffers(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let spec = |name, shape, initialization| ParameterSpec {
            name,
            shape,
            initialization,
        };
        let each = vec![channels(inputs[0])];
        vec![
            spec("running_mean", each.clone(), Initialization::Zeros),
            spec("running_var", each, Initialization::Ones),
            spec("num_batches_tracked", Vec::new(), Initialization::Zeros),
        ]
    }

    fn workspace(&self, _batch: usize, inputs: &[&[usize]]) -> usize {
        STATISTICS * channels(inputs[0])
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let sums = Scratch::new(CHANNEL_SUMS, sums_len(channels(request.inputs[0])));
        let is_used =
            request.mode.is_training() && request.input_gradients && !request.parameter_gradients;
        is_used.then_some(sums).into_iter().collect()
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, mode: Mode) -> Option<Propagation> {
        (!mode.is_training()).then_some(Propagation::Affine)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Symmetric)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let (gpu, shape) = (context.gpu, io.output_shape);
        let spread = Spread::of(context, shape);
        let constants = spread.constants();
        let uniform = self.uniform(context, shape, false);
        let uniform = uniform.binding();
        let statistics = io.workspace.expect("asked for").binding();
        let x = io.inputs[0].binding();
        let [weight, bias, mean, variance, batches] =
            [0, 1, 2, 3, 4].map(|i| io.parameters[i].value());
        let by_channel = spread.channel_groups(shape);
        let chunk = spread.chunk(context.batch, shape);
        let by_element = [by_channel, groups(context.batch, chunk), 1];
        let common = [(0, uniform), (1, x)];
        let ends = [(3, weight), (4, bias), (5, io.output.binding())];
        if !context.mode.is_training() {
            let kernel = gpu.kernel(&BATCH_NORM, "infer", &constants);
            let bindings = [&common[..], &ends, &[(6, mean), (7, variance)]].concat();
            return Ok(vec![kernel.bind(gpu, &bindings, by_element)]);
        }
        if context.batch * positions(shape) < 2 {
            return Err(Error::input(
                format!("batch norm of shape {shape:?}"),
                "a batch of 1 has one value per channel, which has no variance",
                "train with a larger batch",
            ));
        }
        let measured = [&common[..], &[(2, statistics)]].concat();
        let tracked = [
            (0, uniform),
            (2, statistics),
            (6, mean),
            (7, variance),
            (8, batches),
        ];
        let measure = gpu.kernel(&BATCH_NORM, "measure", &constants);
        let mut dispatches = vec![measure.bind(gpu, &measured, [by_channel, 1, 1])];
        if context.mode.updates_state() {
            dispatches.push(gpu.kernel(&BATCH_NORM, "keep_track", &constants).bind(
                gpu,
                &tracked,
                [groups(channels(shape), 64), 1, 1],
            ));
        }
        dispatches.push(gpu.kernel(&BATCH_NORM, "forward", &constants).bind(
            gpu,
            &[&measured[..], &ends].concat(),
            by_element,
        ));
        Ok(dispatches)
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let (gpu, shape) = (context.gpu, io.output_shape);
        let spread = Spread::of(context, shape);
        let constants = spread.constants();
        let by_channel = spread.channel_groups(shape);
        let is_training = context.mode.is_training();
        let uniform = self.uniform(context, shape, false);
        let x = (1, io.inputs[0].binding());
        let statistics = (2, io.workspace.expect("asked for").binding());
        let y_gradient = (5, io.output_gradient.binding());
        let mut dispatches = Vec::new();
        if !is_training {
            let [mean, variance] = [2, 3].map(|i| io.parameters[i].value());
            let bindings = [(0, uniform.binding()), statistics, (6, mean), (7, variance)];
            let workgroups = [groups(channels(shape), 64), 1, 1];
            let kernel = gpu.kernel(&BATCH_NORM, "recall", &constants);
            dispatches.push(kernel.bind(gpu, &bindings, workgroups));
        }
        // In training the gradient of the input needs the sums that are the gradients of weight and bias, asked for or not.
        let own_sums = (is_training && !io.parameter_gradients)
            .then(|| gpu.scratch(CHANNEL_SUMS, sums_len(channels(shape))))
            .transpose()?;
        let sums = match &own_sums {
            None => [0, 1].map(|i| io.parameters[i].gradient()),
            Some(sums) => {
                let bias = channels(shape).next_multiple_of(ALIGNMENT);
                [0, bias].map(|first| sums.binding_of(first..first + channels(shape)))
            }
        };
        let sums = [(6, sums[0]), (7, sums[1])];
        if is_training || io.parameter_gradients {
            let kernel = gpu.kernel(&BATCH_NORM, "backward_parameters", &constants);
            let own = [(0, uniform.binding()), x, statistics, y_gradient];
            dispatches.push(kernel.bind(gpu, &[&own[..], &sums].concat(), [by_channel, 1, 1]));
        }
        if let Some(target) = io.input_gradients[0] {
            let uniform = self.uniform(context, shape, target.accumulate);
            let own = [
                (0, uniform.binding()),
                statistics,
                (3, io.parameters[0].value()),
                (4, target.buffer.binding()),
                y_gradient,
            ];
            let (entry, bindings) = if is_training {
                ("backward", [&own[..], &[x], &sums].concat())
            } else {
                ("backward_fixed", own.to_vec())
            };
            let chunk = spread.chunk(context.batch, shape);
            dispatches.push(gpu.kernel(&BATCH_NORM, entry, &constants).bind(
                gpu,
                &bindings,
                [by_channel, groups(context.batch, chunk), 1],
            ));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for BatchNorm {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (means, scales) = self.statistics(io);
        let (channels, positions) = (channels(io.output_shape), positions(io.output_shape));
        let values = io.inputs[0].iter().enumerate();
        values
            .map(|(i, x)| {
                let c = i / positions % channels;
                (x - means[c]) * scales[c] * io.parameters[0][c] + io.parameters[1][c]
            })
            .collect()
    }

    fn reference_buffers(&self, io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        let (means, variances) = Self::measure(io);
        let count = (io.batch * positions(io.output_shape)) as f64;
        let momentum = f64::from(self.momentum);
        let mix = |running: &[f64], now: &[f64], factor: f64| {
            let pairs = running.iter().zip(now);
            pairs
                .map(|(running, now)| (1.0 - momentum) * running + momentum * factor * now)
                .collect()
        };
        vec![
            mix(io.parameters[2], &means, 1.0),
            mix(io.parameters[3], &variances, count / (count - 1.0)),
            vec![io.parameters[4][0] + 1.0],
        ]
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let forward = &io.forward;
        let (means, scales) = self.statistics(forward);
        let (channels, positions) = (
            channels(forward.output_shape),
            positions(forward.output_shape),
        );
        let count = (forward.batch * positions) as f64;
        let mut to_weight = vec![0.0; channels];
        let mut to_bias = vec![0.0; channels];
        let normalized = |i: usize| {
            let c = i / positions % channels;
            (c, (forward.inputs[0][i] - means[c]) * scales[c])
        };
        for (i, upstream) in io.output_gradient.iter().enumerate() {
            let (c, x) = normalized(i);
            to_weight[c] += upstream * x;
            to_bias[c] += upstream;
        }
        let input = io.output_gradient.iter().enumerate().map(|(i, upstream)| {
            let (c, x) = normalized(i);
            let through_statistics = if forward.mode.is_training() {
                (to_bias[c] + x * to_weight[c]) / count
            } else {
                0.0
            };
            forward.parameters[0][c] * scales[c] * (upstream - through_statistics)
        });
        ReferenceGradients {
            inputs: vec![input.collect()],
            parameters: vec![to_weight, to_bias],
        }
    }
}
