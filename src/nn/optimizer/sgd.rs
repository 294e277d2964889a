//! Gradient descent with momentum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::InvalidSetting;
use crate::gpu::{Dispatch, Shader, grid};
use crate::invalid_setting::check_setting;
use crate::{gpu_struct, shader};

static SGD: Shader = shader!("nn/optimizer/sgd.wgsl");

/// `v = momentum v + (g + weight_decay w)`, `w -= lr v`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    #[serde(default = "default_lr")]
    pub lr: f64,
    /// Share of the last velocity that is kept.
    #[serde(default)]
    pub momentum: f64,
    /// L2 penalty, added to the gradient.
    #[serde(default)]
    pub weight_decay: f64,
}

const fn default_lr() -> f64 {
    1e-3
}

gpu_struct! {
    struct SgdUniforms in SGD::Uniforms {
        vectors: u32,
        learning_rate: f32,
        momentum: f32,
        weight_decay: f32,
    }
}

impl Sgd {
    /// Without momentum and weight decay.
    pub const fn new(lr: f64) -> Self {
        Self {
            lr,
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }

    pub(super) fn moments(&self) -> &'static [&'static str] {
        &["momentum_buffer"]
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        let valid = (0.0..1.0).contains(&self.momentum);
        let hint = "use a number of at least 0 and below 1";
        check_setting(valid, "momentum", self.momentum, hint)
    }

    pub(super) fn dispatch(&self, job: &Job<'_>) -> Dispatch {
        let uniform = job.gpu.uniform(
            "sgd",
            &SgdUniforms {
                vectors: job.tensor.vectors() as u32,
                learning_rate: self.lr as f32,
                momentum: self.momentum as f32,
                weight_decay: self.weight_decay as f32,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, job.values()),
            (2, job.gradients()),
            (3, job.moment(0)),
            (4, job.step_scale()),
        ];
        job.gpu.kernel(&SGD, "main", &job.constants).bind(
            job.gpu,
            &bindings,
            grid(job.tensor.vectors(), 64),
        )
    }

    /// The float64 reference implementation: one weight after a step, from its gradient and its memories.
    pub(super) fn reference_step(
        &self,
        weight: f64,
        gradient: f64,
        moments: &mut [&mut f64],
    ) -> f64 {
        let velocity = self.momentum * *moments[0] + gradient + self.weight_decay * weight;
        *moments[0] = velocity;
        weight - self.lr * velocity
    }
}
