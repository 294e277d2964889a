//! Detects the events of a run in its records: the first non-finite value, units that die, and spikes of the loss.
//! [`super::gan_monitor`] adds what only GANs have.

use super::StepRecord;
use super::debounce::Debounce;
use super::gan_monitor::GanMonitor;
use super::thresholds::{
    DEAD_RECORDS, SPIKE_AVERAGE_WEIGHT, SPIKE_DEVIATIONS, SPIKE_FRACTION, SPIKE_WARMUP_STEPS,
};
use crate::nn::Property;
use crate::tensor::TensorKind;
use crate::trace::{
    Event, EventKind, ModelDescription, Subject, TraceEntry, TraceLayout, UnitStatistics,
};

/// Finds the events of a run. It must observe the run's records in order, because most of what it looks for must hold
/// for several of them.
#[derive(Debug, Clone)]
pub struct EventDetector {
    layout: TraceLayout,
    scalar_names: Vec<String>,
    nonfinite_seen: bool,
    rectifiers: Vec<Rectifier>,
    loss: RunningLoss,
    gan: Option<GanMonitor>,
}

impl EventDetector {
    /// A detector for records of `layout` with scalars of these names, made by `model`.
    pub fn new(layout: &TraceLayout, scalar_names: &[String], model: &ModelDescription) -> Self {
        let activations = layout.entries().iter().filter(|entry| {
            let layer = || model.layer(&entry.tensor);
            entry.kind == TensorKind::Activation
                && layer().is_some_and(|layer| layer.has(Property::Rectifier))
        });
        Self {
            rectifiers: activations.map(Rectifier::new).collect(),
            gan: GanMonitor::new(layout, model),
            layout: layout.clone(),
            scalar_names: scalar_names.to_vec(),
            nonfinite_seen: false,
            loss: RunningLoss::default(),
        }
    }

    /// The run has reported a non-finite value before, and reports only the first.
    pub fn skip_nonfinite(&mut self) {
        self.nonfinite_seen = true;
    }

    /// The events that the next record shows.
    pub fn observe(&mut self, record: &StepRecord) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.nonfinite_seen {
            events.extend(first_nonfinite(record, &self.layout, &self.scalar_names));
            self.nonfinite_seen = !events.is_empty();
        }
        if let Some(statistics) = &record.statistics {
            for rectifier in &mut self.rectifiers {
                rectifier.observe(record.step, statistics, &mut events);
            }
        }
        events.extend(self.loss.observe(record));
        if let Some(gan) = &mut self.gan {
            gan.observe(record, &mut events);
        }
        events
    }
}

/// The first non-finite value of a record. Rows of statistics are in the order of computation, so the first of them is
/// where it arose; without statistics, a scalar may show it.
pub(super) fn first_nonfinite(
    record: &StepRecord,
    layout: &TraceLayout,
    scalar_names: &[String],
) -> Option<Event> {
    let event = |subject| Event::new(record.step, EventKind::Nonfinite, subject);
    if let Some(statistics) = &record.statistics {
        for entry in layout.entries() {
            let units = &statistics[entry.rows()];
            if let Some(unit) = units.iter().position(|unit| unit.nonfinite > 0.0) {
                let subject = Subject::unit(&entry.tensor, entry.kind, unit);
                let found = event(subject)
                    .with("nonfinite", units[unit].nonfinite)
                    .with("mean_of_the_rest", units[unit].mean)
                    .with("max_of_the_rest", units[unit].max);
                return Some(found);
            }
        }
    }
    let mut scalars = record.scalars.iter();
    let index = scalars.position(|scalar| !scalar.is_finite())?;
    let name = scalar_names.get(index).cloned().unwrap_or_default();
    Some(event(Subject::Scalar(name)))
}

/// A recorded rectifier, whose units can die.
#[derive(Debug, Clone)]
struct Rectifier {
    entry: TraceEntry,
    zero: Vec<Debounce>,
}

impl Rectifier {
    fn new(entry: &TraceEntry) -> Self {
        Self {
            entry: entry.clone(),
            zero: vec![Debounce::default(); entry.units],
        }
    }

    fn observe(&mut self, step: u64, statistics: &[UnitStatistics], events: &mut Vec<Event>) {
        let units = &statistics[self.entry.rows()];
        for (unit, (statistics, zero)) in units.iter().zip(&mut self.zero).enumerate() {
            let is_zero = statistics.zero_fraction >= 1.0;
            let since = zero.observe(step, is_zero, |_, records| records >= DEAD_RECORDS);
            events.extend(since.map(|since| {
                let subject = Subject::unit(&self.entry.tensor, self.entry.kind, unit);
                Event::new(step, EventKind::DeadUnit, subject)
                    .since(since)
                    .with("records_at_zero", DEAD_RECORDS)
            }));
        }
    }
}

/// Exponential averages of the loss and of its squared deviation.
#[derive(Debug, Clone, Default)]
struct RunningLoss {
    mean: f64,
    variance: f64,
    seen: u64,
}

impl RunningLoss {
    /// A loss far above its running average is a spike.
    fn observe(&mut self, record: &StepRecord) -> Option<Event> {
        let loss = f64::from(*record.scalars.first()?);
        if !loss.is_finite() {
            return None;
        }
        let (expected, is_spike) = self.next(loss);
        is_spike.then(|| {
            Event::new(
                record.step,
                EventKind::Spike,
                Subject::Scalar("loss".to_owned()),
            )
            .with("loss", loss)
            .with("expected", expected as f32)
        })
    }

    /// Takes the next loss; returns what was expected and whether it is a spike.
    fn next(&mut self, value: f64) -> (f64, bool) {
        if self.seen == 0 {
            self.mean = value;
        }
        let expected = self.mean;
        let above = value - expected;
        let is_spike = self.seen >= SPIKE_WARMUP_STEPS
            && above > SPIKE_DEVIATIONS * self.variance.sqrt()
            && above > SPIKE_FRACTION * expected.abs();
        self.mean += SPIKE_AVERAGE_WEIGHT * above;
        self.variance += SPIKE_AVERAGE_WEIGHT * (above * above - self.variance);
        self.seen += 1;
        (expected, is_spike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ops::{Activation, Dense};
    use crate::nn::{Graph, Loss};

    /// A dense layer of two units with a rectifier.
    fn detector() -> EventDetector {
        let mut graph = Graph::new();
        let x = graph.input("x", &[3]);
        let dense = graph.add("dense", Dense::new(2), &[x]).expect("it fits");
        graph
            .add("relu", Activation::Relu, &[dense])
            .expect("it fits");
        let model = ModelDescription {
            graphs: vec![graph.describe("model", &Loss::new())],
        };
        let mut layout = TraceLayout::new();
        layout.push("dense", TensorKind::Activation, 2);
        layout.push("relu", TensorKind::Activation, 2);
        EventDetector::new(&layout, &["loss".to_owned()], &model)
    }

    fn record(step: u64, loss: f32, units: [UnitStatistics; 4]) -> StepRecord {
        StepRecord {
            step,
            scalars: vec![loss],
            statistics: Some(units.into()),
            outputs: Default::default(),
        }
    }

    const ALIVE: UnitStatistics = UnitStatistics {
        mean: 1.0,
        std: 1.0,
        min: 0.0,
        max: 2.0,
        zero_fraction: 0.5,
        nonfinite: 0.0,
    };
    const ZERO: UnitStatistics = UnitStatistics {
        zero_fraction: 1.0,
        ..ALIVE
    };
    const BROKEN: UnitStatistics = UnitStatistics {
        nonfinite: 3.0,
        ..ALIVE
    };

    #[test]
    fn a_dead_unit_of_a_rectifier_is_reported_once() {
        let mut detector = detector();
        let records = (0..12).map(|index| {
            // Zeros of the dense layer say nothing; the rectifier's second unit dies at step 30.
            let second = if index < 3 { ALIVE } else { ZERO };
            record(10 * index, 1.0, [ZERO, ALIVE, ALIVE, second])
        });
        let events: Vec<Event> = records.flat_map(|r| detector.observe(&r)).collect();
        let subject = Subject::unit("relu", TensorKind::Activation, 1);
        let dead = Event::new(70, EventKind::DeadUnit, subject);
        assert_eq!(
            events,
            [dead.since(30).with("records_at_zero", DEAD_RECORDS)]
        );
    }

    #[test]
    fn the_first_non_finite_value_is_the_first_in_the_order_of_computation() {
        let mut detector = detector();
        let healthy = record(0, 1.0, [ALIVE; 4]);
        assert_eq!(detector.observe(&healthy), []);
        let broken = record(1, f32::NAN, [ALIVE, BROKEN, BROKEN, ALIVE]);
        let events = detector.observe(&broken);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, EventKind::Nonfinite);
        let first = Subject::unit("dense", TensorKind::Activation, 1);
        assert_eq!(events[0].subject, first);
        assert_eq!(detector.observe(&broken), [], "only the first is reported");

        let unrecorded = StepRecord {
            statistics: None,
            ..broken
        };
        let mut detector = self::detector();
        detector.skip_nonfinite();
        assert_eq!(detector.observe(&unrecorded), []);
        let events = self::detector().observe(&unrecorded);
        assert_eq!(events[0].subject, Subject::Scalar("loss".to_owned()));
    }

    #[test]
    fn a_spike_stands_out_of_a_settled_loss() {
        let spikes = |at: u64| {
            let mut detector = detector();
            let mut observe = |step: u64| {
                let noise = [1.0, 1.02][step as usize % 2];
                let loss = if step == at { 3.0 } else { noise };
                detector.observe(&record(step, loss, [ALIVE; 4]))
            };
            let events: Vec<Event> = (0..100).flat_map(&mut observe).collect();
            events.iter().map(|event| event.step).collect::<Vec<_>>()
        };
        assert_eq!(spikes(80), [80]);
        assert!(spikes(10).is_empty(), "the start of training is no spike");
        assert!(spikes(1000).is_empty(), "there is none");
    }
}
