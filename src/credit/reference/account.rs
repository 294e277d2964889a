//! What the sources of the gradient did with rows of weights: each has an accumulator of its own, carried forward through the
//! optimizer.

use super::row::Row;
use super::{ReferenceTraining, numerator::NumeratorRule};
use crate::credit::cut::{Cut, units_of};
use crate::credit::{Contribution, OtherCredit};
use crate::nn::NodeId;

/// A source of the gradient, and what is left of its gradients in the numerator of the next update.
#[derive(Debug)]
struct Sender {
    layer: String,
    unit: usize,
    numerator: Vec<f64>,
    credit: f64,
}

/// What the sources of the gradient did with rows of weights.
#[derive(Debug)]
pub(super) struct Account {
    pub cut: Cut,
    pub row: Row,
    memory: Vec<f64>,
    decay: Vec<f64>,
    senders: Vec<Sender>,
    /// What each sender sent in the step that is looked at.
    pub shares: Vec<Vec<f64>>,
    /// What a spectral norm sent in it.
    pub projected: Vec<f64>,
    projection: Vec<f64>,
    pub other: OtherCredit,
}

/// How a step moved the weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct MovedWeights<'a> {
    pub before: &'a [Vec<f64>],
    /// Gradients of all parameters.
    pub unclipped: &'a [Vec<f64>],
    /// Gradients of what is trainable.
    pub clipped: &'a [Vec<f64>],
}

impl Account {
    /// The account of rows of the layer `id`, at the start of the range.
    pub fn new(training: &ReferenceTraining<'_>, id: NodeId, row: Row) -> Self {
        let cut = Cut::new(&training.pass, id);
        let memory = training.carried(&row);
        Self {
            decay: vec![0.0; memory.len()],
            senders: training.senders(&cut, memory.len()),
            shares: Vec::new(),
            projected: Vec::new(),
            projection: vec![0.0; memory.len()],
            other: OtherCredit::default(),
            cut,
            row,
            memory,
        }
    }

    /// Adds what the update of a step did, where the unit depends on the rows by `sensitivity`.
    pub fn add(
        &mut self,
        training: &ReferenceTraining<'_>,
        moved: &MovedWeights<'_>,
        sensitivity: &[f64],
    ) {
        let graph = training.pass.graph;
        let unclipped = self.row.of(graph, moved.unclipped);
        let clipped = self.row.of_trainable(graph, moved.clipped);
        let start = self.row.of(graph, moved.before);
        // The counter has moved on already.
        let NumeratorRule {
            beta,
            gain,
            rate,
            coupled,
            decoupled,
        } = training.numerators(&self.row, training.step - 1);
        for r in 0..start.len() {
            let kept = if unclipped[r] == 0.0 {
                1.0
            } else {
                clipped[r] / unclipped[r]
            };
            let push = sensitivity[r] * rate[r];
            self.memory[r] *= beta;
            self.other.memory += push * self.memory[r];
            self.decay[r] = beta * self.decay[r] + gain[r] * coupled * start[r];
            self.other.weight_decay += push * self.decay[r] - sensitivity[r] * decoupled * start[r];
            self.projection[r] = beta * self.projection[r] + gain[r] * kept * self.projected[r];
            self.other.normalization += push * self.projection[r];
            for (sender, share) in self.senders.iter_mut().zip(&self.shares) {
                sender.numerator[r] = beta * sender.numerator[r] + gain[r] * kept * share[r];
                sender.credit += push * sender.numerator[r];
            }
        }
    }

    /// What the senders did.
    pub fn successors(self) -> Vec<Contribution> {
        let senders = self.senders.into_iter().map(|sender| Contribution {
            layer: sender.layer,
            unit: sender.unit,
            credit: sender.credit,
        });
        senders.collect()
    }
}

impl ReferenceTraining<'_> {
    fn senders(&self, cut: &Cut, len: usize) -> Vec<Sender> {
        let graph = self.pass.graph;
        let of_layers = cut.successors.iter().flat_map(|&id| {
            let units = 0..units_of(graph.node(id))[0];
            units.map(move |unit| (graph.node(id).name.clone(), unit))
        });
        let of_loss = (!cut.losses.is_empty()).then(|| ("loss".to_owned(), 0));
        let named = of_layers.chain(of_loss);
        named
            .map(|(layer, unit)| Sender {
                layer,
                unit,
                numerator: vec![0.0; len],
                credit: 0.0,
            })
            .collect()
    }
}
