//! Watches the loss: spikes, explosions, and losses below zero where they cannot be.

use std::collections::VecDeque;

use super::StepRecord;
use super::thresholds::{DetectSection, EXPLODED_STEPS, SPIKE_LEVEL, SPIKE_SETTLED, SPIKE_WINDOW};
use crate::nn::Role;
use crate::trace::{Event, EventKind, ModelDescription, Subject};

/// The median absolute deviation of a normal distribution times this is its standard deviation.
const TO_DEVIATION: f64 = 1.4826;

/// Observes the loss of every step.
#[derive(Debug, Clone)]
pub(super) struct LossMonitor {
    /// The last losses that were no spikes.
    usual: VecDeque<f64>,
    spikes_in_a_row: u32,
    first: Option<f64>,
    above_in_a_row: u32,
    explodes: bool,
    exploded: bool,
    can_be_negative: bool,
}

impl LossMonitor {
    pub fn new(model: &ModelDescription) -> Self {
        Self {
            usual: VecDeque::new(),
            spikes_in_a_row: 0,
            first: None,
            above_in_a_row: 0,
            // The losses of a GAN's networks have no course of their own.
            explodes: model.with_role(Role::Score).is_none(),
            exploded: false,
            can_be_negative: can_be_negative(model),
        }
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        let has = |kind: &EventKind| events.iter().any(|event| event.kind == *kind);
        self.exploded |= has(&EventKind::Explosion);
        self.can_be_negative |= has(&EventKind::NegativeLoss);
    }

    /// Adds the events that the next loss shows.
    pub fn observe(
        &mut self,
        record: &StepRecord,
        detect: &DetectSection,
        events: &mut Vec<Event>,
    ) {
        let Some(loss) = record.scalars.first().map(|loss| f64::from(*loss)) else {
            return;
        };
        if !loss.is_finite() {
            return;
        }
        let event = |kind| Event::new(record.step, kind, Subject::Scalar("loss".to_owned()));
        if let Some(expected) = self.spike(loss, detect) {
            events.push(
                event(EventKind::Spike)
                    .with("loss", loss)
                    .with("expected", expected),
            );
        }
        if let Some(times) = self.explosion(loss, detect) {
            events.push(
                event(EventKind::Explosion)
                    .with("loss", loss)
                    .with("times_first", times),
            );
        }
        if loss < 0.0 && !self.can_be_negative {
            self.can_be_negative = true;
            events.push(event(EventKind::NegativeLoss).with("loss", loss));
        }
    }

    /// What was expected of a loss that is a spike. Spikes do not count among what is usual, so that one does not hide
    /// the next; some in a row are no spikes but a new level. Only the first of a row is reported.
    fn spike(&mut self, loss: f64, detect: &DetectSection) -> Option<f64> {
        let mut expected = None;
        let mut is_spike = false;
        if self.usual.len() >= SPIKE_SETTLED {
            let center = median(self.usual.iter().copied());
            let deviation =
                TO_DEVIATION * median(self.usual.iter().map(|usual| (usual - center).abs()));
            let above = loss - center;
            is_spike = above > detect.spike_deviations * deviation
                && above > detect.spike_share * center.abs();
            let starts = is_spike && self.spikes_in_a_row == 0;
            expected = starts.then_some(center);
        }
        self.spikes_in_a_row = if is_spike {
            self.spikes_in_a_row + 1
        } else {
            0
        };
        if !is_spike || self.spikes_in_a_row > SPIKE_LEVEL {
            self.usual.push_back(loss);
            if self.usual.len() > SPIKE_WINDOW {
                self.usual.pop_front();
            }
        }
        expected
    }

    /// How many times its first value the loss is, where it has exploded.
    fn explosion(&mut self, loss: f64, detect: &DetectSection) -> Option<f64> {
        let first = *self.first.get_or_insert(loss);
        let times = loss.abs() / first.abs().max(f64::MIN_POSITIVE);
        let is_above = times > detect.explosion;
        self.above_in_a_row = if is_above { self.above_in_a_row + 1 } else { 0 };
        let reports = self.explodes && !self.exploded && self.above_in_a_row >= EXPLODED_STEPS;
        self.exploded |= reports;
        reports.then_some(times)
    }
}

fn can_be_negative(model: &ModelDescription) -> bool {
    let Some(graph) = model.graphs.first() else {
        return true;
    };
    let mut terms = graph
        .losses
        .iter()
        .filter(|term| term.weight != 0.0)
        .peekable();
    terms.peek().is_none()
        || terms.any(|term| {
            let layer = graph.layer(&term.layer);
            term.weight < 0.0 || layer.is_none_or(|layer| layer.range.least < 0.0)
        })
}

/// The median of some values, at least one.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    *median
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> LossMonitor {
        LossMonitor::new(&ModelDescription::default())
    }

    fn events_of(losses: &[f32]) -> Vec<(u64, EventKind)> {
        let mut monitor = monitor();
        let mut events = Vec::new();
        for (step, &loss) in (0..).zip(losses) {
            let record = StepRecord {
                step,
                scalars: vec![loss],
                statistics: None,
                outputs: Vec::new(),
            };
            monitor.observe(&record, &DetectSection::default(), &mut events);
        }
        events
            .into_iter()
            .map(|event| (event.step, event.kind))
            .collect()
    }

    #[test]
    fn one_spike_does_not_hide_the_next() {
        let mut losses: Vec<f32> = (0..200)
            .map(|step| 2.0 + 0.01 * (step % 3) as f32)
            .collect();
        let spikes = [27, 47, 110, 112, 157];
        for &at in &spikes {
            losses[at] = 2000.0;
        }
        let expected: Vec<_> = spikes
            .iter()
            .map(|&at| (at as u64, EventKind::Spike))
            .collect();
        assert_eq!(events_of(&losses), expected);
    }

    #[test]
    fn the_start_and_a_falling_or_noisy_loss_have_no_spike() {
        let mut losses: Vec<f32> = (0..300)
            .map(|step| 500.0 * 0.99f32.powi(step) + [3.0, -2.0, 5.0][step as usize % 3])
            .collect();
        losses[4] = 5000.0;
        assert_eq!(events_of(&losses), []);
    }

    #[test]
    fn a_loss_that_stays_up_has_exploded() {
        let losses = [2.3, 2.4, 5.0, 4e3, 1e5, 1e6, 3e3, 3.0, 2.3];
        assert_eq!(events_of(&losses), [(5, EventKind::Explosion)]);
        assert_eq!(events_of(&[2.3, 2.4, 40.0, 2.3, 40.0, 2.2]), []);
    }
}
