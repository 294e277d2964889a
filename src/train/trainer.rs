//! The training step: everything that runs on the GPU, built once, and the results that come back from it.
//!
//! One step is one submission: gather a batch, run the model's [`TrainStep`], advance the step counter. In probed steps the
//! probes' dispatches run in between. Results return through a ring some steps later, so the CPU never waits inside the
//! loop unless it runs ahead of the whole ring.

use std::collections::BTreeMap;

use super::initial_parameters::initial_parameters;
use super::scenario::Scenario;
use super::tolerance::{Deviation, Tolerance};
use super::validator::{ValidationResult, Validator};
use crate::data::{BatchCursor, Dataset, Gather, Images};
use crate::gpu::{Buffer, Dispatch, Gpu, ReadbackRing};
use crate::models::{Model, TrainStep};
use crate::nn::{Graph, Parameters, Pass, ProbeOutput};
use crate::tensor::NamedTensor;
use crate::trace::{
    Checkpoint, DataTally, Half, ModelDescription, RunReader, TraceLayout, UnitStatistics,
};
use crate::{Error, Result};

/// The results of one step.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: u64,
    /// As [`Trainer::scalar_names`]; where the step was not probed, only the first [`Trainer::scalars_of_every_step`] of
    /// them.
    pub scalars: Vec<f32>,
    /// Of a probed step: the statistics of every row of [`Trainer::layout`].
    pub statistics: Option<Vec<UnitStatistics>>,
    /// Of a probed step: the [outputs](crate::nn::Probe::outputs) of the probes that were added, in their order.
    pub outputs: Vec<NamedTensor>,
}

/// A model in training.
pub struct Trainer {
    pub(super) gpu: Gpu,
    pub(super) scenario: Scenario,
    pub(super) model: Box<dyn Model>,
    pub(super) dataset: Dataset,
    pub(super) data: DataTally,
    pub(super) train_step: TrainStep,
    pub(super) cursor: BatchCursor,
    pub(super) gather: Gather,
    pub(super) advance: Dispatch,
    pub(super) layout: TraceLayout,
    pub(super) statistics: Buffer<UnitStatistics>,
    pub(super) outputs: Vec<ProbeOutput>,
    pub(super) ring: ReadbackRing<(u64, bool)>,
    pub(super) step: u64,
    /// Steps that update one network alone.
    pub(super) half_steps: BTreeMap<u64, Half>,
    /// Made when it is first needed: a replay never does.
    pub(super) validator: Option<Validator>,
    /// Where the steps of a run of another adapter are run again.
    pub(super) tolerance: Option<Tolerance>,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("scenario", &self.scenario.name)
            .field("model", &self.model.kind())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// Runs one step; with `probed` it records every unit's statistics and runs the probes.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn step(&mut self, probed: bool) -> Result<()> {
        self.gpu.give_way()?;
        self.gather.prepare(&self.gpu, self.step)?;
        let mut encoder = self.gpu.encoder("training step");
        let dispatches = self.dispatches(probed);
        self.gpu.record(&mut encoder, "training step", dispatches);
        let returned: Vec<wgpu::Buffer> = self.returned(probed).cloned().collect();
        let sources: Vec<_> = returned.iter().map(|raw| (raw, 0, raw.size())).collect();
        self.ring.copy(&mut encoder, (self.step, probed), &sources);
        self.gpu.queue.submit([encoder.finish()]);
        self.ring.submitted();
        self.step += 1;
        self.gpu.check()
    }

    /// The buffers that return from a step: the model's, and of a probed one the statistics and the probes' outputs.
    fn returned(&self, probed: bool) -> impl Iterator<Item = &wgpu::Buffer> {
        let outputs = self.outputs.iter().map(|output| output.buffer.raw());
        let of_probes = [self.statistics.raw()].into_iter().chain(outputs);
        let of_model = self.train_step.returned().map(Buffer::raw);
        of_model.chain(of_probes.filter(move |_| probed))
    }

    /// The dispatches of the next step in order: gather a batch, train on it, advance; with `probed` those of the probes in
    /// between.
    pub fn dispatches(&self, probed: bool) -> impl Iterator<Item = &Dispatch> {
        let half = self.half_steps.get(&self.step).copied();
        let program = self.train_step.program(self.step, half);
        let gather = self.gather.dispatches.iter();
        gather
            .chain(program.dispatches(probed))
            .chain([&self.advance])
    }

    /// Names of the scalars of a [`StepRecord`]: `loss`, then its terms and what else is measured, and last what only
    /// probed steps have: for each parameter tensor `gradient_norm/<its name>`, the Euclidean norm of the loss's
    /// gradient, before any clipping.
    pub fn scalar_names(&self) -> Vec<String> {
        self.train_step.scalar_names()
    }

    /// How many of [`Trainer::scalar_names`] every step has.
    pub fn scalars_of_every_step(&self) -> usize {
        self.train_step.scalars.len()
    }

    /// Whether [`Trainer::take`] must wait before the next [`Trainer::step`].
    pub fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    /// The oldest step's results, if they have arrived; with `wait`, waits for them (`None` only when no step is in
    /// flight).
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn take(&mut self, wait: bool) -> Result<Option<StepRecord>> {
        let Some(((step, probed), bytes)) = self.ring.take(&self.gpu, wait)? else {
            return Ok(None);
        };
        let all: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let mut rest = all.as_slice();
        let mut parts = Vec::new();
        for buffer in self.returned(probed) {
            // A copy of the whole buffer holds its padding too.
            let (part, after) = rest.split_at(buffer.size() as usize / 4);
            parts.push(part);
            rest = after;
        }
        let of_model = self.train_step.returned().count();
        let (of_model, of_probes) = parts.split_at(of_model);
        let outputs = self.outputs.iter().zip(of_probes.iter().skip(1));
        let record = StepRecord {
            step,
            scalars: self.train_step.scalar_values(of_model, probed),
            statistics: of_probes.first().map(|statistics| {
                let rows = self.layout.rows();
                bytemuck::cast_slice(&statistics[..rows * UnitStatistics::LEN]).to_vec()
            }),
            outputs: outputs
                .map(|(output, values)| {
                    let values = values[..output.buffer.len()].to_vec();
                    NamedTensor::new(&output.name, output.shape.clone(), values)
                })
                .collect(),
        };
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.compare(&self.train_step.scalar_names(), &record)?;
        }
        Ok(Some(record))
    }

    /// How far the steps are from those of the run that they repeat, where that was made on another adapter.
    pub fn deviation(&self) -> Option<&Deviation> {
        self.tolerance
            .as_ref()
            .map(|tolerance| &tolerance.deviation)
    }

    /// Measures the samples of `[validate]` with the parameters as they are; with `confused`, a classifier also counts what
    /// it takes for what. Nothing without that section, or of a model that has no validation. Waits for the steps so far.
    ///
    /// # Errors
    /// The data cannot be read or do not fit the model, or the device was lost.
    pub fn validate(&mut self, confused: bool) -> Result<Option<ValidationResult>> {
        if self.scenario.validate.is_none() {
            return Ok(None);
        }
        if self.validator.is_none() {
            let Some(validation) = self.model.validation() else {
                return Ok(None);
            };
            let Some(images) = self.scenario.validation_images()? else {
                return Ok(None);
            };
            check_validation(&images, &self.dataset, validation.label.is_some())?;
            let config = (self.scenario.train.batch, self.scenario.seed);
            let validator =
                Validator::new(&self.gpu, &validation, images, &self.train_step, config)?;
            self.validator = Some(validator);
        }
        let run = |validator: &Validator| validator.run(&self.gpu, self.step, confused);
        self.validator.as_ref().map(run).transpose()
    }

    /// The state after the steps so far; waits for them.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            step: self.step,
            parameters: self.train_step.read_parameters(&self.gpu)?,
            // Before the first step the optimizers have no state yet.
            optimizer: if self.step == 0 {
                Vec::new()
            } else {
                self.train_step.read_optimizers(&self.gpu)?
            },
        })
    }

    /// Puts the state in place that the run of `reader` had after `step` steps.
    ///
    /// # Errors
    /// A checkpoint that is missing, damaged or of another model.
    pub fn restore_from(&mut self, reader: &RunReader, step: u64) -> Result<()> {
        let source = format!("{}, checkpoint {step}", reader.folder().display());
        let half_steps = reader.info().half_steps.iter();
        self.half_steps = half_steps.map(|half| (half.step, half.updated)).collect();
        self.restore(&Checkpoint::read(reader.folder(), step)?, &source)
    }

    /// Puts a checkpoint's state in place; `source` names its folder in messages.
    ///
    /// # Errors
    /// Its tensors do not fit the model.
    pub fn restore(&mut self, checkpoint: &Checkpoint, source: &str) -> Result<()> {
        self.load_parameters(&checkpoint.parameters, source)?;
        self.train_step
            .write_optimizers(&self.gpu, &checkpoint.optimizer, source)?;
        self.set_step(checkpoint.step)
    }

    /// Says that the state is that after `step` steps.
    pub(super) fn set_step(&mut self, step: u64) -> Result<()> {
        self.cursor.set_step(&self.gpu, step)?;
        self.train_step.set_step(&self.gpu, step, &self.half_steps);
        self.step = step;
        Ok(())
    }

    /// Replaces the parameters; `source` names the file in messages.
    ///
    /// # Errors
    /// A tensor is missing, unknown or of another shape.
    pub fn load_parameters(&mut self, tensors: &[NamedTensor], source: &str) -> Result<()> {
        self.train_step.write_parameters(&self.gpu, tensors, source)
    }

    /// Replaces the parameters by those of another program; returns the prefix that was taken off their names. `source`
    /// names the file in messages.
    ///
    /// # Errors
    /// A parameter is missing, unknown or of another shape, or a value is not finite.
    pub(super) fn load_initial_parameters(
        &mut self,
        tensors: Vec<NamedTensor>,
        source: &str,
    ) -> Result<Option<String>> {
        let networks = self.train_step.networks.iter();
        let names = networks.flat_map(|network| network.parameters.names());
        let (tensors, prefix) = initial_parameters(tensors, &names.collect(), source)?;
        self.load_parameters(&tensors, source)?;
        Ok(prefix)
    }

    /// Whether steps can update one network alone.
    pub fn has_halves(&self) -> bool {
        self.train_step.halves.is_some()
    }

    /// Lets the next step update one network alone.
    ///
    /// # Errors
    /// The model is no GAN.
    pub fn update_only(&mut self, half: Half) -> Result<()> {
        if !self.has_halves() {
            return Err(Error::usage(
                format!("a step of the {} alone", half.name()),
                format!("a {} has one network", self.model.kind()),
                "take whole steps",
            ));
        }
        self.half_steps.insert(self.step, half);
        Ok(())
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
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// Its most telling graph; of a GAN the one from noise through both networks.
    pub fn graph(&self) -> &Graph {
        self.model.passes()[0].graph
    }

    /// The graphs of its training step in words, for `graph.json`.
    pub fn describe(&self) -> ModelDescription {
        let passes = self.model.passes();
        ModelDescription {
            graphs: passes.iter().map(Pass::describe).collect(),
        }
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What was read of the data set and what was left out.
    pub fn data(&self) -> &DataTally {
        &self.data
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
        &self.train_step.networks[0].parameters
    }

    /// The parameters of all networks, for a graph that runs through several.
    pub fn parameters_of_all(&self) -> Parameters {
        let networks = self.train_step.networks.iter().rev();
        let all = networks.map(|network| network.parameters.clone());
        all.reduce(|others, own| own.with_fallback(others))
            .expect("a model has a network")
    }

    /// Trainable parameters of all networks.
    pub fn parameter_count(&self) -> usize {
        let networks = self.train_step.networks.iter();
        networks.map(|network| network.parameters.count()).sum()
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

/// Whether validation data fit the data that the model was built for.
fn check_validation(images: &Images, dataset: &Dataset, needs_labels: bool) -> Result<()> {
    images.check()?;
    let refused = |problem: String| {
        let hint = "use data of the same kind as the training data";
        Err(Error::input(
            format!("validation data '{}'", images.name),
            problem,
            hint,
        ))
    };
    if images.shape != dataset.shape() {
        let (own, other) = (images.shape, dataset.shape());
        return refused(format!(
            "its samples are {own:?}, those to train on {other:?}"
        ));
    }
    if needs_labels && images.labels.is_empty() {
        return refused("it has no labels, and the model needs them".to_owned());
    }
    if images.classes > dataset.classes() && needs_labels {
        let (own, other) = (images.classes, dataset.classes());
        return refused(format!(
            "it has {own} classes, the data to train on {other}"
        ));
    }
    Ok(())
}
