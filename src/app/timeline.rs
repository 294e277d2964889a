//! The time axis that all levels share, made from what is recorded and from the steps at which something happened.

use std::cmp::Reverse;
use std::ops::Range;

use crate::trace::{Event, Severity};
use crate::view::{Moment, TimeAxis, TimeScale};

/// The axis, and the events on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline {
    pub axis: TimeAxis,
    /// Events worth a mark, by their steps.
    pub moments: Vec<Moment>,
}

impl Timeline {
    /// The axis over `steps`, or over those of them within `range`; `None` where there are none.
    pub fn new(
        scale: TimeScale,
        steps: &[u64],
        range: Option<&Range<u64>>,
        events: &[Event],
    ) -> Option<Self> {
        let within = match range {
            Some(range) => {
                let from = steps.partition_point(|step| *step < range.start);
                let to = steps.partition_point(|step| *step < range.end);
                &steps[from..to.max(from)]
            }
            None => steps,
        };
        let mut grave: Vec<&Event> = events
            .iter()
            .filter(|event| event.severity > Severity::Note)
            .collect();
        // What came first is nearest to the cause.
        grave.sort_by_key(|event| (Reverse(event.severity), event.step));
        let steps_of = |event: &&Event| [event.step, event.since];
        let interesting: Vec<u64> = grave.iter().flat_map(steps_of).collect();
        let axis = TimeAxis::new(scale, within, &interesting)?;
        let mut moments: Vec<Moment> = grave
            .iter()
            .map(|event| Moment {
                step: event.step,
                severity: event.severity,
            })
            .collect();
        moments.sort_by_key(|moment| moment.step);
        Some(Self { axis, moments })
    }

    /// The first and the last step, both of them included.
    pub fn ends(&self) -> [u64; 2] {
        let columns = self.axis.columns();
        [columns[0].first, columns[columns.len() - 1].last]
    }

    /// The step that is `columns` columns after another one, or before it.
    pub fn beside(&self, step: u64, columns: i64) -> u64 {
        let at = self.axis.column_of(step) as i64 + columns;
        self.axis.step_at(at as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{EventKind, Subject};

    #[test]
    fn events_are_unfolded_and_a_range_shows_more_of_them() {
        let steps: Vec<u64> = (0..10_000).collect();
        let spike = Event::new(7000, EventKind::Nonfinite, Subject::Run);
        let all = Timeline::new(
            TimeScale::Folded,
            &steps,
            None,
            std::slice::from_ref(&spike),
        )
        .unwrap();
        assert_eq!(all.ends(), [0, 9999]);
        assert_eq!(all.beside(7000, 1), 7001);
        assert_eq!(all.moments[0].step, 7000);
        let part = Timeline::new(TimeScale::Folded, &steps, Some(&(6950..7050)), &[spike]).unwrap();
        assert_eq!(
            (part.ends(), part.axis.columns().len()),
            ([6950, 7049], 100)
        );
        let none = Timeline::new(TimeScale::Linear, &steps, Some(&(20_000..20_001)), &[]);
        assert_eq!(none, None);
    }
}
