//! Adam and AdamW.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::InvalidSetting;
use crate::gpu::{Binding, Dispatch, Shader, grid};
use crate::invalid_setting::check_setting;
use crate::{gpu_struct, shader};

static ADAM: Shader = shader!("nn/optimizer/adam.wgsl");

/// The settings of Adam (Kingma and Ba 2015) and of AdamW (Loshchilov and Hutter 2019); PyTorch's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    #[serde(default = "default_lr")]
    pub lr: f64,
    /// Decay of the first moment.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Adam: an L2 penalty, added to the gradient; 0 where left out. AdamW: the share of a weight that a step of rate 1
    /// takes away, apart from the gradient; 0.01 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

/// Whether weight decay acts through the gradient or on the weights themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decay {
    /// Adam.
    Coupled,
    /// AdamW.
    Decoupled,
}

const fn default_beta1() -> f64 {
    0.9
}

const fn default_beta2() -> f64 {
    0.999
}

const fn default_eps() -> f64 {
    1e-8
}

const fn default_lr() -> f64 {
    1e-3
}

gpu_struct! {
    struct AdamUniforms in ADAM::Uniforms {
        vectors: u32,
        learning_rate: f32,
        complement1: f32,
        complement2: f32,
        log_beta1: f32,
        log_beta2: f32,
        epsilon: f32,
        weight_decay: f32,
    }
}

impl Adam {
    /// With PyTorch's defaults.
    pub const fn new(lr: f64) -> Self {
        Self {
            lr,
            beta1: default_beta1(),
            beta2: default_beta2(),
            eps: default_eps(),
            weight_decay: None,
        }
    }

    pub(super) fn moments(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            let valid = beta > 0.0 && beta < 1.0;
            check_setting(valid, key, beta, "use a number above 0 and below 1")?;
        }
        let valid = self.eps >= f64::from(f32::MIN_POSITIVE) && self.eps.is_finite();
        let hint = "use a positive number, which float32 does not round to 0";
        check_setting(valid, "eps", self.eps, hint)
    }

    pub(super) fn decay(&self, kind: Decay) -> f64 {
        let default = match kind {
            Decay::Coupled => 0.0,
            Decay::Decoupled => 0.01,
        };
        self.weight_decay.unwrap_or(default)
    }

    pub(super) fn dispatch(&self, kind: Decay, job: &Job<'_>) -> Dispatch {
        let mut constants = job.constants.clone();
        if kind == Decay::Decoupled {
            constants.push(("DECOUPLED", 1.0));
        }
        let uniform = job.gpu.uniform(
            "adam",
            &AdamUniforms {
                vectors: job.tensor.vectors() as u32,
                learning_rate: self.lr as f32,
                complement1: (1.0 - self.beta1) as f32,
                complement2: (1.0 - self.beta2) as f32,
                log_beta1: self.beta1.ln() as f32,
                log_beta2: self.beta2.ln() as f32,
                epsilon: self.eps as f32,
                weight_decay: self.decay(kind) as f32,
            },
        );
        let read_and_written = [job.values(), job.gradients(), job.moment(0), job.moment(1)];
        let mut bindings = vec![
            (0, uniform.binding()),
            (1, job.step_counter.binding()),
            (6, job.step_scale()),
        ];
        bindings.extend((2..).zip(read_and_written));
        bindings.extend((7..).zip(read_and_written.map(Binding::as_image)));
        constants.push(job.gpu.profile().image_loads_constant());
        job.gpu
            .kernel(&ADAM, "main", &constants)
            .bind(job.gpu, &bindings, grid(job.tensor.vectors(), 64))
            .with_bytes(read_and_written.iter().map(Binding::bytes).sum())
    }

    /// The float64 reference implementation: one weight after step `step`, counted from 0, from its gradient and its memories.
    pub(super) fn reference_step(
        &self,
        kind: Decay,
        step: u32,
        mut weight: f64,
        mut gradient: f64,
        moments: &mut [&mut f64],
    ) -> f64 {
        let decay = self.decay(kind);
        match kind {
            Decay::Coupled => gradient += decay * weight,
            Decay::Decoupled => weight -= self.lr * decay * weight,
        }
        let t = f64::from(step) + 1.0;
        *moments[0] = self.beta1 * *moments[0] + (1.0 - self.beta1) * gradient;
        *moments[1] = self.beta2 * *moments[1] + (1.0 - self.beta2) * gradient * gradient;
        let first = *moments[0] / (1.0 - self.beta1.powf(t));
        let second = *moments[1] / (1.0 - self.beta2.powf(t));
        weight - self.lr * first / (second.sqrt() + self.eps)
    }
}
