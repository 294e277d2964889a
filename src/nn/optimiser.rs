//! Optimisers: one dispatch over all learnt parameters.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::clip::Clip;
use super::parameters::{NamedTensor, Parameters};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::shader;
use crate::{Error, Result};

static SGD: Shader = shader!("nn/sgd.wgsl");
static ADAM: Shader = shader!("nn/adam.wgsl");
static RMSPROP: Shader = shader!("nn/rmsprop.wgsl");

/// How gradients become updates; the formulas are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// `v = momentum v + (g + weight_decay w)`, `w -= lr v`.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Share of the last velocity that is kept.
        #[serde(default)]
        momentum: f64,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015).
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the denominator.
        #[serde(default = "default_eps")]
        eps: f64,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019): `w -= lr weight_decay w` in each
    /// step.
    #[serde(rename = "adamw")]
    AdamW {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the denominator.
        #[serde(default = "default_eps")]
        eps: f64,
        /// Share of a weight that a step of rate 1 takes away.
        #[serde(default = "default_decay")]
        weight_decay: f64,
    },
    /// RMSprop (Hinton 2012): the gradient over the root of its mean square. Where rounding puts the centred variance
    /// below 0 it counts as 0; PyTorch's float32 gives NaN there.
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean square.
        #[serde(default = "default_alpha")]
        alpha: f64,
        /// Added to the denominator.
        #[serde(default = "default_eps")]
        eps: f64,
        /// Share of the last velocity that is kept; 0 keeps none.
        #[serde(default)]
        momentum: f64,
        /// Divide by the root of the variance instead of the mean square.
        #[serde(default)]
        centered: bool,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn default_alpha() -> f64 {
    0.99
}

fn default_decay() -> f64 {
    0.01
}

fn default_beta1() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.999
}

fn default_eps() -> f64 {
    1e-8
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Adam {
            lr: 1e-3,
            beta1: default_beta1(),
            beta2: default_beta2(),
            eps: default_eps(),
            weight_decay: 0.0,
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct SgdParameters {
    vectors: u32,
    learning_rate: f32,
    momentum: f32,
    weight_decay: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct AdamParameters {
    vectors: u32,
    learning_rate: f32,
    complement1: f32,
    complement2: f32,
    log_beta1: f32,
    log_beta2: f32,
    epsilon: f32,
    weight_decay: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct RmsPropParameters {
    vectors: u32,
    learning_rate: f32,
    complement: f32,
    epsilon: f32,
    momentum: f32,
    weight_decay: f32,
    padding0: u32,
    padding1: u32,
}

/// What an optimiser remembers between steps, laid out like the learnt parameters.
#[derive(Debug, Clone)]
pub struct OptimiserState {
    /// PyTorch's name of each memory, and its buffer.
    pub moments: Vec<(&'static str, Buffer<f32>)>,
    /// Share of the learning rate, scale of the gradients and their norm in the present step: computed anew in each
    /// step, or 1.
    pub(super) pace: Buffer<f32>,
}

impl Optimiser {
    /// A zeroed memory for `parameters`.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn state(&self, gpu: &Gpu, parameters: &Parameters) -> Result<OptimiserState> {
        let names: &[&'static str] = match self {
            Self::Sgd { .. } => &["momentum_buffer"],
            Self::Adam { .. } | Self::AdamW { .. } => &["exp_avg", "exp_avg_sq"],
            Self::RmsProp {
                centered, momentum, ..
            } => match (centered, *momentum > 0.0) {
                (false, false) => &["square_avg"],
                (false, true) => &["square_avg", "momentum_buffer"],
                (true, false) => &["square_avg", "grad_avg"],
                (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
            },
        };
        let moments = names
            .iter()
            .map(|name| Ok((*name, gpu.buffer(name, parameters.learnt_len())?)))
            .collect::<Result<_>>()?;
        let pace = gpu.upload("pace", &[1.0, 1.0, 0.0, 0.0])?;
        Ok(OptimiserState { moments, pace })
    }

    /// The dispatch that updates `parameters` from their gradients and leaves the updates in place of those.
    /// `clock`'s first word is the step, counted from 0.
    pub fn dispatch(
        &self,
        gpu: &Gpu,
        parameters: &Parameters,
        state: &OptimiserState,
        clock: &Buffer<u32>,
    ) -> Dispatch {
        self.clipped_dispatch(gpu, parameters, state, clock, None)
    }

    /// The same, of gradients as `clip` leaves them.
    pub(super) fn clipped_dispatch(
        &self,
        gpu: &Gpu,
        parameters: &Parameters,
        state: &OptimiserState,
        clock: &Buffer<u32>,
        clip: Option<Clip>,
    ) -> Dispatch {
        let vectors = parameters.learnt_len().div_ceil(4);
        let mut constants = Clip::constants(clip);
        let pace = state.pace.binding();
        let moment = |index: usize| state.moments[index].1.binding();
        let (values, gradients) = (parameters.values.binding(), parameters.gradients.binding());
        match *self {
            Self::Sgd {
                lr,
                momentum,
                weight_decay,
            } => {
                let uniform = gpu.uniform(
                    "sgd",
                    &SgdParameters {
                        vectors: vectors as u32,
                        learning_rate: lr as f32,
                        momentum: momentum as f32,
                        weight_decay: weight_decay as f32,
                    },
                );
                let bindings = [
                    (0, uniform.as_entire_binding()),
                    (1, values),
                    (2, gradients),
                    (3, moment(0)),
                    (4, pace),
                ];
                gpu.kernel(&SGD, "main", &constants)
                    .bind(gpu, &bindings, grid(vectors, 64))
            }
            Self::Adam {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
            }
            | Self::AdamW {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
            } => {
                if matches!(self, Self::AdamW { .. }) {
                    constants.push(("DECOUPLED", 1.0));
                }
                let uniform = gpu.uniform(
                    "adam",
                    &AdamParameters {
                        vectors: vectors as u32,
                        learning_rate: lr as f32,
                        complement1: (1.0 - beta1) as f32,
                        complement2: (1.0 - beta2) as f32,
                        log_beta1: beta1.ln() as f32,
                        log_beta2: beta2.ln() as f32,
                        epsilon: eps as f32,
                        weight_decay: weight_decay as f32,
                    },
                );
                let bindings = [
                    (0, uniform.as_entire_binding()),
                    (1, clock.binding()),
                    (2, values),
                    (3, gradients),
                    (4, moment(0)),
                    (5, moment(1)),
                    (6, pace),
                ];
                gpu.kernel(&ADAM, "main", &constants)
                    .bind(gpu, &bindings, grid(vectors, 64))
            }
            Self::RmsProp {
                lr,
                alpha,
                eps,
                momentum,
                centered,
                weight_decay,
            } => {
                let uniform = gpu.uniform(
                    "rmsprop",
                    &RmsPropParameters {
                        vectors: vectors as u32,
                        learning_rate: lr as f32,
                        complement: (1.0 - alpha) as f32,
                        epsilon: eps as f32,
                        momentum: momentum as f32,
                        weight_decay: weight_decay as f32,
                        padding0: 0,
                        padding1: 0,
                    },
                );
                // Bindings of the memories, in their order.
                let (entry, memories): (_, &[u32]) = match (centered, momentum > 0.0) {
                    (false, false) => ("plain", &[4]),
                    (false, true) => ("with_momentum", &[4, 6]),
                    (true, false) => ("centered", &[4, 5]),
                    (true, true) => ("centered_with_momentum", &[4, 5, 6]),
                };
                let mut bindings = vec![
                    (0, uniform.as_entire_binding()),
                    (1, pace),
                    (2, values),
                    (3, gradients),
                ];
                bindings.extend(memories.iter().enumerate().map(|(i, &at)| (at, moment(i))));
                gpu.kernel(&RMSPROP, entry, &constants)
                    .bind(gpu, &bindings, grid(vectors, 64))
            }
        }
    }

    /// What is wrong with the settings, if anything: the key and what it needs.
    pub fn misfit(&self) -> Option<(&'static str, &'static str)> {
        let (lr, weight_decay) = match *self {
            Self::Sgd {
                lr,
                momentum,
                weight_decay,
            } => {
                if !(0.0..1.0).contains(&momentum) {
                    return Some(("momentum", "at least 0 and below 1"));
                }
                (lr, weight_decay)
            }
            Self::Adam {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
            }
            | Self::AdamW {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
            } => {
                if !(beta1 > 0.0 && beta1 < 1.0) {
                    return Some(("beta1", "above 0 and below 1"));
                }
                if !(beta2 > 0.0 && beta2 < 1.0) {
                    return Some(("beta2", "above 0 and below 1"));
                }
                if !(eps > 0.0 && eps.is_finite()) {
                    return Some(("eps", "a positive number"));
                }
                (lr, weight_decay)
            }
            Self::RmsProp {
                lr,
                alpha,
                eps,
                momentum,
                weight_decay,
                ..
            } => {
                if !(alpha > 0.0 && alpha < 1.0) {
                    return Some(("alpha", "above 0 and below 1"));
                }
                if !(eps > 0.0 && eps.is_finite()) {
                    return Some(("eps", "a positive number"));
                }
                if !(0.0..1.0).contains(&momentum) {
                    return Some(("momentum", "at least 0 and below 1"));
                }
                (lr, weight_decay)
            }
        };
        if !(lr > 0.0 && lr.is_finite()) {
            return Some(("lr", "a positive number"));
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Some(("weight_decay", "a number of at least 0"));
        }
        None
    }

    /// The same with `share` of its learning rate.
    pub(super) fn scaled(mut self, share: f64) -> Self {
        match &mut self {
            Self::Sgd { lr, .. }
            | Self::Adam { lr, .. }
            | Self::AdamW { lr, .. }
            | Self::RmsProp { lr, .. } => *lr *= share,
        }
        self
    }

    /// The float64 twin of one step on one parameter: `moments` as in [`OptimiserState::moments`], `step` counted
    /// from 0.
    pub fn reference_step(
        &self,
        weights: &mut [f64],
        gradients: &[f64],
        moments: &mut [Vec<f64>],
        step: u32,
    ) {
        for (i, weight) in weights.iter_mut().enumerate() {
            match *self {
                Self::Sgd {
                    lr,
                    momentum,
                    weight_decay,
                } => {
                    let velocity = momentum * moments[0][i] + gradients[i] + weight_decay * *weight;
                    moments[0][i] = velocity;
                    *weight -= lr * velocity;
                }
                Self::Adam {
                    lr,
                    beta1,
                    beta2,
                    eps,
                    weight_decay,
                }
                | Self::AdamW {
                    lr,
                    beta1,
                    beta2,
                    eps,
                    weight_decay,
                } => {
                    let mut gradient = gradients[i];
                    if matches!(self, Self::AdamW { .. }) {
                        *weight -= lr * weight_decay * *weight;
                    } else {
                        gradient += weight_decay * *weight;
                    }
                    let t = f64::from(step) + 1.0;
                    moments[0][i] = beta1 * moments[0][i] + (1.0 - beta1) * gradient;
                    moments[1][i] = beta2 * moments[1][i] + (1.0 - beta2) * gradient * gradient;
                    let first = moments[0][i] / (1.0 - beta1.powf(t));
                    let second = moments[1][i] / (1.0 - beta2.powf(t));
                    *weight -= lr * first / (second.sqrt() + eps);
                }
                Self::RmsProp {
                    lr,
                    alpha,
                    eps,
                    momentum,
                    centered,
                    weight_decay,
                } => {
                    let gradient = gradients[i] + weight_decay * *weight;
                    let square = alpha * moments[0][i] + (1.0 - alpha) * gradient * gradient;
                    moments[0][i] = square;
                    let mut variance = square;
                    if centered {
                        moments[1][i] = alpha * moments[1][i] + (1.0 - alpha) * gradient;
                        variance = (square - moments[1][i].powi(2)).max(0.0);
                    }
                    let mut direction = gradient / (variance.sqrt() + eps);
                    if momentum > 0.0 {
                        let velocity = &mut moments[1 + usize::from(centered)];
                        direction += momentum * velocity[i];
                        velocity[i] = direction;
                    }
                    *weight -= lr * direction;
                }
            }
        }
    }
}

impl OptimiserState {
    /// The buffer of a memory, laid out like the learnt parameters.
    pub fn memory(&self, name: &str) -> Option<&Buffer<f32>> {
        let found = self.moments.iter().find(|(memory, _)| *memory == name);
        found.map(|(_, buffer)| buffer)
    }

    /// Reads all memories back as tensors named `parameter.memory`.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read(&self, gpu: &Gpu, parameters: &Parameters) -> Result<Vec<NamedTensor>> {
        let mut tensors = Vec::new();
        for (memory, buffer) in &self.moments {
            for (name, shape, values) in parameters.split_learnt(&gpu.read(buffer)?) {
                tensors.push((format!("{name}.{memory}"), shape, values));
            }
        }
        Ok(tensors)
    }

    /// The inverse of [`OptimiserState::read`]; no tensors at all stand for zeros.
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
        if let Some((name, ..)) = tensors.iter().find(|(name, ..)| !known(name)) {
            let memories: Vec<&str> = self.moments.iter().map(|(memory, _)| *memory).collect();
            return Err(Error::input(
                source,
                format!("the optimiser has no memory '{name}'"),
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
                    .filter_map(|(name, shape, values)| {
                        let name = name.strip_suffix(&suffix)?;
                        Some((name.to_owned(), shape.clone(), values.clone()))
                    })
                    .collect();
                parameters.join_learnt(&own, source)?
            });
        }
        for ((_, buffer), all) in self.moments.iter().zip(joined) {
            gpu.write(buffer, 0, &all);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        sgd_parameters,
        SGD,
        "Parameters",
        SgdParameters {
            vectors,
            learning_rate,
            momentum,
            weight_decay
        }
    );
    layout_test!(
        adam_parameters,
        ADAM,
        "Parameters",
        AdamParameters {
            vectors,
            learning_rate,
            complement1,
            complement2,
            log_beta1,
            log_beta2,
            epsilon,
            weight_decay
        }
    );

    layout_test!(
        rmsprop_parameters,
        RMSPROP,
        "Parameters",
        RmsPropParameters {
            vectors,
            learning_rate,
            complement,
            epsilon,
            momentum,
            weight_decay,
            padding0,
            padding1
        }
    );
}
