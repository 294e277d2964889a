//! The training step: everything that runs on the GPU, built once, and the results that come back from it.
//!
//! One step is one submission: gather a batch, forward, loss, backward, optimiser, advance the step counter. On
//! recorded steps the probes' dispatches are recorded in between. Results return through a ring some steps later, so
//! the CPU never waits inside the loop unless it runs ahead of the whole ring.

use std::collections::BTreeMap;

use super::scenario::{ModelConfig, Scenario};
use crate::data::{Cursor, Dataset, Gather};
use crate::gpu::{Buffer, Dispatch, Gpu, ReadbackRing};
use crate::models::{Classifier, Vae};
use crate::nn::matmul::Variant;
use crate::nn::{
    Graph, NodeId, OptimiserState, Parameter, Parameters, Plan, PlanOptions, Quantity, Watched,
};
use crate::trace::{
    Checkpoint, FIGURES, Kind, NamedTensor, RunReader, TraceLayout, UnitLayout, statistics,
};
use crate::{Error, Result};

/// Steps that may be on their way before the CPU waits for the oldest.
const RING: usize = 4;

/// What one step has left behind.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: u64,
    /// The loss and its terms, as [`Graph::scalar_names`].
    pub scalars: Vec<f32>,
    /// On recorded steps: six figures for every row of [`Trainer::layout`].
    pub statistics: Option<Vec<f32>>,
}

/// A model in training.
pub struct Trainer {
    gpu: Gpu,
    scenario: Scenario,
    model: Model,
    dataset: Dataset,
    parameters: Parameters,
    state: OptimiserState,
    cursor: Cursor,
    plan: Plan,
    gather: Gather,
    /// Probes of weights, before the optimiser; the optimiser; probes of its updates, after it.
    weight_probes: Vec<Dispatch>,
    optimise: Vec<Dispatch>,
    update_probes: Vec<Dispatch>,
    advance: Dispatch,
    layout: TraceLayout,
    statistics: Buffer<f32>,
    ring: ReadbackRing<(u64, bool)>,
    step: u64,
}

/// The trained graph, by kind.
pub enum Model {
    /// A variational autoencoder.
    Vae(Vae),
    /// A classifier.
    Classifier(Classifier),
}

impl Model {
    /// Builds the graph of a scenario for images of `shape` (channels, height, width) of `classes`.
    ///
    /// # Errors
    /// Layers do not fit each other or the data.
    pub fn new(config: &ModelConfig, shape: &[usize], classes: usize) -> Result<Self> {
        match config {
            ModelConfig::Vae(vae) => vae.build(shape).map(Self::Vae),
            ModelConfig::Classifier(classifier) => {
                classifier.build(shape, classes).map(Self::Classifier)
            }
        }
    }

    /// Its graph.
    pub fn graph(&self) -> &Graph {
        match self {
            Self::Vae(vae) => &vae.graph,
            Self::Classifier(classifier) => &classifier.graph,
        }
    }

    fn inputs(&self) -> (NodeId, Option<NodeId>) {
        match self {
            Self::Vae(vae) => (vae.x, None),
            Self::Classifier(classifier) => (classifier.x, Some(classifier.label)),
        }
    }
}

impl Trainer {
    /// Reads the data, builds the model and its plan, and draws the first parameters.
    ///
    /// # Errors
    /// Broken data, layers that do not fit, or a model that is too large for the adapter.
    pub fn new(gpu: &Gpu, scenario: &Scenario) -> Result<Self> {
        let images = scenario.images()?;
        let model = Model::new(&scenario.model(), &images.shape, images.classes)?;
        let (x, label) = model.inputs();
        if label.is_some() && images.labels.is_empty() {
            return Err(Error::input(
                images.name,
                "it has no labels, and a classifier needs them",
                "add the labels file, or train a vae",
            ));
        }
        let graph = model.graph();
        let parameters = Parameters::new(gpu, graph, scenario.seed)?;
        let update = scenario.train.update();
        let state = update.state(gpu, &parameters)?;
        let cursor = Cursor::new(gpu, images.count, scenario.train.batch)?;
        let mut layout = TraceLayout::default();
        let statistics_buffer = gpu.buffer("statistics", rows(graph) * FIGURES)?;
        let mut probe = |watched: &Watched<'_>| -> Result<Vec<Dispatch>> {
            let operation = &graph.node(watched.node).operation;
            // Inputs are data, losses are scalars, and a view repeats what it views.
            if operation.is_none() || watched.shape.is_empty() {
                return Ok(Vec::new());
            }
            if operation
                .as_ref()
                .is_some_and(|operation| operation.is_view())
            {
                return Ok(Vec::new());
            }
            let units = watched.shape.iter().product();
            let kind = match watched.quantity {
                Quantity::Activation => Kind::Activation,
                Quantity::Gradient => Kind::Gradient,
            };
            let first_row = layout.push(watched.name, kind, units);
            let unit_layout = UnitLayout::Columns {
                rows: watched.batch,
                units,
            };
            Ok(vec![statistics(
                gpu,
                watched.buffer,
                0,
                unit_layout,
                &statistics_buffer,
                first_row,
            )])
        };
        let plan = Plan::new(
            gpu,
            graph,
            &parameters,
            &PlanOptions {
                batch: scenario.train.batch,
                seed: scenario.seed,
                clock: cursor.buffer(),
                training: true,
                keep: &[],
            },
            &mut probe,
        )?;
        let mut parameter_probes = |kind: Kind, buffer: &Buffer<f32>| -> Vec<Dispatch> {
            // State has no updates; a counter is no unit.
            let has_units = |parameter: &&Parameter| {
                !parameter.shape.is_empty() && (parameter.learnt || kind == Kind::Weight)
            };
            let probe = |parameter: &Parameter| {
                let slice = parameters
                    .slice(&parameter.name)
                    .expect("made from this graph");
                let units = parameter.shape[0];
                let length = slice.len / units;
                let first_row = layout.push(&parameter.name, kind, units);
                let unit_layout = UnitLayout::Rows { units, length };
                statistics(
                    gpu,
                    buffer,
                    slice.start,
                    unit_layout,
                    &statistics_buffer,
                    first_row,
                )
            };
            graph
                .parameters()
                .iter()
                .filter(has_units)
                .map(probe)
                .collect()
        };
        let weight_probes = parameter_probes(Kind::Weight, &parameters.values);
        let update_probes = parameter_probes(Kind::Update, &parameters.gradients);

        let dataset = Dataset::upload(gpu, &images)?;
        let value = |node: NodeId| plan.value(node).expect("inputs are kept");
        let labels = label.map(|label| value(label).cast::<u32>());
        let gather = dataset.gather(
            gpu,
            &cursor,
            scenario.data.shuffle,
            scenario.seed,
            value(x),
            labels.as_ref(),
        )?;
        let optimise = update.dispatches(gpu, &parameters, &state, cursor.buffer())?;
        let bytes = plan.scalars().raw().size() + statistics_buffer.raw().size();
        Ok(Self {
            gpu: gpu.clone(),
            scenario: scenario.clone(),
            advance: cursor.advance(),
            ring: ReadbackRing::new(gpu, "step results", RING, bytes),
            statistics: statistics_buffer,
            model,
            dataset,
            parameters,
            state,
            cursor,
            plan,
            gather,
            weight_probes,
            optimise,
            update_probes,
            layout,
            step: 0,
        })
    }

    /// Runs one step; `watched` records every unit's statistics.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn step(&mut self, watched: bool) -> Result<()> {
        let mut encoder = self.gpu.encoder("training step");
        let dispatches = self.dispatches(watched);
        self.gpu.record(&mut encoder, "training step", dispatches);
        let scalars = self.plan.scalars().raw();
        let mut results = vec![(scalars, 0, scalars.size())];
        if watched {
            results.push((self.statistics.raw(), 0, self.statistics.raw().size()));
        }
        self.ring.copy(&mut encoder, (self.step, watched), &results);
        self.gpu.queue.submit([encoder.finish()]);
        self.ring.submitted();
        self.step += 1;
        self.gpu.check()
    }

    /// The dispatches of a step in order: gather a batch, forward, loss, backward, optimiser, advance; `watched` puts the
    /// probes in between.
    pub fn dispatches(&self, watched: bool) -> impl Iterator<Item = &Dispatch> {
        let probes = move |probes| if watched { probes } else { &[] as &[Dispatch] };
        self.gather
            .dispatches
            .iter()
            .chain(self.plan.dispatches(watched))
            .chain(probes(&self.weight_probes))
            .chain(&self.optimise)
            .chain(probes(&self.update_probes))
            .chain([&self.advance])
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
        let (scalars, statistics) = all.split_at(self.plan.scalars().raw().size() as usize / 4);
        Ok(Some(StepRecord {
            step,
            scalars: scalars[..self.plan.scalars().len()].to_vec(),
            statistics: watched.then(|| statistics[..self.layout.rows() * FIGURES].to_vec()),
        }))
    }

    /// The state after the steps so far; waits for them.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            step: self.step,
            parameters: self
                .parameters
                .split(&self.gpu.read(&self.parameters.values)?),
            // Before the first step there is nothing to remember.
            optimizer: if self.step == 0 {
                Vec::new()
            } else {
                self.state.read(&self.gpu, &self.parameters)?
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
        self.state
            .write(&self.gpu, &self.parameters, &checkpoint.optimizer, source)?;
        self.cursor.set_step(&self.gpu, checkpoint.step)?;
        self.step = checkpoint.step;
        Ok(())
    }

    /// Replaces the parameters, for `--init`; `source` names the file in messages.
    ///
    /// # Errors
    /// A tensor is missing, unknown or of another shape.
    pub fn load_parameters(&mut self, tensors: &[NamedTensor], source: &str) -> Result<()> {
        let values = self.parameters.join(tensors, source)?;
        self.gpu.write(&self.parameters.values, 0, &values);
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
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Kernel choices that results depend on, for `run.json`.
    pub fn kernel_choices(&self) -> BTreeMap<String, String> {
        let rows = if self.gpu.is_software() {
            "1 lane"
        } else {
            "64 lanes"
        };
        [
            ("matmul", Variant::of(&self.gpu).name()),
            ("row sums", rows),
        ]
        .map(|(kernel, choice)| (kernel.to_owned(), choice.to_owned()))
        .into()
    }
}

/// An upper bound of the rows that the probes of a graph write.
fn rows(graph: &Graph) -> usize {
    let tensors: usize = graph.nodes().iter().map(|node| 2 * node.size()).sum();
    let units = |parameter: &Parameter| parameter.shape.first().copied().unwrap_or(0);
    let parameters: usize = graph.parameters().iter().map(|p| 2 * units(p)).sum();
    tensors + parameters
}
