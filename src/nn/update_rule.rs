//! A whole update of the parameters: schedule, clipping, optimizer and the average of weights.

use super::clip::Clip;
use super::optimized_tensor::OptimizedTensor;
use super::optimizer::{Optimizer, OptimizerState};
use super::schedule::Schedule;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{Result, gpu_struct, shader};

static EMA: Shader = shader!("nn/update_rule.wgsl");

/// The memory in which [`UpdateRule::ema`] is kept.
const AVERAGE: &str = "ema";

/// From gradients to new parameters. An [`Optimizer`] alone is one, with `UpdateRule::from`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UpdateRule {
    /// How gradients become updates.
    pub optimizer: Optimizer,
    /// Share of the learning rate in each step.
    pub schedule: Schedule,
    /// Bound on the gradients.
    pub clip: Option<Clip>,
    /// Decay of an exponential moving average of the parameters, kept with the optimizer's memories as `ema`. It begins
    /// with the parameters after the first step (PyTorch's `AveragedModel`) and holds what is trainable, no state.
    pub ema: Option<f64>,
}

impl From<Optimizer> for UpdateRule {
    fn from(optimizer: Optimizer) -> Self {
        Self {
            optimizer,
            ..Self::default()
        }
    }
}

gpu_struct! {
    struct EmaUniforms in EMA::Uniforms {
        vectors: u32,
        complement: f32,
    }
}

impl UpdateRule {
    /// Buffers of the size of what is trainable that [`UpdateRule::state`] makes.
    pub fn memories(&self) -> usize {
        self.optimizer.moments().len() + usize::from(self.ema.is_some())
    }

    /// A zeroed memory for `tensor`: parameters or an [`OptimizedTensor`].
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn state<'a>(
        &self,
        gpu: &Gpu,
        tensor: impl Into<OptimizedTensor<'a>>,
    ) -> Result<OptimizerState> {
        let tensor = tensor.into();
        let mut state = self.optimizer.state(gpu, tensor)?;
        if self.ema.is_some() {
            let average = gpu.buffer(AVERAGE, tensor.memory)?;
            state.moments.push((AVERAGE, average));
        }
        Ok(state)
    }

    /// The dispatches that update `tensor` from its gradients; with `keep_updates` they leave the updates in place
    /// of those, for a probe to read. `step_counter`'s first word is the step, counted from 0: all that changes from step to
    /// step follows from it.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn dispatches<'a>(
        &self,
        gpu: &Gpu,
        tensor: impl Into<OptimizedTensor<'a>>,
        state: &OptimizerState,
        step_counter: &Buffer<u32>,
        keep_updates: bool,
    ) -> Result<Vec<Dispatch>> {
        let tensor = tensor.into();
        let step_scale = &state.step_scale;
        let mut dispatches: Vec<Dispatch> = self
            .schedule
            .dispatch(gpu, step_counter, step_scale)
            .into_iter()
            .collect();
        // A network all of which is frozen has nothing to update.
        if tensor.len > 0 {
            if let Some(clip) = self.clip {
                dispatches.extend(clip.dispatches(gpu, tensor, step_scale)?);
            }
            dispatches.push(self.optimizer.clipped_dispatch(
                gpu,
                tensor,
                state,
                step_counter,
                self.clip,
                keep_updates,
            ));
        }
        if let (Some(decay), Some(average)) = (self.ema, state.memory(AVERAGE)) {
            let vectors = tensor.memory.div_ceil(4);
            let uniform = gpu.uniform(
                "ema",
                &EmaUniforms {
                    vectors: vectors as u32,
                    complement: (1.0 - decay) as f32,
                },
            );
            let bindings = [
                (0, uniform.binding()),
                (1, step_counter.binding()),
                (2, tensor.values.binding()),
                (3, average.binding()),
            ];
            let kernel = gpu.kernel(&EMA, "main", &[]);
            dispatches.push(kernel.bind(gpu, &bindings, grid(vectors, 64)));
        }
        Ok(dispatches)
    }

    /// The float64 reference implementation of one step on all parameters: `moments` of each as in [`OptimizerState::moments`], `step`
    /// counted from 0. The gradients are left clipped.
    pub fn reference_step(
        &self,
        weights: &mut [Vec<f64>],
        gradients: &mut [Vec<f64>],
        moments: &mut [Vec<Vec<f64>>],
        step: u32,
    ) {
        if let Some(clip) = self.clip {
            clip.reference(gradients);
        }
        let optimizer = self.optimizer.scaled(self.schedule.share(step));
        for ((weights, gradients), moments) in weights.iter_mut().zip(gradients).zip(moments) {
            optimizer.reference_step(weights, gradients, moments, step);
            let Some(decay) = self.ema else {
                continue;
            };
            let averages = moments.last_mut().expect("the average is a memory");
            for (average, &weight) in averages.iter_mut().zip(weights.iter()) {
                *average = if step == 0 {
                    weight
                } else {
                    decay * *average + (1.0 - decay) * weight
                };
            }
        }
    }
}
