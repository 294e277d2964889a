//! What a layer says to real inputs: how far a unit goes on them, and which of them drive it most and least.

use super::target::{Objective, Objectives};
use crate::nn::{Mode, Parameters, Plan, Segment};
use crate::train::Trainer;
use crate::{Error, Result};

/// Samples that go through the network at once.
const BATCH: usize = 64;

/// A sample of the data set and what a unit is on it.
#[derive(Debug, Clone, PartialEq)]
pub struct RealInput {
    /// Its number in the data set; of a generator, that of the latent vector.
    pub sample: usize,
    /// The unit on it.
    pub activation: f64,
    /// The sample, `[...shape]`.
    pub input: Vec<f32>,
}

/// Real inputs and their activations.
#[derive(Debug)]
pub(super) struct RealInputs {
    /// `[count, ...shape]`
    pub inputs: Vec<f32>,
    /// Of each objective on each input.
    pub activations: Vec<Vec<f64>>,
    size: usize,
}

impl RealInputs {
    /// The first `count` samples of the data set, or all if it has fewer.
    pub fn measure(
        trainer: &Trainer,
        objectives: &Objectives<'_>,
        parameters: &Parameters,
        count: usize,
    ) -> Result<Self> {
        let gpu = trainer.gpu();
        let graph = &objectives.graph;
        let count = count.min(trainer.dataset().count()).max(1);
        let (batch, layer) = (BATCH.min(count), objectives.layer);
        let plan = Plan::request(graph, batch)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed)
            .parameter_gradients(false)
            .keep_value(layer)
            .split_after(layer)
            .build(gpu, parameters)?;
        let size = graph.node(graph.input).size();
        let mut inputs = Vec::with_capacity(count * size);
        let mut activations = vec![Vec::with_capacity(count); objectives.all.len()];
        let input = plan.value(graph.input).expect("inputs are kept");
        for first in (0..count).step_by(batch) {
            // The last batch is filled up with samples that were measured before.
            let from = first.min(count - batch);
            let samples = graph.samples(trainer, from..from + batch)?;
            gpu.write(input, 0, &samples.samples);
            samples.write_labels(trainer, &plan, 1);
            gpu.run(
                "real inputs",
                plan.segment(Segment::ForwardTo(layer), false),
            );
            let outputs = gpu.read(plan.value(layer).expect("asked for"))?;
            let new = first - from;
            let rows = outputs.chunks_exact(graph.node(layer).size());
            for output in rows.skip(new) {
                for (objective, activations) in objectives.all.iter().zip(&mut activations) {
                    activations.push(objective.value(output));
                }
            }
            inputs.extend_from_slice(&samples.samples[new * size..]);
        }
        let found = Self {
            inputs,
            activations,
            size,
        };
        for (objective, activations) in objectives.all.iter().zip(&found.activations) {
            expect_finite(trainer, objective, activations)?;
        }
        Ok(found)
    }

    /// The largest value of an objective.
    pub fn maximum(&self, objective: usize) -> f64 {
        let values = self.activations[objective].iter().copied();
        values.fold(f64::NEG_INFINITY, f64::max)
    }

    /// What a dream's activation is divided by: the largest on real inputs, but not less than what is usual on them.
    pub fn scale(&self, objective: usize) -> f64 {
        let values = &self.activations[objective];
        let squares: f64 = values.iter().map(|value| value * value).sum();
        let usual = (squares / values.len() as f64).sqrt();
        self.maximum(objective).max(usual)
    }

    /// The inputs that drive an objective most, the first of them first, or least.
    pub fn extremes(&self, objective: usize, count: usize, most: bool) -> Vec<RealInput> {
        let values = &self.activations[objective];
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| {
            let ascending = values[a].total_cmp(&values[b]);
            let by_value = if most { ascending.reverse() } else { ascending };
            by_value.then(a.cmp(&b))
        });
        let chosen = order.into_iter().take(count);
        chosen
            .map(|sample| RealInput {
                sample,
                activation: values[sample],
                input: self.inputs[sample * self.size..(sample + 1) * self.size].to_vec(),
            })
            .collect()
    }
}

fn expect_finite(trainer: &Trainer, objective: &Objective, activations: &[f64]) -> Result<()> {
    let broken = activations
        .iter()
        .filter(|value| !value.is_finite())
        .count();
    if broken == 0 {
        return Ok(());
    }
    Err(Error::input(
        format!("{} after {} steps", objective.name, trainer.steps_done()),
        format!(
            "it is not finite on {broken} of {} real inputs, so there is nothing to dream of",
            activations.len()
        ),
        "choose an earlier state with --steps-of; the run's events say when values broke",
    ))
}
