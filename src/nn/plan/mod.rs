//! The static plan: a graph at a fixed batch size, with every tensor placed and every dispatch built.
//!
//! Stages run in order: one for each node forward, one for the loss, one for each node backward ([`stages`]). A tensor
//! lives from the stage that writes it to the last that reads it ([`liveness`]), and shares its buffer with others after
//! that ([`memory`]). A probe that records a tensor therefore sits in the stage in which the tensor is complete.

mod liveness;
mod memory;
mod stages;

use std::collections::HashMap;

use self::liveness::Liveness;
use self::stages::{Builder, Stage};
use super::graph::{Graph, Node, NodeId};
use super::parameters::Parameters;
use crate::gpu::{Buffer, Dispatch, Gpu, MemoryEstimate};
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// What a plan is built for.
pub struct PlanOptions<'a> {
    /// Samples in a batch.
    pub batch: usize,
    /// Seed of the noise.
    pub seed: u64,
    /// A buffer whose first word is the step.
    pub step_counter: &'a Buffer<u32>,
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

/// A tensor that is complete at some stage of the plan, offered to a probe.
pub struct TensorView<'a> {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: &'a str,
    /// [`TensorKind::Activation`] or [`TensorKind::Gradient`]. The gradient of a view has one memory with what it views, so
    /// where that has other consumers too, a part of theirs may already be in it.
    pub kind: TensorKind,
    /// `[batch, ...shape]`.
    pub buffer: &'a Buffer<f32>,
    /// Samples.
    pub batch: usize,
    /// Per-sample shape.
    pub shape: &'a [usize],
}

/// What a probe is told while a plan is built, in the order in which it will run. It answers with what is to run there.
pub enum ProbeEvent<'a> {
    /// A tensor is complete. Whoever measures it may do so here, or at any event up to [`ProbeEvent::BufferReused`].
    TensorReady(TensorView<'a>),
    /// A buffer will now be written: what is still to be measured of it has to be.
    BufferReused(&'a Buffer<f32>),
    /// A part of the plan that can run by itself is over: so has everything.
    PlanEnd,
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
    /// the dispatches that record it ([`ProbeEvent`]).
    ///
    /// # Errors
    /// A parameter is missing, a tensor is larger than the adapter allows, or the probe fails.
    pub fn new(
        gpu: &Gpu,
        graph: &Graph,
        parameters: &Parameters,
        options: &PlanOptions<'_>,
        probe: &mut dyn FnMut(ProbeEvent<'_>) -> Result<Vec<Dispatch>>,
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
        let liveness = Liveness::of(graph, &size);
        let mut tensors = liveness.allocate(gpu, graph, &size)?;
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
            liveness: &liveness,
            tensors: &tensors,
        };
        let scalars = gpu.buffer("loss and its terms", 1 + graph.losses.len())?;
        let mut stages = builder.forward(probe)?;
        stages.push(builder.losses(&scalars));
        if options.training {
            stages.extend(builder.backward(probe)?);
        }
        let rest = probe(ProbeEvent::PlanEnd)?;
        let last = stages.last_mut().expect("that of the losses");
        last.after.extend(rest);
        let kept = (0..graph.nodes().len())
            .filter(|&index| liveness.pinned[liveness.root[index]])
            .map(|index| (NodeId(index), tensors.values[liveness.root[index]].clone()))
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
    pub fn estimate_memory(
        gpu: &Gpu,
        graph: &Graph,
        size: &PlanSize<'_>,
        estimate: &mut MemoryEstimate,
    ) {
        let liveness = Liveness::of(graph, size);
        let tensors = liveness.place(graph, size);
        let nodes = graph.nodes();
        for (buffer, &elements) in tensors.placement.sizes.iter().enumerate() {
            // Named after the largest that lies in it.
            let largest = (0..tensors.present.len())
                .filter(|&place| tensors.placement.buffer_of[place] == buffer)
                .max_by_key(|&place| tensors.lifetimes[place].size)
                .map_or("", |place| {
                    &nodes[tensors.present[place] % nodes.len()].name
                });
            estimate.buffer("values and gradients", &layer(largest), elements);
        }
        for node in nodes {
            let place = layer(&node.name);
            match workspace(graph, node, size.batch) {
                0 => {}
                elements => estimate.buffer("workspace", &place, elements),
            }
            if let Some(operation) = &node.operation {
                let inputs = graph.shapes(&node.inputs);
                let mut before = node.inputs.iter();
                let differentiated = before.any(|input| liveness.differentiated[input.0]);
                let software = gpu.is_software();
                for scratch in operation.scratch(software, size.batch, &inputs, differentiated) {
                    estimate.scratch(scratch, &place);
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
            let [before, after] =
                [&stage.before, &stage.after].map(|watch| if watched { &watch[..] } else { &[] });
            before.iter().chain(&stage.work).chain(after)
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
pub(in crate::nn) fn layer(name: &str) -> String {
    format!("layer {name}")
}

/// Elements of a node's own memory.
fn workspace(graph: &Graph, node: &Node, batch: usize) -> usize {
    let inputs = graph.shapes(&node.inputs);
    let operation = node.operation.as_ref();
    operation.map_or(0, |operation| operation.workspace(batch, &inputs))
}
