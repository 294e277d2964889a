//! RMSprop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::InvalidSetting;
use crate::gpu::{Dispatch, Shader, grid};
use crate::invalid_setting::check_setting;
use crate::{gpu_struct, shader};

static RMSPROP: Shader = shader!("nn/optimizer/rmsprop.wgsl");

/// RMSprop (Hinton 2012): the gradient over the root of its mean square. Where rounding puts the centered variance below
/// 0 it counts as 0; PyTorch's float32 gives NaN there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate.
    #[serde(default = "default_lr")]
    pub lr: f64,
    /// Decay of the mean square.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Share of the last velocity that is kept; 0 keeps none.
    #[serde(default)]
    pub momentum: f64,
    /// Divide by the root of the variance instead of the mean square.
    #[serde(default)]
    pub centered: bool,
    /// L2 penalty, added to the gradient.
    #[serde(default)]
    pub weight_decay: f64,
}

const fn default_alpha() -> f64 {
    0.99
}

const fn default_eps() -> f64 {
    1e-8
}

const fn default_lr() -> f64 {
    1e-2
}

gpu_struct! {
    struct RmsPropUniforms in RMSPROP::Uniforms {
        vectors: u32,
        learning_rate: f32,
        complement: f32,
        epsilon: f32,
        momentum: f32,
        weight_decay: f32,
    }
}

impl RmsProp {
    /// With PyTorch's defaults.
    pub const fn new(lr: f64) -> Self {
        Self {
            lr,
            alpha: default_alpha(),
            eps: default_eps(),
            momentum: 0.0,
            centered: false,
            weight_decay: 0.0,
        }
    }

    fn has_momentum(&self) -> bool {
        self.momentum > 0.0
    }

    pub(super) fn moments(&self) -> &'static [&'static str] {
        match (self.centered, self.has_momentum()) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        let valid = self.alpha > 0.0 && self.alpha < 1.0;
        check_setting(
            valid,
            "alpha",
            self.alpha,
            "use a number above 0 and below 1",
        )?;
        let valid = self.eps >= f64::from(f32::MIN_POSITIVE) && self.eps.is_finite();
        let hint = "use a positive number, which float32 does not round to 0";
        check_setting(valid, "eps", self.eps, hint)?;
        let valid = (0.0..1.0).contains(&self.momentum);
        let hint = "use a number of at least 0 and below 1";
        check_setting(valid, "momentum", self.momentum, hint)
    }

    pub(super) fn dispatch(&self, job: &Job<'_>) -> Dispatch {
        let uniform = job.gpu.uniform(
            "rmsprop",
            &RmsPropUniforms {
                vectors: job.tensor.vectors() as u32,
                learning_rate: self.lr as f32,
                complement: (1.0 - self.alpha) as f32,
                epsilon: self.eps as f32,
                momentum: self.momentum as f32,
                weight_decay: self.weight_decay as f32,
            },
        );
        // Bindings of the memories, in their order.
        let (entry, memories): (_, &[u32]) = match (self.centered, self.has_momentum()) {
            (false, false) => ("plain", &[4]),
            (false, true) => ("with_momentum", &[4, 6]),
            (true, false) => ("centered", &[4, 5]),
            (true, true) => ("centered_with_momentum", &[4, 5, 6]),
        };
        let mut bindings = vec![
            (0, uniform.binding()),
            (1, job.step_scale()),
            (2, job.values()),
            (3, job.gradients()),
        ];
        bindings.extend(
            memories
                .iter()
                .enumerate()
                .map(|(i, &at)| (at, job.moment(i))),
        );
        job.gpu.kernel(&RMSPROP, entry, &job.constants).bind(
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
        let gradient = gradient + self.weight_decay * weight;
        let square = self.alpha * *moments[0] + (1.0 - self.alpha) * gradient * gradient;
        *moments[0] = square;
        let mut variance = square;
        if self.centered {
            let mean = self.alpha * *moments[1] + (1.0 - self.alpha) * gradient;
            *moments[1] = mean;
            variance = (square - mean * mean).max(0.0);
        }
        let mut direction = gradient / (variance.sqrt() + self.eps);
        if self.has_momentum() {
            let velocity = &mut *moments[1 + usize::from(self.centered)];
            direction += self.momentum * *velocity;
            *velocity = direction;
        }
        weight - self.lr * direction
    }
}
