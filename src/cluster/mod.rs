//! Units in clusters: which of them behave alike.
//!
//! A unit is a point; its features are its activations on the probe batch at a snapshot (of a convolution, all places of its
//! map) or its recorded series. K-means++ runs on the GPU for every count of clusters at once ([`Points`]), and the count with
//! the largest mean silhouette is taken (Rousseeuw 1987); below [`MIN_SILHOUETTE`] there is one cluster. Units with values
//! that are not finite, and units far from all others, are singled out first, since a mean with them in it says nothing.
//! [`reference`](mod@reference) does it on the CPU in float64.

mod features;
mod isolated;
mod kmeans;
mod matching;
pub mod reference;

pub use features::UnitFeatures;
pub use kmeans::{MAX_COUNT, Partition, Points};
pub use matching::assign;

use crate::credit::Credit;
use crate::gpu::Gpu;
use crate::{Error, Result};

/// Below this mean silhouette no structure was found (Kaufman and Rousseeuw 1990).
pub const MIN_SILHOUETTE: f64 = 0.25;
/// Counts that are tried where none is given.
const MAX_TRIED: usize = 12;
/// Units and features at most: pairs of units and all values are kept on the GPU.
const MAX_UNITS: usize = 4096;

/// What a clustering depends on, besides the units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// The count of clusters; chosen by the silhouette where it is `None`.
    pub count: Option<usize>,
    /// Seed of the first centers.
    pub seed: u64,
}

/// How the count of clusters came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// It has the largest mean silhouette.
    Silhouette,
    /// No count has a mean silhouette of at least [`MIN_SILHOUETTE`], or the units are all alike: there is one cluster.
    NoStructure,
    /// It was asked for.
    Given,
}

impl Criterion {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silhouette => "silhouette",
            Self::NoStructure => "no_structure",
            Self::Given => "given",
        }
    }
}

/// Units that behave alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its number, which [`Clustering::match_to`] keeps from snapshot to snapshot.
    pub id: usize,
    /// Its units, ascending.
    pub units: Vec<usize>,
    /// The mean of its units, one value for each sample (of maps, the mean over all places) or step.
    pub mean: Vec<f64>,
    /// The root of the mean squared distance of a feature of its units to that of their center.
    pub spread: f64,
    /// What its units moved an explained unit by together: see [`Clustering::explain`].
    pub credit: Option<f64>,
}

impl Cluster {
    /// How many units it has, in words: "1 unit", "12 units".
    pub fn counted(&self) -> String {
        match self.units.len() {
            1 => "1 unit".to_owned(),
            count => format!("{count} units"),
        }
    }
}

/// A unit that is in no cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingledOut {
    /// The unit.
    pub unit: usize,
    /// Why, in a clause.
    pub why: String,
}

/// All units of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// How many units there are, those singled out included.
    pub units: usize,
    /// How the count came about.
    pub criterion: Criterion,
    /// The mean silhouette for each count that was tried, from 2 on.
    pub silhouettes: Vec<(usize, f64)>,
    /// The clusters, by size, until they are matched to others.
    pub clusters: Vec<Cluster>,
    /// Units in none of them.
    pub singled_out: Vec<SingledOut>,
}

/// Divides units into clusters.
///
/// # Errors
/// No units, more than can be compared, or a count that cannot be reached.
pub fn cluster(gpu: &Gpu, features: &UnitFeatures, options: &ClusterOptions) -> Result<Clustering> {
    check(features, options)?;
    let mut singled_out = features.nonfinite_units();
    let is_out = |out: &[SingledOut], unit| out.iter().any(|single| single.unit == unit);
    let mut units: Vec<usize> = (0..features.units)
        .filter(|&unit| !is_out(&singled_out, unit))
        .collect();
    let mut chosen = None;
    if !units.is_empty() {
        let (mut points, scale) = features.points(gpu, &units)?;
        let mut distances = points.distances()?;
        let isolated = isolated::isolated(&gpu.read(&distances)?, units.len(), scale);
        if !isolated.is_empty() {
            let out = isolated.into_iter().map(|(index, why)| SingledOut {
                unit: units[index],
                why,
            });
            singled_out.extend(out);
            singled_out.sort_by_key(|single| single.unit);
            units.retain(|&unit| !is_out(&singled_out, unit));
            (points, _) = features.points(gpu, &units)?;
            distances = points.distances()?;
        }
        let most = options
            .count
            .unwrap_or(MAX_TRIED.min(units.len().saturating_sub(1)));
        let partitions = points.partitions(&distances, most.max(1), options.seed)?;
        chosen = Some(choose(partitions, options.count));
    }
    let (partition, criterion, silhouettes) = match chosen {
        Some(chosen) => chosen,
        None => (None, Criterion::NoStructure, Vec::new()),
    };
    let labels = partition.map_or(Vec::new(), |partition| partition.labels);
    Ok(Clustering {
        units: features.units,
        criterion,
        silhouettes,
        clusters: clusters(features, &units, &labels),
        singled_out,
    })
}

/// The partition that counts, why, and the silhouettes of all from 2 clusters on.
fn choose(
    mut partitions: Vec<Partition>,
    count: Option<usize>,
) -> (Option<Partition>, Criterion, Vec<(usize, f64)>) {
    let silhouettes: Vec<(usize, f64)> = (1..)
        .zip(&partitions)
        .skip(1)
        .map(|(count, partition)| (count, partition.silhouette))
        .collect();
    if count.is_some() {
        return (partitions.pop(), Criterion::Given, silhouettes);
    }
    // Of equally good counts the smallest.
    let best = silhouettes
        .iter()
        .fold(None, |best: Option<(usize, f64)>, &next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        });
    match best.filter(|(_, silhouette)| *silhouette >= MIN_SILHOUETTE) {
        Some((count, _)) => {
            let partition = partitions.swap_remove(count - 1);
            (Some(partition), Criterion::Silhouette, silhouettes)
        }
        None => (
            Some(partitions.swap_remove(0)),
            Criterion::NoStructure,
            silhouettes,
        ),
    }
}

/// The clusters with members, the largest first, of equally large ones that with the first unit.
fn clusters(features: &UnitFeatures, units: &[usize], labels: &[u32]) -> Vec<Cluster> {
    let count = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (&unit, &label) in units.iter().zip(labels) {
        members[label as usize].push(unit);
    }
    members.retain(|units| !units.is_empty());
    members.sort_by_key(|units| (std::cmp::Reverse(units.len()), units[0]));
    members
        .into_iter()
        .enumerate()
        .map(|(id, units)| Cluster {
            id,
            mean: features.mean_series(&units),
            spread: features.spread(&units),
            units,
            credit: None,
        })
        .collect()
}

impl Clustering {
    /// How many clusters there are and why, in a sentence.
    pub fn summary(&self) -> String {
        let clusters = match self.clusters.len() {
            1 => "1 cluster".to_owned(),
            count => format!("{count} clusters"),
        };
        let out = match self.singled_out.len() {
            0 => String::new(),
            count => format!(", {count} singled out"),
        };
        let best = self.silhouettes.iter().map(|(_, silhouette)| *silhouette);
        let best = best.fold(f64::NEG_INFINITY, f64::max);
        let why = match self.criterion {
            Criterion::Silhouette => {
                format!("the largest mean silhouette, {best:.2}, is of this count")
            }
            Criterion::NoStructure if best.is_finite() => format!(
                "no count has a mean silhouette of {MIN_SILHOUETTE}, the largest is {best:.2}"
            ),
            Criterion::NoStructure => "too few units to divide".to_owned(),
            Criterion::Given => "as asked".to_owned(),
        };
        format!("{} units in {clusters}{out}; {why}.", self.units)
    }

    /// Sums the credit that the units of `layer`, which these clusters are of, have in the change of an explained unit, and
    /// puts the clusters that moved it most first. What units outside of all clusters moved it by is returned.
    ///
    /// # Errors
    /// No unit of the layer has a part in it: the message lists the layers that have.
    pub fn explain(&mut self, layer: &str, credit: &Credit) -> Result<f64> {
        let mut of_units = vec![0.0; self.units];
        let mut layers: Vec<&str> = Vec::new();
        for part in credit.predecessors.iter().chain(&credit.successors) {
            if !layers.contains(&part.layer.as_str()) {
                layers.push(&part.layer);
            }
            if part.layer == layer && part.unit < of_units.len() {
                of_units[part.unit] += part.credit;
            }
        }
        if !layers.contains(&layer) {
            return Err(Error::usage(
                format!("--layer {layer}"),
                format!(
                    "its units are no neighbors of {} {}",
                    credit.layer, credit.unit
                ),
                format!("choose one of: {}", layers.join(", ")),
            ));
        }
        let sum = |units: &[usize]| units.iter().map(|&unit| of_units[unit]).sum::<f64>();
        for cluster in &mut self.clusters {
            cluster.credit = Some(sum(&cluster.units));
        }
        let magnitude = |cluster: &Cluster| cluster.credit.unwrap_or(0.0).abs();
        self.clusters
            .sort_by(|a, b| magnitude(b).total_cmp(&magnitude(a)));
        let out: Vec<usize> = self.singled_out.iter().map(|single| single.unit).collect();
        Ok(sum(&out))
    }

    /// Gives each cluster the number of that of `before` with which it shares the most units, so that the sum of shared
    /// units is as large as it can be. Clusters without such a one get numbers that `before` does not have.
    pub fn match_to(&mut self, before: &Self) {
        let shared = |own: &Cluster, other: &Cluster| {
            let units = own.units.iter();
            units
                .filter(|unit| other.units.binary_search(unit).is_ok())
                .count() as u32
        };
        let weights: Vec<Vec<u32>> = self
            .clusters
            .iter()
            .map(|own| {
                before
                    .clusters
                    .iter()
                    .map(|other| shared(own, other))
                    .collect()
            })
            .collect();
        let mut free = before
            .clusters
            .iter()
            .map(|other| other.id + 1)
            .max()
            .unwrap_or(0);
        for (index, matched) in assign(&weights).into_iter().enumerate() {
            let matched = matched.filter(|&column| weights[index][column] > 0);
            self.clusters[index].id = match matched {
                Some(column) => before.clusters[column].id,
                None => {
                    free += 1;
                    free - 1
                }
            };
        }
        self.clusters.sort_by_key(|cluster| cluster.id);
    }
}

fn check(features: &UnitFeatures, options: &ClusterOptions) -> Result<()> {
    let wrong = |problem: String, hint: String| Err(Error::input("cluster", problem, hint));
    match options.count {
        Some(count) if count == 0 || count > MAX_COUNT.min(features.units) => {
            return wrong(
                format!(
                    "{count} clusters of {} units cannot be made",
                    features.units
                ),
                format!("ask for 1 to {}", MAX_COUNT.min(features.units)),
            );
        }
        _ => {}
    }
    match features.units {
        0 => wrong(
            "there are no units".to_owned(),
            "name a layer with units".to_owned(),
        ),
        units if units > MAX_UNITS => wrong(
            format!("{units} units are more than {MAX_UNITS}"),
            "name a layer with fewer units, such as one with channels".to_owned(),
        ),
        _ => Ok(()),
    }
}
