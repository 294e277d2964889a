//! Spectral normalization of a weight (Miyato et al. 2018), for operations whose weight is a matrix `[rows, columns]`:
//! a dense layer's, or a convolution's `[out, in * height * width]`.
//!
//! As PyTorch's `torch.nn.utils.spectral_norm` with its defaults: one step of power iteration before each pass in training,
//! none in evaluation; the gradient takes the singular vectors for constants. The parameter is then `weight_orig`, the
//! state `weight_u` `[rows]` and `weight_v` `[columns]`.
//!
//! In [`Mode::TrainFrozenState`] the step of the power iteration writes its vectors to
//! shared memory instead of the state, and the workspace keeps them for the backward pass.

use std::borrow::Cow;

use super::operation::{Context, ParameterSlice, ParameterSpec, ReferenceForward};
use super::vectors::copy;
use super::{Initialization, Mode};
use crate::gpu::{Binding, Buffer, Dispatch, Scratch, Shader, grid};
use crate::{Result, gpu_struct, shader};

static SPECTRAL_NORM: Shader = shader!("nn/spectral_norm.wgsl");

/// Below this a vector is not made longer.
const EPSILON: f32 = 1e-12;
/// A binding starts on a multiple of so many elements.
const ALIGNMENT: usize = 64;
/// The label of the shared memory that holds singular vectors which are no state.
const SINGULAR_VECTORS: &str = "singular vectors";

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

/// The weight and its singular vectors, before and after a step of the power iteration.
#[derive(Clone, Copy)]
struct Vectors<'a> {
    weight: ParameterSlice<'a>,
    u: Binding<'a>,
    next_u: Binding<'a>,
    next_v: Binding<'a>,
}

/// The weight of an operation, its first parameter: as it is, or normalized. In the latter case the state follows
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

    pub fn scratch(self, mode: Mode) -> Option<Scratch> {
        self.0.and_then(|norm| norm.scratch(mode))
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
    ) -> Result<Vec<Dispatch>> {
        match (self.0, workspace) {
            (Some(norm), Some(workspace)) => norm.forward(context, parameters, workspace),
            _ => Ok(Vec::new()),
        }
    }

    /// What comes when the gradient of [`Weight::value`] is where the parameter's gradient is kept.
    pub fn backward(
        self,
        context: &Context<'_>,
        parameters: &[ParameterSlice<'_>],
        workspace: Option<&Buffer<f32>>,
    ) -> Result<Vec<Dispatch>> {
        match (self.0, workspace) {
            (Some(norm), Some(workspace)) => norm.backward(context, parameters, workspace),
            _ => Ok(Vec::new()),
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

/// What the power iteration gives in float64.
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

/// Whether a pass takes a step of the power iteration that the state must not keep.
fn is_frozen(mode: Mode) -> bool {
    mode.is_training() && !mode.updates_state()
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

    /// Elements of the workspace: two scalars, a product, the scaled weight, and the vectors of a pass that leaves the state
    /// as it is.
    pub fn workspace(self) -> usize {
        self.vectors_start() + self.vectors_len()
    }

    fn vectors_start(self) -> usize {
        self.weight_end().next_multiple_of(ALIGNMENT)
    }

    fn vectors_len(self) -> usize {
        self.rows.next_multiple_of(ALIGNMENT) + self.columns
    }

    fn weight_end(self) -> usize {
        self.weight_start() + self.rows * self.columns
    }

    /// What the power iteration takes of the memory that all operations share.
    fn scratch(self, mode: Mode) -> Option<Scratch> {
        is_frozen(mode).then(|| Scratch::new(SINGULAR_VECTORS, self.vectors_len()))
    }

    fn weight_start(self) -> usize {
        ALIGNMENT + self.rows.max(self.columns).next_multiple_of(ALIGNMENT)
    }

    /// The scaled weight in the workspace.
    pub fn scaled(self, workspace: &Buffer<f32>) -> Binding<'_> {
        workspace.binding_of(self.weight_start()..self.weight_end())
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
        let (u, v) = (vectors.next_u, vectors.next_v);
        let scalars = (5, workspace.binding_of(0..2));
        let scaled = (6, self.scaled(workspace));
        let gradient = (7, vectors.weight.gradient());
        let (mut bindings, constants, workgroups): (_, &[_], _) = match entry {
            "multiply_left" => (
                vec![weight, product, (3, vectors.u)],
                &[],
                grid(self.columns, 64),
            ),
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

    /// Where a pass finds and leaves the singular vectors: in the state, or, where that is left as it is, in shared memory
    /// (`frozen`).
    fn vectors<'a>(
        self,
        parameters: &[ParameterSlice<'a>],
        frozen: Option<&'a Buffer<f32>>,
    ) -> Vectors<'a> {
        let [u, v] = [2, 3].map(|i| parameters[i].value());
        let [next_u, next_v] = match frozen {
            None => [u, v],
            Some(frozen) => {
                let v = self.rows.next_multiple_of(ALIGNMENT);
                [
                    frozen.binding_of(0..self.rows),
                    frozen.binding_of(v..v + self.columns),
                ]
            }
        };
        Vectors {
            weight: parameters[0],
            u,
            next_u,
            next_v,
        }
    }

    /// Shared memory for the vectors of a pass in training that leaves the state as it is.
    fn frozen(self, context: &Context<'_>) -> Result<Option<Buffer<f32>>> {
        is_frozen(context.mode)
            .then(|| context.gpu.scratch(SINGULAR_VECTORS, self.vectors_len()))
            .transpose()
    }

    fn kept_vectors(self, workspace: &Buffer<f32>) -> Binding<'_> {
        workspace.binding_of(self.vectors_start()..self.workspace())
    }

    /// The dispatches that put the scaled weight into the workspace.
    ///
    /// # Errors
    /// The adapter's limits.
    fn forward(
        self,
        context: &Context<'_>,
        parameters: &[ParameterSlice<'_>],
        workspace: &Buffer<f32>,
    ) -> Result<Vec<Dispatch>> {
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
        let frozen = self.frozen(context)?;
        let vectors = self.vectors(parameters, frozen.as_ref());
        let mut dispatches: Vec<Dispatch> = entries
            .iter()
            .map(|entry| self.dispatch(context, entry, &vectors, workspace))
            .collect();
        if let Some(frozen) = &frozen {
            let (kept, range) = (self.kept_vectors(workspace), 0..self.vectors_len());
            dispatches.push(copy(context.gpu, kept, frozen.binding(), range));
        }
        Ok(dispatches)
    }

    /// The dispatches that turn the gradient of the scaled weight, in the gradient of the weight, into that of the weight.
    ///
    /// # Errors
    /// The adapter's limits.
    fn backward(
        self,
        context: &Context<'_>,
        parameters: &[ParameterSlice<'_>],
        workspace: &Buffer<f32>,
    ) -> Result<Vec<Dispatch>> {
        let frozen = self.frozen(context)?;
        let vectors = self.vectors(parameters, frozen.as_ref());
        let mut dispatches = Vec::new();
        if let Some(frozen) = &frozen {
            let (kept, range) = (self.kept_vectors(workspace), 0..self.vectors_len());
            dispatches.push(copy(context.gpu, frozen.binding(), kept, range));
        }
        let each =
            ["project", "backward"].map(|entry| self.dispatch(context, entry, &vectors, workspace));
        dispatches.extend(each);
        Ok(dispatches)
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
