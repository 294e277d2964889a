//! From gradients to weights: every optimizer is linear in the numerator of its update, so that what each source of the
//! gradient did to a row of weights is a sum over the steps since.
//!
//! With the parts `M_S(t+1) = beta M_S(t) + gain(t) g_S(t)` of the numerator and `D w(t) = rate(t) sum_S M_S(t+1)`, a
//! gradient of step `s` has moved the unit by `sum_r gain_r(s) lambda_r(s) g_r(s)`, where `lambda(s)` is what the steps
//! from `s` on do to the unit with a numerator of one: it is computed from the end of the range.

use crate::nn::{Clip, Optimizer, UpdateRule};

/// A row of weights in one step, with all that its update depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct RowStep {
    /// How many updates came before.
    pub updates_before: u64,
    /// Whether the step updates the network at all.
    pub is_updated: bool,
    /// The row at the start of the step.
    pub start: Vec<f64>,
    /// After the optimizer, before the weights are clipped.
    pub updated: Vec<f64>,
    /// At the end of the step.
    pub end: Vec<f64>,
    /// The loss's gradient, before it is clipped.
    pub gradient: Vec<f64>,
    /// Adam's and RMSprop's mean of squared gradients after the update.
    pub squares: Vec<f64>,
    /// RMSprop's mean of gradients after the update, where it is centered.
    pub means: Vec<f64>,
    /// Scale of all gradients that a clip by norm gave.
    pub scale: f64,
}

impl RowStep {
    /// The same step for another row, without its values.
    pub fn without_values(&self) -> Self {
        Self {
            updates_before: self.updates_before,
            is_updated: self.is_updated,
            scale: self.scale,
            ..Self::default()
        }
    }
}

/// A value of each element of a row.
#[derive(Debug, Clone)]
enum Elements {
    /// All have the same.
    Same(f64),
    /// Each has its own.
    Each(Vec<f64>),
}

impl Default for Elements {
    fn default() -> Self {
        Self::Same(0.0)
    }
}

impl Elements {
    fn get(&self, element: usize) -> f64 {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values[element],
        }
    }
}

/// What the update of a step does with the row, per element.
#[derive(Debug, Clone, Default)]
pub(super) struct Update {
    is_updated: bool,
    /// What a numerator of one moves the unit by.
    push: Vec<f64>,
    /// What of a gradient gets into the numerator.
    gain: Elements,
    /// What is left of a gradient after clipping.
    clip: Elements,
    /// The gradient of an L2 penalty.
    decay: Elements,
    /// What decay apart from the gradient moved the unit by.
    pub decoupled_decay: f64,
    /// What the bound on the weights moved the unit by.
    pub weight_clip: f64,
}

/// Share of the velocity or first moment that a step keeps.
pub(super) fn beta(rule: &UpdateRule) -> f64 {
    match rule.optimizer {
        Optimizer::Sgd(sgd) => sgd.momentum,
        Optimizer::Adam(adam) | Optimizer::AdamW(adam) => adam.beta1,
        Optimizer::RmsProp(rmsprop) => rmsprop.momentum,
    }
}

/// The name of the memory that carries earlier gradients on.
pub(super) fn carried_memory(rule: &UpdateRule) -> Option<&'static str> {
    match rule.optimizer {
        Optimizer::Adam(_) | Optimizer::AdamW(_) => Some("exp_avg"),
        _ if beta(rule) > 0.0 => Some("momentum_buffer"),
        _ => None,
    }
}

/// The names of the memories that the denominator of an update comes from: squares, and means where it has them.
pub(super) fn denominator_memories(rule: &UpdateRule) -> [Option<&'static str>; 2] {
    match rule.optimizer {
        Optimizer::Sgd(_) => [None, None],
        Optimizer::Adam(_) | Optimizer::AdamW(_) => [Some("exp_avg_sq"), None],
        Optimizer::RmsProp(rmsprop) => {
            let means = rmsprop.centered.then_some("grad_avg");
            [Some("square_avg"), means]
        }
    }
}

impl Update {
    /// The update of a step, where `sensitivity` are the derivatives of the unit's mean with respect to the row, halfway
    /// through the step.
    pub fn new(rule: &UpdateRule, row: &RowStep, sensitivity: &[f64]) -> Self {
        if !row.is_updated {
            return Self::default();
        }
        let t = row.updates_before as f64 + 1.0;
        let share = rule.schedule.share(row.updates_before as u32);
        let decay = rule.optimizer.weight_decay();
        let count = row.start.len();
        let by_element = |f: &dyn Fn(usize) -> f64| (0..count).map(f).collect::<Vec<f64>>();
        let (rate, gain, coupled, decoupled) = match rule.optimizer {
            Optimizer::Sgd(sgd) => {
                let rate = Elements::Same(-sgd.lr * share);
                (rate, Elements::Same(1.0), decay, 0.0)
            }
            Optimizer::Adam(adam) | Optimizer::AdamW(adam) => {
                let correction = [adam.beta1, adam.beta2].map(|beta| 1.0 - beta.powf(t));
                let rate = by_element(&|r| {
                    let root = (row.squares[r] / correction[1]).sqrt();
                    -adam.lr * share / correction[0] / (root + adam.eps)
                });
                let rate = Elements::Each(rate);
                let gain = Elements::Same(1.0 - adam.beta1);
                match rule.optimizer {
                    Optimizer::AdamW(_) => (rate, gain, 0.0, adam.lr * share * decay),
                    _ => (rate, gain, decay, 0.0),
                }
            }
            Optimizer::RmsProp(rmsprop) => {
                let gain = by_element(&|r| {
                    let mean = row.means.get(r).copied().unwrap_or(0.0);
                    let variance = (row.squares[r] - mean * mean).max(0.0);
                    1.0 / (variance.sqrt() + rmsprop.eps)
                });
                let rate = Elements::Same(-rmsprop.lr * share);
                (rate, Elements::Each(gain), decay, 0.0)
            }
        };
        Self {
            is_updated: true,
            push: by_element(&|r| sensitivity[r] * rate.get(r)),
            clip: match rule.clip {
                Some(Clip::Value(bound)) => Elements::Each(by_element(&|r| {
                    let gradient = row.gradient[r].abs();
                    if gradient > bound {
                        bound / gradient
                    } else {
                        1.0
                    }
                })),
                Some(Clip::Norm(_)) => Elements::Same(row.scale),
                None => Elements::Same(1.0),
            },
            decay: match coupled {
                0.0 => Elements::Same(0.0),
                _ => Elements::Each(by_element(&|r| coupled * row.start[r])),
            },
            decoupled_decay: -decoupled * dot(sensitivity, &row.start),
            weight_clip: (0..count)
                .map(|r| sensitivity[r] * (row.end[r] - row.updated[r]))
                .sum(),
            gain,
        }
    }
}

/// What the gradients of a range did to a unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Influence {
    /// For each step: what a gradient of one at each element of the row moved the unit by until the end of the range. Empty
    /// where the step does not update the network.
    pub of_gradients: Vec<Vec<f32>>,
    /// What the optimizer's memory from before the range moved it by.
    pub memory: f64,
    /// What weight decay moved it by.
    pub weight_decay: f64,
    /// What the bound on the weights moved it by.
    pub clipping: f64,
}

impl Influence {
    /// Of the updates of a range, where the optimizer began with `memory` of earlier gradients.
    pub fn new(rule: &UpdateRule, updates: &[Update], memory: &[f64]) -> Self {
        let beta = beta(rule);
        let mut influence = Self::default();
        let mut lambda = vec![0.0; memory.len()];
        for update in updates.iter().rev() {
            influence.clipping += update.weight_clip;
            influence.weight_decay += update.decoupled_decay;
            if !update.is_updated {
                influence.of_gradients.push(Vec::new());
                continue;
            }
            let carried = lambda.iter_mut().zip(&update.push);
            carried.for_each(|(lambda, push)| *lambda = push + beta * *lambda);
            let of_numerator = |r: usize| lambda[r] * update.gain.get(r);
            if let Elements::Each(decay) = &update.decay {
                let decay = decay.iter().enumerate();
                influence.weight_decay += decay.map(|(r, &g)| of_numerator(r) * g).sum::<f64>();
            }
            let of_gradient = |r: usize| (of_numerator(r) * update.clip.get(r)) as f32;
            let of_gradients = (0..lambda.len()).map(of_gradient).collect();
            influence.of_gradients.push(of_gradients);
        }
        influence.of_gradients.reverse();
        influence.memory = beta * dot(&lambda, memory);
        influence
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
