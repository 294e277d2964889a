//! How an optimizer makes weights of the numerators of its updates.

use super::ReferenceTraining;
use super::row::{Row, place_among_trainable};
use crate::nn::Optimizer;

/// How numerators become weights.
pub(super) struct NumeratorRule {
    pub beta: f64,
    pub gain: Vec<f64>,
    pub rate: Vec<f64>,
    pub coupled: f64,
    pub decoupled: f64,
}

impl ReferenceTraining<'_> {
    /// What the optimizer carries in from before.
    pub(super) fn carried(&self, row: &Row) -> Vec<f64> {
        let index = match self.rule.optimizer {
            Optimizer::Sgd(_) | Optimizer::Adam(_) | Optimizer::AdamW(_) => Some(0),
            Optimizer::RmsProp(rmsprop) if rmsprop.momentum > 0.0 => {
                Some(1 + usize::from(rmsprop.centered))
            }
            Optimizer::RmsProp(_) => None,
        };
        self.moment(row, index)
    }

    fn moment(&self, row: &Row, index: Option<usize>) -> Vec<f64> {
        let graph = self.graph();
        let [weight, bias] = row
            .parameters(graph)
            .map(|parameter| place_among_trainable(graph, parameter));
        let [weight, bias] = [weight, bias].map(|place| &self.moments[place]);
        let of = |moments: &[Vec<f64>], at: usize| index.map_or(0.0, |index| moments[index][at]);
        let weights = row.weights.iter().map(|&at| of(weight, at));
        let biases = row.units.iter().map(|&unit| of(bias, unit));
        weights.chain(biases).collect()
    }

    /// How the update of step `step`, which has run, made weights of numerators.
    pub(super) fn numerators(&self, row: &Row, step: u32) -> NumeratorRule {
        let share = self.rule.schedule.share(step);
        let count = row.len();
        let t = f64::from(step) + 1.0;
        match self.rule.optimizer {
            Optimizer::Sgd(sgd) => NumeratorRule {
                beta: sgd.momentum,
                gain: vec![1.0; count],
                rate: vec![-sgd.lr * share; count],
                coupled: sgd.weight_decay,
                decoupled: 0.0,
            },
            Optimizer::Adam(adam) | Optimizer::AdamW(adam) => {
                let is_apart = matches!(self.rule.optimizer, Optimizer::AdamW(_));
                let decay = adam
                    .weight_decay
                    .unwrap_or(if is_apart { 0.01 } else { 0.0 });
                let squares = self.moment(row, Some(1));
                let rate = squares.iter().map(|square| {
                    let root = square.sqrt() / (1.0 - adam.beta2.powf(t)).sqrt();
                    -adam.lr * share / (1.0 - adam.beta1.powf(t)) / (root + adam.eps)
                });
                NumeratorRule {
                    beta: adam.beta1,
                    gain: vec![1.0 - adam.beta1; count],
                    rate: rate.collect(),
                    coupled: if is_apart { 0.0 } else { decay },
                    decoupled: if is_apart {
                        adam.lr * share * decay
                    } else {
                        0.0
                    },
                }
            }
            Optimizer::RmsProp(rmsprop) => {
                let squares = self.moment(row, Some(0));
                let means = self.moment(row, rmsprop.centered.then_some(1));
                let gain = squares.iter().zip(means).map(|(square, mean)| {
                    1.0 / ((square - mean * mean).max(0.0).sqrt() + rmsprop.eps)
                });
                NumeratorRule {
                    beta: rmsprop.momentum,
                    gain: gain.collect(),
                    rate: vec![-rmsprop.lr * share; count],
                    coupled: rmsprop.weight_decay,
                    decoupled: 0.0,
                }
            }
        }
    }
}
