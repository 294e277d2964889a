//! The events of a run: those that it has written or, where there are none, such as in a replay's directory, those that the
//! detectors find in its records.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::trace::{Event, EventKind, RunView, UnitStatistics};
use crate::train::{DetectSection, EventDetector, StepRecord};

/// The events of a run. Non-finite values are left to its records where it has written no event: the first of a part of a
/// run need not be the first of all.
pub(super) fn events_of(run: &RunView) -> Cow<'_, [Event]> {
    if !run.events().is_empty() {
        return Cow::Borrowed(run.events());
    }
    let mut names: Vec<String> = run.scalars().keys().cloned().collect();
    // A record's first scalar is the loss.
    names.sort_by_key(|name| name != "loss");
    let mut scalars: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        for &(step, value) in &run.scalars()[name] {
            let of_step = scalars
                .entry(step)
                .or_insert_with(|| vec![f32::NAN; names.len()]);
            of_step[index] = value as f32;
        }
    }
    let settings = DetectSection::default();
    let mut detector = EventDetector::new(run.layout(), &names, run.model(), &settings);
    let mut events = Vec::new();
    let mut observe = |step: u64, scalars: Vec<f32>, statistics: Option<&[UnitStatistics]>| {
        events.extend(detector.observe(&StepRecord {
            step,
            scalars,
            statistics: statistics.map(<[UnitStatistics]>::to_vec),
            outputs: Vec::new(),
        }));
    };
    let read = run.each_record(|step, statistics| {
        // Steps between two records have scalars alone.
        while let Some(entry) = scalars.first_entry()
            && *entry.key() < step
        {
            let (between, values) = entry.remove_entry();
            observe(between, values, None);
        }
        let values = scalars
            .remove(&step)
            .unwrap_or_else(|| vec![f32::NAN; names.len()]);
        observe(step, values, Some(statistics));
    });
    for (step, values) in scalars {
        observe(step, values, None);
    }
    // What can be read of the records was looked at; the summary names what cannot.
    let _ = read;
    events.retain(|event| event.kind != EventKind::Nonfinite);
    Cow::Owned(events)
}
