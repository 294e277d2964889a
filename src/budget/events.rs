//! Events that the detectors find in a recording.

use serde::Deserialize;

use super::recording::Record;
use crate::trace::{Event, EventKind, RunView, Subject};
use crate::train::{DetectSection, EventDetector, StepRecord};

/// An event that comes later than this share of the run's steps is not the same any more.
const LATENESS: f64 = 0.1;

/// What is found in the whole record.
#[derive(Debug, Clone)]
pub(super) struct Detection {
    found: Vec<(EventKind, Subject, u64)>,
    lateness: u64,
}

impl Detection {
    pub fn of(run: &RunView, record: &Record) -> Self {
        Self {
            found: detect(run, record),
            lateness: (LATENESS * record.steps_done as f64).ceil() as u64,
        }
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The share of them that is found again: of the same kind, in the same tensor, and not much later.
    pub fn recall(&self, run: &RunView, smaller: &Record) -> Option<f64> {
        if self.found.is_empty() {
            return None;
        }
        let again = detect(run, smaller);
        let is_found = |(kind, subject, step): &&(EventKind, Subject, u64)| {
            again.iter().any(|(other, of, at)| {
                other == kind && of == subject && at.abs_diff(*step) <= self.lateness
            })
        };
        let found = self.found.iter().filter(is_found).count();
        Some(found as f64 / self.found.len() as f64)
    }
}

/// Runs the detectors over a recording; units of one tensor count as one subject. Scalars are kept at every step in all
/// recordings.
fn detect(run: &RunView, record: &Record) -> Vec<(EventKind, Subject, u64)> {
    let mut names: Vec<String> = run.scalars().keys().cloned().collect();
    // What only recorded steps have comes last.
    names.sort_by_key(|name| (name.contains('/'), name != "loss"));
    let mut series: Vec<_> = names
        .iter()
        .map(|name| run.scalars()[name].iter().peekable())
        .collect();
    let mut detector = EventDetector::new(&record.layout, &names, run.model(), &settings(run));
    let mut records = record.steps.iter().zip(&record.values).peekable();
    let mut events: Vec<Event> = Vec::new();
    for step in 0..record.steps_done {
        let statistics = records.next_if(|(at, _)| **at == step);
        let values = series.iter_mut().map(|values| {
            while values.next_if(|(at, _)| *at < step).is_some() {}
            values
                .next_if(|(at, _)| *at == step)
                .map(|(_, value)| *value as f32)
        });
        // All at first: a series that has no value here is still moved on.
        let values: Vec<Option<f32>> = values.collect();
        let scalars: Vec<f32> = values.into_iter().map_while(|value| value).collect();
        if statistics.is_none() && scalars.is_empty() {
            continue;
        }
        let seen = StepRecord {
            step,
            scalars,
            statistics: statistics.map(|(_, values)| values.clone()),
            outputs: Vec::new(),
        };
        events.extend(detector.observe(&seen));
    }
    let mut found: Vec<(EventKind, Subject, u64)> = Vec::new();
    for event in events {
        let subject = event.subject.group();
        let is_known = |(kind, of, _): &(EventKind, Subject, u64)| {
            *kind == event.kind && *of == subject && !matches!(subject, Subject::Scalar(_))
        };
        // The first event of a tensor's units is the one to find; each spike of a scalar is one of its own.
        if !found.iter().any(is_known) {
            found.push((event.kind, subject, event.step));
        }
    }
    found
}

/// The thresholds of the run's scenario; the usual ones where it has no readable scenario.
fn settings(run: &RunView) -> DetectSection {
    /// The part of a scenario that is read.
    #[derive(Default, Deserialize)]
    struct Thresholds {
        #[serde(default)]
        detect: DetectSection,
    }
    let text = run.scenario().unwrap_or_default();
    let thresholds: Thresholds = toml::from_str(text).unwrap_or_default();
    thresholds.detect
}
