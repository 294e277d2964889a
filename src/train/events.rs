//! Detects the events of a run in its records. Here is the first non-finite value; the monitors look for the rest.

use super::StepRecord;
use super::gan_monitor::GanMonitor;
use super::latent_monitor::LatentMonitor;
use super::loss_monitor::LossMonitor;
use super::pixel_variance_monitor::PixelVarianceMonitor;
use super::thresholds::DetectSection;
use super::unit_monitor::UnitMonitor;
use super::update_monitor::UpdateMonitor;
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, ModelDescription, Subject, TraceLayout};

/// Finds the events of a run. It must observe the run's records in order, because most of what it looks for must hold
/// for several of them.
#[derive(Debug, Clone)]
pub struct EventDetector {
    detect: DetectSection,
    layout: TraceLayout,
    scalar_names: Vec<String>,
    nonfinite_seen: bool,
    units: Vec<UnitMonitor>,
    loss: LossMonitor,
    updates: UpdateMonitor,
    latent: Option<LatentMonitor>,
    pixels: Option<PixelVarianceMonitor>,
    gan: Option<GanMonitor>,
}

impl EventDetector {
    /// A detector for records of `layout` with scalars of these names, made by `model`.
    pub fn new(
        layout: &TraceLayout,
        scalar_names: &[String],
        model: &ModelDescription,
        detect: &DetectSection,
    ) -> Self {
        Self {
            detect: *detect,
            units: UnitMonitor::all(layout, model),
            loss: LossMonitor::new(model),
            updates: UpdateMonitor::new(layout, scalar_names, model),
            latent: LatentMonitor::new(layout, model),
            pixels: PixelVarianceMonitor::new(layout, model),
            gan: GanMonitor::new(layout, model),
            layout: layout.clone(),
            scalar_names: scalar_names.to_vec(),
            nonfinite_seen: false,
        }
    }

    /// The run has reported these events before, and does not report again what it reports once.
    pub fn recall(&mut self, events: &[Event]) {
        self.nonfinite_seen |= events
            .iter()
            .any(|event| event.kind == EventKind::Nonfinite);
        self.loss.recall(events);
        self.updates.recall(events);
        for monitor in &mut self.units {
            monitor.recall(events);
        }
        if let Some(latent) = &mut self.latent {
            latent.recall(events);
        }
        if let Some(pixels) = &mut self.pixels {
            pixels.recall(events);
        }
    }

    /// The events that the next record shows.
    pub fn observe(&mut self, record: &StepRecord) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.nonfinite_seen {
            events.extend(first_nonfinite(record, &self.layout, &self.scalar_names));
            self.nonfinite_seen = !events.is_empty();
        }
        if let Some(statistics) = &record.statistics {
            for monitor in &mut self.units {
                monitor.observe(record.step, statistics, &self.detect, &mut events);
            }
            if let Some(latent) = &mut self.latent {
                latent.observe(record.step, statistics, &self.detect, &mut events);
            }
            if let Some(pixels) = &mut self.pixels {
                events.extend(pixels.observe(record.step, statistics, &self.detect));
            }
        }
        self.loss.observe(record, &self.detect, &mut events);
        self.updates.observe(record, &self.detect, &mut events);
        if let Some(gan) = &mut self.gan {
            gan.observe(record, &mut events);
        }
        events
    }
}

/// The first non-finite value of a record. Rows of statistics are in the order of computation, so the first of them is
/// where it arose: all that it was computed from is finite. Where all tensors and their gradients are finite and only the
/// update is not, a term of the loss that is not finite made it so; without statistics, a scalar may show it.
pub(crate) fn first_nonfinite(
    record: &StepRecord,
    layout: &TraceLayout,
    scalar_names: &[String],
) -> Option<Event> {
    let event = |subject| Event::new(record.step, EventKind::Nonfinite, subject);
    // The loss itself and what is derived from it come last: a term of it says more.
    let is_term =
        |name: &str| name != "loss" && name != "elbo" && !name.starts_with("gradient_norm/");
    let broken = || {
        let scalars = record.scalars.iter().zip(scalar_names);
        scalars
            .filter(|(value, _)| !value.is_finite())
            .map(|(_, name)| name)
    };
    let scalar = broken()
        .find(|name| is_term(name))
        .or_else(|| broken().next());
    let unit = record.statistics.as_ref().and_then(|statistics| {
        layout.entries().iter().find_map(|entry| {
            let units = &statistics[entry.rows()];
            let unit = units.iter().position(|unit| unit.nonfinite > 0.0)?;
            Some((entry, unit, units[unit]))
        })
    });
    let follows = |kind| matches!(kind, TensorKind::Weight | TensorKind::Update);
    match (unit, scalar) {
        (Some((entry, ..)), Some(name)) if follows(entry.kind) && is_term(name) => {
            Some(event(Subject::Scalar(name.clone())))
        }
        (Some((entry, unit, statistics)), _) => Some(
            event(Subject::unit(&entry.tensor, entry.kind, unit))
                .with("nonfinite", statistics.nonfinite)
                .with("mean_of_the_rest", statistics.mean)
                .with("max_of_the_rest", statistics.max),
        ),
        (None, name) => Some(event(Subject::Scalar(name?.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ops::{Activation, Dense};
    use crate::nn::{Graph, Loss};
    use crate::trace::{Severity, UnitStatistics};

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
        EventDetector::new(
            &layout,
            &["loss".to_owned()],
            &model,
            &DetectSection::default(),
        )
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
    fn the_dead_units_of_a_rectifier_are_one_event_for_each_severity() {
        let mut detector = detector();
        let records = (0..20).map(|index| {
            // Zeros of the dense layer say nothing; the rectifier's second unit dies at step 30, the first at step 100.
            let first = if index < 10 { ALIVE } else { ZERO };
            let second = if index < 3 { ALIVE } else { ZERO };
            record(10 * index, 1.0, [ZERO, ALIVE, first, second])
        });
        let events: Vec<Event> = records.flat_map(|r| detector.observe(&r)).collect();
        let seen: Vec<_> = events
            .iter()
            .map(|event| {
                (
                    event.step,
                    event.since,
                    event.severity,
                    event.subject.units().to_vec(),
                )
            })
            .collect();
        let expected = [
            (70, 30, Severity::Warning, vec![1]),
            (140, 100, Severity::Serious, vec![0, 1]),
        ];
        assert_eq!(seen, expected);
        assert!(events.iter().all(|event| event.kind == EventKind::DeadUnit));
        assert_eq!(
            events[1].sentence(),
            "2 of 2 units of relu give nothing but zeros since step 100."
        );
    }

    #[test]
    fn units_that_come_back_are_told() {
        let mut detector = detector();
        let records = (0..20).map(|index| {
            let unit = if (2..12).contains(&index) {
                ZERO
            } else {
                ALIVE
            };
            record(index, 1.0, [ALIVE, ALIVE, unit, unit])
        });
        let events: Vec<Event> = records.flat_map(|r| detector.observe(&r)).collect();
        let kinds: Vec<_> = events
            .iter()
            .map(|event| (event.step, event.kind.clone()))
            .collect();
        assert_eq!(kinds, [(6, EventKind::DeadUnit), (12, EventKind::Revived)]);
        // What is in the file already is not reported again.
        let mut resumed = self::detector();
        resumed.recall(&events);
        let again = (0..20)
            .flat_map(|index| resumed.observe(&record(index, 1.0, [ALIVE, ALIVE, ZERO, ZERO])));
        assert_eq!(again.count(), 0);
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
        detector.recall(&events);
        assert_eq!(detector.observe(&unrecorded), []);
        let events = self::detector().observe(&unrecorded);
        assert_eq!(events[0].subject, Subject::Scalar("loss".to_owned()));
    }
}
