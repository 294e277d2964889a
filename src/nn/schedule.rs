//! How the learning rate changes over the steps, computed on the GPU from the step counter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InvalidSetting;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::invalid_setting::check_setting;
use crate::{gpu_struct, shader};

static SCHEDULE: Shader = shader!("nn/schedule.wgsl");

/// What share of its learning rate an optimizer uses in a step. All of them may begin with a linear warm-up: step `t`
/// of `warmup` uses `(t + 1) / warmup`; what follows is counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// All of it.
    Constant {
        /// Steps of the warm-up.
        #[serde(default)]
        warmup: u32,
    },
    /// Times `factor` after every `every` steps (PyTorch's `StepLR`); each change rounds to float32.
    Step {
        /// Steps between two changes.
        every: u32,
        /// Of each change.
        factor: f64,
        /// Steps of the warm-up.
        #[serde(default)]
        warmup: u32,
    },
    /// Half a cosine from 1 down to `floor` at step `steps`, warm-up included, and `floor` from there on (PyTorch's
    /// `CosineAnnealingLR`; Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// The step at which it ends.
        steps: u32,
        /// Steps of the warm-up.
        #[serde(default)]
        warmup: u32,
        /// The least share.
        #[serde(default)]
        floor: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant { warmup: 0 }
    }
}

gpu_struct! {
    struct ScheduleUniforms in SCHEDULE::Uniforms {
        kind: u32,
        period: u32,
        warmup: u32,
        factor: f32,
    }
}

impl Schedule {
    fn warmup(&self) -> u32 {
        match *self {
            Self::Constant { warmup } | Self::Step { warmup, .. } | Self::Cosine { warmup, .. } => {
                warmup
            }
        }
    }

    /// The dispatch that writes the share of the step in `step_counter`'s first word to `step_scale`; `None` where it is 1 in every
    /// step.
    pub(super) fn dispatch(
        &self,
        gpu: &Gpu,
        step_counter: &Buffer<u32>,
        step_scale: &Buffer<f32>,
    ) -> Option<Dispatch> {
        let (kind, period, factor) = match *self {
            Self::Constant { warmup: 0 } => return None,
            Self::Constant { .. } => (0, 1, 1.0),
            Self::Step { every, factor, .. } => (1, every, factor),
            Self::Cosine {
                steps,
                warmup,
                floor,
            } => (2, steps.saturating_sub(warmup), floor),
        };
        let uniform = gpu.uniform(
            "schedule",
            &ScheduleUniforms {
                kind,
                period,
                warmup: self.warmup(),
                factor: factor as f32,
            },
        );
        Some(gpu.kernel(&SCHEDULE, "main", &[]).bind(
            gpu,
            &[
                (0, uniform.binding()),
                (1, step_counter.binding()),
                (2, step_scale.binding()),
            ],
            [1, 1, 1],
        ))
    }

    /// The float64 reference implementation: the share of `step`, counted from 0.
    pub fn share(&self, step: u32) -> f64 {
        let warmup = self.warmup();
        if step < warmup {
            return (f64::from(step) + 1.0) / f64::from(warmup);
        }
        let at = step - warmup;
        match *self {
            Self::Constant { .. } => 1.0,
            Self::Step { every, factor, .. } => factor.powf(f64::from(at / every)),
            Self::Cosine { steps, floor, .. } => {
                let period = steps - warmup;
                let progress = f64::from(at.min(period)) / f64::from(period);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }

    /// Whether the settings can work.
    ///
    /// # Errors
    /// A period of no steps, a factor or floor out of range, or a warm-up that is as long as the schedule.
    pub fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        match *self {
            Self::Constant { .. } => Ok(()),
            Self::Step { every, factor, .. } => {
                check_setting(every >= 1, "step.every", every, "use at least 1")?;
                let valid = factor > 0.0 && factor <= 1.0;
                check_setting(
                    valid,
                    "step.factor",
                    factor,
                    "use a number above 0 and at most 1",
                )
            }
            Self::Cosine {
                steps,
                warmup,
                floor,
            } => {
                let hint = format!("use more steps than the warmup of {warmup}");
                check_setting(steps > warmup, "cosine.steps", steps, &hint)?;
                let valid = (0.0..=1.0).contains(&floor);
                check_setting(valid, "cosine.floor", floor, "use a number from 0 to 1")
            }
        }
    }
}
