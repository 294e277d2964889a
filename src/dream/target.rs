//! What is dreamt of: a unit, several, a weighted direction, a class, a cluster of units, or what a layer said to a sample.

use crate::attribute::{find_layer, units};
use crate::cluster::{ClusterOptions, UnitFeatures, cluster};
use crate::nn::{Mode, NodeId, Plan, Role, Segment};
use crate::train::{ProbedGraph, Trainer};
use crate::{Error, Result};

/// What the option of the command line is called, in messages.
const OPTION: &str = "--unit";
/// What [`DreamTarget`] may be written as.
const FORMS: &str = "write LAYER:CHANNEL, LAYER:0-3,7, LAYER:all, LAYER:3=1,5=-0.5 (a weighted direction), \
                     LAYER:cluster=2, LAYER:sample=17, class:3 or class:all";

/// What is asked for, as `--unit` says it.
#[derive(Debug, Clone, PartialEq)]
pub struct DreamTarget {
    /// The name of the layer in the graph; none for the model's logits.
    pub layer: Option<String>,
    /// What of it.
    pub of: DreamOf,
}

/// What of a layer's output is dreamt of. A unit of images is a channel: the mean over its places.
#[derive(Debug, Clone, PartialEq)]
pub enum DreamOf {
    /// All units, each in a dream of its own.
    All,
    /// Some units, each in a dream of its own.
    Units(Vec<usize>),
    /// The weighted sum of some units.
    Direction(Vec<(usize, f64)>),
    /// The mean of the units in a cluster of those that `trainscope cluster` finds at the same state.
    Cluster(usize),
    /// The output on a sample of the data set, as a direction of length 1, places included.
    Sample(usize),
}

impl DreamTarget {
    /// A unit of a layer.
    pub fn unit(layer: impl Into<String>, unit: usize) -> Self {
        Self {
            layer: Some(layer.into()),
            of: DreamOf::Units(vec![unit]),
        }
    }

    /// Reads `LAYER:CHANNEL`, `LAYER:all`, `LAYER:0-3,7`, `LAYER:3=1,5=-0.5`, `LAYER:cluster=2`, `LAYER:sample=17`,
    /// `class:3` or `class:all`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("{OPTION} {text}"), "not a unit of a layer", FORMS);
        let (layer, of) = text.rsplit_once(':').ok_or_else(wrong)?;
        if layer.is_empty() {
            return Err(wrong());
        }
        let layer = (layer != "class").then(|| layer.to_owned());
        let of = parse_of(of).ok_or_else(wrong)?;
        Ok(Self { layer, of })
    }
}

fn parse_of(text: &str) -> Option<DreamOf> {
    if text == "all" {
        return Some(DreamOf::All);
    }
    if let Some(id) = text.strip_prefix("cluster=") {
        return id.parse().ok().map(DreamOf::Cluster);
    }
    if let Some(sample) = text.strip_prefix("sample=") {
        return sample.parse().ok().map(DreamOf::Sample);
    }
    if text.contains('=') {
        let parts = text.split(',').map(|part| {
            let (unit, weight) = part.split_once('=')?;
            let weight: f64 = weight.parse().ok()?;
            weight.is_finite().then_some((unit.parse().ok()?, weight))
        });
        let parts: Vec<(usize, f64)> = parts.collect::<Option<_>>()?;
        let is_direction = parts.iter().any(|(_, weight)| *weight != 0.0);
        return is_direction.then_some(DreamOf::Direction(parts));
    }
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last - first > usize::from(u16::MAX) {
            return None;
        }
        units.extend(first..=last);
    }
    Some(DreamOf::Units(units))
}

/// A number that a layer's output is summed up to, whose greatest value is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Objective {
    /// As `--unit` says it.
    pub name: String,
    /// The unit, where it is one.
    pub unit: Option<usize>,
    /// Elements of the output of a sample, and their weights.
    pub weights: Vec<(usize, f32)>,
}

impl Objective {
    /// Its value on an output of a sample.
    pub fn value(&self, output: &[f32]) -> f64 {
        let terms = self.weights.iter();
        terms
            .map(|&(element, weight)| f64::from(weight) * f64::from(output[element]))
            .sum()
    }
}

/// A layer, the graph in which it depends on an input, and what of it is dreamt of.
#[derive(Debug)]
pub(super) struct Objectives<'a> {
    pub graph: ProbedGraph<'a>,
    pub layer: NodeId,
    pub all: Vec<Objective>,
}

/// The layer of a target, in the graph in which it depends on an input.
pub(super) fn layer_of<'a>(
    trainer: &'a Trainer,
    target: &DreamTarget,
) -> Result<(ProbedGraph<'a>, NodeId)> {
    let layer = match &target.layer {
        Some(layer) => layer.clone(),
        None => logits(trainer)?,
    };
    find_layer(trainer, &format!("{OPTION} {layer}:..."), &layer)
}

impl<'a> Objectives<'a> {
    pub fn find(trainer: &'a Trainer, target: &DreamTarget) -> Result<Self> {
        let (graph, node) = layer_of(trainer, target)?;
        let layer = graph.node(node).name.clone();
        let mut found = Self {
            graph,
            layer: node,
            all: Vec::new(),
        };
        found.all = match &target.of {
            DreamOf::All => {
                let all: Vec<usize> = (0..found.units()).collect();
                found.of_units(&layer, &all)?
            }
            DreamOf::Units(units) => found.of_units(&layer, units)?,
            DreamOf::Direction(parts) => vec![found.direction(&layer, parts)?],
            DreamOf::Cluster(id) => vec![found.cluster(trainer, &layer, *id)?],
            DreamOf::Sample(sample) => vec![found.sample(trainer, &layer, *sample)?],
        };
        Ok(found)
    }

    pub fn layer_name(&self) -> &str {
        &self.graph.node(self.layer).name
    }

    fn units(&self) -> usize {
        units(&self.graph.node(self.layer).shape)
    }

    /// The mean over the places of a unit, times a weight.
    fn weights(&self, unit: usize, weight: f64) -> impl Iterator<Item = (usize, f32)> {
        let positions = self.graph.node(self.layer).size() / self.units();
        let share = (weight / positions as f64) as f32;
        (unit * positions..(unit + 1) * positions).map(move |element| (element, share))
    }

    fn of_units(&self, layer: &str, units: &[usize]) -> Result<Vec<Objective>> {
        let objectives = units.iter().map(|&unit| {
            self.expect(layer, unit)?;
            Ok(Objective {
                name: format!("{layer}:{unit}"),
                unit: Some(unit),
                weights: self.weights(unit, 1.0).collect(),
            })
        });
        objectives.collect()
    }

    fn expect(&self, layer: &str, unit: usize) -> Result<()> {
        let units = self.units();
        if unit < units {
            return Ok(());
        }
        Err(Error::usage(
            format!("{OPTION} {layer}:{unit}"),
            format!("{layer} has {units} units"),
            format!("choose from 0 to {}", units - 1),
        ))
    }

    fn direction(&self, layer: &str, parts: &[(usize, f64)]) -> Result<Objective> {
        let mut weights = Vec::new();
        for &(unit, weight) in parts {
            self.expect(layer, unit)?;
            weights.extend(self.weights(unit, weight));
        }
        let parts: Vec<String> = parts
            .iter()
            .map(|(unit, weight)| format!("{unit}={weight}"))
            .collect();
        Ok(Objective {
            name: format!("{layer}:{}", parts.join(",")),
            unit: None,
            weights,
        })
    }

    fn cluster(&self, trainer: &Trainer, layer: &str, id: usize) -> Result<Objective> {
        let features = UnitFeatures::of_probe_batch(trainer, layer)?;
        let options = ClusterOptions {
            count: None,
            seed: 0,
        };
        let found = cluster(trainer.gpu(), &features, &options)?;
        let Some(cluster) = found.clusters.iter().find(|cluster| cluster.id == id) else {
            let known = found.clusters.iter();
            let known: Vec<String> = known
                .map(|cluster| format!("{} ({} units)", cluster.id, cluster.units.len()))
                .collect();
            return Err(Error::usage(
                format!("{OPTION} {layer}:cluster={id}"),
                "there is no such cluster",
                format!("choose one of: {}", known.join(", ")),
            ));
        };
        let share = 1.0 / cluster.units.len() as f64;
        let units = cluster.units.iter();
        Ok(Objective {
            name: format!("{layer}:cluster={id}"),
            unit: None,
            weights: units.flat_map(|&unit| self.weights(unit, share)).collect(),
        })
    }

    fn sample(&self, trainer: &Trainer, layer: &str, sample: usize) -> Result<Objective> {
        let context = format!("{OPTION} {layer}:sample={sample}");
        let count = trainer.dataset().count();
        if sample >= count {
            return Err(Error::usage(
                context,
                format!("the data set has {count} samples"),
                format!("choose from 0 to {}", count - 1),
            ));
        }
        let batch = self.graph.samples(trainer, sample..sample + 1)?;
        let gpu = trainer.gpu();
        let plan = Plan::request(&self.graph, 1)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed)
            .parameter_gradients(false)
            .keep_value(self.layer)
            .split_after(self.layer)
            .build(gpu, &trainer.parameters_of_all())?;
        let input = plan.value(self.graph.input).expect("inputs are kept");
        gpu.write(input, 0, &batch.samples);
        batch.write_labels(trainer, &plan, 1);
        gpu.run(
            "sample",
            plan.segment(Segment::ForwardTo(self.layer), false),
        );
        let output = gpu.read(plan.value(self.layer).expect("asked for"))?;
        let squares: f64 = output.iter().map(|&value| f64::from(value).powi(2)).sum();
        if squares == 0.0 || !squares.is_finite() {
            return Err(Error::usage(
                context,
                "the layer's output on it is all zeros or not finite, which is no direction",
                "choose another sample or layer",
            ));
        }
        let length = squares.sqrt();
        let weights = output.iter().enumerate();
        Ok(Objective {
            name: format!("{layer}:sample={sample}"),
            unit: None,
            weights: weights
                .filter(|(_, value)| **value != 0.0)
                .map(|(element, &value)| (element, (f64::from(value) / length) as f32))
                .collect(),
        })
    }
}

/// The layer whose units are classes.
fn logits(trainer: &Trainer) -> Result<String> {
    let graph = trainer.graph();
    let has = |role| graph.with_role(role).is_some();
    let is_classifier = has(Role::Label) && !has(Role::LatentMean);
    match graph.with_role(Role::Logits).filter(|_| is_classifier) {
        Some(node) => Ok(graph.node(node).name.clone()),
        None => Err(Error::usage(
            format!("{OPTION} class:..."),
            "the model has no logits of classes",
            "name a layer: LAYER:CHANNEL",
        )),
    }
}
