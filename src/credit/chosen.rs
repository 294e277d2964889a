//! Which part of a unit is explained: some samples of the probe batch, some positions of a channel.

use std::fmt;
use std::ops::Range;

use super::cut::units_of;
use crate::nn::Node;
use crate::{Error, Result};

/// The samples and positions that the mean of a unit is over; all of them where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Samples of the probe batch.
    pub samples: Vec<usize>,
    /// Rows and columns of a channel.
    pub positions: Vec<[usize; 2]>,
}

impl fmt::Display for Chosen {
    /// ` at position 3,4 of sample 0`; nothing where nothing is chosen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        if !self.positions.is_empty() {
            let named = self
                .positions
                .iter()
                .map(|[row, column]| format!("{row},{column}"));
            let (named, s) = (shortened(named.collect()), plural(self.positions.len()));
            write!(f, " at position{s} {named}")?;
        }
        if !self.samples.is_empty() {
            let named = shortened(self.samples.iter().map(usize::to_string).collect());
            write!(f, " of sample{} {named}", plural(self.samples.len()))?;
        }
        Ok(())
    }
}

/// A list of names with its middle left out where it is long.
fn shortened(names: Vec<String>) -> String {
    match &names[..] {
        [first, second, .., last] if names.len() > 4 => {
            format!("{first} {second} ... {last} ({} in all)", names.len())
        }
        _ => names.join(" "),
    }
}

impl Chosen {
    /// Whether anything is named.
    pub fn is_all(&self) -> bool {
        self.samples.is_empty() && self.positions.is_empty()
    }

    /// The weight of each sample and place of a unit of the layer `node` in its mean, `[samples, places]`.
    ///
    /// # Errors
    /// There is no such sample or position.
    pub(super) fn weights(&self, node: &Node, samples: usize) -> Result<Vec<f64>> {
        let [_, places] = units_of(node);
        if let Some(sample) = self.samples.iter().find(|&&sample| sample >= samples) {
            return Err(Error::usage(
                format!("--sample {sample}"),
                format!("the probe batch has {samples} samples"),
                format!("choose from 0 to {}", samples - 1),
            ));
        }
        let chosen_places: Vec<usize> = match node.shape[..] {
            [_, height, width] => {
                let outside = |&&[row, column]: &&[usize; 2]| row >= height || column >= width;
                if let Some([row, column]) = self.positions.iter().find(outside) {
                    return Err(Error::usage(
                        format!("--position {row},{column}"),
                        format!("the channels of {} are {height} x {width}", node.name),
                        format!("choose from 0,0 to {},{}", height - 1, width - 1),
                    ));
                }
                let places = self.positions.iter();
                places.map(|[row, column]| row * width + column).collect()
            }
            _ if self.positions.is_empty() => Vec::new(),
            _ => {
                return Err(Error::usage(
                    "--position",
                    format!(
                        "the units of {} are single numbers without positions",
                        node.name
                    ),
                    "leave it out, or choose a convolution",
                ));
            }
        };
        let is_chosen = |chosen: &[usize], one: usize| chosen.is_empty() || chosen.contains(&one);
        let all = (0..samples * places).map(|at| {
            is_chosen(&self.samples, at / places) && is_chosen(&chosen_places, at % places)
        });
        let all: Vec<bool> = all.collect();
        let count = all.iter().filter(|&&is_chosen| is_chosen).count();
        let weight = |&is_chosen: &bool| if is_chosen { 1.0 / count as f64 } else { 0.0 };
        Ok(all.iter().map(weight).collect())
    }

    /// The rows and columns around the positions; all of a channel where none is named.
    pub(super) fn rectangle(&self, [height, width]: [usize; 2]) -> [Range<usize>; 2] {
        let around = |axis: usize, len: usize| {
            let values = || self.positions.iter().map(|position| position[axis]);
            match (values().min(), values().max()) {
                (Some(first), Some(last)) => first..last + 1,
                _ => 0..len,
            }
        };
        [around(0, height), around(1, width)]
    }
}
