//! Builds a trainer: sees that everything fits the adapter, then makes the data set, the model's step and its probes.

use std::collections::BTreeMap;

use super::scenario::{ModelConfig, Scenario};
use super::statistics_probe::{StatisticsProbe, max_rows};
use super::trainer::Trainer;
use crate::data::{BatchCursor, Dataset, Images, Residency};
use crate::gpu::{AdapterProfile, Buffer, Gpu, MemoryEstimate, ReadbackRing};
use crate::models::{DataShape, Model, StepBuilder};
use crate::nn::{Probe, ProbeOutput};
use crate::trace::{RunReader, UnitStatistics};
use crate::{Error, Result};

/// Steps that may be in flight before the CPU waits for the oldest.
pub(super) const STEPS_IN_FLIGHT: usize = 4;

/// Builds a [`Trainer`], with probes where there are some.
pub struct TrainerBuilder<'a> {
    gpu: &'a Gpu,
    scenario: &'a Scenario,
    probes: Vec<Box<dyn Probe>>,
}

impl std::fmt::Debug for TrainerBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainerBuilder")
            .field("scenario", &self.scenario.name)
            .field("probes", &self.probes.len())
            .finish_non_exhaustive()
    }
}

impl<'a> TrainerBuilder<'a> {
    fn new(gpu: &'a Gpu, scenario: &'a Scenario) -> Self {
        Self {
            gpu,
            scenario,
            probes: Vec::new(),
        }
    }

    /// Adds a probe; every probed step runs it. Its outputs return as [`super::StepRecord::outputs`].
    pub fn probe(self, probe: impl Probe + 'static) -> Self {
        self.boxed_probe(Box::new(probe))
    }

    pub(super) fn boxed_probe(mut self, probe: Box<dyn Probe>) -> Self {
        self.probes.push(probe);
        self
    }

    /// Reads the data, builds the model and its step, and draws the first parameters.
    ///
    /// # Errors
    /// Broken data, layers that do not fit, a model that is too large for the adapter, or a probe that finds nothing.
    pub fn build(self) -> Result<Trainer> {
        let Self {
            gpu,
            scenario,
            mut probes,
        } = self;
        let images = scenario.images()?;
        let data = images.tally();
        scenario.check_data(&data)?;
        let Planned {
            model,
            residency,
            estimate,
        } = plan(gpu, scenario, &images)?;
        let batching = scenario.batching(images.count)?;
        estimate.allocate_scratch(gpu)?;
        let cursor = BatchCursor::new(gpu, images.count, scenario.train.batch)?;

        let mut statistics = StatisticsProbe::new(gpu, &model.passes())?;
        let mut all: Vec<&mut dyn Probe> = vec![&mut statistics];
        all.extend(
            probes
                .iter_mut()
                .map(|probe| probe.as_mut() as &mut dyn Probe),
        );
        let config = scenario.train_config();
        let mut builder = StepBuilder::new(gpu, config, cursor.buffer(), all);
        let train_step = model.train_step(&mut builder)?;
        for probe in &probes {
            probe.check()?;
        }
        let outputs: Vec<ProbeOutput> = probes.iter().flat_map(|probe| probe.outputs()).collect();
        let (layout, statistics) = statistics.finish();

        let dataset = Dataset::new(gpu, images, residency)?;
        let (input, label) = (&train_step.input, train_step.label.as_ref());
        let gather = dataset.gather(gpu, &cursor, &batching, input, label)?;
        let returned = train_step.returned().map(Buffer::raw);
        let of_probes = outputs.iter().map(|output| output.buffer.raw());
        let returned = returned.chain([statistics.raw()]).chain(of_probes);
        let bytes = returned.map(wgpu::Buffer::size).sum();
        Ok(Trainer {
            gpu: gpu.clone(),
            scenario: scenario.clone(),
            advance: cursor.advance(),
            ring: ReadbackRing::new(gpu, "step results", STEPS_IN_FLIGHT, bytes),
            model,
            dataset,
            data,
            train_step,
            cursor,
            gather,
            layout,
            statistics,
            outputs,
            step: 0,
            half_steps: BTreeMap::new(),
            validator: None,
            tolerance: None,
        })
    }
}

/// A model that is known to fit, and where its data will lie.
struct Planned {
    model: Box<dyn Model>,
    residency: Residency,
    estimate: MemoryEstimate,
}

/// Builds the model of a scenario for its data, and adds what training will allocate with the kernels of `profile`.
pub(super) fn planned_model(
    profile: &AdapterProfile,
    scenario: &Scenario,
    images: &Images,
    estimate: &mut MemoryEstimate,
) -> Result<Box<dyn Model>> {
    images.check()?;
    let data = DataShape {
        sample: images.shape,
        classes: images.classes,
    };
    let unlabeled = |needs_labels: bool| {
        if needs_labels && images.labels.is_empty() {
            return Err(Error::input(
                images.name.clone(),
                "it has no labels, and this model needs them",
                scenario.data.labels_hint(),
            ));
        }
        Ok(())
    };
    check_classes(scenario, images)?;
    // A model of labels that are not there may not even be buildable.
    unlabeled(scenario.needs_labels())?;
    let model = scenario
        .build_model(data)
        .map_err(|error| scenario.with_span(blame_labels(error, images)))?;
    unlabeled(model.needs_labels())?;
    model.estimate_memory(profile, &scenario.train_config(), estimate);
    let rows: usize = model.passes().iter().map(|pass| max_rows(pass.graph)).sum();
    estimate.buffer("statistics", "record", rows * UnitStatistics::LEN);
    Ok(model)
}

/// Builds the model and sees that it, its batch and its data fit the adapter, before anything is allocated.
fn plan(gpu: &Gpu, scenario: &Scenario, images: &Images) -> Result<Planned> {
    let mut estimate = MemoryEstimate::default();
    let model = planned_model(gpu.profile(), scenario, images, &mut estimate)?;
    estimate
        .validate(gpu)
        .map_err(|error| scenario.with_span(error))?;
    // The data set gets what the model leaves of the memory.
    let left = gpu.memory().map_or(u64::MAX, |all| all - estimate.bytes());
    let room = scenario.data.memory_budget().min(left);
    let residency = Residency::of(gpu, images, scenario.train.batch, room)?;
    estimate.buffer("data set", "data", (residency.bytes / 4) as usize);
    Ok(Planned {
        model,
        residency,
        estimate,
    })
}

/// Refuses to tell apart what is all alike.
fn check_classes(scenario: &Scenario, images: &Images) -> Result<()> {
    let is_classifier = matches!(scenario.model(), ModelConfig::Classifier(_));
    match &images.class_counts()[..] {
        [class] if is_classifier => Err(Error::input(
            images.name.clone(),
            format!(
                "all its {} images have the label {}: there is nothing to tell apart",
                class.count, class.name
            ),
            "add images of a second class, or train a vae",
        )),
        _ => Ok(()),
    }
}

/// The same error; where it says that the data have more classes than a classifier has outputs, and their labels are odd, with
/// that as the cause.
fn blame_labels(error: Error, images: &Images) -> Error {
    let is_about_classes = error.problem().ends_with("classes");
    match images.label_gaps() {
        Some(gaps) if is_about_classes => {
            let hint = format!(
                "correct the labels if that is a mistake ({gaps}), or {}",
                error.hint()
            );
            error.with_hint(hint)
        }
        _ => error,
    }
}

impl Trainer {
    /// A builder of the trainer of a scenario.
    pub fn builder<'a>(gpu: &'a Gpu, scenario: &'a Scenario) -> TrainerBuilder<'a> {
        TrainerBuilder::new(gpu, scenario)
    }

    /// The trainer of a scenario, without probes of one's own.
    ///
    /// # Errors
    /// As [`TrainerBuilder::build`].
    pub fn new(gpu: &Gpu, scenario: &Scenario) -> Result<Self> {
        Self::builder(gpu, scenario).build()
    }

    /// Bytes of the adapter's memory that a scenario will take, small things apart.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn estimate_memory(gpu: &Gpu, scenario: &Scenario) -> Result<u64> {
        let images = scenario.images()?;
        let planned = plan(gpu, scenario, &images)?;
        Ok(planned.estimate.bytes())
    }

    /// The trainer of `scenario` in the state that the run of `reader` had after `step` steps.
    ///
    /// # Errors
    /// As [`Trainer::new`], and a checkpoint that is missing, damaged or of another model.
    pub fn restored(gpu: &Gpu, scenario: &Scenario, reader: &RunReader, step: u64) -> Result<Self> {
        let mut trainer = Self::new(gpu, scenario)?;
        trainer.restore_from(reader, step)?;
        Ok(trainer)
    }

    /// The trainer of a run in the state of the last checkpoint that can be read, and why later ones cannot.
    ///
    /// # Errors
    /// As [`Trainer::new`], and a run none of whose checkpoints can be read: the error is that of the last one.
    pub fn restored_latest(
        gpu: &Gpu,
        scenario: &Scenario,
        reader: &RunReader,
    ) -> Result<(Self, Vec<Error>)> {
        let last = reader.last_checkpoint()?;
        let mut trainer = Self::new(gpu, scenario)?;
        let mut damaged = Vec::new();
        let earlier = reader.checkpoints()?.into_iter().rev();
        for step in [last]
            .into_iter()
            .chain(earlier.filter(|step| *step < last))
        {
            match trainer.restore_from(reader, step) {
                Ok(()) => return Ok((trainer, damaged)),
                Err(error) if error.is_gpu() => return Err(error),
                Err(error) => damaged.push(error),
            }
        }
        Err(damaged.swap_remove(0))
    }
}
