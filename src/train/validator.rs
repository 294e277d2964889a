//! Measures a model on samples that training does not see.
//!
//! It has a plan, a data set and buffers of its own and only reads the parameters, so that training is the same bit for bit
//! with it and without it, apart from the samples that were held out.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::{Dataset, Images};
use crate::gpu::{Dispatch, Gpu};
use crate::models::{Scalar, TrainStep, Validation};
use crate::nn::{Mode, NodeId, Plan, Role};

/// What a model reached on the validation data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationResult {
    /// After how many steps.
    pub step: u64,
    /// How many samples were measured.
    pub samples: usize,
    /// Means over them, as the scalars `validation/NAME` of the run.
    pub scalars: Vec<(String, f64)>,
    /// Of a classifier: how often each class was taken for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// How often each class was taken for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// A row for each true class, with the number of its samples that were taken for each class.
    pub counts: Vec<Vec<u32>>,
}

impl Confusion {
    /// The share of each class's samples that were recognized; `None` of a class without samples.
    pub fn accuracies(&self) -> Vec<Option<f64>> {
        let rows = self.counts.iter().enumerate();
        rows.map(|(class, row)| {
            let all: u32 = row.iter().sum();
            (all > 0).then(|| f64::from(row[class]) / f64::from(all))
        })
        .collect()
    }
}

/// Batches of one size, with the plan that measures them.
#[derive(Debug)]
struct Batches {
    plan: Plan,
    size: usize,
    /// For each batch, what brings its samples into the plan's input.
    gathers: Vec<Vec<Dispatch>>,
    /// The first sample of the first batch.
    first: usize,
}

/// The validation data on the GPU, and the plans that measure them.
#[derive(Debug)]
pub(super) struct Validator {
    batches: Vec<Batches>,
    samples: usize,
    scalars: Vec<Scalar>,
    /// Where the logits of classes are, their number, and the labels of the samples.
    classes: Option<(NodeId, usize, Vec<u8>)>,
}

impl Validator {
    /// # Errors
    /// Too little memory for the data or the plans.
    pub fn new(
        gpu: &Gpu,
        validation: &Validation<'_>,
        images: Images,
        step: &TrainStep,
        (batch, seed): (usize, u64),
    ) -> Result<Self> {
        let parameters = &step.networks[validation.network].parameters;
        let graph = validation.pass.graph;
        let is_classified = validation.pass.loss.terms().iter();
        let is_classified = is_classified.clone().any(|term| term.name == "accuracy");
        let logits = graph.with_role(Role::Logits).filter(|_| is_classified);
        let classes = logits.map(|node| (node, graph.node(node).size(), images.labels.clone()));
        let count = images.count;
        let dataset = Dataset::upload(gpu, &images)?;
        drop(images);
        let full = batch.min(count);
        let mut batches = Vec::new();
        // Whole batches, and the rest in one of its own size: every sample counts once.
        for (size, first, end) in [
            (full, 0, count / full * full),
            (count % full, count / full * full, count),
        ] {
            if size == 0 || first == end {
                continue;
            }
            let request = Plan::request(graph, size)
                .seed(seed)
                .mode(Mode::Eval)
                .evaluate(validation.pass.loss);
            let request = match &classes {
                Some((node, ..)) => request.keep_value(*node),
                None => request,
            };
            let plan = request.build(gpu, parameters)?;
            let value = |node: NodeId| plan.value(node).expect("inputs are kept");
            let labels = validation.label.map(|label| value(label).cast());
            let gathers = (first..end).step_by(size).map(|start| {
                let samples: Vec<u32> = (start..start + size).map(|sample| sample as u32).collect();
                dataset.gather_indices(gpu, &samples, value(validation.input), labels.as_ref())
            });
            let gathers = gathers.collect::<Result<_>>()?;
            batches.push(Batches {
                plan,
                size,
                gathers,
                first,
            });
        }
        Ok(Self {
            batches,
            samples: count,
            scalars: validation.scalars.clone(),
            classes,
        })
    }

    /// Measures all samples with the parameters as they are; with `confused`, counts what a classifier takes for what.
    pub fn run(&self, gpu: &Gpu, step: u64, confused: bool) -> Result<ValidationResult> {
        let mut sums = vec![0.0; self.scalars.len()];
        let classes = self.classes.as_ref().filter(|_| confused);
        let mut counts = classes.map(|(_, outputs, _)| vec![vec![0; *outputs]; *outputs]);
        for batches in &self.batches {
            for (index, gather) in batches.gathers.iter().enumerate() {
                let dispatches = gather.iter().chain(batches.plan.dispatches(false));
                gpu.run("validation", dispatches);
                let means = gpu.read(batches.plan.scalars())?;
                for (sum, scalar) in sums.iter_mut().zip(&self.scalars) {
                    let terms = scalar.terms.iter().map(|&(_, term)| f64::from(means[term]));
                    *sum += batches.size as f64 * f64::from(scalar.factor) * terms.sum::<f64>();
                }
                if let (Some(counts), Some((node, outputs, labels))) = (&mut counts, classes) {
                    let logits = batches.plan.value(*node).expect("it is kept");
                    let logits = gpu.read(logits)?;
                    let first = batches.first + index * batches.size;
                    for (row, label) in logits
                        .chunks(*outputs)
                        .zip(&labels[first..])
                        .take(batches.size)
                    {
                        counts[usize::from(*label)][largest(row)] += 1;
                    }
                }
            }
        }
        let names = self.scalars.iter().map(|scalar| scalar.name.clone());
        let means = sums.iter().map(|sum| sum / self.samples as f64);
        Ok(ValidationResult {
            step,
            samples: self.samples,
            scalars: names.zip(means).collect(),
            confusion: counts.map(|counts| Confusion { counts }),
        })
    }
}

/// The place of the largest value; of equal ones the first.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] || values[best].is_nan() {
            best = index;
        }
    }
    best
}
