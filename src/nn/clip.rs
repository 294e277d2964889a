//! Bounds on gradients before an optimizer sees them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::optimized_tensor::OptimizedTensor;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::invalid_setting::check_setting;
use crate::{InvalidSetting, Result, gpu_struct, shader};

static CLIP: Shader = shader!("nn/clip.wgsl");
/// Lanes of the first pass over the gradients, as in the shader.
const LANES: usize = 4096;

/// How gradients are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// Each element to this magnitude (PyTorch's `clip_grad_value_`); a NaN stays one.
    Value(f64),
    /// All gradients together to this Euclidean norm (PyTorch's `clip_grad_norm_` with its defaults): they are scaled
    /// by `min(1, bound / (norm + 1e-6))`. Where the norm is infinite that is 0, so that finite gradients become 0 and
    /// infinite ones NaN; where it is NaN, all become NaN. The squares are summed in float32: above about 1e19 the norm
    /// is infinite.
    Norm(f64),
}

gpu_struct! {
    struct ClipUniforms in CLIP::Uniforms {
        vectors: u32,
        bound: f32,
        not_a_number: u32,
    }
}

impl Clip {
    /// Constants of the optimizer's kernel.
    pub(super) fn constants(clip: Option<Self>) -> Vec<(&'static str, f64)> {
        match clip {
            Some(Self::Value(max_abs)) => vec![("MAX_ABS", max_abs)],
            _ => Vec::new(),
        }
    }

    /// The dispatches that write the norm and the gradients' scale to `step_scale`; none for a clip by value.
    pub(super) fn dispatches(
        self,
        gpu: &Gpu,
        tensor: OptimizedTensor<'_>,
        step_scale: &Buffer<f32>,
    ) -> Result<Vec<Dispatch>> {
        let Self::Norm(bound) = self else {
            return Ok(Vec::new());
        };
        let sums = gpu.buffer::<f32>("sums of squared gradients", LANES)?;
        let uniform = gpu.uniform(
            "clip",
            &ClipUniforms {
                vectors: tensor.vectors() as u32,
                bound: bound as f32,
                not_a_number: f32::NAN.to_bits(),
            },
        );
        let (uniform, sums) = (uniform.binding(), sums.binding());
        let squares = [(0, uniform), (1, tensor.gradients.binding()), (2, sums)];
        let scale = [(0, uniform), (2, sums), (3, step_scale.binding())];
        Ok(vec![
            gpu.kernel(&CLIP, "partial_sums", &[])
                .bind(gpu, &squares, [LANES as u32 / 64, 1, 1]),
            gpu.kernel(&CLIP, "scale", &[]).bind(gpu, &scale, [1, 1, 1]),
        ])
    }

    /// The reference implementation in float64: clips all gradients of a model.
    pub fn reference(self, gradients: &mut [Vec<f64>]) {
        match self {
            Self::Value(max_abs) => {
                for gradient in gradients.iter_mut().flatten() {
                    // NaN stays NaN.
                    *gradient = gradient.clamp(-max_abs, max_abs);
                }
            }
            Self::Norm(bound) => {
                let squares = gradients
                    .iter()
                    .flatten()
                    .map(|gradient| gradient * gradient);
                let scale = bound / (squares.sum::<f64>().sqrt() + 1e-6);
                let scale = if scale > 1.0 { 1.0 } else { scale };
                for gradient in gradients.iter_mut().flatten() {
                    *gradient *= scale;
                }
            }
        }
    }

    /// Whether the bound can work.
    ///
    /// # Errors
    /// It is not positive, or vanishes or overflows as float32.
    pub fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        let (key, bound) = match *self {
            Self::Value(bound) => ("value", bound),
            Self::Norm(bound) => ("norm", bound),
        };
        let valid = (1e-30..=1e30).contains(&bound);
        check_setting(valid, key, bound, "use a positive number, such as 1.0")
    }
}
