//! The static plan: a graph at a fixed batch size, with every tensor placed and every dispatch built.
//!
//! Stages run in order: one for each node forward, one for the loss, one for each node backward. A tensor lives from
//! the stage that writes it to the last that reads it, and shares its buffer with others after that
//! ([`super::memory`]). A probe that records a tensor therefore sits in the stage in which the tensor is complete.

use std::collections::HashMap;

use bytemuck::{Pod, Zeroable};

use super::graph::{Graph, Node, NodeId};
use super::memory::{Lifetime, Placement, place};
use super::operation::{Backward, Context, Forward, GradientTarget, Operation, ParameterSlice};
use super::parameters::Parameters;
use super::vectors::fill;
use crate::gpu::{Buffer, Dispatch, Gpu, Need, Shader};
use crate::shader;
use crate::{Error, Result};

static BATCH_MEAN: Shader = shader!("nn/batch_mean.wgsl");

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct MeanParameters {
    batch: u32,
    slot: u32,
    weight: f32,
    first: u32,
}

/// What a plan is built for.
pub struct PlanOptions<'a> {
    /// Samples in a batch.
    pub batch: usize,
    /// Seed of the noise.
    pub seed: u64,
    /// A buffer whose first word is the step.
    pub clock: &'a Buffer<u32>,
    /// Whether to build the backward pass, and to compute as in training (batch statistics, dropout).
    pub training: bool,
    /// Input nodes that read a buffer of the caller's, `[batch, ...shape]`; the plan makes one for each other input.
    pub inputs: &'a [(NodeId, Buffer<f32>)],
    /// Nodes whose values can be read after the plan has run ([`Plan::value`]); inputs always can.
    pub keep: &'a [NodeId],
}

/// What decides how much memory a plan takes: of [`PlanOptions`], those without buffers.
#[derive(Debug, Clone, Copy)]
pub struct PlanSize<'a> {
    /// Samples in a batch.
    pub batch: usize,
    /// Whether there is a backward pass.
    pub training: bool,
    /// Nodes whose values are kept.
    pub keep: &'a [NodeId],
    /// Input nodes whose buffers are the caller's.
    pub given: &'a [NodeId],
}

/// Which tensor of a node is being watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// The node's value.
    Activation,
    /// The loss's gradient with respect to it. A view has one memory with what it views, so where that has other
    /// consumers too, a part of theirs may already be in it.
    Gradient,
}

/// A tensor that is complete at some stage of the plan, offered to a probe.
pub struct Watched<'a> {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: &'a str,
    /// Value or gradient.
    pub quantity: Quantity,
    /// `[batch, ...shape]`.
    pub buffer: &'a Buffer<f32>,
    /// Samples.
    pub batch: usize,
    /// Per-sample shape.
    pub shape: &'a [usize],
}

struct Stage {
    work: Vec<Dispatch>,
    /// Whether `watch` comes before `work`: a gradient is complete when its own node's backward begins.
    watch_first: bool,
    watch: Vec<Dispatch>,
}

/// Every dispatch of a step, built once.
pub struct Plan {
    stages: Vec<Stage>,
    /// Nodes of the graph: the losses' stage follows theirs.
    nodes: usize,
    kept: HashMap<NodeId, Buffer<f32>>,
    scalars: Buffer<f32>,
    bytes: u64,
}

impl Plan {
    /// Builds the plan of `graph` with `parameters`, found by name. `probe` is offered each tensor once and returns
    /// the dispatches that record it.
    ///
    /// # Errors
    /// A parameter is missing, a tensor is larger than the adapter allows, or the probe fails.
    pub fn new(
        gpu: &Gpu,
        graph: &Graph,
        parameters: &Parameters,
        options: &PlanOptions<'_>,
        probe: &mut dyn FnMut(&Watched<'_>) -> Result<Vec<Dispatch>>,
    ) -> Result<Self> {
        if options.batch == 0 {
            return Err(Error::input("batch", "it is 0", "use at least one sample"));
        }
        if graph.nodes().is_empty() {
            return Err(Error::input(
                "graph",
                "it is empty",
                "add an input and a layer",
            ));
        }
        let given: Vec<NodeId> = options.inputs.iter().map(|(node, _)| *node).collect();
        let size = PlanSize {
            batch: options.batch,
            training: options.training,
            keep: options.keep,
            given: &given,
        };
        let layout = Layout::of(graph, &size);
        let mut tensors = layout.allocate(gpu, graph, &size)?;
        for (node, buffer) in options.inputs {
            let needed = options.batch * graph.node(*node).size();
            if buffer.len() != needed {
                return Err(Error::input(
                    format!("input {}", graph.node(*node).name),
                    format!("its buffer holds {} values", buffer.len()),
                    format!("it needs {needed}"),
                ));
            }
            tensors.values[node.0] = buffer.clone();
        }
        for node in graph.nodes() {
            let size = workspace(graph, node, options.batch);
            let workspace = (size > 0)
                .then(|| gpu.buffer("workspace", size))
                .transpose()?;
            tensors.bytes += workspace.as_ref().map_or(0, |buffer| buffer.raw().size());
            tensors.workspaces.push(workspace);
        }
        let builder = Builder {
            gpu,
            graph,
            parameters,
            options,
            layout: &layout,
            tensors: &tensors,
        };
        let scalars = gpu.buffer("loss and its terms", 1 + graph.losses.len())?;
        let mut stages = builder.forward(probe)?;
        stages.push(builder.losses(&scalars));
        if options.training {
            stages.extend(builder.backward(probe)?);
        }
        let kept = (0..graph.nodes().len())
            .filter(|&index| layout.pinned[layout.root[index]])
            .map(|index| (NodeId(index), tensors.values[layout.root[index]].clone()))
            .collect();
        Ok(Self {
            stages,
            nodes: graph.nodes().len(),
            kept,
            scalars,
            bytes: tensors.bytes,
        })
    }

    /// Adds to `need` what a plan of `graph` will take, parameters apart.
    pub fn need(gpu: &Gpu, graph: &Graph, size: &PlanSize<'_>, need: &mut Need) {
        let tensors = Layout::of(graph, size).place(graph, size);
        let nodes = graph.nodes();
        for (buffer, &elements) in tensors.placement.sizes.iter().enumerate() {
            // Named after the largest that lies in it.
            let largest = (0..tensors.present.len())
                .filter(|&place| tensors.placement.buffer_of[place] == buffer)
                .max_by_key(|&place| tensors.lifetimes[place].size)
                .map_or("", |place| {
                    &nodes[tensors.present[place] % nodes.len()].name
                });
            need.buffer("values and gradients", &layer(largest), elements);
        }
        for node in nodes {
            let place = layer(&node.name);
            match workspace(graph, node, size.batch) {
                0 => {}
                elements => need.buffer("workspace", &place, elements),
            }
            if let Some(operation) = &node.operation {
                let inputs = graph.shapes(&node.inputs);
                for (label, elements) in operation.scratch(gpu.is_software(), size.batch, &inputs) {
                    need.scratch(label, &place, elements);
                }
            }
        }
    }

    /// All dispatches in order, with or without the probes'.
    pub fn dispatches(&self, watched: bool) -> impl Iterator<Item = &Dispatch> {
        Self::of(&self.stages, watched)
    }

    /// Those of the forward pass up to the value of `node`.
    pub fn until(&self, node: NodeId, watched: bool) -> impl Iterator<Item = &Dispatch> {
        Self::of(&self.stages[..=node.0], watched)
    }

    /// Those behind [`Plan::until`].
    pub fn after(&self, node: NodeId, watched: bool) -> impl Iterator<Item = &Dispatch> {
        Self::of(&self.stages[node.0 + 1..], watched)
    }

    /// Those of [`Plan::after`] up to the losses, without the backward pass.
    pub fn evaluate_after(&self, node: NodeId) -> impl Iterator<Item = &Dispatch> {
        Self::of(&self.stages[node.0 + 1..=self.nodes], false)
    }

    fn of(stages: &[Stage], watched: bool) -> impl Iterator<Item = &Dispatch> {
        stages.iter().flat_map(move |stage| {
            let watch = if watched { &stage.watch[..] } else { &[] };
            let (first, second) = if stage.watch_first {
                (watch, &stage.work[..])
            } else {
                (&stage.work[..], watch)
            };
            first.iter().chain(second)
        })
    }

    /// The buffer of an input or of a kept node, `[batch, ...shape]`.
    pub fn value(&self, node: NodeId) -> Option<&Buffer<f32>> {
        self.kept.get(&node)
    }

    /// The loss and its terms, in the order of [`Graph::scalar_names`].
    pub fn scalars(&self) -> &Buffer<f32> {
        &self.scalars
    }

    /// Bytes of all tensors, without parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A layer in messages.
pub(super) fn layer(name: &str) -> String {
    format!("layer {name}")
}

/// Elements of a node's own memory.
fn workspace(graph: &Graph, node: &Node, batch: usize) -> usize {
    let inputs = graph.shapes(&node.inputs);
    let operation = node.operation.as_ref();
    operation.map_or(0, |operation| operation.workspace(batch, &inputs))
}

/// Tensors that exist (values at `0..nodes`, gradients behind them), how long they live, and where.
struct Placed {
    present: Vec<usize>,
    lifetimes: Vec<Lifetime>,
    placement: Placement,
}

/// Who owns memory, who learns, and when.
struct Layout {
    /// The node whose memory a node uses: itself, unless it is a view.
    root: Vec<usize>,
    /// Inputs and kept nodes live as long as the plan.
    pinned: Vec<bool>,
    /// Nodes that have a gradient.
    differentiated: Vec<bool>,
    /// By root: where the backward pass starts, and with which gradient per sample.
    seeds: Vec<Option<f32>>,
    /// By root: some node adds to the gradient in the backward pass.
    added_to: Vec<bool>,
    last_stage: usize,
}

impl Layout {
    fn of(graph: &Graph, options: &PlanSize<'_>) -> Self {
        let nodes = graph.nodes();
        let mut root: Vec<usize> = (0..nodes.len()).collect();
        let mut learns = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            let Some(operation) = &node.operation else {
                continue;
            };
            if operation.is_view() {
                root[index] = root[node.inputs[0].0];
            }
            let mut inputs = node.inputs.iter().enumerate();
            let own = |&parameter: &usize| graph.parameters()[parameter].learnt;
            learns[index] = node.parameters.iter().any(own)
                || inputs.any(|(place, input)| operation.differentiable(place) && learns[input.0]);
        }
        // A gradient exists where a loss is reached and something before it learns.
        let mut reached = vec![false; nodes.len()];
        for term in &graph.losses {
            reached[term.node.0] = true;
        }
        for (index, node) in nodes.iter().enumerate().rev() {
            if let (true, Some(operation)) = (reached[index], &node.operation) {
                for (place, input) in node.inputs.iter().enumerate() {
                    reached[input.0] |= operation.differentiable(place);
                }
            }
        }
        let differentiated: Vec<bool> = (0..nodes.len())
            .map(|index| options.training && learns[index] && reached[index])
            .collect();
        let mut seeds = vec![None; nodes.len()];
        for term in &graph.losses {
            if differentiated[term.node.0] {
                let seed = seeds[root[term.node.0]].get_or_insert(0.0);
                *seed += term.weight / options.batch as f32;
            }
        }
        let mut added_to = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            let Some(operation) = &node.operation else {
                continue;
            };
            if operation.is_view() || !differentiated[index] {
                continue;
            }
            for (place, input) in node.inputs.iter().enumerate() {
                added_to[root[input.0]] |=
                    operation.differentiable(place) && differentiated[input.0];
            }
        }
        let mut pinned = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            pinned[root[index]] |=
                node.operation.is_none() || options.keep.contains(&NodeId(index));
        }
        Self {
            root,
            pinned,
            differentiated,
            seeds,
            added_to,
            last_stage: 2 * nodes.len(),
        }
    }

    fn loss_stage(&self) -> usize {
        self.root.len()
    }

    fn backward_stage(&self, node: usize) -> usize {
        2 * self.root.len() - node
    }

    /// Decides which tensors share buffers.
    fn place(&self, graph: &Graph, options: &PlanSize<'_>) -> Placed {
        let nodes = graph.nodes();
        let count = nodes.len();
        let is_term = |node: usize| graph.losses.iter().any(|term| term.node.0 == node);
        // Values at 0..count, gradients at count..2 count.
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; 2 * count];
        let mut extend = |tensor: usize, stage: usize| {
            let span = spans[tensor].get_or_insert((stage, stage));
            *span = (span.0.min(stage), span.1.max(stage));
        };
        for (index, node) in nodes.iter().enumerate() {
            let value = self.root[index];
            extend(value, index);
            if self.pinned[value] {
                extend(value, 0);
                extend(value, self.last_stage);
            }
            if is_term(index) {
                extend(value, self.loss_stage());
            }
            let Some(operation) = &node.operation else {
                continue;
            };
            let saved = operation.saved();
            for input in &node.inputs {
                extend(self.root[input.0], index);
            }
            if !self.differentiated[index] {
                continue;
            }
            let backward = self.backward_stage(index);
            let gradient = count + value;
            extend(gradient, backward);
            if is_term(index) {
                // Filled once, when the plan is made, unless other gradients are added to it.
                extend(gradient, 0);
                extend(gradient, self.last_stage);
            }
            if saved.output {
                extend(value, backward);
            }
            for input in &node.inputs {
                if saved.inputs {
                    extend(self.root[input.0], backward);
                }
                if self.differentiated[input.0] {
                    extend(count + self.root[input.0], backward);
                }
            }
        }
        for given in options.given {
            spans[given.0] = None;
        }
        let present: Vec<usize> = (0..2 * count).filter(|&t| spans[t].is_some()).collect();
        let lifetimes: Vec<Lifetime> = present
            .iter()
            .map(|&tensor| {
                let (first, last) = spans[tensor].expect("present");
                let size = options.batch * nodes[tensor % count].size();
                Lifetime { first, last, size }
            })
            .collect();
        let placement = place(&lifetimes);
        Placed {
            present,
            lifetimes,
            placement,
        }
    }

    /// Makes the buffers.
    fn allocate(&self, gpu: &Gpu, graph: &Graph, options: &PlanSize<'_>) -> Result<Tensors> {
        let count = graph.nodes().len();
        let Placed {
            present,
            lifetimes,
            placement,
        } = self.place(graph, options);
        let buffers = placement
            .sizes
            .iter()
            .map(|&size| gpu.buffer("tensors", size))
            .collect::<Result<Vec<Buffer<f32>>>>()?;
        let bytes = buffers.iter().map(|buffer| buffer.raw().size()).sum();
        // Tensors that do not exist share any buffer; nothing binds them.
        let mut all = vec![buffers[0].clone(); 2 * count];
        for (place, &tensor) in present.iter().enumerate() {
            all[tensor] = buffers[placement.buffer_of[place]].shortened(lifetimes[place].size);
        }
        let gradients = all.split_off(count);
        for (gradient, seed) in gradients.iter().zip(&self.seeds) {
            if let Some(seed) = seed {
                gpu.write(gradient, 0, &vec![*seed; options.batch]);
            }
        }
        Ok(Tensors {
            values: all,
            gradients,
            workspaces: Vec::new(),
            bytes,
        })
    }
}

struct Tensors {
    values: Vec<Buffer<f32>>,
    gradients: Vec<Buffer<f32>>,
    /// By node.
    workspaces: Vec<Option<Buffer<f32>>>,
    bytes: u64,
}

struct Builder<'a> {
    gpu: &'a Gpu,
    graph: &'a Graph,
    parameters: &'a Parameters,
    options: &'a PlanOptions<'a>,
    layout: &'a Layout,
    tensors: &'a Tensors,
}

type Probe<'p> = &'p mut dyn FnMut(&Watched<'_>) -> Result<Vec<Dispatch>>;

impl<'a> Builder<'a> {
    fn value(&self, node: usize) -> &'a Buffer<f32> {
        &self.tensors.values[self.layout.root[node]]
    }

    fn gradient(&self, node: usize) -> &'a Buffer<f32> {
        &self.tensors.gradients[self.layout.root[node]]
    }

    fn context(&self, node: usize) -> Context<'a> {
        Context {
            gpu: self.gpu,
            batch: self.options.batch,
            clock: self.options.clock,
            seed: self.options.seed,
            node,
            training: self.options.training,
        }
    }

    fn watch(&self, node: usize, quantity: Quantity, probe: Probe<'_>) -> Result<Vec<Dispatch>> {
        let buffer = match quantity {
            Quantity::Activation => self.value(node),
            Quantity::Gradient => self.gradient(node),
        };
        probe(&Watched {
            node: NodeId(node),
            name: &self.graph.nodes()[node].name,
            quantity,
            buffer,
            batch: self.options.batch,
            shape: &self.graph.nodes()[node].shape,
        })
    }

    fn slices(&self, node: usize) -> Result<Vec<ParameterSlice<'a>>> {
        let place = |&index: &usize| {
            let name = &self.graph.parameters()[index].name;
            self.parameters.slice(name).ok_or_else(|| {
                Error::input(
                    format!("parameter {name}"),
                    "the parameters do not have it",
                    "make them from a graph that has this layer",
                )
            })
        };
        self.graph.nodes()[node]
            .parameters
            .iter()
            .map(place)
            .collect()
    }

    fn forward(&self, probe: Probe<'_>) -> Result<Vec<Stage>> {
        let mut stages = Vec::new();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let work = match &node.operation {
                None => Vec::new(),
                Some(operation) => operation.forward(
                    &self.context(index),
                    &Forward {
                        inputs: node.inputs.iter().map(|i| self.value(i.0)).collect(),
                        input_shapes: self.input_shapes(index),
                        parameters: self.slices(index)?,
                        workspace: self.tensors.workspaces[index].as_ref(),
                        output: self.value(index),
                        output_shape: &node.shape,
                    },
                )?,
            };
            stages.push(Stage {
                work,
                watch_first: false,
                watch: self.watch(index, Quantity::Activation, probe)?,
            });
        }
        Ok(stages)
    }

    fn input_shapes(&self, node: usize) -> Vec<&'a [usize]> {
        self.graph.shapes(&self.graph.nodes()[node].inputs)
    }

    fn losses(&self, scalars: &Buffer<f32>) -> Stage {
        let mut work = Vec::new();
        for (place, term) in self.graph.losses.iter().enumerate() {
            let uniform = self.gpu.uniform(
                "loss mean",
                &MeanParameters {
                    batch: self.options.batch as u32,
                    slot: place as u32 + 1,
                    weight: term.weight,
                    first: u32::from(place == 0),
                },
            );
            let bindings = [
                (0, uniform.as_entire_binding()),
                (1, self.value(term.node.0).binding()),
                (2, scalars.binding()),
            ];
            let kernel = self.gpu.kernel(&BATCH_MEAN, "main", &[]);
            work.push(kernel.bind(self.gpu, &bindings, [1, 1, 1]));
        }
        Stage {
            work,
            watch_first: false,
            watch: Vec::new(),
        }
    }

    fn backward(&self, probe: Probe<'_>) -> Result<Vec<Stage>> {
        let mut stages = vec![Stage {
            work: self.fills()?,
            watch_first: false,
            watch: Vec::new(),
        }];
        // Gradients that the loss or some consumer has already written.
        let mut written: Vec<bool> = self.layout.seeds.iter().map(Option::is_some).collect();
        for (index, node) in self.graph.nodes().iter().enumerate().rev() {
            let (Some(operation), true) = (&node.operation, self.layout.differentiated[index])
            else {
                continue;
            };
            let input_gradients = node
                .inputs
                .iter()
                .enumerate()
                .map(|(place, input)| self.target(operation.as_ref(), place, input.0, &mut written))
                .collect();
            let work = operation.backward(
                &self.context(index),
                &Backward {
                    inputs: node.inputs.iter().map(|i| self.value(i.0)).collect(),
                    input_shapes: self.input_shapes(index),
                    parameters: self.slices(index)?,
                    workspace: self.tensors.workspaces[index].as_ref(),
                    output: self.value(index),
                    output_shape: &node.shape,
                    output_gradient: self.gradient(index),
                    input_gradients,
                },
            )?;
            stages.push(Stage {
                work,
                watch_first: true,
                watch: self.watch(index, Quantity::Gradient, probe)?,
            });
        }
        Ok(stages)
    }

    /// What has to be set anew in each step: seeds that are added to, and the gradients of parameters that no loss
    /// reaches, in whose place the optimiser leaves its updates.
    fn fills(&self) -> Result<Vec<Dispatch>> {
        let gpu = self.gpu;
        let mut work = Vec::new();
        for index in 0..self.graph.nodes().len() {
            if let (Some(seed), true) = (self.layout.seeds[index], self.layout.added_to[index]) {
                let gradient = self.gradient(index).binding();
                work.push(fill(gpu, gradient, 0..self.options.batch, seed));
            }
            if !self.layout.differentiated[index] {
                let learnt = |&&index: &&usize| self.graph.parameters()[index].learnt;
                let count = self.graph.nodes()[index]
                    .parameters
                    .iter()
                    .filter(learnt)
                    .count();
                let slices = self.slices(index)?;
                work.extend(
                    slices[..count]
                        .iter()
                        .map(|s| fill(gpu, s.gradient(), 0..s.len, 0.0)),
                );
            }
        }
        Ok(work)
    }

    fn target(
        &self,
        operation: &dyn Operation,
        place: usize,
        input: usize,
        written: &mut [bool],
    ) -> Option<GradientTarget<'a>> {
        let wanted = operation.differentiable(place) && self.layout.differentiated[input];
        wanted.then(|| {
            let buffer = self.gradient(input);
            // A view passes its gradient on as it is: that writes nothing.
            let accumulate = if operation.is_view() {
                false
            } else {
                std::mem::replace(&mut written[self.layout.root[input]], true)
            };
            GradientTarget { buffer, accumulate }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        mean_parameters,
        BATCH_MEAN,
        "Parameters",
        MeanParameters {
            batch,
            slot,
            weight,
            first
        }
    );
}
