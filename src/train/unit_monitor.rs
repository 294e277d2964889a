//! Watches the units of activation layers: rectifiers that die and come back, and sigmoids that saturate. One event tells
//! of all units of a layer.

use super::debounce::Debounce;
use super::thresholds::{DEAD_LAYER, DetectSection};
use crate::nn::{Property, ValueRange};
use crate::tensor::TensorKind;
use crate::trace::{
    Event, EventKind, LayerDescription, ModelDescription, Severity, Subject, TraceEntry,
    TraceLayout, UnitStatistics,
};

/// How near to its bound, as a share of its range, a saturated unit is for the whole batch.
const NEAR_BOUND: f32 = 0.02;

/// What is watched of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Watched {
    /// Whether units are nothing but zeros.
    Zero,
    /// Whether units are at one of two bounds.
    Bounds(ValueRange),
}

/// Observes the units of one layer.
#[derive(Debug, Clone)]
pub(super) struct UnitMonitor {
    entry: TraceEntry,
    watched: Watched,
    units: Vec<Unit>,
    /// The severity of the last report.
    reported: Option<Severity>,
    has_reported_return: bool,
}

/// What is remembered of a unit.
#[derive(Debug, Clone, Default)]
struct Unit {
    condition: Debounce,
    /// Since when it holds, once it has held for long enough.
    since: Option<u64>,
    /// Whether it has held before and does not any more.
    returned: bool,
}

impl UnitMonitor {
    /// Monitors of all recorded layers whose units can die or saturate.
    pub fn all(layout: &TraceLayout, model: &ModelDescription) -> Vec<Self> {
        let activations = layout
            .entries()
            .iter()
            .filter(|entry| entry.kind == TensorKind::Activation);
        activations
            .filter_map(|entry| Some(Self::new(entry, watched(model.layer(&entry.tensor)?)?)))
            .collect()
    }

    fn new(entry: &TraceEntry, watched: Watched) -> Self {
        Self {
            entry: entry.clone(),
            watched,
            units: vec![Unit::default(); entry.units],
            reported: None,
            has_reported_return: false,
        }
    }

    fn kind(&self) -> EventKind {
        match self.watched {
            Watched::Zero => EventKind::DeadUnit,
            Watched::Bounds(_) => EventKind::SaturatedUnits,
        }
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        let kind = self.kind();
        let own = events
            .iter()
            .filter(|event| event.subject.tensor_name() == Some(&self.entry.tensor));
        for event in own {
            if event.kind == kind {
                self.reported = self.reported.max(Some(event.severity));
                for &unit in event.subject.units() {
                    if let Some(unit) = self.units.get_mut(unit) {
                        unit.since = Some(event.since);
                    }
                }
            }
            self.has_reported_return |= event.kind == EventKind::Revived;
        }
    }

    /// Adds the events that the next record shows.
    pub fn observe(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        detect: &DetectSection,
        events: &mut Vec<Event>,
    ) {
        let watched = self.watched;
        let records = detect.records;
        for (statistics, unit) in statistics[self.entry.rows()].iter().zip(&mut self.units) {
            let holds = holds(watched, statistics);
            let since = unit
                .condition
                .observe(step, holds, |_, seen| seen >= records);
            if let Some(since) = since {
                unit.since = Some(unit.since.map_or(since, |known| known.min(since)));
                unit.returned = false;
            }
            if !holds && unit.since.take().is_some() {
                unit.returned = true;
            }
        }
        events.extend(self.report(step, detect));
        events.extend(self.report_return(step));
    }

    /// The event that as many units are dead or saturated as the next severity asks for.
    fn report(&mut self, step: u64, detect: &DetectSection) -> Option<Event> {
        let (share, levels) = match self.watched {
            Watched::Zero => (
                detect.dead_share,
                &[(0.5, Severity::Note), (1.0, Severity::Warning)][..],
            ),
            Watched::Bounds(_) => (detect.saturated_share, &[(1.0, Severity::Warning)][..]),
        };
        let mut since: Vec<u64> = self.units.iter().filter_map(|unit| unit.since).collect();
        since.sort_unstable();
        let all = self.units.len();
        let needed = |share: f64| ((share * all as f64).ceil() as usize).max(1);
        let levels = levels
            .iter()
            .map(|(part, severity)| (needed((part * share).min(1.0)), *severity));
        let serious = (needed(DEAD_LAYER.max(share).min(1.0)), Severity::Serious);
        let levels = levels.chain((self.watched == Watched::Zero).then_some(serious));
        let reached = levels
            .filter(|(needed, _)| since.len() >= *needed)
            .max_by_key(|(_, severity)| *severity)?;
        let (needed, severity) = reached;
        if self.reported >= Some(severity) {
            return None;
        }
        self.reported = Some(severity);
        let units: Vec<usize> = (0..all)
            .filter(|&unit| self.units[unit].since.is_some())
            .collect();
        let returned = self.units.iter().filter(|unit| unit.returned).count();
        let subject = Subject::of_units(&self.entry.tensor, self.entry.kind, units);
        let mut event = Event::new(step, self.kind(), subject)
            .since(since[needed - 1])
            .with("dead", since.len() as f64)
            .with("units", all as f64)
            .with("came_back", returned as f64);
        event.severity = severity;
        Some(event)
    }

    /// The event that most of the units that were reported dead are alive again.
    fn report_return(&mut self, step: u64) -> Option<Event> {
        let returned: Vec<usize> = (0..self.units.len())
            .filter(|&unit| self.units[unit].returned)
            .collect();
        let dead = self
            .units
            .iter()
            .filter(|unit| unit.since.is_some())
            .count();
        let is_due = self.watched == Watched::Zero
            && self.reported.is_some()
            && !self.has_reported_return
            && returned.len() > dead;
        if !is_due {
            return None;
        }
        self.has_reported_return = true;
        let back = returned.len();
        let subject = Subject::of_units(&self.entry.tensor, self.entry.kind, returned);
        let event = Event::new(step, EventKind::Revived, subject);
        Some(
            event
                .with("came_back", back as f64)
                .with("units", self.units.len() as f64),
        )
    }
}

/// What can be watched of a layer.
fn watched(layer: &LayerDescription) -> Option<Watched> {
    if layer.has(Property::Rectifier) {
        return Some(Watched::Zero);
    }
    // The pixels of an image and the answer of a network are at their bounds where they are right.
    let is_watched = layer.has(Property::Saturating) && layer.role.is_none();
    (is_watched && layer.range.is_bounded()).then_some(Watched::Bounds(layer.range))
}

/// Whether a unit of a layer is at its bounds for the whole batch: at one of them, or for each sample at one or the other.
pub(crate) fn is_saturated(layer: &LayerDescription, unit: &UnitStatistics) -> bool {
    let bounds = watched(layer).filter(|watched| *watched != Watched::Zero);
    bounds.is_some_and(|watched| holds(watched, unit))
}

fn holds(watched: Watched, unit: &UnitStatistics) -> bool {
    match watched {
        Watched::Zero => unit.zero_fraction >= 1.0,
        Watched::Bounds(range) => {
            let (least, greatest) = (range.least as f32, range.greatest as f32);
            let near = NEAR_BOUND * (greatest - least);
            let [middle, half] = [0.5 * (least + greatest), 0.5 * (greatest - least)];
            // A sample at either bound is as far from the middle as can be.
            let distance = (unit.mean - middle).hypot(unit.std);
            let at_one = unit.max < least + near || unit.min > greatest - near;
            unit.mean.is_finite() && (at_one || distance > half - near)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_at_either_bound_are_saturated() {
        let tanh = Watched::Bounds(ValueRange {
            least: -1.0,
            greatest: 1.0,
        });
        let unit = |mean: f32, std: f32, min: f32, max: f32| UnitStatistics {
            mean,
            std,
            min,
            max,
            ..UnitStatistics::default()
        };
        for (saturated, statistics) in [
            (true, unit(0.99, 0.005, 0.97, 1.0)),
            (true, unit(-0.99, 0.005, -1.0, -0.97)),
            // Half of the samples at one bound and half at the other; then at random between them.
            (true, unit(0.0, 0.99, -1.0, 1.0)),
            (false, unit(0.0, 0.58, -1.0, 1.0)),
            (false, unit(0.9, 0.1, 0.2, 1.0)),
            (false, unit(f32::NAN, f32::NAN, 1.0, 1.0)),
        ] {
            assert_eq!(holds(tanh, &statistics), saturated, "{statistics:?}");
        }
    }
}
