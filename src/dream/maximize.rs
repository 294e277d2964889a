//! Gradient ascent on inputs: many dreams of one layer in one batch, each with an objective and a weight in time of its own.
//!
//! The network's parameters and state stay as they are. An objective is a weighted sum of the layer's output, so the
//! cotangent that the backward pass starts with never changes, and a step is a static list of dispatches.

use std::collections::HashSet;

use super::parametrization::{Basis, Parametrization};
use super::space::{InputSpace, SpaceOnGpu};
use super::target::{Objective, Objectives};
use super::{DreamOptions, Progress};
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{
    Adam, BackwardRule, Graph, Mode, NodeId, OptimizedTensor, Optimizer, Parameters, Plan,
    Property, Role, Segment, StepCounter,
};
use crate::train::Trainer;
use crate::{Error, Result};

/// Dreams that go through the network at once.
const ROWS: usize = 128;
/// Values of the largest tensor of a batch.
const LARGEST_TENSOR: usize = 16 << 20;
/// Steps that are submitted together.
const SUBMITTED: usize = 5;

/// A dream of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub objective: &'a Objective,
    /// What the objective is divided by.
    pub scale: f64,
    /// Weight of differences in time.
    pub chi: f64,
}

/// What a row became.
#[derive(Debug, Clone)]
pub(super) struct Dreamt {
    pub values: Vec<f32>,
    pub activation: f64,
}

/// What all batches have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maximization<'a> {
    pub gpu: &'a Gpu,
    pub objectives: &'a Objectives<'a>,
    pub parameters: &'a Parameters,
    pub space: &'a InputSpace,
    pub basis: &'a Basis,
    pub options: &'a DreamOptions,
    /// The seed of the run, for noise of the network.
    pub network_seed: u64,
}

impl Maximization<'_> {
    /// Dreams all rows, in as many batches as memory asks for.
    pub fn run(&self, rows: &[Row<'_>], progress: Progress<'_>) -> Result<Vec<Dreamt>> {
        let nodes = self.objectives.graph.nodes();
        let largest = nodes.iter().map(|node| node.size()).max().unwrap_or(1);
        let most = ROWS.min(LARGEST_TENSOR / largest.max(1)).max(1);
        let batches = rows.len().div_ceil(most);
        let all = batches * self.options.steps;
        let mut dreamt = Vec::with_capacity(rows.len());
        for (batch, rows) in rows.chunks(rows.len().div_ceil(batches).max(1)).enumerate() {
            let done = batch * self.options.steps;
            let ascent = Ascent::new(self, rows)?;
            ascent.run(&mut |step| progress(done + step, all))?;
            dreamt.extend(ascent.read(rows)?);
        }
        Ok(dreamt)
    }

    fn graph(&self) -> &Graph {
        &self.objectives.graph
    }

    /// The largest shift, in pixels.
    fn jitter(&self) -> usize {
        let [height, width] = self.space.sides();
        self.options.jitter.unwrap_or_else(|| {
            let begins = begins_with_convolutions(
                self.graph(),
                self.objectives.graph.input,
                self.objectives.layer,
            );
            if begins { height.min(width) / 8 } else { 0 }
        })
    }

    fn plan(
        &self,
        rows: usize,
        rule: BackwardRule,
        cotangent: &Buffer<f32>,
        input: Option<&Buffer<f32>>,
    ) -> Result<Plan> {
        let (layer, of) = (self.objectives.layer, self.objectives.graph.input);
        let mut request = Plan::request(self.graph(), rows)
            .mode(Mode::Eval)
            .rule(rule)
            .seed(self.network_seed)
            .cotangent(layer, cotangent)
            .parameter_gradients(false)
            .keep_value(layer)
            .split_after(layer)
            .wrt(of);
        if let Some(input) = input {
            request = request.input(of, input);
        }
        let plan = request.build(self.gpu, self.parameters)?;
        if let Some(label) = self.graph().with_role(Role::Label) {
            let labels: Buffer<u32> = plan.value(label).expect("inputs are kept").cast();
            self.gpu.write(&labels, 0, &vec![self.options.label; rows]);
        }
        Ok(plan)
    }
}

/// Whether the first layers with weights between an input and a layer look at neighborhoods, wherever these are.
fn begins_with_convolutions(graph: &Graph, input: NodeId, layer: NodeId) -> bool {
    let mut moved = HashSet::from([input]);
    let between = graph.ids().zip(graph.nodes()).take(layer.index() + 1);
    for (id, node) in between {
        let (Some(operation), Some(first)) = (&node.operation, node.inputs.first()) else {
            continue;
        };
        if !node.inputs.iter().any(|read| moved.contains(read)) {
            continue;
        }
        let shape = &graph.node(*first).shape;
        if operation.reach(&[0..1, 0..1], shape).is_none() {
            return false;
        }
        if !operation.properties().contains(&Property::WeightedSum) {
            moved.insert(id);
        }
    }
    true
}

/// A batch on its way.
struct Ascent<'a> {
    gpu: &'a Gpu,
    layer: NodeId,
    steps: usize,
    leak_steps: usize,
    /// A step with ReLUs that leak, where some do, and a step without.
    leaky: Vec<Dispatch>,
    plain: Vec<Dispatch>,
    /// From the parameters to the layer's output, without a shift.
    last: Vec<Dispatch>,
    plan: Plan,
    values: Buffer<f32>,
    size: usize,
}

impl<'a> Ascent<'a> {
    fn new(of: &Maximization<'a>, rows: &[Row<'_>]) -> Result<Self> {
        let (gpu, options) = (of.gpu, of.options);
        let size = of.space.size();
        let values = gpu.upload("dream", &of.space.start(options.seed).repeat(rows.len()))?;
        let value_gradient = gpu.buffer("gradient of a dream", values.len())?;
        let cotangent = gpu.upload("cotangent", &cotangents(of, rows))?;
        let plan = of.plan(rows.len(), BackwardRule::Gradient, &cotangent, None)?;
        let input = plan
            .value(of.objectives.graph.input)
            .expect("inputs are kept");
        let leaks = options.leak_steps > 0 && options.leak > 0.0;
        let rule = BackwardRule::LeakyRelu {
            slope: options.leak as f32,
        };
        let leaky = leaks
            .then(|| of.plan(rows.len(), rule, &cotangent, Some(input)))
            .transpose()?;

        let space = SpaceOnGpu::new(gpu, of.space, rows.len())?;
        let basis = Parametrization::new(gpu, of.space, of.basis, &values, &value_gradient)?;
        let shift = gpu.buffer::<u32>("shift", 2)?;
        let unmoved = gpu.upload("no shift", &[0u32; 2])?;
        let counter = StepCounter::new(gpu)?;
        let chi: Vec<f32> = rows.iter().map(|row| row.chi as f32).collect();
        let chi = gpu.upload("chi", &chi)?;
        let tensor = OptimizedTensor {
            values: &basis.parameters,
            gradients: &basis.gradient,
            len: basis.parameters.len(),
            memory: basis.parameters.len(),
        };
        let optimizer = Optimizer::Adam(Adam::new(options.lr));
        let state = optimizer.state(gpu, tensor)?;

        let before: Vec<Dispatch> = [
            basis.to_values.clone(),
            vec![space.project(&values)],
            vec![
                space.draw_shift(options.seed, of.jitter(), &counter, &shift),
                space.to_input(&values, &shift, input),
            ],
        ]
        .concat();
        let step = |plan: &Plan| -> Vec<Dispatch> {
            let gradient = plan.gradient(of.objectives.graph.input).expect("asked for");
            let through = [&values, gradient, &value_gradient];
            let network = [Segment::ForwardTo(of.objectives.layer), Segment::Backward];
            let network = network.iter().flat_map(|part| plan.segment(*part, false));
            let mut all = before.clone();
            all.extend(network.cloned());
            all.push(
                options
                    .regularizer
                    .dispatch(gpu, &space, &chi, &shift, through),
            );
            all.extend(basis.to_gradient.iter().cloned());
            // The projection of the values, undone into parameters, is where the optimizer goes on from.
            all.extend(basis.to_parameters.iter().cloned());
            all.push(optimizer.dispatch(gpu, tensor, &state, counter.buffer()));
            all.push(counter.advance());
            all
        };
        let last = [
            basis.to_values.clone(),
            vec![
                space.project(&values),
                space.to_input(&values, &unmoved, input),
            ],
            plan.segment(Segment::ForwardTo(of.objectives.layer), false)
                .cloned()
                .collect(),
        ];
        // The start as parameters.
        gpu.run("dream", basis.to_parameters.iter());
        Ok(Self {
            gpu,
            layer: of.objectives.layer,
            steps: options.steps,
            leak_steps: leaky.as_ref().map_or(0, |_| options.leak_steps),
            leaky: leaky.as_ref().map(step).unwrap_or_default(),
            plain: step(&plan),
            last: last.concat(),
            plan,
            values: values.clone(),
            size,
        })
    }

    fn run(&self, progress: &mut dyn FnMut(usize) -> bool) -> Result<()> {
        for first in (0..self.steps).step_by(SUBMITTED) {
            let steps = first..self.steps.min(first + SUBMITTED);
            let done = steps.end;
            let dispatches = steps.flat_map(|step| {
                let is_leaky = step < self.leak_steps;
                if is_leaky { &self.leaky } else { &self.plain }
            });
            self.gpu.run("dream", dispatches);
            self.gpu.wait()?;
            if !progress(done) {
                return Err(Error::new(
                    crate::ErrorKind::Cancelled,
                    "dream",
                    "it was stopped",
                    "start it again; the same seed gives the same dream",
                ));
            }
        }
        Ok(())
    }

    fn read(&self, rows: &[Row<'_>]) -> Result<Vec<Dreamt>> {
        self.gpu.run("dream", self.last.iter());
        let values = self.gpu.read(&self.values)?;
        let outputs = self
            .gpu
            .read(self.plan.value(self.layer).expect("asked for"))?;
        let width = outputs.len() / rows.len();
        let dreams = values
            .chunks_exact(self.size)
            .zip(outputs.chunks_exact(width));
        Ok(dreams
            .zip(rows)
            .map(|((values, output), row)| Dreamt {
                values: values.to_vec(),
                activation: row.objective.value(output),
            })
            .collect())
    }
}

/// `[rows, ...shape of the layer]`: what is minimized falls where the objectives rise.
fn cotangents(of: &Maximization<'_>, rows: &[Row<'_>]) -> Vec<f32> {
    let width = of.graph().node(of.objectives.layer).size();
    let mut cotangents = vec![0.0; rows.len() * width];
    for (row, cotangent) in rows.iter().zip(cotangents.chunks_exact_mut(width)) {
        let factor = -of.options.gain / row.scale;
        for &(element, weight) in &row.objective.weights {
            cotangent[element] += (factor * f64::from(weight)) as f32;
        }
    }
    cotangents
}

/// What a target is on some inputs `[count, ...shape]` of its graph, and its gradient with respect to them: the gradient
/// that dreams follow, without what holds them back.
///
/// # Errors
/// There is no such unit, several are named, inputs that are not whole samples, or the adapter's limits.
pub fn input_gradient(
    trainer: &Trainer,
    target: &super::DreamTarget,
    inputs: &[f32],
) -> Result<(Vec<f64>, Vec<f32>)> {
    let objectives = Objectives::find(trainer, target)?;
    let graph = &objectives.graph;
    let size = graph.node(graph.input).size();
    let count = inputs.len() / size;
    let [objective] = &objectives.all[..] else {
        return Err(Error::input(
            "input gradient",
            format!("{} units are named", objectives.all.len()),
            "name one",
        ));
    };
    if count == 0 || !inputs.len().is_multiple_of(size) {
        return Err(Error::input(
            "input gradient",
            format!("{} values are no whole inputs of {size}", inputs.len()),
            "give all values of at least one input",
        ));
    }
    let gpu = trainer.gpu();
    let width = graph.node(objectives.layer).size();
    let mut cotangents = vec![0.0; count * width];
    for cotangent in cotangents.chunks_exact_mut(width) {
        for &(element, weight) in &objective.weights {
            cotangent[element] += weight;
        }
    }
    let cotangent = gpu.upload("cotangent", &cotangents)?;
    let plan = Plan::request(graph, count)
        .mode(Mode::Eval)
        .seed(trainer.scenario().seed)
        .cotangent(objectives.layer, &cotangent)
        .parameter_gradients(false)
        .keep_value(objectives.layer)
        .wrt(graph.input)
        .split_after(objectives.layer)
        .build(gpu, &trainer.parameters_of_all())?;
    gpu.write(plan.value(graph.input).expect("inputs are kept"), 0, inputs);
    let parts = [Segment::ForwardTo(objectives.layer), Segment::Backward];
    gpu.run(
        "input gradient",
        parts.iter().flat_map(|part| plan.segment(*part, false)),
    );
    let outputs = gpu.read(plan.value(objectives.layer).expect("asked for"))?;
    let values = outputs
        .chunks_exact(width)
        .map(|output| objective.value(output));
    let gradient = gpu.read(plan.gradient(graph.input).expect("asked for"))?;
    Ok((values.collect(), gradient))
}
