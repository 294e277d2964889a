//! Detects the events of a run in its records: the first non-finite value, units that die, and spikes of the loss.
//! [`super::gan_monitor`] adds what only GANs have.

use super::StepRecord;
use super::debounce::Debounce;
use super::gan_monitor::GanMonitor;
use super::thresholds::{
    DEAD_RECORDS, SPIKE_AVERAGE_WEIGHT, SPIKE_DEVIATIONS, SPIKE_FRACTION, SPIKE_WARMUP_STEPS,
};
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
            entry.kind == TensorKind::Activation && layer().is_some_and(|layer| layer.can_die())
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
