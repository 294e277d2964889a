//! Which units a failure is about and since when they drifted, from the records alone.

use std::collections::VecDeque;

use super::finding::Finding;
use crate::nn::{GraphDescription, Property};
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, RunView, Statistic, Subject};

/// The share of a unit's whole way from which on it counts as drifting, and the deviations (1.4826 of the median absolute one)
/// of the first quarter of its records, where that is less: the last step before a failure may be greater than all before.
const DRIFTING: f64 = 0.1;
const DEVIATIONS: f64 = 8.0 * 1.4826;
/// The share of the farthest unit's way from which on another unit is named beside it.
const ALIKE: f64 = 0.5;
/// Units that are named.
const MOST_UNITS: usize = 8;

/// The unit of a layer with weights whose mean went farthest before a failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drift {
    pub layer: String,
    pub unit: usize,
    /// Units that went at least half as far, the farthest first.
    pub units: Vec<usize>,
    /// The step of the event.
    pub failed: u64,
    pub way: Way,
}

/// How a unit's mean went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Way {
    /// The median of the first quarter of the records.
    pub baseline: f64,
    /// The last finite mean, and its step.
    pub last: f64,
    pub last_step: u64,
    /// The step from which on it stayed away from that median: a tenth of the way, or farther than its first quarter strayed.
    pub since: u64,
}

impl Way {
    /// The way of a series of means up to the step `failed`; `None` where it did not go anywhere.
    fn new(steps: &[u64], means: &[f32], failed: u64) -> Option<Self> {
        let finite: Vec<(u64, f64)> = steps
            .iter()
            .zip(means)
            .filter(|(step, mean)| **step <= failed && mean.is_finite())
            .map(|(step, mean)| (*step, f64::from(*mean)))
            .collect();
        let first = &finite[..finite.len().div_ceil(4)];
        let baseline = median(first.iter().map(|(_, mean)| *mean))?;
        let stray = median(first.iter().map(|(_, mean)| (mean - baseline).abs()))?;
        let &(last_step, last) = finite.last()?;
        let mut far = DRIFTING * (last - baseline).abs();
        if far == 0.0 {
            return None;
        }
        if stray > 0.0 {
            far = far.min(DEVIATIONS * stray);
        }
        let is_near = |(_, mean): &(u64, f64)| (mean - baseline).abs() < far;
        let from = finite.iter().rposition(is_near).map_or(0, |at| at + 1);
        Some(Self {
            baseline,
            last,
            last_step,
            since: finite[from].0,
        })
    }

    /// How far it went.
    pub fn length(&self) -> f64 {
        (self.last - self.baseline).abs()
    }
}

/// The upper median; `None` of nothing.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The unit that a run went wrong with, where it ran away: a value that is not finite, or a loss that exploded.
pub(super) fn drift(run: &RunView, finding: &Finding) -> Option<Drift> {
    let of_kind = |kind: EventKind| run.events().iter().find(move |event| event.kind == kind);
    let event = of_kind(EventKind::Nonfinite).or(of_kind(EventKind::Explosion))?;
    let layers = layers_behind(run, finding, event);
    let drifts = layers.into_iter().filter_map(|layer| {
        let named: &[usize] = match finding.layer.as_deref() == Some(layer.as_str()) {
            true => &finding.units,
            false => &[],
        };
        of_layer(run, layer, named, event.step)
    });
    drifts.max_by(|a, b| a.way.length().total_cmp(&b.way.length()))
}

/// The farthest unit of a layer; one of `named` where there are any.
fn of_layer(run: &RunView, layer: String, named: &[usize], failed: u64) -> Option<Drift> {
    let series = run
        .series(&layer, TensorKind::Activation, Statistic::Mean)
        .ok()?;
    let mut ways: Vec<(usize, Way)> = series
        .rows()
        .enumerate()
        .filter(|(unit, _)| named.is_empty() || named.contains(unit))
        .filter_map(|(unit, row)| Some((unit, Way::new(&series.steps, row, failed)?)))
        .collect();
    ways.sort_by(|a, b| b.1.length().total_cmp(&a.1.length()));
    let &(unit, way) = ways.first()?;
    let alike = |(_, other): &&(usize, Way)| other.length() >= ALIKE * way.length();
    Some(Drift {
        units: ways
            .iter()
            .take_while(alike)
            .take(MOST_UNITS)
            .map(|(unit, _)| *unit)
            .collect(),
        layer,
        unit,
        failed,
        way,
    })
}

/// The layers with weights that stand directly behind what an event is about.
fn layers_behind(run: &RunView, finding: &Finding, event: &Event) -> Vec<String> {
    let of_finding = finding.layer.clone().filter(|_| !finding.units.is_empty());
    let of_event = event.subject.tensor_name().map(str::to_owned);
    let graphs = &run.model().graphs;
    if let Some(name) = of_finding.or(of_event) {
        let name = name.split('@').next().unwrap_or_default();
        let found = graphs.iter().map(|graph| weighted_before(graph, name));
        return found
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_default();
    }
    let term_of = |term: &&crate::nn::LossDescription| match &event.subject {
        Subject::Scalar(name) if *name != "loss" => term.name == *name,
        _ => term.weight != 0.0,
    };
    let mut all = Vec::new();
    for graph in graphs {
        for term in graph.losses.iter().filter(term_of) {
            all.extend(weighted_before(graph, &term.layer));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The nearest layers with weights that a layer or a parameter is computed from, itself among them.
fn weighted_before(graph: &GraphDescription, name: &str) -> Vec<String> {
    let owns = |layer: &&crate::nn::LayerDescription| {
        layer.name == name || layer.parameters.iter().any(|own| own.name == name)
    };
    let mut next: VecDeque<_> = graph.layers.iter().find(owns).into_iter().collect();
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    while let Some(layer) = next.pop_front() {
        if seen.contains(&layer.name.as_str()) {
            continue;
        }
        seen.push(layer.name.as_str());
        if layer.has(Property::WeightedSum) {
            found.push(layer.name.clone());
        } else {
            next.extend(layer.inputs.iter().filter_map(|input| graph.layer(input)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_begins_where_a_tenth_of_its_way_is_done() {
        let steps: Vec<u64> = (0..20).collect();
        // At rest for ten steps, then one further down each step.
        let means: Vec<f32> = (0..20)
            .map(|at: i16| -f32::from((at - 10).max(0)))
            .collect();
        let way = Way::new(&steps, &means, 19).expect("it moves");
        assert_eq!((way.baseline, way.last, way.since), (0.0, -9.0, 11));
        // What comes after the failure, and what is not finite, does not count.
        let mut broken = means.clone();
        broken[15] = f32::NAN;
        let way = Way::new(&steps, &broken, 15).expect("it moves");
        assert_eq!((way.last, way.last_step), (-4.0, 14));
        assert!(Way::new(&steps, &[1.0; 20], 19).is_none());
        assert!(Way::new(&[], &[], 19).is_none());
    }

    #[test]
    fn a_leap_at_the_end_does_not_hide_the_drift_before_it() {
        let steps: Vec<u64> = (0..40).collect();
        // It strays by a tenth, then drifts from step 20 on, and leaps at the end.
        let mean = |at: u64| match at {
            39 => -1e28,
            20.. => -0.5 * (at - 19) as f32,
            _ => 0.1 * (at % 3) as f32,
        };
        let means: Vec<f32> = steps.iter().map(|&at| mean(at)).collect();
        let way = Way::new(&steps, &means, 39).expect("it moves");
        assert!((20..25).contains(&way.since), "{way:?}");
    }

    #[test]
    fn an_early_excursion_that_came_back_is_no_part_of_the_drift() {
        let steps: Vec<u64> = (0..12).map(|step| step * 10).collect();
        let means = [0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 2.0, 4.0, 6.0, 8.0];
        let way = Way::new(&steps, &means, 110).expect("it moves");
        assert_eq!(way.since, 80);
    }
}
