//! What is worth a line in `events.jsonl` while a run goes on: the first non-finite value, units that die, and spikes
//! of the loss. [`super::imbalance`] adds what is special to a GAN.

use crate::tensor::TensorKind;
use std::collections::BTreeMap;

use super::StepRecord;
use crate::trace::{Event, FIGURES, TraceLayout};

/// Records in a row that a unit's output must be all zero before it counts as dead.
pub(super) const DEAD_AFTER: u32 = 5;

/// Steps before a spike can be told from the start of training.
const SETTLED_AFTER: u64 = 50;

/// Watches the records of a run in order.
#[derive(Debug, Clone)]
pub struct Watch {
    nonfinite_seen: bool,
    /// For each row of the layout: recorded steps in a row with nothing but zeros.
    zero_streak: Vec<u32>,
    loss: RunningLoss,
}

/// Exponential averages of the loss and of its squared deviation.
#[derive(Debug, Clone, Default)]
struct RunningLoss {
    mean: f64,
    variance: f64,
    seen: u64,
}

impl RunningLoss {
    /// Takes the next loss in; returns what was expected and whether it is a spike.
    fn next(&mut self, value: f64) -> (f64, bool) {
        if self.seen == 0 {
            self.mean = value;
        }
        let expected = self.mean;
        let above = value - expected;
        let is_spike = self.seen >= SETTLED_AFTER
            && above > 8.0 * self.variance.sqrt()
            && above > 0.25 * expected.abs();
        let share = 0.05;
        self.mean += share * above;
        self.variance += share * (above * above - self.variance);
        self.seen += 1;
        (expected, is_spike)
    }
}

impl Watch {
    /// A watch over records of `layout`.
    pub fn new(layout: &TraceLayout) -> Self {
        Self {
            nonfinite_seen: false,
            zero_streak: vec![0; layout.rows()],
            loss: RunningLoss::default(),
        }
    }

    /// The first non-finite value was seen before.
    pub fn knows_of_nonfinite(&mut self) {
        self.nonfinite_seen = true;
    }

    /// What is remarkable about the next record.
    pub fn look(
        &mut self,
        record: &StepRecord,
        layout: &TraceLayout,
        scalar_names: &[String],
        relu: &dyn Fn(&str) -> bool,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        events.extend(self.first_nonfinite(record, layout, scalar_names));
        if let Some(statistics) = &record.statistics {
            events.extend(self.dead_units(record.step, statistics, layout, relu));
        }
        events.extend(self.spike(record));
        events
    }

    fn first_nonfinite(
        &mut self,
        record: &StepRecord,
        layout: &TraceLayout,
        scalar_names: &[String],
    ) -> Option<Event> {
        if self.nonfinite_seen {
            return None;
        }
        // Rows stand in the order of computation: the first is where it began.
        if let Some(statistics) = &record.statistics {
            for entry in layout.entries() {
                for unit in 0..entry.units {
                    let row = &statistics[FIGURES * (entry.first_row + unit)..][..FIGURES];
                    if row[5] > 0.0 {
                        self.nonfinite_seen = true;
                        let figures = figures([
                            ("nonfinite", row[5]),
                            ("mean_of_the_rest", row[0]),
                            ("max_of_the_rest", row[3]),
                        ]);
                        return Some(Event {
                            step: record.step,
                            kind: "nonfinite".to_owned(),
                            layer: Some(format!("{} {}", entry.tensor, entry.kind.name())),
                            unit: Some(unit as u64),
                            figures,
                            samples: Vec::new(),
                        });
                    }
                }
            }
        }
        let place = record
            .scalars
            .iter()
            .position(|scalar| !scalar.is_finite())?;
        self.nonfinite_seen = true;
        Some(Event {
            step: record.step,
            kind: "nonfinite".to_owned(),
            layer: scalar_names.get(place).cloned(),
            unit: None,
            figures: BTreeMap::new(),
            samples: Vec::new(),
        })
    }

    fn dead_units(
        &mut self,
        step: u64,
        statistics: &[f32],
        layout: &TraceLayout,
        relu: &dyn Fn(&str) -> bool,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for entry in layout.entries() {
            if entry.kind != TensorKind::Activation || !relu(&entry.tensor) {
                continue;
            }
            for unit in 0..entry.units {
                let row = entry.first_row + unit;
                let streak = &mut self.zero_streak[row];
                *streak = if statistics[FIGURES * row + 4] >= 1.0 {
                    *streak + 1
                } else {
                    0
                };
                if *streak == DEAD_AFTER {
                    events.push(Event {
                        step,
                        kind: "dead".to_owned(),
                        layer: Some(entry.tensor.clone()),
                        unit: Some(unit as u64),
                        figures: figures([("records_at_zero", DEAD_AFTER as f32)]),
                        samples: Vec::new(),
                    });
                }
            }
        }
        events
    }

    /// A loss far above its running average: eight deviations and a quarter of the average itself.
    fn spike(&mut self, record: &StepRecord) -> Option<Event> {
        let value = f64::from(*record.scalars.first()?);
        if !value.is_finite() {
            return None;
        }
        let (expected, is_spike) = self.loss.next(value);
        is_spike.then(|| Event {
            step: record.step,
            kind: "spike".to_owned(),
            layer: Some("loss".to_owned()),
            unit: None,
            figures: figures([("loss", value as f32), ("expected", expected as f32)]),
            samples: Vec::new(),
        })
    }
}

pub(super) fn figures<const N: usize, V: Into<f64>>(
    pairs: [(&str, V); N],
) -> BTreeMap<String, f64> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
