//! Watches what reaches the weights: the size of their updates, and the gradient's way to the first of them.

use super::StepRecord;
use super::debounce::Debounce;
use super::thresholds::{DEEP, DetectSection, LASTING_STEPS};
use crate::nn::Role;
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, ModelDescription, Subject, TraceLayout, UnitStatistics};

/// Records in a row that must show updates as large as their weights. One alone is how RMSprop begins.
const LARGE_RECORDS: u32 = 2;

/// Observes the updates of all weight matrices.
#[derive(Debug, Clone)]
pub(super) struct UpdateMonitor {
    weights: Vec<Weight>,
    /// Of a model whose gradient passes through all its weights: the places of the scalars with the gradient norms of the
    /// first and the last, and how much smaller an element of the one is.
    ends: Option<Ends>,
    large: Debounce,
    tiny: Debounce,
    vanishing: Debounce,
    reported: Vec<EventKind>,
}

/// A weight matrix and the rows of its statistics.
#[derive(Debug, Clone)]
struct Weight {
    name: String,
    weight_row: usize,
    update_row: usize,
    units: usize,
}

#[derive(Debug, Clone)]
struct Ends {
    first: (String, usize),
    last: usize,
    /// The root of the ratio of their sizes: norms become norms of an element.
    scale: f64,
}

impl UpdateMonitor {
    pub fn new(layout: &TraceLayout, scalar_names: &[String], model: &ModelDescription) -> Self {
        let mut weights: Vec<Weight> = Vec::new();
        let mut sizes = Vec::new();
        for layer in model.layers().filter(|layer| layer.kind != "embedding") {
            for parameter in layer
                .parameters
                .iter()
                .filter(|parameter| parameter.shape.len() >= 2)
            {
                let find = |kind| layout.find(&parameter.name, kind);
                let is_new = weights.iter().all(|known| known.name != parameter.name);
                if let (Some(weight), Some(update), true) =
                    (find(TensorKind::Weight), find(TensorKind::Update), is_new)
                {
                    sizes.push(parameter.shape.iter().product::<usize>());
                    weights.push(Weight {
                        name: parameter.name.clone(),
                        weight_row: weight.first_row,
                        update_row: update.first_row,
                        units: weight.units,
                    });
                }
            }
        }
        // Gradients of a GAN or of a VAE's decoder do not all pass through the same layers.
        let is_chain =
            model.with_role(Role::Score).is_none() && model.with_role(Role::LatentMean).is_none();
        let place = |weight: &Weight| {
            let name = format!("gradient_norm/{}", weight.name);
            scalar_names.iter().position(|known| *known == name)
        };
        let ends = (is_chain && weights.len() >= DEEP).then(|| {
            let (first, last) = (weights.first()?, weights.last()?);
            Some(Ends {
                first: (first.name.clone(), place(first)?),
                last: place(last)?,
                scale: (*sizes.last()? as f64 / *sizes.first()? as f64).sqrt(),
            })
        });
        Self {
            weights,
            ends: ends.flatten(),
            large: Debounce::default(),
            tiny: Debounce::default(),
            vanishing: Debounce::default(),
            reported: Vec::new(),
        }
    }

    /// The run has reported these events before.
    pub fn recall(&mut self, events: &[Event]) {
        self.reported
            .extend(events.iter().map(|event| event.kind.clone()));
    }

    /// Adds the events that the next record shows; each kind once in a run.
    pub fn observe(
        &mut self,
        record: &StepRecord,
        detect: &DetectSection,
        events: &mut Vec<Event>,
    ) {
        let found = [
            record
                .statistics
                .as_ref()
                .and_then(|statistics| self.updates(record.step, statistics, detect)),
            self.gradients(record, detect),
        ];
        for event in found.into_iter().flatten() {
            if !self.reported.contains(&event.kind) {
                self.reported.push(event.kind.clone());
                events.push(event);
            }
        }
    }

    fn updates(
        &mut self,
        step: u64,
        statistics: &[UnitStatistics],
        detect: &DetectSection,
    ) -> Option<Event> {
        let ratios = self.weights.iter().filter_map(|weight| {
            let power = |row: usize| -> f64 {
                let units = &statistics[row..row + weight.units];
                units
                    .iter()
                    .map(|unit| f64::from(unit.mean).powi(2) + f64::from(unit.std).powi(2))
                    .sum()
            };
            let (weights, updates) = (power(weight.weight_row), power(weight.update_row));
            let ratio = (updates / weights).sqrt();
            (weights > 0.0 && ratio.is_finite()).then_some((&weight.name, ratio))
        });
        let (name, ratio) = ratios.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let large = self
            .large
            .observe(step, ratio > detect.large_update, |_, records| {
                records >= LARGE_RECORDS
            });
        let tiny = ratio > 0.0 && ratio < detect.tiny_update;
        let records = detect.records;
        let tiny = self.tiny.observe(step, tiny, |steps, seen| {
            steps >= LASTING_STEPS && seen >= records
        });
        let (kind, since) = match (large, tiny) {
            (Some(since), _) => (EventKind::LargeUpdates, since),
            (_, Some(since)) => (EventKind::TinyUpdates, since),
            _ => return None,
        };
        let subject = Subject::tensor(name, TensorKind::Update);
        Some(
            Event::new(step, kind, subject)
                .since(since)
                .with("ratio", ratio),
        )
    }

    fn gradients(&mut self, record: &StepRecord, detect: &DetectSection) -> Option<Event> {
        let ends = self.ends.as_ref()?;
        let norm = |at: usize| record.scalars.get(at).map(|norm| f64::from(*norm));
        let (first, last) = (norm(ends.first.1)?, norm(ends.last)?);
        if !first.is_finite() || !last.is_finite() {
            return None;
        }
        let ratio = ends.scale * first / last;
        let holds = last > 0.0 && ratio < detect.vanishing;
        let records = detect.records;
        let since = self
            .vanishing
            .observe(record.step, holds, |_, seen| seen >= records)?;
        let subject = Subject::tensor(&ends.first.0, TensorKind::Gradient);
        let event = Event::new(record.step, EventKind::VanishingGradient, subject);
        Some(event.since(since).with("ratio", ratio))
    }
}
