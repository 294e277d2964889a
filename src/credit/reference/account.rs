//! What the sources of the gradient did with rows of weights: each has an accumulator of its own, carried forward through the
//! optimizer.

use super::row::Row;
use super::{ReferenceTraining, numerator::NumeratorRule};
use crate::credit::cut::{Cut, units_of};
use crate::credit::{Contribution, OtherCredit};
use crate::nn::{NodeId, Pass};

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
    /// The cuts behind the layer, one for each pass.
    pub cuts: Vec<Cut>,
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
    pub is_updated: bool,
    pub before: &'a [Vec<f64>],
    /// Gradients of all parameters.
    pub unclipped: &'a [Vec<f64>],
    /// Gradients of what is trainable.
    pub clipped: &'a [Vec<f64>],
    /// All parameters before the bound on the weights.
    pub updated: &'a [Vec<f64>],
    pub after: &'a [Vec<f64>],
}

impl Account {
    /// The account of rows of the layer `id`, at the start of the range.
    pub fn new(training: &ReferenceTraining<'_>, id: NodeId, row: Row) -> Self {
        let name = &training.graph().node(id).name;
        let cut = |pass: &Pass<'_>| Cut::new(pass, pass.graph.find(name).expect("a shared layer"));
        let cuts: Vec<Cut> = training.passes.iter().map(cut).collect();
        let memory = training.carried(&row);
        Self {
            decay: vec![0.0; memory.len()],
            // No gradient moves a frozen layer.
            senders: match training.graph().is_frozen(id) {
                true => Vec::new(),
                false => senders(&training.passes, &cuts, memory.len()),
            },
            shares: Vec::new(),
            projected: Vec::new(),
            projection: vec![0.0; memory.len()],
            other: OtherCredit::default(),
            cuts,
            row,
            memory,
        }
    }

    /// The cut in the pass of the probe batch.
    pub fn cut(&self) -> &Cut {
        &self.cuts[0]
    }

    /// Adds what the update of a step did, where the unit depends on the rows by `sensitivity`.
    pub fn add(
        &mut self,
        training: &ReferenceTraining<'_>,
        moved: &MovedWeights<'_>,
        sensitivity: &[f64],
    ) {
        let graph = training.graph();
        if !moved.is_updated || graph.is_frozen(self.row.layer) {
            return;
        }
        let [updated, after] = [moved.updated, moved.after].map(|all| self.row.of(graph, all));
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
        } = training.numerators(&self.row, training.updates - 1);
        for r in 0..start.len() {
            let kept = if unclipped[r] == 0.0 {
                1.0
            } else {
                clipped[r] / unclipped[r]
            };
            let push = sensitivity[r] * rate[r];
            self.other.clipping += sensitivity[r] * (after[r] - updated[r]);
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

/// All that send gradients in the passes of a step.
fn senders(passes: &[Pass<'_>], cuts: &[Cut], len: usize) -> Vec<Sender> {
    let mut named = Vec::new();
    for (pass, cut) in passes.iter().zip(cuts) {
        for &id in &cut.successors {
            let units = 0..units_of(pass.graph.node(id))[0];
            named.extend(units.map(|unit| (pass.tensor_name(id), unit)));
        }
        if !cut.losses.is_empty() {
            named.push((format!("loss{}", pass.suffix), 0));
        }
    }
    let sender = |(layer, unit)| Sender {
        layer,
        unit,
        numerator: vec![0.0; len],
        credit: 0.0,
    };
    named.into_iter().map(sender).collect()
}
