//! Optimizers: one dispatch over all trainable parameters.

mod adam;
mod rmsprop;
mod sgd;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clip::Clip;
use super::optimized_tensor::OptimizedTensor;
use super::parameters::Parameters;
use crate::gpu::{Binding, Buffer, Dispatch, Gpu};
use crate::invalid_setting::check_setting;
use crate::tensor::NamedTensor;
use crate::{Error, InvalidSetting, Result};

pub use adam::Adam;
use adam::Decay;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;

/// How gradients become updates; the formulas are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Gradient descent with momentum.
    Sgd(Sgd),
    /// Adam (Kingma and Ba 2015).
    Adam(Adam),
    /// Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
    AdamW(Adam),
    /// RMSprop (Hinton 2012).
    RmsProp(RmsProp),
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam(Adam::new(1e-3))
    }
}

/// What an optimizer's dispatch works on.
struct Job<'a> {
    gpu: &'a Gpu,
    tensor: OptimizedTensor<'a>,
    state: &'a OptimizerState,
    step_counter: &'a Buffer<u32>,
    constants: Vec<(&'static str, f64)>,
}

impl Job<'_> {
    fn values(&self) -> Binding<'_> {
        self.tensor.values.binding()
    }

    fn gradients(&self) -> Binding<'_> {
        self.tensor.gradients.binding()
    }

    fn moment(&self, index: usize) -> Binding<'_> {
        self.state.moments[index].1.binding()
    }

    fn step_scale(&self) -> Binding<'_> {
        self.state.step_scale.binding()
    }
}

/// What an optimizer remembers between steps, laid out like the trainable parameters.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    /// PyTorch's name of each memory, and its buffer.
    pub moments: Vec<(&'static str, Buffer<f32>)>,
    /// Share of the learning rate, scale of the gradients and their norm in the present step: computed anew in each
    /// step, or 1.
    pub(super) step_scale: Buffer<f32>,
}

impl Optimizer {
    /// PyTorch's names of what it remembers.
    pub(super) fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(sgd) => sgd.moments(),
            Self::Adam(adam) | Self::AdamW(adam) => adam.moments(),
            Self::RmsProp(rmsprop) => rmsprop.moments(),
        }
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
        let len = tensor.into().memory;
        let moments = self
            .moments()
            .iter()
            .map(|name| Ok((*name, gpu.buffer(name, len)?)))
            .collect::<Result<_>>()?;
        let step_scale = gpu.upload("step_scale", &[1.0, 1.0, 0.0, 0.0])?;
        Ok(OptimizerState {
            moments,
            step_scale,
        })
    }

    /// The dispatch that updates `tensor` from its gradients and leaves the updates in place of those. `step_counter`'s
    /// first word is the step, counted from 0.
    pub fn dispatch<'a>(
        &self,
        gpu: &Gpu,
        tensor: impl Into<OptimizedTensor<'a>>,
        state: &OptimizerState,
        step_counter: &Buffer<u32>,
    ) -> Dispatch {
        self.clipped_dispatch(gpu, tensor.into(), state, step_counter, None, true)
    }

    /// The same, of gradients as `clip` leaves them; without `keep_updates` these stay where they are.
    pub(super) fn clipped_dispatch(
        &self,
        gpu: &Gpu,
        tensor: OptimizedTensor<'_>,
        state: &OptimizerState,
        step_counter: &Buffer<u32>,
        clip: Option<Clip>,
        keep_updates: bool,
    ) -> Dispatch {
        let mut constants = Clip::constants(clip);
        constants.push(("KEEP_UPDATES", f64::from(u8::from(keep_updates))));
        let job = Job {
            gpu,
            tensor,
            state,
            step_counter,
            constants,
        };
        let dispatch = match self {
            Self::Sgd(sgd) => sgd.dispatch(&job),
            Self::Adam(adam) => adam.dispatch(Decay::Coupled, &job),
            Self::AdamW(adam) => adam.dispatch(Decay::Decoupled, &job),
            Self::RmsProp(rmsprop) => rmsprop.dispatch(&job),
        };
        // Parameters, gradients and memories are all read and written.
        let bytes = 2 * dispatch.bytes();
        dispatch.with_bytes(bytes)
    }

    /// Whether the settings can work; a key in the error begins with the optimizer's name, as in `adam.lr`.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        let (name, lr, own) = match self {
            Self::Sgd(sgd) => ("sgd", sgd.lr, sgd.validate()),
            Self::Adam(adam) => ("adam", adam.lr, adam.validate()),
            Self::AdamW(adam) => ("adamw", adam.lr, adam.validate()),
            Self::RmsProp(rmsprop) => ("rmsprop", rmsprop.lr, rmsprop.validate()),
        };
        let weight_decay = self.weight_decay();
        let positive = lr > 0.0 && lr.is_finite();
        let not_negative = weight_decay >= 0.0 && weight_decay.is_finite();
        own.and_then(|()| check_setting(positive, "lr", lr, "use a positive number"))
            .and_then(|()| {
                let hint = "use a number of at least 0";
                check_setting(not_negative, "weight_decay", weight_decay, hint)
            })
            .map_err(|error| error.within(name))
    }

    /// The strength of its weight decay: of AdamW apart from the gradient, of all others an L2 penalty.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Sgd(sgd) => sgd.weight_decay,
            Self::Adam(adam) => adam.decay(Decay::Coupled),
            Self::AdamW(adam) => adam.decay(Decay::Decoupled),
            Self::RmsProp(rmsprop) => rmsprop.weight_decay,
        }
    }

    /// The same with `share` of its learning rate.
    pub(super) fn scaled(mut self, share: f64) -> Self {
        *match &mut self {
            Self::Sgd(sgd) => &mut sgd.lr,
            Self::Adam(adam) | Self::AdamW(adam) => &mut adam.lr,
            Self::RmsProp(rmsprop) => &mut rmsprop.lr,
        } *= share;
        self
    }

    /// The float64 reference implementation of one step on one parameter: `moments` as in [`OptimizerState::moments`], `step` counted
    /// from 0.
    pub fn reference_step(
        &self,
        weights: &mut [f64],
        gradients: &[f64],
        moments: &mut [Vec<f64>],
        step: u32,
    ) {
        for (i, (weight, &gradient)) in weights.iter_mut().zip(gradients).enumerate() {
            let mut own: Vec<&mut f64> = moments.iter_mut().map(|all| &mut all[i]).collect();
            *weight = match self {
                Self::Sgd(sgd) => sgd.reference_step(*weight, gradient, &mut own),
                Self::Adam(adam) => {
                    adam.reference_step(Decay::Coupled, step, *weight, gradient, &mut own)
                }
                Self::AdamW(adam) => {
                    adam.reference_step(Decay::Decoupled, step, *weight, gradient, &mut own)
                }
                Self::RmsProp(rmsprop) => rmsprop.reference_step(*weight, gradient, &mut own),
            };
        }
    }
}

impl OptimizerState {
    /// The buffer of a memory, laid out like the trainable parameters.
    pub fn memory(&self, name: &str) -> Option<&Buffer<f32>> {
        let found = self.moments.iter().find(|(memory, _)| *memory == name);
        found.map(|(_, buffer)| buffer)
    }

    /// Share of the learning rate and scale of the gradients in the last step.
    pub fn step_scale(&self) -> &Buffer<f32> {
        &self.step_scale
    }

    /// Reads all memories back as tensors named `parameter.memory`.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read(&self, gpu: &Gpu, parameters: &Parameters) -> Result<Vec<NamedTensor>> {
        let mut tensors = Vec::new();
        for (memory, buffer) in &self.moments {
            for mut tensor in parameters.unpack_trainable(&gpu.read(buffer)?) {
                tensor.name = format!("{}.{memory}", tensor.name);
                tensors.push(tensor);
            }
        }
        Ok(tensors)
    }

    /// The inverse of [`OptimizerState::read`]; no tensors at all stand for zeros.
    ///
    /// # Errors
    /// Tensors are missing, unknown or of another shape; `source` names the file in the message.
    pub fn write(
        &self,
        gpu: &Gpu,
        parameters: &Parameters,
        tensors: &[NamedTensor],
        source: &str,
    ) -> Result<()> {
        let memory_of = |name: &str| {
            name.rsplit_once('.')
                .map_or("", |(_, memory)| memory)
                .to_owned()
        };
        let known = |name: &str| {
            self.moments
                .iter()
                .any(|(memory, _)| *memory == memory_of(name))
        };
        if let Some(NamedTensor { name, .. }) = tensors.iter().find(|tensor| !known(&tensor.name)) {
            let memories: Vec<&str> = self.moments.iter().map(|(memory, _)| *memory).collect();
            return Err(Error::input(
                source,
                format!("the optimizer has no memory '{name}'"),
                format!("it needs {} of each parameter", memories.join(" and ")),
            ));
        }
        // All of them are joined before the first is written: what does not fit changes nothing.
        let mut joined = Vec::new();
        for (memory, buffer) in &self.moments {
            joined.push(if tensors.is_empty() {
                vec![0.0; buffer.len()]
            } else {
                let suffix = format!(".{memory}");
                let own: Vec<NamedTensor> = tensors
                    .iter()
                    .filter_map(
                        |NamedTensor {
                             name,
                             shape,
                             values,
                         }| {
                            let name = name.strip_suffix(&suffix)?;
                            Some(NamedTensor::new(name, shape.clone(), values.clone()))
                        },
                    )
                    .collect();
                parameters.pack_trainable(&own, source)?
            });
        }
        for ((_, buffer), all) in self.moments.iter().zip(joined) {
            gpu.write(buffer, 0, &all);
        }
        Ok(())
    }
}
