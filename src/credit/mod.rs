//! Credit: what moved a unit during training.
//!
//! `z` is the output of a unit of a layer with weights before any activation function, averaged over the probe batch and,
//! of a convolution's channel, over all places. Over a range of steps its change is decomposed exactly: into what its
//! *predecessors* did by changing their activations, what its *successors* did through the gradients that they sent back and
//! that moved the unit's weights, and what the optimizer added on its own ([`OtherCredit`]). The sum is held against the
//! measured change; what is left is the residual.
//!
//! The steps are looked at twice. The first time they are replayed. The probe batch passes the network after each, and it is
//! measured how the unit's mean depends on its input and on its weights; together with the optimizer's settings this gives
//! what a gradient of any step does to the unit until the end of the range. The second time, every unit behind the layer
//! receives that as a small change, carried forward through the derivative of the training pass, and multiplies it with its
//! own gradient. What that reads of a step is kept from the first time, or, where there is no room, the steps run again.
//! docs/analysis.md has the formulas.

mod blocks;
mod capture;
mod cut;
mod maps;
mod measure;
mod midpoint;
mod probe_pass;
pub mod reference;
mod successors;
mod sums;
mod sweep;
mod tangent;
mod tape;
mod unit_layer;
mod update;

use std::ops::Range;

use serde::Serialize;

use crate::tensor::NamedTensor;

pub use self::sweep::credit;

/// What is asked: which units of which layer, over which steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditRequest {
    /// A layer with weights: dense, convolution or transposed convolution.
    pub layer: String,
    /// Its units; of a convolution its channels.
    pub units: Vec<usize>,
    /// From the state after `start` steps to that after `end` steps.
    pub range: Range<u64>,
    /// Whether credit is kept place by place, too ([`Credit::maps`]).
    pub maps: bool,
}

/// Credit place by place. Sums over places are the contributions, up to rounding in float32.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreditMaps {
    /// What enters the layer: for each sample of the probe batch and each of its elements, what that did. Its running
    /// statistics are included.
    pub predecessors: Option<NamedTensor>,
    /// For each successor a map of each of its units, over all samples of all batches.
    pub successors: Vec<NamedTensor>,
}

/// What one unit or layer contributed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The tensor or layer; `loss` for a gradient that comes straight from the loss.
    pub layer: String,
    /// Its unit.
    pub unit: usize,
    /// What it moved the unit by that is explained: positive is up.
    pub credit: f64,
}

impl Contribution {
    /// Its name for a reader; the loss has no units.
    pub fn name(&self) -> String {
        let Self { layer, unit, .. } = self;
        match layer.split('@').next() {
            Some("loss") => layer.clone(),
            _ => format!("{layer} {unit}"),
        }
    }
}

/// What neither predecessors nor successors did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct OtherCredit {
    /// What the optimizer's moments carried in from before the range.
    pub memory: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// The bound on weights. Clipping of gradients scales the credit of successors and counts nothing here.
    pub clipping: f64,
    /// Running statistics, and singular values of spectral norms, of the layers before.
    pub normalization: f64,
}

impl OtherCredit {
    /// All of it, with names.
    pub fn parts(&self) -> [(&'static str, f64); 4] {
        [
            ("memory", self.memory),
            ("weight_decay", self.weight_decay),
            ("clipping", self.clipping),
            ("normalization", self.normalization),
        ]
    }
}

/// Where a range was cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstNonfinite {
    /// The step that computed it.
    pub step: u64,
    /// What is not finite, in words.
    pub what: String,
}

/// The decomposition of one unit's change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Credit {
    /// The layer.
    pub layer: String,
    /// Its unit.
    pub unit: usize,
    /// First step of the range.
    pub from: u64,
    /// The step after its last. Before the one that was asked for where a value was not finite.
    pub to: u64,
    /// The measured change of the unit's mean.
    pub change: f64,
    /// The sum of all parts.
    pub explained: f64,
    /// `change - explained`.
    pub residual: f64,
    /// The magnitude of the sum of all parts over the sum of their magnitudes: 1 where all push the same way, near 0 where
    /// they cancel each other.
    pub cancellation: f64,
    /// By what enters the layer, in its order.
    pub predecessors: Vec<Contribution>,
    /// By the next layers with weights and the loss, in the order of the graph.
    pub successors: Vec<Contribution>,
    /// By nobody of them.
    pub other: OtherCredit,
    /// The first value that was not finite, where there was one in the range that was asked for.
    pub first_nonfinite: Option<FirstNonfinite>,
    /// Place by place, where that was asked for.
    #[serde(skip)]
    pub maps: CreditMaps,
}

impl Credit {
    /// The values of all parts.
    fn parts(&self) -> impl Iterator<Item = f64> {
        let contributions = self.predecessors.iter().chain(&self.successors);
        let other = self.other.parts().into_iter().map(|(_, credit)| credit);
        contributions.map(|part| part.credit).chain(other)
    }

    /// The sum of the magnitudes of all parts: what the residual is to be held against.
    pub fn magnitude(&self) -> f64 {
        self.parts().map(f64::abs).sum()
    }

    /// The same with sums that follow from the parts and the measured change.
    fn summed(mut self) -> Self {
        let magnitude = self.magnitude();
        self.explained = self.parts().sum();
        self.residual = self.change - self.explained;
        self.cancellation = if magnitude > 0.0 {
            self.explained.abs() / magnitude
        } else {
            1.0
        };
        self
    }
}
