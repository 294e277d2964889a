//! Units that behave alike: which of them a smaller recording still puts together.

use super::motifs::interpolated;
use super::recording::Record;
use crate::cluster::{MIN_SILHOUETTE, reference};
use crate::tensor::TensorKind;

/// Units of a tensor that are compared at most; of more, every n-th is.
const MAX_UNITS: usize = 128;
/// Records at which they are compared.
const MAX_RECORDS: usize = 64;
/// Clusters at most.
const MAX_COUNT: usize = 6;
/// Starts of k-means; the one with the smallest error counts.
const STARTS: u32 = 2;

/// The clusters of the whole record.
#[derive(Debug, Clone)]
pub(super) struct Clusters {
    steps: Vec<u64>,
    tensors: Vec<TensorClusters>,
}

#[derive(Debug, Clone)]
struct TensorClusters {
    tensor: String,
    kind: TensorKind,
    /// The compared units by their numbers, and the cluster of each.
    units: Vec<usize>,
    labels: Vec<u32>,
    count: usize,
}

impl Clusters {
    /// Of each tensor whose units have a structure: as many clusters as have the largest mean silhouette.
    pub fn of(record: &Record) -> Self {
        let every = record.steps.len().div_ceil(MAX_RECORDS).max(1);
        let steps: Vec<u64> = record.steps.iter().copied().step_by(every).collect();
        let tensors = record.tensors().filter_map(|entry| {
            let stride = entry.units.div_ceil(MAX_UNITS);
            let lines = record.lines(entry).into_iter().step_by(stride);
            let finite = lines.filter(|(_, line)| line.iter().all(|value| value.is_finite()));
            let (units, lines): (Vec<usize>, Vec<Vec<f64>>) = finite
                .map(|(unit, line)| (unit, line.into_iter().step_by(every).collect()))
                .unzip();
            let most = MAX_COUNT.min(units.len().saturating_sub(1));
            let mut best: Option<(f64, Vec<u32>, usize)> = None;
            for count in 2..=most {
                let labels = clustered(&lines, count);
                let silhouettes = reference::silhouettes(&lines, &labels);
                let silhouette = silhouettes.iter().sum::<f64>() / lines.len() as f64;
                if silhouette > best.as_ref().map_or(MIN_SILHOUETTE, |(known, ..)| *known) {
                    best = Some((silhouette, labels, count));
                }
            }
            let (_, labels, count) = best?;
            Some(TensorClusters {
                tensor: entry.tensor.clone(),
                kind: entry.kind,
                units,
                labels,
                count,
            })
        });
        Self {
            tensors: tensors.collect(),
            steps,
        }
    }

    pub fn count(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.count).sum()
    }

    /// The share of pairs of units of which it is still seen whether they are in one cluster: both are recorded, and as many
    /// clusters of the smaller recording put them together or apart as those of the whole record do. What is between its
    /// records is drawn as a straight line.
    pub fn recall(&self, smaller: &Record) -> Option<f64> {
        let (mut all, mut agreeing) = (0usize, 0usize);
        for own in &self.tensors {
            all += own.units.len() * (own.units.len() - 1) / 2;
            let Some(entry) = smaller.layout.find(&own.tensor, own.kind) else {
                continue;
            };
            let kept = own
                .units
                .iter()
                .zip(&own.labels)
                .filter_map(|(&unit, &label)| {
                    let line = smaller.line_of(entry, unit)?;
                    Some((label, interpolated(&smaller.steps, &line, &self.steps)))
                });
            let (wanted, lines): (Vec<u32>, Vec<Vec<f64>>) = kept.unzip();
            if lines.len() < own.count {
                continue;
            }
            let found = clustered(&lines, own.count);
            for i in 0..found.len() {
                let is_same = |j: &usize| (wanted[i] == wanted[*j]) == (found[i] == found[*j]);
                agreeing += (0..i).filter(is_same).count();
            }
        }
        (all > 0).then(|| agreeing as f64 / all as f64)
    }
}

/// The labels of the best start.
fn clustered(lines: &[Vec<f64>], count: usize) -> Vec<u32> {
    let start = |start| {
        let seeds = reference::seeds(lines, count, 0, start);
        let centers = seeds.into_iter().map(|seed| lines[seed].clone());
        reference::settle(lines, centers.collect())
    };
    let best = (0..STARTS).map(start).min_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(Vec::new(), |(labels, _)| labels)
}
