//! The training step: everything that runs on the GPU, built once, and the results that come back from it.
//!
//! One step is one submission: gather a batch, what the model learns from it ([`super::supervised`],
//! [`super::adversarial`]), advance the step counter. On recorded steps the probes' dispatches are recorded in between.
//! Results return through a ring some steps later, so the CPU never waits inside the loop unless it runs ahead of the
//! whole ring.

use std::collections::BTreeMap;

use super::learner::Learner;
use super::scenario::{ModelConfig, Scenario};
use super::{adversarial, memory_estimate, supervised};
use crate::data::{BatchCursor, Dataset, Gather, Images, Residency};
use crate::gpu::{Buffer, Dispatch, Gpu, MemoryEstimate, ReadbackRing};
use crate::models::{Classifier, Gan, Vae};
use crate::nn::{Graph, Loss, Parameters};
use crate::tensor::NamedTensor;
use crate::trace::{Checkpoint, ModelDescription, RunReader, TraceLayout, UnitStatistics};
use crate::{Error, Result};

/// Steps that may be on their way before the CPU waits for the oldest.
const RING: usize = 4;

/// What one step has left behind.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: u64,
    /// As [`Trainer::scalar_names`]; where the step was not recorded, only the first
    /// [`Trainer::scalars_of_every_step`] of them.
    pub scalars: Vec<f32>,
    /// On recorded steps: the statistics of every row of [`Trainer::layout`].
    pub statistics: Option<Vec<UnitStatistics>>,
}

/// A model in training.
pub struct Trainer {
    gpu: Gpu,
    scenario: Scenario,
    model: Model,
    dataset: Dataset,
    skipped: Vec<String>,
    learner: Learner,
    cursor: BatchCursor,
    /// Counts the updates of a GAN's generator, of which there may be fewer than steps.
    generator_clock: BatchCursor,
    gather: Gather,
    advance: Dispatch,
    layout: TraceLayout,
    statistics: Buffer<UnitStatistics>,
    ring: ReadbackRing<(u64, bool)>,
    step: u64,
}

/// The trained graphs, by kind.
pub enum Model {
    /// A variational autoencoder.
    Vae(Vae),
    /// A classifier, or a two-stream network.
    Classifier(Classifier),
    /// A generative adversarial network.
    Gan(Box<Gan>),
}

impl Model {
    /// Builds the graphs of a scenario for images of `shape` (channels, height, width) of `classes`.
    ///
    /// # Errors
    /// Layers do not fit each other or the data.
    pub fn new(config: &ModelConfig, shape: &[usize], classes: usize) -> Result<Self> {
        match config {
            ModelConfig::Vae(vae) => vae.build(shape, classes).map(Self::Vae),
            ModelConfig::Classifier(classifier) => {
                classifier.build(shape, classes).map(Self::Classifier)
            }
            ModelConfig::TwoStream(network) => network.build(shape, classes).map(Self::Classifier),
            ModelConfig::Gan(gan) => gan.build(shape).map(Box::new).map(Self::Gan),
        }
    }

    /// The graphs of its training step in words.
    pub fn describe(&self) -> ModelDescription {
        let graphs = match self {
            Self::Vae(vae) => vec![vae.graph.describe("vae", &vae.loss)],
            Self::Classifier(classifier) => {
                vec![classifier.graph.describe("classifier", &classifier.loss)]
            }
            Self::Gan(gan) => vec![
                gan.play.describe("generator_pass", &gan.generator_loss),
                gan.real.graph.describe("real_pass", &gan.real.loss),
                gan.generated
                    .graph
                    .describe("fake_pass", &gan.generated.loss),
            ],
        };
        ModelDescription { graphs }
    }

    /// Its graph; of a GAN the one from noise through both networks.
    pub fn graph(&self) -> &Graph {
        match self {
            Self::Vae(vae) => &vae.graph,
            Self::Classifier(classifier) => &classifier.graph,
            Self::Gan(gan) => &gan.play,
        }
    }

    /// What its graph is trained on.
    pub fn loss(&self) -> &Loss {
        match self {
            Self::Vae(vae) => &vae.loss,
            Self::Classifier(classifier) => &classifier.loss,
            Self::Gan(gan) => &gan.generator_loss,
        }
    }
}

impl Trainer {
    /// Reads the data, builds the model and its plans, and draws the first parameters.
    ///
    /// # Errors
    /// Broken data, layers that do not fit, or a model that is too large for the adapter.
    pub fn new(gpu: &Gpu, scenario: &Scenario) -> Result<Self> {
        let mut images = scenario.images()?;
        let config = scenario.model();
        let (model, residency, estimate) = Self::plan(gpu, scenario, &images)?;
        let batching = scenario.batching(images.count)?;
        estimate.allocate_scratch(gpu)?;
        let skipped = std::mem::take(&mut images.skipped);
        let cursor = BatchCursor::new(gpu, images.count, scenario.train.batch)?;
        let generator_clock = BatchCursor::new(gpu, 1, 1)?;
        let (learner, probes) = match (&model, &config) {
            (Model::Gan(gan), ModelConfig::Gan(config)) => {
                adversarial::learner(gpu, scenario, config, gan, &cursor, &generator_clock)?
            }
            (Model::Classifier(classifier), _) => {
                let inputs = (classifier.x, Some(classifier.label));
                supervised::learner(
                    gpu,
                    scenario,
                    (model.graph(), model.loss()),
                    inputs,
                    &cursor,
                )?
            }
            (Model::Vae(vae), _) => supervised::learner(
                gpu,
                scenario,
                (model.graph(), model.loss()),
                (vae.x, vae.label),
                &cursor,
            )?,
            (Model::Gan(_), _) => unreachable!("a GAN is built from a GAN's configuration"),
        };
        let dataset = Dataset::house(gpu, images, residency)?;
        let gather = dataset.gather(gpu, &cursor, &batching, &learner.x, learner.label.as_ref())?;
        let bytes = 4 * learner.result_len() as u64 + probes.statistics.raw().size();
        Ok(Self {
            gpu: gpu.clone(),
            scenario: scenario.clone(),
            advance: cursor.advance(),
            ring: ReadbackRing::new(gpu, "step results", RING, bytes),
            statistics: probes.statistics,
            layout: probes.layout,
            model,
            dataset,
            skipped,
            learner,
            cursor,
            generator_clock,
            gather,
            step: 0,
        })
    }

    /// Builds the model and sees that it, its batch and its data fit the adapter, before anything is allocated.
    fn plan(
        gpu: &Gpu,
        scenario: &Scenario,
        images: &Images,
    ) -> Result<(Model, Residency, MemoryEstimate)> {
        images.check()?;
        let config = scenario.model();
        if config.needs_labels() && images.labels.is_empty() {
            return Err(Error::input(
                images.name.clone(),
                "it has no labels, and this model needs them",
                "add the labels file, or train a vae without a condition",
            ));
        }
        let model = Model::new(&config, &images.shape, images.classes)
            .map_err(|error| scenario.with_span(error))?;
        let mut estimate = memory_estimate::estimate(gpu, scenario, &model);
        estimate
            .validate(gpu)
            .map_err(|error| scenario.with_span(error))?;
        // The data set gets what the model leaves of the memory.
        let left = gpu.memory().map_or(u64::MAX, |all| all - estimate.bytes());
        let room = scenario.data.memory_budget().min(left);
        let residency = Residency::of(gpu, images, scenario.train.batch, room)?;
        estimate.buffer("data set", "data", (residency.bytes / 4) as usize);
        Ok((model, residency, estimate))
    }

    /// Bytes of the adapter's memory that a scenario will take, small things apart.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn estimate_memory(gpu: &Gpu, scenario: &Scenario) -> Result<u64> {
        let images = scenario.images()?;
        Self::plan(gpu, scenario, &images).map(|(_, _, estimate)| estimate.bytes())
    }

    /// Runs one step; `watched` records every unit's statistics.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn step(&mut self, watched: bool) -> Result<()> {
        self.gather.prepare(&self.gpu, self.step)?;
        let mut encoder = self.gpu.encoder("training step");
        let dispatches = self.dispatches(watched);
        self.gpu.record(&mut encoder, "training step", dispatches);
        let statistics = watched.then(|| self.statistics.raw());
        let results: Vec<_> = self
            .learner
            .results()
            .map(Buffer::raw)
            .chain(statistics)
            .map(|buffer| (buffer, 0, buffer.size()))
            .collect();
        self.ring.copy(&mut encoder, (self.step, watched), &results);
        self.gpu.queue.submit([encoder.finish()]);
        self.ring.submitted();
        self.step += 1;
        self.gpu.check()
    }

    /// The dispatches of the next step in order: gather a batch, learn, advance; `watched` puts the probes in between.
    pub fn dispatches(&self, watched: bool) -> impl Iterator<Item = &Dispatch> {
        self.gather
            .dispatches
            .iter()
            .chain(self.learner.procedure(self.step).dispatches(watched))
            .chain([&self.advance])
    }

    /// Names of the scalars of a [`StepRecord`]: `loss`, then its terms and what else is measured, and last what only
    /// recorded steps have: for each parameter tensor `gradient_norm/<its name>`, the Euclidean norm of the loss's
    /// gradient, before any clipping.
    pub fn scalar_names(&self) -> Vec<String> {
        self.learner.scalar_names()
    }

    /// How many of [`Trainer::scalar_names`] every step has.
    pub fn scalars_of_every_step(&self) -> usize {
        self.learner.scalars.len()
    }

    /// Whether [`Trainer::take`] must wait before the next [`Trainer::step`].
    pub fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    /// The oldest step's results, if they have arrived; with `wait`, waits for them (`None` only when nothing is on
    /// its way).
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn take(&mut self, wait: bool) -> Result<Option<StepRecord>> {
        let Some(((step, watched), bytes)) = self.ring.take(&self.gpu, wait)? else {
            return Ok(None);
        };
        let all: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let (results, statistics) = all.split_at(self.learner.result_len());
        Ok(Some(StepRecord {
            step,
            scalars: self.learner.scalars_of(results, watched),
            statistics: watched.then(|| {
                let numbers = &statistics[..self.layout.rows() * UnitStatistics::LEN];
                bytemuck::cast_slice(numbers).to_vec()
            }),
        }))
    }

    /// The state after the steps so far; waits for them.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            step: self.step,
            parameters: self.learner.parameters(&self.gpu)?,
            // Before the first step there is nothing to remember.
            optimizer: if self.step == 0 {
                Vec::new()
            } else {
                self.learner.memories(&self.gpu)?
            },
        })
    }

    /// The trainer of `scenario` in the state that the run of `reader` had after `step` steps.
    ///
    /// # Errors
    /// As [`Trainer::new`], and a checkpoint that is missing, damaged or of another model.
    pub fn restored(gpu: &Gpu, scenario: &Scenario, reader: &RunReader, step: u64) -> Result<Self> {
        let mut trainer = Self::new(gpu, scenario)?;
        let place = format!("{}, checkpoint {step}", reader.folder().display());
        trainer.restore(&Checkpoint::read(reader.folder(), step)?, &place)?;
        Ok(trainer)
    }

    /// Puts a checkpoint's state in place; `source` names its folder in messages.
    ///
    /// # Errors
    /// Its tensors do not fit the model.
    pub fn restore(&mut self, checkpoint: &Checkpoint, source: &str) -> Result<()> {
        self.load_parameters(&checkpoint.parameters, source)?;
        self.learner
            .write_memories(&self.gpu, &checkpoint.optimizer, source)?;
        self.cursor.set_step(&self.gpu, checkpoint.step)?;
        // The generator learns in the first of each round of steps.
        let rounds = checkpoint
            .step
            .div_ceil(self.learner.procedures.len() as u64);
        self.generator_clock.set_step(&self.gpu, rounds)?;
        self.step = checkpoint.step;
        Ok(())
    }

    /// Replaces the parameters, for `--init`; `source` names the file in messages.
    ///
    /// # Errors
    /// A tensor is missing, unknown or of another shape.
    pub fn load_parameters(&mut self, tensors: &[NamedTensor], source: &str) -> Result<()> {
        self.learner.write_parameters(&self.gpu, tensors, source)
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// What the rows of a record's statistics are.
    pub fn layout(&self) -> &TraceLayout {
        &self.layout
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Files of the data set that could not be used, each with the reason.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The numbers of the samples in the batch of `step`, row by row.
    pub fn batch_samples(&self, step: u64) -> Vec<u32> {
        self.gather.order.samples(step)
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The parameters; of a GAN those of the generator.
    pub fn parameters(&self) -> &Parameters {
        &self.learner.networks[0].parameters
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Kernel choices that results depend on, for `run.json`.
    pub fn kernel_choices(&self) -> BTreeMap<String, String> {
        let profile = self.gpu.profile();
        [
            ("matmul", profile.matmul.name()),
            ("row sums", profile.reduction.name()),
        ]
        .map(|(kernel, choice)| (kernel.to_owned(), choice.to_owned()))
        .into()
    }
}
