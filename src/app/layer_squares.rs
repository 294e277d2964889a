//! What an expanded node of the layer graph shows: the units of a layer in clusters, each with what it does on the probe
//! batch, and how much of the credited unit's change it explains.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Session;
use super::stage::{LiveRun, Stage};
use super::worker::Progress;
use crate::cluster::{ClusterOptions, Clustering, UnitFeatures, cluster};
use crate::credit::Credit;
use crate::gpu::Gpu;
use crate::number::short;
use crate::train::Trainer;
use crate::view::{LayerGraph, SquareEdge, SquareEnd};
use crate::{Error, Result};

/// Squares of a node at most; what is left over shares the last one.
const MOST_SQUARES: usize = 6;
/// Values on a side of a square at most: larger maps are averaged, since there is no room for their pixels.
const MOST_VALUES: usize = 23;
/// Curves between pixels at most.
const MOST_CURVES: usize = 24;

/// Units that behave alike, and what they do.
#[derive(Debug, Clone, PartialEq)]
struct Alike {
    name: String,
    units: Vec<usize>,
    /// The unit that is nearest to their mean.
    representative: usize,
    /// Rows of a map, or a value for each sample.
    values: Vec<f32>,
}

/// The units of a layer in clusters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerSquares {
    /// The tensor of the layer's node.
    pub layer: String,
    /// Steps that were done in the state that was compared.
    pub step: u64,
    /// Values of a row of a square.
    pub width: usize,
    /// Places of a map that a value stands for, on each side; `None` where values are samples.
    pooled: Option<(usize, usize)>,
    clustering: Clustering,
    /// The clusters, by their numbers, and after them the units that are in none.
    alike: Vec<Alike>,
}

/// A square as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Square {
    /// What is written beside it, and what a screen reader says.
    pub name: String,
    /// Its units, ascending.
    pub units: Vec<usize>,
    /// The unit that stands for them.
    pub representative: usize,
    pub values: Vec<f32>,
    /// What its units moved the credited unit by.
    pub credit: Option<f64>,
}

impl Square {
    /// How many units it has, in words.
    pub fn counted(&self) -> String {
        match self.units.len() {
            1 => "1 unit".to_owned(),
            count => format!("{count} units"),
        }
    }

    /// What it is, in a phrase, for screen readers.
    pub fn describe(&self, layer: &str) -> String {
        let credit = self.credit.map_or_else(String::new, |credit| {
            format!(", credit {}{}", sign(credit), short(credit.abs()))
        });
        format!("{} of {layer}, {}{credit}", self.name, self.counted())
    }

    /// What its credit is, for the line below its size; empty where none is known.
    pub fn credit_text(&self) -> String {
        self.credit.map_or_else(String::new, |credit| {
            format!("{}{}", sign(credit), short(credit.abs()))
        })
    }
}

fn sign(value: f64) -> &'static str {
    if value < 0.0 { "−" } else { "+" }
}

impl LayerSquares {
    /// Compares the units of a layer on the probe batch as a trainer is. Clusters have the numbers of those `before` with
    /// which they share most units, so that squares stay where they are.
    ///
    /// # Errors
    /// As [`UnitFeatures::of_probe_batch`] and [`cluster`], or no unit is finite.
    fn new(gpu: &Gpu, trainer: &Trainer, layer: &str, before: Option<&Self>) -> Result<Self> {
        let name = layer.split('@').next().unwrap_or(layer);
        let features = UnitFeatures::of_probe_batch(trainer, name)?;
        let mut clustering = cluster(gpu, &features, &ClusterOptions::default())?;
        if clustering.clusters.is_empty() {
            return Err(Error::input(
                format!("squares of {layer}"),
                "no unit of the layer is finite, so there is no cluster to draw",
                "choose an earlier step",
            ));
        }
        if let Some(before) = before {
            clustering.match_to(&before.clustering);
        }
        let description = trainer.describe();
        let shape = description.layers().find(|other| other.name == name);
        let columns = shape.and_then(|layer| match layer.shape[..] {
            [_, _, width] if features.positions > 1 => Some(width),
            _ => None,
        });
        let picture = Picture::of(&features, columns);
        let clusters = clustering.clusters.iter().map(|cluster| {
            let name = format!("cluster {}", cluster.id);
            picture.alike(name, cluster.units.clone())
        });
        let mut alike: Vec<Alike> = clusters.collect();
        let out: Vec<usize> = clustering.singled_out.iter().map(|out| out.unit).collect();
        if !out.is_empty() {
            alike.push(picture.alike("singled out".to_owned(), out));
        }
        Ok(Self {
            layer: layer.to_owned(),
            step: trainer.steps_done(),
            width: picture.width,
            pooled: picture.columns.map(|columns| (columns, picture.pool)),
            clustering,
            alike,
        })
    }

    /// The squares: those that moved the credited unit most come first, else by their numbers; the rest is folded into the
    /// last one.
    pub fn shown(&self, credit: Option<&Credit>) -> Vec<Square> {
        let credits = credit.and_then(|credit| credits_of(credit, &self.layer));
        let mut squares: Vec<Square> = self
            .alike
            .iter()
            .map(|alike| Square {
                name: alike.name.clone(),
                units: alike.units.clone(),
                representative: alike.representative,
                values: alike.values.clone(),
                credit: credits.as_ref().map(|credits| {
                    let of_units = alike.units.iter().filter_map(|unit| credits.get(unit));
                    of_units.sum()
                }),
            })
            .collect();
        if credits.is_some() {
            let magnitude = |square: &Square| square.credit.unwrap_or(0.0).abs();
            squares.sort_by(|a, b| magnitude(b).total_cmp(&magnitude(a)));
        }
        if squares.len() > MOST_SQUARES {
            let rest = squares.split_off(MOST_SQUARES - 1);
            squares.extend(folded(rest));
        }
        squares
    }

    /// The value of a square that shows a place of a map; `None` where there are no maps.
    fn value_at(&self, place: usize) -> Option<usize> {
        let (columns, pool) = self.pooled?;
        Some(place / columns / pool * self.width + place % columns / pool)
    }
}

/// Squares that share one: the mean of all their units, represented by the unit of the first.
fn folded(squares: Vec<Square>) -> Option<Square> {
    let first = squares.first()?;
    let count: usize = squares.iter().map(|square| square.units.len()).sum();
    let mut values = vec![0.0; first.values.len()];
    for square in &squares {
        let weight = square.units.len() as f32 / count.max(1) as f32;
        let parts = values.iter_mut().zip(&square.values);
        parts.for_each(|(mean, value)| *mean += weight * value);
    }
    let mut units: Vec<usize> = squares
        .iter()
        .flat_map(|square| square.units.clone())
        .collect();
    units.sort_unstable();
    Some(Square {
        name: format!("{} more", squares.len()),
        units,
        representative: first.representative,
        values,
        credit: first
            .credit
            .map(|_| squares.iter().filter_map(|square| square.credit).sum()),
    })
}

/// What each unit of a layer moved the credited unit by; `None` where the layer has no part in it.
fn credits_of(credit: &Credit, layer: &str) -> Option<BTreeMap<usize, f64>> {
    let mut credits = BTreeMap::new();
    for part in credit.predecessors.iter().chain(&credit.successors) {
        if part.layer == layer {
            *credits.entry(part.unit).or_insert(0.0) += part.credit;
        }
    }
    (!credits.is_empty()).then_some(credits)
}

/// How the features of units become the values of squares.
struct Picture<'a> {
    features: &'a UnitFeatures,
    /// Columns of a map, where units have maps.
    columns: Option<usize>,
    /// Places on each side that share a value.
    pool: usize,
    width: usize,
}

impl<'a> Picture<'a> {
    fn of(features: &'a UnitFeatures, columns: Option<usize>) -> Self {
        let (pool, width) = match columns {
            Some(columns) => {
                let side = columns.max(features.positions / columns.max(1));
                let pool = side.div_ceil(MOST_VALUES).max(1);
                (pool, columns.div_ceil(pool))
            }
            None => {
                let samples = features.len.min(MOST_VALUES * MOST_VALUES);
                (1, (samples as f64).sqrt().ceil() as usize)
            }
        };
        Self {
            features,
            columns,
            pool,
            width: width.max(1),
        }
    }

    /// What a unit does: its map of the first sample of the probe batch, or its mean for each sample.
    fn row(&self, unit: usize) -> Vec<f32> {
        let UnitFeatures { len, positions, .. } = *self.features;
        let row = &self.features.values[unit * len * positions..][..len * positions];
        let Some(columns) = self.columns else {
            let samples = row
                .chunks_exact(positions.max(1))
                .take(MOST_VALUES * MOST_VALUES);
            return samples
                .map(|places| places.iter().sum::<f32>() / places.len() as f32)
                .collect();
        };
        let rows = positions / columns;
        let mut sums = vec![(0.0f32, 0u32); rows.div_ceil(self.pool) * self.width];
        for (place, value) in row[..positions].iter().enumerate() {
            let (y, x) = (place / columns / self.pool, place % columns / self.pool);
            let (sum, count) = &mut sums[y * self.width + x];
            *sum += value;
            *count += 1;
        }
        let mean = |(sum, count): (f32, u32)| sum / count.max(1) as f32;
        sums.into_iter().map(mean).collect()
    }

    fn alike(&self, name: String, units: Vec<usize>) -> Alike {
        let rows: Vec<Vec<f32>> = units.iter().map(|unit| self.row(*unit)).collect();
        let length = rows.first().map_or(0, Vec::len);
        let mean = |at: usize| rows.iter().map(|row| row[at]).sum::<f32>() / rows.len() as f32;
        let values: Vec<f32> = (0..length).map(mean).collect();
        let distance = |row: &[f32]| -> f32 {
            let pairs = row.iter().zip(&values);
            pairs.map(|(a, b)| (a - b).powi(2)).sum()
        };
        let nearest = units
            .iter()
            .zip(&rows)
            .min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
        Alike {
            name,
            representative: nearest.map_or(0, |(unit, _)| *unit),
            units,
            values,
        }
    }
}

/// Credit from the squares of each expanded node to the credited unit: to its square where its own node is expanded. Where
/// credit is known place by place, curves begin at pixels.
pub(super) fn square_edges(
    graph: &LayerGraph,
    credit: &Credit,
    known: &BTreeMap<String, LayerSquares>,
    shown: &BTreeMap<usize, Vec<Square>>,
) -> Vec<SquareEdge> {
    let Some(here) = graph.node_with(&credit.layer) else {
        return Vec::new();
    };
    let own = shown.get(&here).and_then(|squares| {
        let mut squares = squares.iter();
        squares.position(|square| square.units.binary_search(&credit.unit).is_ok())
    });
    let own = SquareEnd {
        node: here,
        square: own,
        value: None,
    };
    let before: BTreeSet<&str> = credit
        .predecessors
        .iter()
        .map(|part| &*part.layer)
        .collect();
    let mut edges = Vec::new();
    for (&node, squares) in shown.iter().filter(|(node, _)| **node != here) {
        let Some(layer) = graph.nodes[node].layer() else {
            continue;
        };
        let pixels = known
            .get(layer)
            .map(|known| of_pixels(credit, known, squares));
        let parts = match pixels {
            Some(pixels) if !pixels.is_empty() => pixels,
            _ => {
                let parts = squares.iter().enumerate();
                parts
                    .filter_map(|(index, square)| Some(((index, None), square.credit?)))
                    .collect()
            }
        };
        for ((square, value), credit) in parts {
            let other = SquareEnd {
                node,
                square: Some(square),
                value,
            };
            let (from, to) = match before.contains(layer) {
                true => (other, own),
                false => (own, other),
            };
            edges.push(SquareEdge { from, to, credit });
        }
    }
    let magnitudes = edges.iter().map(|edge| edge.credit.abs());
    let most = magnitudes.fold(0.0, f64::max);
    if most > 0.0 {
        edges.iter_mut().for_each(|edge| edge.credit /= most);
    }
    // The strongest are drawn last, over the others.
    edges.sort_by(|a, b| a.credit.abs().total_cmp(&b.credit.abs()));
    edges
}

/// A square, and which of its values where that is known.
type Place = (usize, Option<usize>);

/// The places with the strongest credits, over all samples: a square, a value in it, and what that moved.
fn of_pixels(credit: &Credit, known: &LayerSquares, squares: &[Square]) -> Vec<(Place, f64)> {
    let map = credit.maps.predecessors.as_ref();
    let Some(map) = map.filter(|map| map.name == known.layer) else {
        return Vec::new();
    };
    let [samples, units, height, width] = map.shape[..] else {
        return Vec::new();
    };
    let mut square_of = vec![None; units];
    for (index, square) in squares.iter().enumerate() {
        let own = square.units.iter().filter(|unit| **unit < units);
        own.for_each(|unit| square_of[*unit] = Some(index));
    }
    let mut sums: BTreeMap<Place, f64> = BTreeMap::new();
    let places = height * width;
    for (at, value) in map.values.iter().enumerate().take(samples * units * places) {
        let (Some(square), Some(value_at)) =
            (square_of[at / places % units], known.value_at(at % places))
        else {
            continue;
        };
        *sums.entry((square, Some(value_at))).or_insert(0.0) += f64::from(*value);
    }
    let mut sums: Vec<(Place, f64)> = sums.into_iter().filter(|(_, sum)| *sum != 0.0).collect();
    sums.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    sums.truncate(MOST_CURVES);
    sums
}

/// What came of the squares of some layers.
pub(super) type Compared = Vec<(String, Result<LayerSquares>)>;

impl Session {
    /// The squares of some layers: in the state before a step, or as a run that trains is now, or in the last state that is
    /// kept. Each layer has its own error. `None` where that was cancelled.
    ///
    /// # Errors
    /// The run cannot be replayed.
    pub fn squares(
        &mut self,
        layers: &BTreeSet<String>,
        step: Option<u64>,
        before: &BTreeMap<String, LayerSquares>,
        progress: &Progress,
    ) -> Result<Option<Compared>> {
        let is_live = |stage: &Stage| match stage {
            Stage::Live(live) => matches!(live.run, LiveRun::Training(_)),
            Stage::View(_) => false,
        };
        let restored = match step {
            None if is_live(&self.stage) => None,
            _ => Some(self.state(step, progress)?),
        };
        let live = match &self.stage {
            Stage::Live(live) => match &live.run {
                LiveRun::Training(training) => Some(training.run.trainer()),
                LiveRun::Ended(_) | LiveRun::Failed(_) => None,
            },
            Stage::View(_) => None,
        };
        let Some(trainer) = restored.as_ref().or(live) else {
            return Ok(None);
        };
        let mut compared = Vec::new();
        for layer in layers {
            if progress.is_cancelled() {
                return Ok(None);
            }
            progress.say(format!("clustering the units of {layer}"));
            let squares = LayerSquares::new(&self.gpu, trainer, layer, before.get(layer));
            compared.push((layer.clone(), squares));
        }
        Ok(Some(compared))
    }
}

#[cfg(test)]
#[path = "layer_squares_tests.rs"]
mod tests;
