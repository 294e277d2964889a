//! What is worth a line in `events.jsonl` about the two networks of a GAN: a discriminator that has nothing left to
//! learn, and generated images that are all alike.

use super::events::figures;
use super::{Model, ModelConfig, StepRecord, Trainer};
use crate::nn::losses::Objective;
use crate::tensor::TensorKind;
use crate::trace::{Event, FIGURES, TraceLayout};

/// Steps in a row that a discriminator's loss must be below [`SATURATED_BELOW`].
const SATURATED_AFTER: u64 = 20;
/// A hundredth of what it costs to guess, `2 ln 2`.
const SATURATED_BELOW: f64 = 0.01 * 2.0 * std::f64::consts::LN_2;

/// Steps that generated images must be alike for, from the first record to the last.
pub(super) const COLLAPSED_AFTER: u64 = 100;
/// Records of them, at least.
pub(super) const COLLAPSED_RECORDS: u32 = 5;
/// Generated images are alike where their variance is below this share of the real ones'. The share of healthy runs
/// starts near 0.1, may stay at 0.007 for a hundred steps while the first strokes appear, and ends near 1.
const COLLAPSED_BELOW: f64 = 0.005;

/// Watches the records of a GAN in order.
#[derive(Debug, Clone)]
pub(super) struct Imbalance {
    /// Whether a loss near 0 means that the discriminator tells all images apart with certainty.
    has_odds: bool,
    /// The layer in which both sorts of images are compared.
    compared: Option<Compared>,
    saturated: Streak,
    collapsed: Streak,
}

/// The discriminator's first layer of more than one number: its units on real and on generated images.
#[derive(Debug, Clone)]
struct Compared {
    tensor: String,
    units: usize,
    real_row: usize,
    generated_row: usize,
}

/// Records in a row for which something holds.
#[derive(Debug, Clone, Default)]
struct Streak {
    first: u64,
    records: u32,
    is_told: bool,
}

impl Streak {
    /// Takes the next record in; whether this is the first that makes the streak as long as `is_long` asks, which
    /// gets its steps from the first to this one, and its records.
    fn next(&mut self, step: u64, holds: bool, is_long: impl Fn(u64, u32) -> bool) -> bool {
        if !holds {
            *self = Self::default();
            return false;
        }
        if self.records == 0 {
            self.first = step;
        }
        self.records += 1;
        let is_news = !self.is_told && is_long(step - self.first, self.records);
        self.is_told |= is_news;
        is_news
    }
}

impl Imbalance {
    /// The watch over a trainer's GAN; `None` for other models.
    pub fn new(trainer: &Trainer) -> Option<Self> {
        let (Model::Gan(gan), ModelConfig::Gan(config)) =
            (trainer.model(), trainer.scenario().model())
        else {
            return None;
        };
        let graph = &gan.real.graph;
        let flat = graph
            .nodes()
            .iter()
            .filter(|node| node.operation.is_some() && node.shape.len() == 1 && node.shape[0] > 1);
        Some(Self {
            has_odds: matches!(
                config.objective,
                Objective::CrossEntropy | Objective::Minimax
            ),
            compared: flat
                .filter_map(|node| Compared::new(trainer.layout(), &node.name))
                .next(),
            saturated: Streak::default(),
            collapsed: Streak::default(),
        })
    }

    /// What is remarkable about the next record.
    pub fn look(&mut self, record: &StepRecord) -> Vec<Event> {
        let mut events = Vec::new();
        events.extend(self.saturated(record));
        events.extend(self.collapsed(record));
        events
    }

    /// `discriminator_saturated`: the discriminator's loss, cross-entropy with logits on real and generated images,
    /// was below a hundredth of what guessing costs for 20 steps in a row. Its gradients are next to nothing, and with
    /// the objective `minimax` so are the generator's.
    fn saturated(&mut self, record: &StepRecord) -> Option<Event> {
        let loss = f64::from(*record.scalars.first()?);
        let holds = self.has_odds && loss < SATURATED_BELOW;
        let is_news = self
            .saturated
            .next(record.step, holds, |steps, _| steps + 1 >= SATURATED_AFTER);
        is_news.then(|| Event {
            step: record.step,
            kind: "discriminator_saturated".to_owned(),
            layer: Some("loss".to_owned()),
            unit: None,
            figures: figures([("loss", loss), ("since_step", self.saturated.first as f64)]),
            samples: Vec::new(),
        })
    }

    /// `diversity_collapse`: over a batch, the variance of generated images was below 1/200 of the real images', both
    /// summed over the units of the discriminator's first dense layer, in at least 5 records in a row that reach over
    /// at least 100 steps. `since_step` is where it began. Layers of channels are passed over, for a channel's variance
    /// over places says nothing of how images differ; a discriminator that has no others gets no such event.
    fn collapsed(&mut self, record: &StepRecord) -> Option<Event> {
        let compared = self.compared.as_ref()?;
        let [real, generated] = compared.variances(record.statistics.as_ref()?);
        let holds = generated < COLLAPSED_BELOW * real;
        let is_news = self.collapsed.next(record.step, holds, |steps, records| {
            steps >= COLLAPSED_AFTER && records >= COLLAPSED_RECORDS
        });
        is_news.then(|| Event {
            step: record.step,
            kind: "diversity_collapse".to_owned(),
            layer: Some(compared.tensor.clone()),
            unit: None,
            figures: figures([
                ("share_of_real_variance", generated / real),
                ("since_step", self.collapsed.first as f64),
            ]),
            samples: Vec::new(),
        })
    }
}

impl Compared {
    /// The layer `tensor`, if it is recorded on both sorts of images.
    fn new(layout: &TraceLayout, tensor: &str) -> Option<Self> {
        let generated = format!("{tensor}{}", super::adversarial::GENERATED);
        let entry = |name: &str| {
            let mut entries = layout.entries().iter();
            entries.find(|entry| entry.tensor == name && entry.kind == TensorKind::Activation)
        };
        let (real, generated) = (entry(tensor)?, entry(&generated)?);
        Some(Self {
            tensor: tensor.to_owned(),
            units: real.units,
            real_row: real.first_row,
            generated_row: generated.first_row,
        })
    }

    /// Sums of the units' variances over the batch, on real and on generated images.
    fn variances(&self, statistics: &[f32]) -> [f64; 2] {
        [self.real_row, self.generated_row].map(|first| {
            let rows = &statistics[FIGURES * first..][..FIGURES * self.units];
            rows.chunks_exact(FIGURES)
                .map(|row| f64::from(row[1]).powi(2))
                .sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_is_told_once() {
        let mut streak = Streak::default();
        let holds = [true, true, false, true, true, true, true, false];
        let mut told = holds.iter().zip((0..).step_by(10)).map(|(&holds, step)| {
            streak.next(step, holds, |steps, records| steps >= 20 && records >= 3)
        });
        assert_eq!(told.position(|is_news| is_news), Some(5));
        assert!(!told.any(|is_news| is_news));
    }
}
