//! What is seen of a run, whatever its cause: values that are not finite, a loss that explodes, a model that does not learn.
//! Causes are looked for behind these; a run without any of them has no serious finding but of its data.

use super::facts::{Facts, Family};
use super::tensor_series::TensorSeries;
use crate::nn::{LayerDescription, Property, Role};

/// A loss this many times its first value has exploded ...
const EXPLODED: f64 = 10.0;
/// ... and where it is that of a classifier, this many times.
const EXPLODED_CLASSIFIER: f64 = 3.0;
/// Steps of a run before it can be said not to learn.
pub(super) const STEPS_TO_LEARN: u64 = 80;
/// A model that has learned less than this share of what there is has learned nothing.
const NOTHING: f64 = 0.05;
/// And with less than this it has learned little.
const LITTLE: f64 = 0.45;
/// A loss that falls by less than this share in the second half of a run has stopped.
const STALLED: f64 = 0.05;
/// A rectifier of which more units than this share are zero for the whole batch, at the end, is dead.
const DEAD: f64 = 0.9;
/// A latent unit whose mean varies less than this over the batch carries nothing.
pub(super) const USED: f64 = 0.1;

/// What is seen of a run.
#[derive(Debug, Default)]
pub(super) struct Symptoms {
    /// The first step with a value that is not finite.
    pub nonfinite: Option<u64>,
    /// The step of the largest loss and that loss, where it exploded and was no isolated spike.
    pub exploded: Option<(u64, f64)>,
    /// The model answers as if it did not look at its input.
    pub learned_nothing: bool,
    /// It has learned something, yet far less than there is.
    pub learned_little: bool,
    /// Layers of rectifiers that are dead at the end, with the step since which they are.
    pub dead_layers: Vec<(String, u64)>,
    /// No latent unit of a VAE depends on the input; where there are several latent layers, none of the first.
    pub posterior_collapsed: bool,
}

impl Symptoms {
    /// Looks at a run.
    pub fn new(facts: &Facts<'_>) -> Self {
        let nonfinite = facts.first_nonfinite();
        let steps = facts.steps();
        let learned = facts
            .learned()
            .filter(|_| steps >= STEPS_TO_LEARN && nonfinite.is_none());
        let learned = learned.filter(|learned| learned.is_finite());
        Self {
            nonfinite,
            exploded: exploded(facts),
            learned_nothing: learned.is_some_and(|learned| learned < NOTHING) && stalled(facts),
            learned_little: learned.is_some_and(|learned| learned < LITTLE),
            dead_layers: dead_layers(facts),
            posterior_collapsed: nonfinite.is_none() && posterior_collapsed(facts),
        }
    }

    /// Whether the run left the range in which a model trains.
    pub fn diverged(&self) -> bool {
        self.nonfinite.is_some() || self.exploded.is_some()
    }

    /// Whether anything is seen that a healthy run does not show.
    pub fn any(&self) -> bool {
        self.diverged() || self.learned_nothing || self.posterior_collapsed
    }
}

/// Whether the second half of the run brought nothing. A run that still gets better may only need more steps.
fn stalled(facts: &Facts<'_>) -> bool {
    let values = facts.scalar(facts.target());
    let middle = &values[values.len() * 2 / 5..values.len() / 2];
    let mean = middle.iter().map(|(_, value)| value).sum::<f64>() / middle.len().max(1) as f64;
    facts
        .late(facts.target())
        .is_some_and(|late| mean - late < STALLED * mean.abs())
}

/// The largest finite loss and its step, where it is far above the first one and its neighbors are, too.
fn exploded(facts: &Facts<'_>) -> Option<(u64, f64)> {
    if facts.family == Family::Gan {
        return None;
    }
    let losses = facts.scalar("loss");
    let first = losses
        .first()
        .map(|(_, loss)| loss.abs())
        .filter(|loss| loss.is_finite())?;
    let factor = match facts.family {
        Family::Classifier => EXPLODED_CLASSIFIER,
        _ => EXPLODED,
    };
    let limit = factor * first.max(f64::MIN_POSITIVE);
    let above = |(_, loss): &(u64, f64)| loss.abs() > limit;
    let has_neighbor = losses.windows(2).any(|pair| pair.iter().all(above));
    let finite = losses.iter().filter(|(_, loss)| loss.is_finite());
    let most = finite.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    (has_neighbor && above(most)).then_some(*most)
}

fn dead_layers(facts: &Facts<'_>) -> Vec<(String, u64)> {
    let model = facts.run.model();
    let mut names: Vec<&str> = model
        .layers()
        .filter(|l| l.has(Property::Rectifier))
        .map(|l| l.name.as_str())
        .collect();
    names.dedup();
    let dead = names.into_iter().filter_map(|name| {
        let series = facts.output(name)?;
        let is_dead = TensorSeries::late(&series.dead) > DEAD && series.steps.len() >= 5;
        let since = series.since(&series.dead, |share| share > DEAD);
        is_dead.then(|| (name.to_owned(), since.unwrap_or_default()))
    });
    let mut dead: Vec<_> = dead.collect();
    dead.sort();
    dead.dedup();
    dead
}

/// Whether no latent unit's mean varies with the input at the end.
fn posterior_collapsed(facts: &Facts<'_>) -> bool {
    let first = facts.role(Role::LatentMean);
    let of_first = first.and_then(|layer| latent_use(facts, layer));
    of_first.is_some_and(|(used, _)| used == 0) && facts.steps() >= STEPS_TO_LEARN
}

/// How many of the latent units whose means are `layer` vary over the batch at the last recorded step, and of how many;
/// `None` where that is not known, because they are not recorded or their values are not finite.
pub(super) fn latent_use(facts: &Facts<'_>, layer: &LayerDescription) -> Option<(usize, usize)> {
    use crate::tensor::TensorKind::Activation;
    use crate::trace::Statistic;
    let entry = facts.run.layout().find(&layer.name, Activation)?;
    let spread = facts
        .run
        .series(&layer.name, Activation, Statistic::Std)
        .ok()?;
    let last: Vec<f32> = spread.last().collect();
    if last.is_empty() || last.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let used = last
        .iter()
        .filter(|value| f64::from(**value) > USED)
        .count();
    Some((used, entry.units))
}
