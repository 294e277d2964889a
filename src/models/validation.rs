//! What of a model is measured on samples that training does not see.

use super::train_step::Scalar;
use crate::nn::{NodeId, Pass};

/// A forward pass over samples, and the means that are recorded of it.
#[derive(Debug)]
pub struct Validation<'a> {
    /// The graph and its loss.
    pub pass: Pass<'a>,
    /// The node that takes the samples.
    pub input: NodeId,
    /// The node that takes their labels.
    pub label: Option<NodeId>,
    /// Whose parameters it has: the index of a network in [`TrainStep::networks`](super::TrainStep::networks).
    pub network: usize,
    /// What is recorded: sums of the pass's scalars, which are buffer 0.
    pub scalars: Vec<Scalar>,
}

impl<'a> Validation<'a> {
    /// Of the only pass of a model: its loss, the terms of it and its metrics.
    pub fn of_pass(pass: Pass<'a>, input: NodeId, label: Option<NodeId>) -> Self {
        let names = pass.loss.scalar_names();
        let scalars = names.iter().enumerate();
        Self {
            scalars: scalars
                .map(|(term, name)| Scalar::sum(name, vec![(0, term)]))
                .collect(),
            pass,
            input,
            label,
            network: 0,
        }
    }
}
