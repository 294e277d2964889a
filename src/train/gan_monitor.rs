//! Detects that the two networks of a GAN are out of balance: a discriminator that has nothing left to learn, and
//! generated images that are all alike.

use super::StepRecord;
use super::debounce::Debounce;
use super::thresholds::{
    COLLAPSED_FRACTION, COLLAPSED_RECORDS, COLLAPSED_STEPS, SATURATED_LOSS, SATURATED_STEPS,
};
use crate::nn::{GraphDescription, Property, Role};
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, ModelDescription, Subject, TraceLayout, UnitStatistics};

/// Observes the records of a GAN in order.
#[derive(Debug, Clone)]
pub(super) struct GanMonitor {
    has_cross_entropy: bool,
    /// What a discriminator that is always right has to pay, because its targets are smoothed.
    least_loss: f64,
    compared: Option<ComparedLayer>,
    saturated: Debounce,
    collapsed: Debounce,
}

/// A layer of the discriminator and its units' statistics on real and on generated images.
#[derive(Debug, Clone)]
struct ComparedLayer {
    tensor: String,
    units: usize,
    real_row: usize,
    generated_row: usize,
}

impl GanMonitor {
    /// A monitor of the GAN whose records have this layout; `None` for other models.
    pub fn new(layout: &TraceLayout, model: &ModelDescription) -> Option<Self> {
        let has_cross_entropy = model.graphs.iter().any(scores_with_cross_entropy);
        let on_generated = model.graphs.iter().find(|graph| reads_generated(graph));
        let compared = on_generated.and_then(|graph| {
            // The variance of a channel over its positions says nothing about how images differ.
            let layers = graph.layers.iter();
            let mut flat = layers.filter(|layer| layer.shape.len() == 1 && layer.shape[0] > 1);
            flat.find_map(|layer| ComparedLayer::new(layout, &layer.name, &graph.suffix))
        });
        (has_cross_entropy || compared.is_some()).then(|| Self {
            has_cross_entropy,
            least_loss: least_loss(model),
            compared,
            saturated: Debounce::default(),
            collapsed: Debounce::default(),
        })
    }

    /// Adds the events that the next record shows.
    pub fn observe(&mut self, record: &StepRecord, events: &mut Vec<Event>) {
        events.extend(self.saturated(record));
        events.extend(self.collapsed(record));
    }

    /// The discriminator's loss, cross-entropy with logits on real and generated images, was below a hundredth of what
    /// guessing costs for some steps in a row. Its gradients are next to nothing, and with the objective `minimax` so
    /// are the generator's.
    fn saturated(&mut self, record: &StepRecord) -> Option<Event> {
        let loss = f64::from(*record.scalars.first()?);
        let holds = self.has_cross_entropy && loss - self.least_loss < SATURATED_LOSS;
        let is_long = |steps, _| steps + 1 >= SATURATED_STEPS;
        let since = self.saturated.observe(record.step, holds, is_long)?;
        let subject = Subject::Scalar("loss".to_owned());
        let event = Event::new(record.step, EventKind::DiscriminatorSaturated, subject);
        Some(event.since(since).with("loss", loss))
    }

    /// Over a batch, the variance of generated images was next to nothing beside the real images', both summed over the
    /// units of the discriminator's first dense layer. A discriminator without such a layer gets no such event.
    fn collapsed(&mut self, record: &StepRecord) -> Option<Event> {
        let compared = self.compared.as_ref()?;
        let [real, generated] = compared.variances(record.statistics.as_ref()?);
        let holds = generated < COLLAPSED_FRACTION * real;
        let is_long = |steps, records| steps >= COLLAPSED_STEPS && records >= COLLAPSED_RECORDS;
        let since = self.collapsed.observe(record.step, holds, is_long)?;
        let subject = Subject::tensor(&compared.tensor, TensorKind::Activation);
        let event = Event::new(record.step, EventKind::DiversityCollapse, subject);
        let fraction = generated / real;
        Some(event.since(since).with("share_of_real_variance", fraction))
    }
}

/// Whether a score is trained with cross-entropy: the loss then comes near 0 only where the discriminator tells all images
/// apart with certainty.
fn scores_with_cross_entropy(graph: &GraphDescription) -> bool {
    let reads_score = |input: &String| {
        let layer = graph.layer(input);
        layer.is_some_and(|layer| layer.role == Some(Role::Score))
    };
    let mut losses = graph.layers.iter();
    losses.any(|loss| loss.has(Property::CrossEntropy) && loss.inputs.iter().any(reads_score))
}

/// The least value of the cross-entropies that are known to stay above one: those with smoothed targets.
pub(crate) fn least_loss(model: &ModelDescription) -> f64 {
    let entropies = model
        .layers()
        .filter(|layer| layer.has(Property::CrossEntropy));
    let least = entropies.map(|layer| layer.range.least);
    least.filter(|least| least.is_finite()).sum()
}

/// Whether the graph is a discriminator that reads images of a generator.
fn reads_generated(graph: &GraphDescription) -> bool {
    let mut inputs = graph.layers.iter().filter(|layer| layer.inputs.is_empty());
    inputs.any(|layer| layer.role == Some(Role::Image)) && graph.with_role(Role::Score).is_some()
}

impl ComparedLayer {
    /// The layer `tensor`, if it is recorded on both sorts of images; `suffix` follows its name on generated ones.
    fn new(layout: &TraceLayout, tensor: &str, suffix: &str) -> Option<Self> {
        let entry = |name: &str| layout.find(name, TensorKind::Activation);
        let real = entry(tensor)?;
        let generated = entry(&format!("{tensor}{suffix}"))?;
        Some(Self {
            tensor: tensor.to_owned(),
            units: real.units,
            real_row: real.first_row,
            generated_row: generated.first_row,
        })
    }

    /// Sums of the units' variances over the batch, on real and on generated images.
    fn variances(&self, statistics: &[UnitStatistics]) -> [f64; 2] {
        [self.real_row, self.generated_row].map(|first| {
            let units = &statistics[first..first + self.units];
            units.iter().map(|unit| f64::from(unit.std).powi(2)).sum()
        })
    }
}
