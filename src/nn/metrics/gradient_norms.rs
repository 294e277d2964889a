//! The length of each parameter's gradient.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu, Reduction, Shader};
use crate::nn::Parameters;
use crate::shader;

static GRADIENT_NORMS: Shader = shader!("nn/metrics/gradient_norms.wgsl");
/// Workgroups of the first pass for each parameter, as in the shader.
const SLICES: usize = 16;

/// The Euclidean norm of the gradient of every parameter tensor that is updated, in two dispatches for all of them. Norms between
/// 1e-28 and the largest float32 come out within rounding errors, although their squares need not fit; a NaN or an
/// infinity among the gradients makes its norm one.
#[derive(Debug, Clone)]
pub struct GradientNorms {
    /// Names of the parameters, in their order.
    pub names: Vec<String>,
    /// Their norms, written by the dispatches.
    pub norms: Buffer<f32>,
    /// What computes them.
    pub dispatches: Vec<Dispatch>,
}

impl GradientNorms {
    /// The norms of `parameters`' gradients as they are when the dispatches run: before an optimizer has bounded them or
    /// put its updates in their place.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn new(gpu: &Gpu, parameters: &Parameters) -> Result<Self> {
        let (mut names, mut ranges) = (Vec::new(), Vec::new());
        for (name, range) in parameters.updated() {
            names.push(name.to_owned());
            ranges.push([range.start as u32, range.len() as u32]);
        }
        let count = ranges.len();
        let norms = gpu.buffer("gradient norms", count)?;
        let dispatches = if count == 0 {
            Vec::new()
        } else {
            // One vector of llvmpipe's reads what lies in one piece; a GPU's workgroup has several.
            let lanes: usize = match gpu.profile().reduction {
                Reduction::Serial => 8,
                Reduction::Parallel => 64,
            };
            let constants = [("LANES", lanes as f64)];
            let ranges = gpu.upload("ranges of parameters", &ranges)?;
            let sums: Buffer<[f32; 2]> =
                gpu.buffer("sums of squared gradients", count * SLICES * lanes)?;
            let squares = [
                (0, ranges.binding()),
                (1, parameters.gradients.binding()),
                (2, sums.binding()),
                (4, parameters.gradients.binding().as_image()),
            ];
            let roots = [(2, sums.binding()), (3, norms.binding())];
            vec![
                gpu.kernel(
                    &GRADIENT_NORMS,
                    "squares",
                    &[constants[0], gpu.profile().image_loads_constant()],
                )
                .bind(gpu, &squares, [SLICES as u32, count as u32, 1]),
                gpu.kernel(&GRADIENT_NORMS, "roots", &constants).bind(
                    gpu,
                    &roots,
                    [count as u32, 1, 1],
                ),
            ]
        };
        Ok(Self {
            names,
            norms,
            dispatches,
        })
    }
}

/// The float64 reference implementation: the norm of one gradient.
pub fn reference_norm(gradient: &[f64]) -> f64 {
    gradient
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
}
