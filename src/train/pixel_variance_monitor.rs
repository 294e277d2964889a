//! Watches the log-variance that a decoder gives to its pixels: where nothing bounds it below it sinks wherever pixels can be
//! predicted exactly, and each unit less makes a step of the optimizer throw it farther.

use std::collections::VecDeque;

use super::thresholds::{DetectSection, SINKING_WINDOWS};
use crate::nn::Role;
use crate::tensor::TensorKind;
use crate::trace::{
    Event, EventKind, ModelDescription, Subject, TraceEntry, TraceLayout, UnitStatistics,
};

/// Observes the log-variance of pixels. An overshoot throws it back for a while, so that it does not sink in many records in
/// a row: some of the last ones must show it.
#[derive(Debug, Clone)]
pub(super) struct PixelVarianceMonitor {
    entry: TraceEntry,
    /// The last records, each with whether it shows the sinking.
    last: VecDeque<(u64, bool)>,
    has_reported: bool,
}

impl PixelVarianceMonitor {
    /// A monitor of a decoder that learns the variance of its pixels without a least one; `None` for other models.
    pub fn new(layout: &TraceLayout, model: &ModelDescription) -> Option<Self> {
        let layer = model.with_role(Role::ImageLogVariance)?;
        if model.is_bounded_below(&layer.name) {
            return None;
        }
        Some(Self {
            entry: layout.find(&layer.name, TensorKind::Activation)?.clone(),
            last: VecDeque::new(),
            has_reported: false,
        })
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        let is_own = |event: &Event| {
            event.kind == EventKind::LogVarianceDrift
                && event.subject.tensor_name() == Some(&self.entry.tensor)
        };
        self.has_reported |= events.iter().any(is_own);
    }

    /// The event that the next record shows, once in a run.
    pub fn observe(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        detect: &DetectSection,
    ) -> Option<Event> {
        let units = &statistics[self.entry.rows()];
        let below = |unit: &UnitStatistics| f64::from(unit.mean) - f64::from(unit.min);
        let sunk: Vec<usize> = (0..units.len())
            .filter(|&unit| below(&units[unit]) > detect.pixel_log_variance)
            .collect();
        let records = detect.records as usize;
        self.last.push_back((step, !sunk.is_empty()));
        if self.last.len() > SINKING_WINDOWS * records {
            self.last.pop_front();
        }
        let mut shown = self.last.iter().filter(|(_, is_sunk)| *is_sunk);
        let since = shown.next()?.0;
        if self.has_reported || sunk.is_empty() || shown.count() + 1 < records {
            return None;
        }
        self.has_reported = true;
        let lowest = sunk
            .iter()
            .map(|&unit| &units[unit])
            .min_by(|a, b| a.min.total_cmp(&b.min))?;
        let subject = Subject::of_units(&self.entry.tensor, self.entry.kind, sunk);
        let event = Event::new(step, EventKind::LogVarianceDrift, subject);
        Some(
            event
                .since(since)
                .with("value", lowest.min)
                .with("mean", lowest.mean)
                .with("units", units.len() as f64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> PixelVarianceMonitor {
        let mut layout = TraceLayout::new();
        layout.push("log_variance", TensorKind::Activation, 2);
        PixelVarianceMonitor {
            entry: layout.entries()[0].clone(),
            last: VecDeque::new(),
            has_reported: false,
        }
    }

    fn unit(mean: f32, min: f32) -> UnitStatistics {
        UnitStatistics {
            mean,
            min,
            ..UnitStatistics::default()
        }
    }

    /// The events of records whose second unit has these least values, with a mean of -2.
    fn events(least: impl IntoIterator<Item = f32>) -> Vec<Event> {
        let mut monitor = monitor();
        let detect = DetectSection::default();
        let records = least.into_iter().zip((0..).step_by(10));
        let found = records.map(|(min, step)| {
            monitor.observe(step, &[unit(-2.0, -2.5), unit(-2.0, min)], &detect)
        });
        found.flatten().collect()
    }

    #[test]
    fn a_sinking_that_is_thrown_back_is_one_event() {
        let found = events((0..30).map(|at| if at % 3 == 2 { -5.0 } else { -2.6 }));
        assert_eq!(found.len(), 1, "{found:?}");
        let event = &found[0];
        assert_eq!((event.step, event.since), (140, 20));
        assert_eq!(event.subject.units(), [1]);
        assert_eq!(
            event.sentence(),
            "Unit 1 of log_variance sinks and nothing stops it: the least value was −5 at step 140, with a mean of −2."
        );
    }

    #[test]
    fn what_happens_now_and_then_or_to_all_pixels_alike_is_none() {
        assert_eq!(
            events((0..99).map(|at| if at % 6 == 0 { -5.0 } else { -2.0 })),
            []
        );
        assert_eq!(events([-5.0, -5.0, -5.0, -5.0, -3.0]), []);
        assert_eq!(events([f32::NAN; 9]), []);
    }
}
