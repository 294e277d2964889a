//! Pooling of images: PyTorch's `max_pool2d` and `avg_pool2d`, and the mean of whole images.

use std::ops::Range;

use super::adjoint::Adjoint;
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::nn::conv2d_geometry::{Conv2dGeometry, Size2, images};
use crate::nn::operation::{
    Backward, Context, Differential, Forward, InputGradient, Operation, Property,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError,
    elements, expect_indices, expect_inputs,
};
use crate::nn::{BackwardRule, Mode, Propagation};
use crate::{Result, gpu_struct, shader};

static POOL: Shader = shader!("nn/ops/pool.wgsl");

/// What becomes of each geometry of `[channels, height, width]`, channel by channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Its greatest value. The gradient goes to the first of equal ones; a NaN counts as greater than everything.
    Max(Conv2dGeometry),
    /// Its mean, in which padding counts as zeros.
    Average(Conv2dGeometry),
    /// The mean of the whole image: `[channels]`.
    GlobalAverage,
}

gpu_struct! {
    struct PoolUniforms in POOL::Uniforms {
        input_height: u32,
        input_width: u32,
        output_height: u32,
        output_width: u32,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        planes: u32,
        accumulate: u32,
        scale: f32,
    }
}

/// A geometry between an input side and an output side with as many channels, both `[channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pooling {
    pub geometry: Conv2dGeometry,
    pub input: [usize; 3],
    pub output: [usize; 3],
}

impl Pooling {
    /// One of the shader's entry points from `source` to `result`. `others` are the buffers of the shader that only maxima have.
    pub fn dispatch(
        &self,
        context: &Context<'_>,
        entry: &'static str,
        [source, result]: [&Buffer<f32>; 2],
        (scale, accumulate): (f32, bool),
        others: &[(u32, &Buffer<f32>)],
    ) -> Dispatch {
        let Self {
            geometry,
            input,
            output,
        } = self;
        let pair = |pair: Size2| [pair.x as u32, pair.y as u32];
        let planes = context.batch * input[0];
        let uniform = context.gpu.uniform(
            "pool",
            &PoolUniforms {
                input_height: input[1] as u32,
                input_width: input[2] as u32,
                output_height: output[1] as u32,
                output_width: output[2] as u32,
                kernel: pair(geometry.kernel),
                stride: pair(geometry.stride),
                padding: pair(geometry.padding),
                planes: planes as u32,
                accumulate: accumulate.into(),
                scale,
            },
        );
        let mut bindings = vec![
            (0, uniform.binding()),
            (1, source.binding()),
            (2, result.binding()),
        ];
        bindings.extend(
            others
                .iter()
                .map(|(slot, buffer)| (*slot, buffer.binding())),
        );
        let written = match entry {
            "maximum" | "sum_windows" => output,
            _ => input,
        };
        let kernel = context.gpu.kernel(&POOL, entry, &[]);
        kernel.bind(
            context.gpu,
            &bindings,
            grid(planes * written[1] * written[2], 64),
        )
    }

    /// For each window its position on the output side, and the positions of its pixels on the input side.
    pub fn windows(&self, batch: usize) -> impl Iterator<Item = (usize, Vec<usize>)> {
        let Self {
            geometry,
            input: [channels, height, width],
            output: [_, rows, columns],
        } = *self;
        (0..batch * channels * rows * columns).map(move |at| {
            let plane = at / (rows * columns);
            let (y, x) = (at / columns % rows, at % columns);
            let elements = (0..geometry.kernel.y)
                .flat_map(|ky| (0..geometry.kernel.x).map(move |kx| [ky, kx]));
            let pixels = elements
                .filter_map(|element| geometry.pixel([y, x], element, [height, width]))
                .map(|pixel| plane * height * width + pixel);
            (at, pixels.collect())
        })
    }
}

impl Pool {
    fn geometry(self) -> Option<Conv2dGeometry> {
        match self {
            Self::Max(geometry) | Self::Average(geometry) => Some(geometry),
            Self::GlobalAverage => None,
        }
    }

    fn pooling(self, input: &[usize]) -> std::result::Result<Pooling, ShapeError> {
        let input = images(input)?;
        let [channels, height, width] = input;
        let geometry = self
            .geometry()
            .unwrap_or(Conv2dGeometry::new([height, width]));
        if self.geometry().is_some() {
            geometry.validate()?;
        }
        let Conv2dGeometry {
            kernel,
            padding,
            dilation,
            ..
        } = geometry;
        // Else a geometry could lie in the padding altogether.
        if 2 * padding.y > kernel.y || 2 * padding.x > kernel.x {
            return Err(ShapeError::new(
                format!("a padding of {padding} and a kernel of {kernel}"),
                "a padding of at most half the kernel",
            ));
        }
        if dilation != 1.into() {
            return Err(ShapeError::new(
                format!("a dilation of {dilation}"),
                "a dilation of 1: pooling has no other",
            ));
        }
        let Size2 { y, x } = geometry.output_size(height, width)?;
        Ok(Pooling {
            geometry,
            input,
            output: [channels, y, x],
        })
    }

    fn fitting(self, input: &[usize]) -> Pooling {
        self.pooling(input).expect("checked by the shape rule")
    }

    /// Factor of a geometry's sum.
    fn scale(pooling: &Pooling) -> f64 {
        1.0 / pooling.geometry.area() as f64
    }

    /// The position of a window's maximum.
    fn greatest(values: &[f64], positions: &[usize]) -> usize {
        let mut best = positions[0];
        for &position in positions {
            if values[position].is_nan() || values[position] > values[best] {
                best = position;
            }
        }
        best
    }
}

impl Operation for Pool {
    fn kind(&self) -> &'static str {
        match self {
            Self::Max(_) => "max_pool2d",
            Self::Average(_) => "avg_pool2d",
            Self::GlobalAverage => "global_avg_pool",
        }
    }

    fn properties(&self) -> &'static [Property] {
        match self {
            Self::Max(_) => &[],
            Self::Average(_) | Self::GlobalAverage => &[Property::Affine],
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        let output = self.pooling(x)?.output;
        Ok(match self {
            Self::GlobalAverage => vec![output[0]],
            _ => output.to_vec(),
        })
    }

    fn workspace(&self, batch: usize, inputs: &[&[usize]]) -> usize {
        match self {
            Self::Max(_) => batch * elements(&self.fitting(inputs[0]).output),
            _ => 0,
        }
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn reach(&self, region: &[Range<usize>; 2], input: &[usize]) -> Option<[Range<usize>; 2]> {
        match self {
            Self::Max(geometry) | Self::Average(geometry) => {
                Some(geometry.reach(region, [input[1], input[2]]))
            }
            Self::GlobalAverage => None,
        }
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(match self {
            Self::Max(_) => Propagation::Routing,
            Self::Average(_) | Self::GlobalAverage => Propagation::Affine,
        })
    }

    fn differential(&self) -> Option<Differential> {
        Some(match self {
            Self::Max(_) => Differential::Selection,
            Self::Average(_) | Self::GlobalAverage => Differential::Linear,
        })
    }

    fn input_gradient(&self, input: &[usize], node: usize) -> Option<InputGradient> {
        if matches!(self, Self::Max(_)) {
            return None;
        }
        let adjoint = Adjoint::new(*self, input, node).ok()?;
        Some(InputGradient::Linear(Box::new(adjoint)))
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        expect_indices(context, io.input_shapes[0])?;
        let pooling = self.fitting(io.input_shapes[0]);
        let chosen = io.workspace.map(|buffer| (3, buffer));
        let entry = match self {
            Self::Max(_) => "maximum",
            _ => "sum_windows",
        };
        let scale = Self::scale(&pooling) as f32;
        let buffers = [io.inputs[0], io.output];
        Ok(vec![pooling.dispatch(
            context,
            entry,
            buffers,
            (scale, false),
            chosen.as_slice(),
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let pooling = self.fitting(io.input_shapes[0]);
        let mut others: Vec<_> = io.workspace.map(|buffer| (4, buffer)).into_iter().collect();
        let entry = match (self, context.rule) {
            (Self::Max(_), BackwardRule::Rescale) => {
                others.push((5, io.inputs[0]));
                "maximum_rescale"
            }
            (Self::Max(_), _) => "maximum_backward",
            _ => "spread_windows",
        };
        let scale = Self::scale(&pooling) as f32;
        let buffers = [io.output_gradient, target.buffer];
        Ok(vec![pooling.dispatch(
            context,
            entry,
            buffers,
            (scale, target.accumulate),
            &others,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Pool {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let pooling = self.fitting(io.input_shapes[0]);
        let x = io.inputs[0];
        pooling
            .windows(io.batch)
            .map(|(_, positions)| match self {
                Self::Max(_) => x[Self::greatest(x, &positions)],
                _ => {
                    Self::scale(&pooling)
                        * positions.iter().map(|&position| x[position]).sum::<f64>()
                }
            })
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let pooling = self.fitting(io.forward.input_shapes[0]);
        let x = io.forward.inputs[0];
        let mut gradient = vec![0.0; x.len()];
        let half = x.len() / 2;
        for (at, positions) in pooling.windows(io.forward.batch) {
            let upstream = io.output_gradient[at];
            match self {
                Self::Max(_) if io.rule == BackwardRule::Rescale => {
                    // The same window of the sample that this one is compared with.
                    let moved = |position: usize| (position + half) % x.len();
                    let partner: Vec<usize> =
                        positions.iter().map(|&position| moved(position)).collect();
                    let here = Self::greatest(x, &positions);
                    let there = moved(Self::greatest(x, &partner));
                    let lead = x[here] - x[there];
                    let partner_lead = x[moved(there)] - x[moved(here)];
                    let share = if lead + partner_lead > 0.0 {
                        lead / (lead + partner_lead)
                    } else {
                        0.5
                    };
                    gradient[here] += share * upstream;
                    gradient[there] += (1.0 - share) * upstream;
                }
                Self::Max(_) => gradient[Self::greatest(x, &positions)] += upstream,
                _ => {
                    for position in positions {
                        gradient[position] += Self::scale(&pooling) * upstream;
                    }
                }
            }
        }
        ReferenceGradients {
            inputs: vec![gradient],
            parameters: Vec::new(),
        }
    }
}
