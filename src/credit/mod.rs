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
mod chosen;
mod cut;
mod hop_meter;
mod hops;
mod maps;
mod measure;
mod midpoint;
mod multipliers;
mod probe_pass;
pub mod reference;
mod region;
mod spectral;
mod successors;
mod sums;
mod sweep;
mod tangent;
mod tape;
mod unit_layer;
mod update;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::tensor::NamedTensor;
use crate::train::Deviation;

pub use self::chosen::Chosen;
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
    /// How many hops back: 1 for the tensor that enters the layer, 2 for the layers with weights before it, too
    /// ([`Credit::hops`]), and so on.
    pub hops: usize,
    /// The samples and positions that the units' means are over.
    pub chosen: Chosen,
}

impl CreditRequest {
    /// Units of a layer over a range of steps, one hop back and without maps.
    pub fn new(layer: impl Into<String>, units: impl Into<Vec<usize>>, range: Range<u64>) -> Self {
        Self {
            layer: layer.into(),
            units: units.into(),
            range,
            maps: false,
            hops: 1,
            chosen: Chosen::default(),
        }
    }

    /// Hops behind the first.
    fn further_hops(&self) -> usize {
        self.hops.saturating_sub(1)
    }
}

/// Credit place by place. Sums over places are the contributions, up to rounding in float32.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreditMaps {
    /// What enters the layer: for each sample of the probe batch and each of its elements, what that did. Its running
    /// statistics are included.
    pub predecessors: Option<NamedTensor>,
    /// For each successor a map of each of its units, over all samples of all batches.
    pub successors: Vec<NamedTensor>,
    /// The values of what enters the layer after the range, of the shape of its credit.
    pub values: Option<NamedTensor>,
    /// The images of the probe batch, `[samples, channels, height, width]`, where the network takes images.
    pub images: Option<NamedTensor>,
}

/// What an element of what enters a layer did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceCredit {
    /// The sample of the probe batch.
    pub sample: usize,
    /// The tensor that enters the layer.
    pub layer: String,
    /// Its unit: a channel of images, else an element.
    pub unit: usize,
    /// Row and column of an image's element.
    pub position: Option<[usize; 2]>,
    /// What it moved the unit by.
    pub credit: f64,
}

/// What one unit or layer contributed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Running statistics, and singular values of spectral norms, of the layers before; where the layer itself is under a
    /// spectral norm, what its singular value did, too.
    pub normalization: f64,
    /// What gains and shifts of norms and rows of embeddings learned between the layers of a further hop; in the first hop
    /// the predecessors have it.
    pub other_parameters: f64,
}

impl OtherCredit {
    /// All of it, with names.
    pub fn parts(&self) -> [(&'static str, f64); 5] {
        [
            ("memory", self.memory),
            ("weight_decay", self.weight_decay),
            ("clipping", self.clipping),
            ("normalization", self.normalization),
            ("other_parameters", self.other_parameters),
        ]
    }
}

/// A hop further back: what the predecessors did, decomposed again at the layers with weights before them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// Its number; the decomposition itself is hop 1.
    pub hop: usize,
    /// The layers that it comes to.
    pub layers: Vec<String>,
    /// What it explains: all that the predecessors of the hop before did, what running statistics did in them included.
    pub explains: f64,
    /// The sum of all parts.
    pub explained: f64,
    /// `explains - explained`.
    pub residual: f64,
    /// As [`Credit::cancellation`].
    pub cancellation: f64,
    /// By what enters the layers, in order.
    pub predecessors: Vec<Contribution>,
    /// By the gradients that moved the weights of the layers, in the order of the graph.
    pub successors: Vec<Contribution>,
    /// By nobody of them.
    pub other: OtherCredit,
    /// The same sum by the units of the layers, through which all of it came but what operations between the layers did.
    pub through: Vec<Through>,
}

/// What came through a unit on its way to the unit that is explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Through {
    /// The layer.
    pub layer: String,
    /// Its unit.
    pub unit: usize,
    /// What it did because its own weights moved.
    pub by_weights: f64,
    /// What it did because its input changed.
    pub by_input: f64,
}

impl Hop {
    fn parts(&self) -> impl Iterator<Item = f64> {
        parts(&self.predecessors, &self.successors, &self.other)
    }

    /// The sum of the magnitudes of all parts.
    pub fn magnitude(&self) -> f64 {
        self.parts().map(f64::abs).sum()
    }

    /// The same with sums that follow from the parts.
    fn summed(mut self) -> Self {
        let magnitude = self.magnitude();
        self.explained = self.parts().sum();
        self.residual = self.explains - self.explained;
        self.cancellation = cancellation(self.explained, magnitude);
        self
    }
}

/// The values of all parts of a decomposition.
fn parts<'a>(
    predecessors: &'a [Contribution],
    successors: &'a [Contribution],
    other: &OtherCredit,
) -> impl Iterator<Item = f64> + use<'a> {
    let contributions = predecessors.iter().chain(successors);
    let other = other.parts().into_iter().map(|(_, credit)| credit);
    contributions.map(|part| part.credit).chain(other)
}

/// What is left of magnitudes after they have cancelled each other.
fn cancellation(sum: f64, magnitude: f64) -> f64 {
    if magnitude > 0.0 {
        sum.abs() / magnitude
    } else {
        1.0
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
    /// The samples that its mean is over; all of the probe batch where none is named.
    pub samples: Vec<usize>,
    /// The positions that its mean is over; all of a channel where none is named.
    pub positions: Vec<[usize; 2]>,
    /// Rows and columns of the images that enter the network on which the chosen positions depend; `None` where the network
    /// takes no images.
    pub region: Option<[Range<usize>; 2]>,
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
    /// Further hops back, as far as they were asked for and there are layers with weights.
    pub hops: Vec<Hop>,
    /// The first value that was not finite, where there was one in the range that was asked for.
    pub first_nonfinite: Option<FirstNonfinite>,
    /// How far the steps are from the run's, where that was made on another adapter.
    pub deviation: Option<Deviation>,
    /// Place by place, where that was asked for.
    #[serde(skip)]
    pub maps: CreditMaps,
}

impl Credit {
    /// What the unit's mean is over.
    pub fn chosen(&self) -> Chosen {
        Chosen {
            samples: self.samples.clone(),
            positions: self.positions.clone(),
        }
    }

    /// The elements of what enters the layer with the strongest credits, where maps were asked for.
    pub fn strongest_places(&self, most: usize) -> Vec<PlaceCredit> {
        let Some(map) = &self.maps.predecessors else {
            return Vec::new();
        };
        let mut order: Vec<usize> = (0..map.values.len()).collect();
        order.retain(|&at| map.values[at] != 0.0);
        order.sort_by(|&a, &b| map.values[b].abs().total_cmp(&map.values[a].abs()));
        let size: usize = map.shape[1..].iter().product();
        let place = |at: usize| {
            let (unit, position) = match map.shape[1..] {
                [_, height, width] => {
                    let (unit, place) = (at % size / (height * width), at % (height * width));
                    (unit, Some([place / width, place % width]))
                }
                _ => (at % size, None),
            };
            PlaceCredit {
                sample: at / size,
                layer: map.name.clone(),
                unit,
                position,
                credit: map.values[at].into(),
            }
        };
        order.into_iter().take(most).map(place).collect()
    }

    /// The values of all parts.
    fn parts(&self) -> impl Iterator<Item = f64> {
        parts(&self.predecessors, &self.successors, &self.other)
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
        self.cancellation = cancellation(self.explained, magnitude);
        self
    }
}
