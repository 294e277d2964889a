//! Watches what only generative models have: the latent units of a VAE and the scores of a critic.

use super::debounce::Debounce;
use super::thresholds::{DetectSection, IDLE_SPREAD, LASTING_STEPS};
use crate::nn::Role;
use crate::tensor::TensorKind;
use crate::trace::{
    Event, EventKind, ModelDescription, Subject, TraceEntry, TraceLayout, UnitStatistics,
};

/// Observes latent units and scores.
#[derive(Debug, Clone)]
pub(super) struct LatentMonitor {
    mean: Option<TraceEntry>,
    log_variance: Option<TraceEntry>,
    score: Option<TraceEntry>,
    idle: Debounce,
    reported: Vec<EventKind>,
}

impl LatentMonitor {
    /// A monitor of a VAE or GAN; `None` for other models.
    pub fn new(layout: &TraceLayout, model: &ModelDescription) -> Option<Self> {
        let entry = |role| {
            let layer = model.with_role(role)?;
            layout.find(&layer.name, TensorKind::Activation).cloned()
        };
        // What is bounded later may take any value before.
        let head = model.with_role(Role::LatentLogVariance);
        let is_bounded = head.is_some_and(|head| model.is_bounded_later(head));
        let monitor = Self {
            mean: entry(Role::LatentMean),
            log_variance: entry(Role::LatentLogVariance).filter(|_| !is_bounded),
            score: entry(Role::Score),
            idle: Debounce::default(),
            reported: Vec::new(),
        };
        (monitor.mean.is_some() || monitor.score.is_some()).then_some(monitor)
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        let head = self
            .log_variance
            .as_ref()
            .map(|entry| entry.tensor.as_str());
        let is_own = |event: &&Event| {
            event.kind != EventKind::LogVarianceDrift || event.subject.tensor_name() == head
        };
        let own = events.iter().filter(is_own);
        self.reported.extend(own.map(|event| event.kind.clone()));
    }

    /// Adds the events that the next record shows; each kind once in a run.
    pub fn observe(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        detect: &DetectSection,
        events: &mut Vec<Event>,
    ) {
        let idle = self.idle(step, statistics, detect.records);
        let of = |entry: &Option<TraceEntry>, limit, kind| {
            out_of_range(step, statistics, entry.as_ref()?, limit, kind)
        };
        let found = [
            idle,
            of(
                &self.log_variance,
                detect.log_variance,
                EventKind::LogVarianceDrift,
            ),
            of(&self.score, detect.score, EventKind::UnboundedScore),
        ];
        for event in found.into_iter().flatten() {
            if !self.reported.contains(&event.kind) {
                self.reported.push(event.kind.clone());
                events.push(event);
            }
        }
    }

    /// No unit's mean has varied over the batch for a long time.
    fn idle(&mut self, step: u64, statistics: &[UnitStatistics], records: u32) -> Option<Event> {
        let mean = self.mean.as_ref()?;
        let is_idle = |unit: &UnitStatistics| unit.std < IDLE_SPREAD && unit.nonfinite == 0.0;
        let holds = statistics[mean.rows()].iter().all(is_idle);
        let is_long = |steps, seen| steps >= LASTING_STEPS && seen >= records;
        let since = self.idle.observe(step, holds, is_long)?;
        let subject = Subject::tensor(&mean.tensor, mean.kind);
        Some(Event::new(step, EventKind::PosteriorCollapse, subject).since(since))
    }
}

/// Units with a value of a larger magnitude than `limit`.
fn out_of_range(
    step: u64,
    statistics: &[UnitStatistics],
    entry: &TraceEntry,
    limit: f64,
    kind: EventKind,
) -> Option<Event> {
    let magnitude = |unit: &UnitStatistics| f64::from(unit.min.abs().max(unit.max.abs()));
    let rows = &statistics[entry.rows()];
    let beyond: Vec<usize> = (0..rows.len())
        .filter(|&unit| magnitude(&rows[unit]) > limit)
        .collect();
    let farthest = beyond
        .iter()
        .copied()
        .max_by(|&a, &b| magnitude(&rows[a]).total_cmp(&magnitude(&rows[b])))?;
    let unit = &rows[farthest];
    let value = if unit.max.abs() >= unit.min.abs() {
        unit.max
    } else {
        unit.min
    };
    let subject = Subject::of_units(&entry.tensor, entry.kind, beyond);
    Some(Event::new(step, kind, subject).with("value", value))
}
