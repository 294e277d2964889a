//! Spectral normalization of a weight (Miyato et al. 2018), for operations whose weight is a matrix `[rows, columns]`:
//! a dense layer's, or a convolution's `[out, in * height * width]`.
//!
//! As PyTorch's `torch.nn.utils.spectral_norm` with its defaults: one step of power iteration before each pass in training,
//! none in inference; the gradient takes the singular vectors for constants. The parameter is then `weight_orig`, the
//! state `weight_u` `[rows]` and `weight_v` `[columns]`.

use std::borrow::Cow;

use super::Initialization;
use super::operation::{Context, ParameterSlice, ParameterSpec, ReferenceForward};
use crate::gpu::{Binding, Buffer, Dispatch, Shader, grid};
use crate::{gpu_struct, shader};

static SPECTRAL_NORM: Shader = shader!("nn/spectral_norm.wgsl");

/// Below this a vector is not made longer.
const EPSILON: f32 = 1e-12;
/// A binding starts on a multiple of this.
const ALIGNMENT: usize = 64;

/// The normalization of a weight of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpectralNorm {
    /// Outputs.
    pub rows: usize,
    /// Weights of an output.
    pub columns: usize,
}

gpu_struct! {
    struct SpectralNormUniforms in SPECTRAL_NORM::Uniforms {
        rows: u32,
        columns: u32,
        epsilon: f32,
    }
}

/// Weight and singular vectors in the parameters.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    /// `weight_orig`.
    pub weight: ParameterSlice<'a>,
    /// `weight_u`.
    pub u: ParameterSlice<'a>,
    /// `weight_v`.
    pub v: ParameterSlice<'a>,
}

/// The weight of an operation, its first parameter: as it is, or normalized. In the latter case the state stands behind
/// weight and bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight(pub Option<SpectralNorm>);

impl Weight {
    /// The parameter's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Some(_) => "weight_orig",
            None => "weight",
        }
    }

    pub fn buffers(self) -> Vec<ParameterSpec> {
        self.0.map_or_else(Vec::new, SpectralNorm::buffers)
    }

    pub fn workspace(self) -> usize {
        self.0.map_or(0, SpectralNorm::workspace)
    }

    /// What multiplies the inputs: the parameter, or what the norm makes of it.
    pub fn value<'a>(
        self,
        parameters: &'a [ParameterSlice<'a>],
        workspace: Option<&'a Buffer<f32>>,
    ) -> Binding<'a> {
        match (self.0, workspace) {
            (Some(norm), Some(workspace)) => norm.scaled(workspace),
            _ => parameters[0].value(),
        }
    }

    /// What comes before the forward pass.
    pub fn forward(
        self,
        context: &Context<'_>,
        parameters: &[ParameterSlice<'_>],
        workspace: Option<&Buffer<f32>>,
    ) -> Vec<Dispatch> {
        match (self.0, workspace) {
            (Some(norm), Some(workspace)) => {
                norm.forward(context, &Vectors::of(parameters), workspace)
            }
            _ => Vec::new(),
        }
    }

    /// What comes when the gradient of [`Weight::value`] is in the parameter's place.
    pub fn backward(
        self,
        context: &Context<'_>,
        parameters: &[ParameterSlice<'_>],
        workspace: Option<&Buffer<f32>>,
    ) -> Vec<Dispatch> {
        match (self.0, workspace) {
            (Some(norm), Some(workspace)) => {
                norm.backward(context, &Vectors::of(parameters), workspace)
            }
            _ => Vec::new(),
        }
    }

    /// The value in float64, and how it came about.
    pub fn reference<'a>(self, io: &ReferenceForward<'a>) -> (Cow<'a, [f64]>, Option<Reference>) {
        let weight = io.parameters[0];
        let Some(norm) = self.0 else {
            return (Cow::Borrowed(weight), None);
        };
        let normed = norm.reference(
            weight,
            io.parameters[2],
            io.parameters[3],
            io.mode.is_training(),
        );
        (Cow::Owned(normed.scaled.clone()), Some(normed))
    }

    /// The state after a step in float64.
    pub fn reference_buffers(self, io: &ReferenceForward<'_>) -> Vec<Vec<f64>> {
        let (_, norm) = self.reference(io);
        norm.map_or_else(Vec::new, |norm| vec![norm.u, norm.v])
    }
}

impl<'a> Vectors<'a> {
    fn of(parameters: &[ParameterSlice<'a>]) -> Self {
        Self {
            weight: parameters[0],
            u: parameters[2],
            v: parameters[3],
        }
    }
}

/// What a float64 twin's power iteration gives.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The left singular vector.
    pub u: Vec<f64>,
    /// The right one.
    pub v: Vec<f64>,
    /// The singular value.
    pub sigma: f64,
    /// The weight over it.
    pub scaled: Vec<f64>,
}

impl SpectralNorm {
    /// The state: `weight_u` and `weight_v`, in random directions.
    pub fn buffers(self) -> Vec<ParameterSpec> {
        let spec = |name, len| ParameterSpec {
            name,
            shape: vec![len],
            initialization: Initialization::Direction,
        };
        vec![spec("weight_u", self.rows), spec("weight_v", self.columns)]
    }

    /// Elements of the workspace that [`SpectralNorm::forward`] needs: two scalars, a product, the scaled weight.
    pub fn workspace(self) -> usize {
        self.weight_start() + self.rows * self.columns
    }

    fn weight_start(self) -> usize {
        ALIGNMENT + self.rows.max(self.columns).next_multiple_of(ALIGNMENT)
    }

    /// The scaled weight's place in the workspace.
    pub fn scaled(self, workspace: &Buffer<f32>) -> Binding<'_> {
        workspace.binding_of(self.weight_start()..self.workspace())
    }

    fn dispatch(
        self,
        context: &Context<'_>,
        entry: &'static str,
        vectors: &Vectors<'_>,
        workspace: &Buffer<f32>,
    ) -> Dispatch {
        let gpu = context.gpu;
        let uniform = gpu.uniform(
            "spectral norm",
            &SpectralNormUniforms {
                rows: self.rows as u32,
                columns: self.columns as u32,
                epsilon: EPSILON,
            },
        );
        let by_rows = context.long_row_constants();
        let elements = grid(self.rows * self.columns, 64);
        let weight = (1, vectors.weight.value());
        let product = (2, workspace.binding_of(ALIGNMENT..self.weight_start()));
        let (u, v) = (vectors.u.value(), vectors.v.value());
        let scalars = (5, workspace.binding_of(0..2));
        let scaled = (6, self.scaled(workspace));
        let gradient = (7, vectors.weight.gradient());
        let (mut bindings, constants, workgroups): (_, &[_], _) = match entry {
            "multiply_left" => (vec![weight, product, (3, u)], &[], grid(self.columns, 64)),
            "multiply_right" => (
                vec![weight, product, (4, v)],
                &by_rows,
                context.long_row_grid(self.rows),
            ),
            "normalize_v" => (vec![product, (4, v)], &[], [1, 1, 1]),
            "normalize_u" => (vec![product, (4, u), scalars], &[], [1, 1, 1]),
            "measure" => (vec![product, (3, u), scalars], &[], [1, 1, 1]),
            "scale" => (vec![weight, scalars, scaled], &[], elements),
            "project" => (vec![scalars, scaled, gradient], &[], [1, 1, 1]),
            _ => (vec![(3, u), (4, v), scalars, gradient], &[], elements),
        };
        bindings.push((0, uniform.binding()));
        gpu.kernel(&SPECTRAL_NORM, entry, constants)
            .bind(gpu, &bindings, workgroups)
    }

    /// The dispatches that put the scaled weight into the workspace.
    pub fn forward(
        self,
        context: &Context<'_>,
        vectors: &Vectors<'_>,
        workspace: &Buffer<f32>,
    ) -> Vec<Dispatch> {
        let entries: &[&'static str] = if context.mode.is_training() {
            &[
                "multiply_left",
                "normalize_v",
                "multiply_right",
                "normalize_u",
                "scale",
            ]
        } else {
            &["multiply_right", "measure", "scale"]
        };
        let each = entries.iter();
        each.map(|entry| self.dispatch(context, entry, vectors, workspace))
            .collect()
    }

    /// The dispatches that turn the gradient of the scaled weight, in the weight's own place, into the weight's.
    pub fn backward(
        self,
        context: &Context<'_>,
        vectors: &Vectors<'_>,
        workspace: &Buffer<f32>,
    ) -> Vec<Dispatch> {
        ["project", "backward"]
            .map(|entry| self.dispatch(context, entry, vectors, workspace))
            .into()
    }

    /// The forward pass in float64.
    pub fn reference(self, weight: &[f64], u: &[f64], v: &[f64], training: bool) -> Reference {
        let normalized = |values: Vec<f64>| {
            let squares: f64 = values.iter().map(|value| value * value).sum();
            let length = squares.sqrt().max(f64::from(EPSILON));
            values
                .iter()
                .map(|value| value / length)
                .collect::<Vec<f64>>()
        };
        let right = |v: &[f64]| -> Vec<f64> {
            let rows = weight.chunks(self.columns);
            rows.map(|row| row.iter().zip(v).map(|(w, v)| w * v).sum())
                .collect()
        };
        let (mut u, mut v) = (u.to_vec(), v.to_vec());
        if training {
            let mut left = vec![0.0; self.columns];
            for (row, u) in weight.chunks(self.columns).zip(&u) {
                left.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * u);
            }
            v = normalized(left);
            u = normalized(right(&v));
        }
        let sigma: f64 = u.iter().zip(right(&v)).map(|(u, p)| u * p).sum();
        Reference {
            scaled: weight.iter().map(|w| w / sigma).collect(),
            u,
            v,
            sigma,
        }
    }
}

impl Reference {
    /// The weight's gradient from that of the scaled weight.
    pub fn backward(&self, gradient: &[f64]) -> Vec<f64> {
        let projected: f64 = self.scaled.iter().zip(gradient).map(|(w, g)| w * g).sum();
        let columns = self.v.len();
        let each = gradient.iter().enumerate();
        each.map(|(i, g)| {
            let outer = self.u[i / columns] * self.v[i % columns];
            (g - projected * outer) / self.sigma
        })
        .collect()
    }
}
