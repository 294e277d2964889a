//! Watches what only generative models have: the latent units of a VAE and the scores of a critic.

use super::debounce::Debounce;
use super::thresholds::{DetectSection, IDLE_SPREAD, LASTING_STEPS};
use crate::nn::Role;
use crate::tensor::TensorKind;
use crate::trace::{
    Event, EventKind, ModelDescription, Severity, Subject, TraceEntry, TraceLayout, UnitStatistics,
};

/// Observes latent units and scores.
#[derive(Debug, Clone)]
pub(super) struct LatentMonitor {
    /// The means of each latent layer, those of the layer next to the samples first.
    means: Vec<LatentMeans>,
    /// Log-variances that nothing bounds.
    log_variances: Vec<Watched>,
    score: Option<Watched>,
}

/// What is watched of a tensor, and reported once in a run.
#[derive(Debug, Clone)]
struct Watched {
    entry: TraceEntry,
    kind: EventKind,
    is_reported: bool,
}

/// The means of a latent layer.
#[derive(Debug, Clone)]
struct LatentMeans {
    watched: Watched,
    severity: Severity,
    idle: Debounce,
}

impl LatentMonitor {
    /// A monitor of a VAE or GAN; `None` for other models.
    pub fn new(layout: &TraceLayout, model: &ModelDescription) -> Option<Self> {
        let all = |role, kind: EventKind| {
            let layers = model.all_with_role(role);
            layers.filter_map(move |layer| {
                let entry = layout.find(&layer.name, TensorKind::Activation)?;
                let watched = Watched {
                    entry: entry.clone(),
                    kind: kind.clone(),
                    is_reported: false,
                };
                Some((layer, watched))
            })
        };
        let means = all(Role::LatentMean, EventKind::PosteriorCollapse).enumerate();
        let means = means.map(|(layer, (_, watched))| LatentMeans {
            watched,
            // Without a later layer the model is still a VAE of the layers before it.
            severity: match layer {
                0 => EventKind::PosteriorCollapse.severity(),
                _ => Severity::Warning,
            },
            idle: Debounce::default(),
        });
        let heads = [Role::LatentLogVariance, Role::PriorLogVariance];
        let heads = heads.map(|role| all(role, EventKind::LogVarianceDrift));
        // What is bounded later may take any value before.
        let unbounded = heads
            .into_iter()
            .flatten()
            .filter(|(head, _)| !model.is_bounded_later(head));
        let monitor = Self {
            means: means.collect(),
            log_variances: unbounded.map(|(_, watched)| watched).collect(),
            score: all(Role::Score, EventKind::UnboundedScore)
                .map(|(_, watched)| watched)
                .next(),
        };
        (!monitor.means.is_empty() || monitor.score.is_some()).then_some(monitor)
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        let means = self.means.iter_mut().map(|means| &mut means.watched);
        for watched in means.chain(&mut self.log_variances).chain(&mut self.score) {
            watched.is_reported |= events.iter().any(|event| watched.has_reported(event));
        }
    }

    /// Adds the events that the next record shows; each of a tensor once in a run.
    pub fn observe(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        detect: &DetectSection,
        events: &mut Vec<Event>,
    ) {
        for means in &mut self.means {
            events.extend(means.observe(step, statistics, detect.records));
        }
        for head in &mut self.log_variances {
            events.extend(head.out_of_range(step, statistics, detect.log_variance));
        }
        if let Some(score) = &mut self.score {
            events.extend(score.out_of_range(step, statistics, detect.score));
        }
    }
}

impl LatentMeans {
    /// No unit's mean has varied over the batch for a long time.
    fn observe(&mut self, step: u64, statistics: &[UnitStatistics], records: u32) -> Option<Event> {
        let Watched { entry, kind, .. } = &self.watched;
        let is_idle = |unit: &UnitStatistics| unit.std < IDLE_SPREAD && unit.nonfinite == 0.0;
        let holds = statistics[entry.rows()].iter().all(is_idle);
        let is_long = |steps, seen| steps >= LASTING_STEPS && seen >= records;
        let since = self.idle.observe(step, holds, is_long)?;
        let subject = Subject::tensor(&entry.tensor, entry.kind);
        let mut event = Event::new(step, kind.clone(), subject).since(since);
        event.severity = self.severity;
        self.watched.once(event)
    }
}

impl Watched {
    /// Whether an event is one of this tensor.
    fn has_reported(&self, event: &Event) -> bool {
        event.kind == self.kind && event.subject.tensor_name() == Some(&self.entry.tensor)
    }

    /// The event, unless there was one before.
    fn once(&mut self, event: Event) -> Option<Event> {
        let is_first = !self.is_reported;
        self.is_reported = true;
        is_first.then_some(event)
    }

    /// Units with a value of a larger magnitude than `limit`.
    fn out_of_range(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        limit: f64,
    ) -> Option<Event> {
        let magnitude = |unit: &UnitStatistics| f64::from(unit.min.abs().max(unit.max.abs()));
        let rows = &statistics[self.entry.rows()];
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
        let subject = Subject::of_units(&self.entry.tensor, self.entry.kind, beyond);
        self.once(Event::new(step, self.kind.clone(), subject).with("value", value))
    }
}
