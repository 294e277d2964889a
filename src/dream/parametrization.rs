//! What the optimizer moves: the values themselves, the amplitudes of their waves, or colors that vary independently.
//!
//! Both changes of basis are symmetric: the Hartley transform is its own inverse, and so many waves of each frequency as
//! pixels are left. Amplitudes are weighted by one over their frequency, as in natural images, and colors by the root of
//! their covariance over real inputs (Olah, Mordvintsev and Schubert 2017).

use std::f64::consts::TAU;

use super::space::{InputKind, InputSpace};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{Error, Result, gpu_struct, shader};

static PARAMETRIZATION: Shader = shader!("dream/parametrization.wgsl");

/// Colors that vary less than this share of the one that varies most are taken to vary so much.
const LEAST_VARIATION: f64 = 1e-3;
/// Rounds of Jacobi's method: three colors are diagonal to all digits long before.
const ROUNDS: usize = 16;

gpu_struct! {
    struct ParametrizationUniforms in PARAMETRIZATION::Uniforms {
        count: u32,
        positions: u32,
        channels: u32,
        side: u32,
        stride: u32,
        weighted: u32,
    }
}

/// Where the weights of waves count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weighted {
    Not,
    Source,
    Result,
}

/// Which changes of basis there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// Of each wave, row by row; none where pixels are moved.
    waves: Option<Vec<f64>>,
    /// A symmetric matrix, and its inverse.
    colors: Option<[[[f64; 3]; 3]; 2]>,
}

impl Basis {
    /// The basis of a space; `real` are inputs in the units of the data.
    ///
    /// # Errors
    /// Waves of a vector, or colors of what has none.
    pub fn new(space: &InputSpace, fourier: bool, decorrelate: bool, real: &[f32]) -> Result<Self> {
        if fourier && space.kind == InputKind::Vector {
            return Err(Error::usage(
                "--fourier",
                "the input is a vector, which has no waves",
                "leave --fourier out",
            ));
        }
        let stream = &space.streams[0];
        if decorrelate && stream.components != 3 {
            return Err(Error::usage(
                "--decorrelate",
                "the input has no colors, red, green and blue",
                "leave --decorrelate out",
            ));
        }
        Ok(Self {
            waves: fourier.then(|| weights(space.sides())),
            colors: decorrelate.then(|| {
                let covariance = covariance(space, &space.values_of(real));
                [root(covariance, 1.0), root(covariance, -1.0)]
            }),
        })
    }

    /// The float64 reference: parameters of one dream as values.
    pub fn reference_values(&self, space: &InputSpace, parameters: &[f64]) -> Vec<f64> {
        let mut values = parameters.to_vec();
        if let Some(weights) = &self.waves {
            for plane in values.chunks_exact_mut(weights.len()) {
                plane
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(value, weight)| *value *= weight);
            }
            hartley(space, &mut values);
        }
        if let Some([colors, _]) = &self.colors {
            mixed(colors, space.positions(), &mut values);
        }
        values
    }

    /// The float64 reference: a gradient of values as one of parameters.
    pub fn reference_gradient(&self, space: &InputSpace, gradient: &[f64]) -> Vec<f64> {
        let mut gradient = gradient.to_vec();
        if let Some([colors, _]) = &self.colors {
            mixed(colors, space.positions(), &mut gradient);
        }
        if let Some(weights) = &self.waves {
            hartley(space, &mut gradient);
            for plane in gradient.chunks_exact_mut(weights.len()) {
                plane
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(value, weight)| *value *= weight);
            }
        }
        gradient
    }
}

/// `cos + sin` of all waves of a side, orthonormal.
fn waves(side: usize) -> Vec<f64> {
    let size = side as f64;
    let wave = |index: usize| {
        let turns = ((index / side) * (index % side)) % side;
        let (sin, cos) = (TAU * turns as f64 / size).sin_cos();
        (cos + sin) / size.sqrt()
    };
    (0..side * side).map(wave).collect()
}

/// One over the frequency of each wave, the constant one as the slowest; the mean of their squares is 1.
fn weights([height, width]: [usize; 2]) -> Vec<f64> {
    let frequency = |index: usize, side: usize| index.min(side - index) as f64 / side as f64;
    let slowest = 1.0 / height.max(width) as f64;
    let weights: Vec<f64> = (0..height * width)
        .map(|at| {
            let across = frequency(at % width, width);
            let down = frequency(at / width, height);
            1.0 / across.hypot(down).max(slowest)
        })
        .collect();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    let scale = (squares / weights.len() as f64).sqrt();
    weights.into_iter().map(|weight| weight / scale).collect()
}

/// Covariance of red, green and blue over real values.
fn covariance(space: &InputSpace, values: &[f32]) -> [[f64; 3]; 3] {
    let positions = space.positions();
    let mut sums = [[0.0; 3]; 3];
    let mut means = [0.0; 3];
    let mut count = 0.0;
    for sample in values.chunks_exact(space.size()) {
        for position in 0..positions {
            let color = [0, 1, 2].map(|c| f64::from(sample[c * positions + position]));
            for a in 0..3 {
                means[a] += color[a];
                for b in 0..3 {
                    sums[a][b] += color[a] * color[b];
                }
            }
            count += 1.0;
        }
    }
    let means = means.map(|sum| sum / f64::max(count, 1.0));
    let cell = |a: usize, b: usize| sums[a][b] / f64::max(count, 1.0) - means[a] * means[b];
    [0, 1, 2].map(|a| [0, 1, 2].map(|b| cell(a, b)))
}

/// The symmetric root of a covariance, scaled so that its largest eigenvalue is 1, to the power of `sign`.
fn root(covariance: [[f64; 3]; 3], sign: f64) -> [[f64; 3]; 3] {
    let (values, vectors) = eigen(covariance);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let powers = values.map(|value| {
        let share = if largest > 0.0 { value / largest } else { 1.0 };
        share.max(LEAST_VARIATION).powf(0.5 * sign)
    });
    let cell = |a: usize, b: usize| {
        (0..3)
            .map(|k| vectors[a][k] * powers[k] * vectors[b][k])
            .sum()
    };
    [0, 1, 2].map(|a| [0, 1, 2].map(|b| cell(a, b)))
}

/// Eigenvalues of a symmetric matrix, and its eigenvectors as columns, by Jacobi's rotations.
fn eigen(mut matrix: [[f64; 3]; 3]) -> ([f64; 3], [[f64; 3]; 3]) {
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..ROUNDS {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if matrix[p][q] == 0.0 {
                continue;
            }
            let angle = 0.5 * (2.0 * matrix[p][q]).atan2(matrix[q][q] - matrix[p][p]);
            let (sin, cos) = angle.sin_cos();
            for row in &mut matrix {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            let (a, b) = (matrix[p], matrix[q]);
            matrix[p] = std::array::from_fn(|column| cos * a[column] - sin * b[column]);
            matrix[q] = std::array::from_fn(|column| sin * a[column] + cos * b[column]);
            for row in &mut vectors {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
        }
    }
    ([0, 1, 2].map(|i| matrix[i][i]), vectors)
}

/// The transform of every channel, in both directions.
fn hartley(space: &InputSpace, values: &mut [f64]) {
    let [height, width] = space.sides();
    for (side, stride) in [(width, 1), (height, width)] {
        let basis = waves(side);
        let before = values.to_vec();
        for (index, value) in values.iter_mut().enumerate() {
            let at = index / stride % side;
            let first = index - at * stride;
            let terms = (0..side).map(|k| basis[at * side + k] * before[first + k * stride]);
            *value = terms.sum();
        }
    }
}

fn mixed(matrix: &[[f64; 3]; 3], positions: usize, values: &mut [f64]) {
    for position in 0..positions {
        let color = [0, 1, 2].map(|c| values[c * positions + position]);
        for (channel, row) in matrix.iter().enumerate() {
            values[channel * positions + position] = row
                .iter()
                .zip(color)
                .map(|(weight, part)| weight * part)
                .sum();
        }
    }
}

/// A basis on the GPU: the buffers of parameters and values, and the ways between them.
#[derive(Debug)]
pub struct Parametrization {
    /// What the optimizer moves, `[rows, ...shape]`; the values themselves where the basis is theirs.
    pub parameters: Buffer<f32>,
    /// The gradient with respect to it.
    pub gradient: Buffer<f32>,
    /// Parameters to values.
    pub to_values: Vec<Dispatch>,
    /// The gradient of values to that of parameters.
    pub to_gradient: Vec<Dispatch>,
    /// Values to parameters.
    pub to_parameters: Vec<Dispatch>,
}

impl Parametrization {
    /// A basis for these buffers of values and their gradient.
    ///
    /// # Errors
    /// The adapter has no memory left.
    pub fn new(
        gpu: &Gpu,
        space: &InputSpace,
        basis: &Basis,
        values: &Buffer<f32>,
        gradient: &Buffer<f32>,
    ) -> Result<Self> {
        if basis.waves.is_none() && basis.colors.is_none() {
            return Ok(Self {
                parameters: values.clone(),
                gradient: gradient.clone(),
                to_values: Vec::new(),
                to_gradient: Vec::new(),
                to_parameters: Vec::new(),
            });
        }
        let parameters = gpu.buffer("parameters of a dream", values.len())?;
        let of_parameters = gpu.buffer("gradient of parameters", values.len())?;
        let builder = Builder {
            gpu,
            space,
            scratch: [
                gpu.buffer("waves", values.len())?,
                gpu.buffer("colors", values.len())?,
            ],
        };
        let inverse: Option<Vec<f64>> = basis
            .waves
            .as_ref()
            .map(|weights| weights.iter().map(|weight| 1.0 / weight).collect());
        let waves = basis.waves.as_deref();
        let [colors, inverse_colors] = match &basis.colors {
            Some([colors, inverse]) => [Some(colors), Some(inverse)],
            None => [None, None],
        };
        Ok(Self {
            to_values: builder.to_values([&parameters, values], waves, colors)?,
            to_gradient: builder.to_parameters([gradient, &of_parameters], waves, colors)?,
            to_parameters: builder.to_parameters(
                [values, &parameters],
                inverse.as_deref(),
                inverse_colors,
            )?,
            parameters,
            gradient: of_parameters,
        })
    }
}

struct Builder<'a> {
    gpu: &'a Gpu,
    space: &'a InputSpace,
    scratch: [Buffer<f32>; 2],
}

impl Builder<'_> {
    fn to_values(
        &self,
        [parameters, values]: [&Buffer<f32>; 2],
        weights: Option<&[f64]>,
        colors: Option<&[[f64; 3]; 3]>,
    ) -> Result<Vec<Dispatch>> {
        let [half, whole] = &self.scratch;
        let mut dispatches = Vec::new();
        let mut from = parameters;
        if let Some(weights) = weights {
            let to = if colors.is_some() { whole } else { values };
            dispatches.push(self.along(1, weights, Weighted::Source, [from, half])?);
            dispatches.push(self.along(0, weights, Weighted::Not, [half, to])?);
            from = to;
        }
        if let Some(colors) = colors {
            dispatches.push(self.mix(colors, [from, values])?);
        }
        Ok(dispatches)
    }

    fn to_parameters(
        &self,
        [values, parameters]: [&Buffer<f32>; 2],
        weights: Option<&[f64]>,
        colors: Option<&[[f64; 3]; 3]>,
    ) -> Result<Vec<Dispatch>> {
        let [half, whole] = &self.scratch;
        let mut dispatches = Vec::new();
        let mut from = values;
        if let Some(colors) = colors {
            let to = if weights.is_some() { whole } else { parameters };
            dispatches.push(self.mix(colors, [from, to])?);
            from = to;
        }
        if let Some(weights) = weights {
            dispatches.push(self.along(0, weights, Weighted::Not, [from, half])?);
            dispatches.push(self.along(1, weights, Weighted::Result, [half, parameters])?);
        }
        Ok(dispatches)
    }

    /// The transform along an axis of the image: 0 down, 1 across.
    fn along(
        &self,
        axis: usize,
        weights: &[f64],
        weighted: Weighted,
        [source, result]: [&Buffer<f32>; 2],
    ) -> Result<Dispatch> {
        let sides = self.space.sides();
        let basis: Vec<f32> = waves(sides[axis]).iter().map(|&wave| wave as f32).collect();
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        let uniforms = ParametrizationUniforms {
            side: sides[axis] as u32,
            stride: if axis == 0 { sides[1] as u32 } else { 1 },
            weighted: weighted as u32,
            ..self.uniforms(source.len())
        };
        let uniform = self.gpu.uniform("waves", &uniforms);
        let basis = self.gpu.upload("waves", &basis)?;
        let weights = self.gpu.upload("weights of waves", &weights)?;
        let bindings = [
            (0, uniform.binding()),
            (1, basis.binding()),
            (2, weights.binding()),
            (3, source.binding()),
            (4, result.binding()),
        ];
        let kernel = self.gpu.kernel(&PARAMETRIZATION, "transform", &[]);
        Ok(kernel.bind(self.gpu, &bindings, grid(source.len(), 64)))
    }

    fn mix(&self, colors: &[[f64; 3]; 3], [source, result]: [&Buffer<f32>; 2]) -> Result<Dispatch> {
        let matrix: Vec<f32> = colors
            .iter()
            .flatten()
            .map(|&weight| weight as f32)
            .collect();
        let uniform = self.gpu.uniform("colors", &self.uniforms(source.len()));
        let matrix = self.gpu.upload("colors", &matrix)?;
        let bindings = [
            (0, uniform.binding()),
            (1, matrix.binding()),
            (3, source.binding()),
            (4, result.binding()),
        ];
        let kernel = self.gpu.kernel(&PARAMETRIZATION, "mix_colors", &[]);
        Ok(kernel.bind(self.gpu, &bindings, grid(source.len(), 64)))
    }

    fn uniforms(&self, count: usize) -> ParametrizationUniforms {
        ParametrizationUniforms {
            count: count as u32,
            positions: self.space.positions() as u32,
            channels: self.space.channels() as u32,
            side: 1,
            stride: 1,
            weighted: 0,
        }
    }
}
