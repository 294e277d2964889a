//! What is known of a run, gathered once for all causes: its graphs with their roles, its scalars, the statistics of its
//! tensors step by step, its scenario and its data.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize as _;

use super::data_facts::DataFacts;
use super::detected::events_of;
use super::tensor_series::{TensorSeries, series_of};
use crate::models::ClassifierLoss;
use crate::nn::{LayerDescription, Optimizer, Property, Role};
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, RecordedTraining, RunView};
use crate::train::{ModelConfig, Scenario};

/// The share of a run at either end that means are taken over.
const END: f64 = 0.1;
/// Values at most of such a mean.
const END_VALUES: usize = 50;

/// What kind of model a run trains, by the roles in its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Classifier,
    Vae,
    Gan,
    Other,
}

/// A network that has an optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// A GAN's discriminator.
    Discriminator,
    /// Its generator, or the whole of another model.
    Main,
}

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub run: &'a RunView,
    /// The layers of a GAN's discriminator.
    discriminator: HashSet<&'a str>,
    /// The scenario, where the run has one that this version reads.
    pub scenario: Option<Scenario>,
    /// What a recorder has seen of the training, of a run without a scenario.
    training: Option<&'a RecordedTraining>,
    /// The samples, where they can be read.
    pub data: Option<DataFacts>,
    pub family: Family,
    /// The events that the run has written, or that its records show.
    pub events: Cow<'a, [Event]>,
    tensors: HashMap<(String, TensorKind), TensorSeries>,
    /// What could not be looked at, and why.
    pub unknown: Vec<String>,
}

impl<'a> Facts<'a> {
    /// Gathers what is known of a run.
    pub fn new(run: &'a RunView) -> Self {
        let mut unknown = Vec::new();
        let tensors = series_of(run).unwrap_or_else(|error| {
            unknown.push(format!(
                "the statistics of the units cannot be read: {error}"
            ));
            HashMap::new()
        });
        let scenario = Scenario::of_view(run).and_then(|read| {
            read.map_err(|error| unknown.push(format!("the scenario cannot be read: {error}")))
                .ok()
        });
        let data = scenario.as_ref().and_then(|scenario| {
            read_data(scenario)
                .map_err(|error| unknown.push(format!("the data cannot be read: {error}")))
                .ok()
        });
        let training = run.info().and_then(|info| info.training.as_ref());
        if run.scenario().is_none() {
            unknown.push(without_scenario(training).to_owned());
        }
        Self {
            training,
            family: family(run),
            discriminator: run.model().discriminator(),
            events: events_of(run),
            run,
            scenario,
            data,
            tensors,
            unknown,
        }
    }

    /// The series of a tensor, where it is recorded.
    pub fn tensor(&self, name: &str, kind: TensorKind) -> Option<&TensorSeries> {
        // The borrow of a pair of owned values as a pair of borrowed ones does not exist.
        self.tensors.get(&(name.to_owned(), kind))
    }

    /// The series of a layer's output.
    pub fn output(&self, layer: &str) -> Option<&TensorSeries> {
        self.tensor(layer, TensorKind::Activation)
    }

    /// The layer of a role.
    pub fn role(&self, role: Role) -> Option<&LayerDescription> {
        self.run.model().with_role(role)
    }

    /// Layers of weighted sums, in the order of computation, each once.
    pub fn weighted(&self) -> Vec<&LayerDescription> {
        let mut found: Vec<&LayerDescription> = Vec::new();
        for layer in self.run.model().layers() {
            if layer.has(Property::WeightedSum)
                && found.iter().all(|known| known.name != layer.name)
            {
                found.push(layer);
            }
        }
        found
    }

    /// A scalar's values in order; none where it is not recorded.
    pub fn scalar(&self, name: &str) -> &[(u64, f64)] {
        self.run.scalars().get(name).map_or(&[], Vec::as_slice)
    }

    /// The mean of a scalar's first values.
    pub fn early(&self, name: &str) -> Option<f64> {
        let values = self.scalar(name);
        mean_of(values[..end_len(values.len())].iter())
    }

    /// The mean of a scalar's last values.
    pub fn late(&self, name: &str) -> Option<f64> {
        let values = self.scalar(name);
        mean_of(values[values.len() - end_len(values.len())..].iter())
    }

    /// How many steps are recorded.
    pub fn steps(&self) -> u64 {
        let last = self.scalar("loss").last().map(|(step, _)| step + 1);
        let done = self.run.info().map(|info| info.steps_done);
        last.or(done).unwrap_or_default()
    }

    /// Whether the record begins with the first step of the training.
    pub fn has_start(&self) -> bool {
        self.scalar("loss")
            .first()
            .is_some_and(|(step, _)| *step == 0)
    }

    /// The scalar that a model is judged by: the reconstruction of a VAE, the loss of others.
    pub fn target(&self) -> &'static str {
        match self.family {
            Family::Vae if !self.scalar("reconstruction").is_empty() => "reconstruction",
            _ => "loss",
        }
    }

    /// What [`Facts::target`] is for an answer that does not look at the sample; `None` where there is no such thing.
    pub fn chance(&self) -> Option<f64> {
        match self.family {
            Family::Classifier => self.chance_of_classes(),
            Family::Vae => {
                let [entropy, error] = self.data.as_ref()?.constant_loss;
                let losses = &self.run.model().graphs.first()?.losses;
                let term = losses.iter().find(|term| term.name == "reconstruction")?;
                let loss = self.run.model().layer(&term.layer)?;
                if loss.has(Property::Bernoulli) {
                    Some(entropy)
                } else {
                    loss.has(Property::SquaredError).then_some(error)
                }
            }
            _ => None,
        }
    }

    /// The loss of a classifier that always answers with the frequencies of the classes, or that guesses where these are
    /// not known.
    fn chance_of_classes(&self) -> Option<f64> {
        let outputs = self.role(Role::Logits).or(self.role(Role::Probabilities))?;
        let units = outputs.shape.iter().product::<usize>();
        let graph = self.run.model().graphs.first()?;
        let term = graph.losses.iter().find(|term| term.weight != 0.0)?;
        let loss = graph.layer(&term.layer)?;
        let of_labels = self.data.as_ref().and_then(DataFacts::class_shares);
        let classes = units.max(2);
        let shares = of_labels.unwrap_or_else(|| vec![1.0 / classes as f64; classes]);
        let smoothing = self.label_smoothing();
        let answers = if loss.has(Property::Categorical) {
            units
        } else {
            2
        };
        let smoothed = |share: f64| (1.0 - smoothing) * share + smoothing / answers as f64;
        let shares: Vec<f64> = shares.into_iter().map(smoothed).collect();
        // One output for two classes says the second.
        let targets = if units == 1 {
            &shares[shares.len() - 1..]
        } else {
            &shares[..]
        };
        let sum = |of: &dyn Fn(f64) -> f64| targets.iter().map(|&share| of(share)).sum();
        let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        if loss.has(Property::Categorical) {
            Some(sum(&term))
        } else if loss.has(Property::Bernoulli) {
            Some(sum(&|p| term(p) + term(1.0 - p)))
        } else {
            loss.has(Property::SquaredError)
                .then(|| sum(&|p| p * (1.0 - p)))
        }
    }

    /// How much of what there is to learn was learned at the end: 0 for an answer that does not look at the sample.
    pub fn learned(&self) -> Option<f64> {
        let (chance, late) = (self.chance()?, self.late(self.target())?);
        let least = self.least_of_classes();
        (chance > least).then(|| 1.0 - (late - least) / (chance - least))
    }

    /// The share of each target that label smoothing spreads over all answers.
    fn label_smoothing(&self) -> f64 {
        match self.scenario.as_ref().map(Scenario::model) {
            Some(ModelConfig::Classifier(config)) => config.label_smoothing.into(),
            _ => 0.0,
        }
    }

    /// The loss of a classifier that is always right: with label smoothing more than 0.
    fn least_of_classes(&self) -> f64 {
        let smoothing = self.label_smoothing();
        let outputs = self.role(Role::Logits).or(self.role(Role::Probabilities));
        let units = outputs.map_or(0, |outputs| outputs.shape.iter().product());
        let Some(ModelConfig::Classifier(config)) = self.scenario.as_ref().map(Scenario::model)
        else {
            return 0.0;
        };
        if smoothing == 0.0 || units == 0 {
            return 0.0;
        }
        let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        match config.loss {
            ClassifierLoss::CrossEntropy | ClassifierLoss::NegativeLogLikelihood => {
                let other = smoothing / units as f64;
                term(1.0 - smoothing + other) + (units - 1) as f64 * term(other)
            }
            ClassifierLoss::BceWithLogits | ClassifierLoss::Bce => {
                units as f64 * (term(0.5 * smoothing) + term(1.0 - 0.5 * smoothing))
            }
            ClassifierLoss::SquaredError => 0.0,
        }
    }

    /// The network that a layer belongs to.
    pub fn network_of(&self, layer: &str) -> Network {
        if self.discriminator.contains(layer) {
            Network::Discriminator
        } else {
            Network::Main
        }
    }

    /// The optimizer of a network.
    pub fn optimizer(&self, network: Network) -> Option<Optimizer> {
        let Some(scenario) = &self.scenario else {
            return self.recorded_optimizer(network);
        };
        let train = &scenario.train;
        let own = train.discriminator_optimizer;
        let own = own.filter(|_| network == Network::Discriminator);
        Some(own.unwrap_or(train.optimizer))
    }

    /// The optimizer that a recorder has seen, of the first weights of a network that have one.
    fn recorded_optimizer(&self, network: Network) -> Option<Optimizer> {
        let recorded = &self.training?.optimizers;
        let layers = self.weighted().into_iter();
        let own = layers.filter(|layer| self.network_of(&layer.name) == network);
        let parameters = own.flat_map(|layer| &layer.parameters);
        let found = parameters.filter_map(|parameter| {
            let mut groups = recorded.iter();
            groups.find(|group| group.parameters.contains(&parameter.name))
        });
        let mut read =
            found.filter_map(|group| Optimizer::deserialize(group.optimizer.clone()).ok());
        read.next()
    }

    /// Samples in a batch, where that is known.
    pub fn batch(&self) -> Option<usize> {
        let recorded = || self.training.and_then(|training| training.batch);
        let scenario = self.scenario.as_ref();
        scenario
            .map(|scenario| scenario.train.batch)
            .or_else(recorded)
    }

    /// The key of the optimizer of a network in `[train]`.
    pub fn optimizer_key(&self, network: Network) -> &'static str {
        let scenario = self.scenario.as_ref();
        let has_own = scenario.is_some_and(|s| s.train.discriminator_optimizer.is_some());
        match network {
            Network::Discriminator if has_own => "discriminator_optimizer",
            Network::Discriminator | Network::Main => "optimizer",
        }
    }

    /// The learning rate of an optimizer.
    pub fn learning_rate(optimizer: Optimizer) -> f64 {
        match optimizer {
            Optimizer::Sgd(sgd) => sgd.lr,
            Optimizer::Adam(adam) | Optimizer::AdamW(adam) => adam.lr,
            Optimizer::RmsProp(rmsprop) => rmsprop.lr,
        }
    }

    /// The first step with a non-finite value in any record or event.
    pub fn first_nonfinite(&self) -> Option<u64> {
        let events = self.events.iter();
        let of_events = events.filter(|event| event.kind == EventKind::Nonfinite);
        let of_events = of_events.map(|event| event.step);
        let scalars = self.run.scalars().values().flatten();
        let of_scalars = scalars
            .filter(|(_, value)| !value.is_finite())
            .map(|(step, _)| *step);
        let of_units = self
            .tensors
            .values()
            .filter_map(TensorSeries::first_nonfinite);
        of_scalars.chain(of_units).chain(of_events).min()
    }

    /// The largest ratio of an update to its weights over the steps in `from..to`, of any weight matrix: layer, step and
    /// ratio. The first step of RMSprop counts as it would with a history, without which it is larger.
    pub fn largest_update(&self, from: u64, to: u64) -> Option<(String, u64, f64)> {
        let ratios = self.weighted().into_iter().flat_map(|layer| {
            let first_step = match self.optimizer(self.network_of(&layer.name)) {
                Some(Optimizer::RmsProp(rmsprop)) => (1.0 - rmsprop.alpha).sqrt(),
                _ => 1.0,
            };
            let ratios = self.update_ratios(&layer.name).into_iter();
            let counted = ratios.map(move |(step, ratio)| match step {
                0 => (step, ratio * first_step),
                _ => (step, ratio),
            });
            counted
                .filter(move |(step, ratio)| (from..to).contains(step) && ratio.is_finite())
                .map(|(step, ratio)| (layer.name.clone(), step, ratio))
        });
        ratios.max_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// The root mean square of a layer's update over that of its weight, step by step; without steps whose weights are 0.
    pub fn update_ratios(&self, layer: &str) -> Vec<(u64, f64)> {
        let name = format!("{layer}.weight");
        let (Some(weight), Some(update)) = (
            self.tensor(&name, TensorKind::Weight),
            self.tensor(&name, TensorKind::Update),
        ) else {
            return Vec::new();
        };
        let pairs = weight.steps.iter().zip(weight.rms.iter().zip(&update.rms));
        pairs
            .filter(|(_, (weight, _))| **weight > 0.0)
            .map(|(step, (weight, update))| (*step, update / weight))
            .collect()
    }

    /// The folder of the run as a command takes it.
    pub fn folder(&self) -> String {
        self.run.folder().display().to_string()
    }
}

/// What is not known of a run without a scenario.
fn without_scenario(training: Option<&RecordedTraining>) -> &'static str {
    match training {
        Some(training) if !training.optimizers.is_empty() => {
            "the run has no scenario: of its settings only optimizer and batch are known, and its data are not"
        }
        _ => "the run has no scenario, so settings and data are not known",
    }
}

fn family(run: &RunView) -> Family {
    let model = run.model();
    if model.with_role(Role::Score).is_some() {
        Family::Gan
    } else if model.with_role(Role::LatentMean).is_some() {
        Family::Vae
    } else if model.layers().any(|layer| layer.has(Property::Categorical))
        || run.scalars().contains_key("accuracy")
    {
        Family::Classifier
    } else {
        Family::Other
    }
}

fn read_data(scenario: &Scenario) -> crate::Result<DataFacts> {
    let images = scenario.images()?;
    images.check()?;
    let batching = scenario.batching(images.count)?;
    Ok(DataFacts::new(&images, batching.corrupt.as_ref()))
}

fn end_len(len: usize) -> usize {
    ((len as f64 * END).ceil() as usize)
        .clamp(1, END_VALUES)
        .min(len)
}

/// The mean of the values; not finite where one of them is not, `None` without any.
fn mean_of<'v>(values: impl ExactSizeIterator<Item = &'v (u64, f64)>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.map(|(_, value)| value).sum::<f64>() / count as f64)
}
