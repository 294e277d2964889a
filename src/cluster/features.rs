//! What a unit is compared by: its activations on the probe batch, or its recorded series.

use super::SingledOut;
use super::kmeans::Points;
use crate::gpu::Gpu;
use crate::nn::{Graph, Mode, NodeId, Plan, Role};
use crate::trace::UnitSeries;
use crate::train::Trainer;
use crate::{Error, Result};

/// Turns the seed of a run into that of the latent vectors of the probe batch.
const PROBE_SEED_BIT: u64 = 1 << 62;
/// Values of all units at most.
const MAX_VALUES: usize = 1 << 26;

/// The features of the units of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitFeatures {
    /// How many units there are.
    pub units: usize,
    /// Values of the series of a unit: samples of the probe batch, or steps.
    pub len: usize,
    /// Places of a unit's map for each of them; 1 where a unit is one number.
    pub positions: usize,
    /// `[units, len, positions]`
    pub values: Vec<f32>,
    /// What `len` counts, for sentences: "samples" or "records".
    pub of: &'static str,
}

impl UnitFeatures {
    /// The activations of a layer's units on the probe batch, as the trainer's parameters are: a VAE's latent vectors are
    /// their means, dropout is off, running statistics are used and left alone.
    ///
    /// # Errors
    /// The model has no such layer (the message lists those that it has), or the adapter has no room.
    pub fn of_probe_batch(trainer: &Trainer, layer: &str) -> Result<Self> {
        let (graph, node) = find(trainer, layer)?;
        let gpu = trainer.gpu();
        let samples = trainer
            .scenario()
            .record
            .probe_batch
            .min(trainer.dataset().count());
        let plan = Plan::request(graph, samples)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed ^ PROBE_SEED_BIT)
            .parameter_gradients(false)
            .keep_value(node)
            .build(gpu, &trainer.parameters_of_all())?;
        gather(trainer, graph, &plan, samples)?;
        let dispatches: Vec<_> = plan.dispatches(false).collect();
        gpu.run("probe batch", dispatches);
        let value = plan.value(node).expect("it is kept");
        let shape = &graph.node(node).shape;
        Ok(Self::of_activations(&gpu.read(value)?, samples, shape))
    }

    /// From activations `[samples, ...shape]`.
    fn of_activations(activations: &[f32], samples: usize, shape: &[usize]) -> Self {
        let (units, positions) = match *shape {
            [channels, height, width] => (channels, height * width),
            _ => (shape.iter().product(), 1),
        };
        let row = units * positions;
        let mut values = Vec::with_capacity(activations.len());
        for unit in 0..units {
            for sample in 0..samples {
                let from = sample * row + unit * positions;
                values.extend_from_slice(&activations[from..from + positions]);
            }
        }
        Self {
            units,
            len: samples,
            positions,
            values,
            of: "samples",
        }
    }

    /// The recorded series of units.
    pub fn of_series(series: &UnitSeries) -> Self {
        Self {
            units: series.units,
            len: series.steps.len(),
            positions: 1,
            values: series.values.clone(),
            of: "records",
        }
    }

    /// Features of a unit.
    fn row_len(&self) -> usize {
        self.len * self.positions
    }

    fn row(&self, unit: usize) -> &[f32] {
        &self.values[unit * self.row_len()..][..self.row_len()]
    }

    /// Units with values that are not finite.
    pub(super) fn nonfinite_units(&self) -> Vec<SingledOut> {
        let count = |unit: usize| {
            let series = self.row(unit).chunks_exact(self.positions.max(1));
            series
                .filter(|map| map.iter().any(|value| !value.is_finite()))
                .count()
        };
        (0..self.units)
            .map(|unit| (unit, count(unit)))
            .filter(|(_, count)| *count > 0)
            .map(|(unit, count)| SingledOut {
                unit,
                why: format!(
                    "it has values that are not finite in {count} of {} {}",
                    self.len, self.of
                ),
            })
            .collect()
    }

    /// Some units as points, about their mean and divided by the largest distance of a value to it, which is returned:
    /// squares neither overflow nor vanish.
    pub(super) fn points<'a>(&self, gpu: &'a Gpu, units: &[usize]) -> Result<(Points<'a>, f64)> {
        let features = self.row_len();
        if units.len().saturating_mul(features) > MAX_VALUES {
            return Err(Error::input(
                "cluster",
                format!("{} units of {features} values are too many", units.len()),
                "set record.probe_batch to fewer samples, or choose a layer of smaller maps",
            ));
        }
        let mut means = vec![0.0f64; features];
        for &unit in units {
            for (mean, value) in means.iter_mut().zip(self.row(unit)) {
                *mean += f64::from(*value) / units.len() as f64;
            }
        }
        let centered = || {
            let rows = units
                .iter()
                .flat_map(|&unit| self.row(unit).iter().zip(&means));
            rows.map(|(value, mean)| f64::from(*value) - mean)
        };
        let largest = centered().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let values: Vec<f32> = centered().map(|value| (value / scale) as f32).collect();
        Ok((Points::new(gpu, &values, features)?, scale))
    }

    /// The mean of some units, averaged over the places of their maps.
    pub(super) fn mean_series(&self, units: &[usize]) -> Vec<f64> {
        let count = (units.len() * self.positions) as f64;
        let mut mean = vec![0.0; self.len];
        for &unit in units {
            let maps = self.row(unit).chunks_exact(self.positions.max(1));
            for (mean, map) in mean.iter_mut().zip(maps) {
                *mean += map.iter().copied().map(f64::from).sum::<f64>() / count;
            }
        }
        mean
    }

    /// The root of the mean squared distance of a feature to its mean over some units.
    pub(super) fn spread(&self, units: &[usize]) -> f64 {
        let count = units.len() as f64;
        let squared = |feature: usize| {
            let values = || units.iter().map(|&unit| f64::from(self.row(unit)[feature]));
            let mean = values().sum::<f64>() / count;
            values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
        };
        let sum: f64 = (0..self.row_len()).map(squared).sum();
        (sum / self.row_len().max(1) as f64).sqrt()
    }
}

/// The graph and the node of a layer's output.
fn find<'a>(trainer: &'a Trainer, layer: &str) -> Result<(&'a Graph, NodeId)> {
    let passes = trainer.model().passes();
    let mut known = Vec::new();
    for pass in &passes {
        for (id, node) in pass.graph.ids().zip(pass.graph.nodes()) {
            let is_layer = !matches!(node.role, Some(Role::Label | Role::Loss | Role::Metric));
            if is_layer && node.name == layer {
                return Ok((pass.graph, id));
            }
            if is_layer && node.operation.is_some() && !known.contains(&node.name) {
                known.push(node.name.clone());
            }
        }
    }
    Err(Error::usage(
        format!("--layer {layer}"),
        "the model has no such layer",
        format!("choose one of: {}", known.join(", ")),
    ))
}

/// Puts the probe batch, the first samples of the data set, into the inputs of a plan.
fn gather(trainer: &Trainer, graph: &Graph, plan: &Plan, samples: usize) -> Result<()> {
    let inputs = graph.ids().filter(|&id| graph.node(id).operation.is_none());
    let (labels, images): (Vec<_>, Vec<_>) =
        inputs.partition(|&id| graph.node(id).role == Some(Role::Label));
    let Some(&image) = images.first() else {
        return Ok(());
    };
    let indices: Vec<u32> = (0..samples as u32).collect();
    let value = |id| plan.value(id).expect("inputs are kept");
    let labels = labels.first().map(|&label| value(label).cast());
    let dataset = trainer.dataset();
    let gather = dataset.gather_indices(trainer.gpu(), &indices, value(image), labels.as_ref())?;
    trainer.gpu().run("probe batch", &gather);
    Ok(())
}
