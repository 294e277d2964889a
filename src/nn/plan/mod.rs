//! The static plan: a graph at a fixed batch size, with every tensor placed and every dispatch built.
//!
//! A plan is asked for with a [`PlanRequest`], from which both the memory estimate and the plan are made. Stages run in
//! order: one for each node forward, one for the loss, one for each node backward ([`stages`]). A tensor lives from the
//! stage that writes it to the last that reads it ([`liveness`]), and shares its buffer with others after that
//! ([`memory`]). A probe that records a tensor therefore sits in the stage in which the tensor is complete.

mod liveness;
mod memory;
mod request;
mod rules;
mod stages;

use std::collections::HashMap;

pub use self::request::PlanRequest;
pub(crate) use self::rules::backward as backward_by_rule;
use self::stages::Stage;
use super::graph::{Graph, Node, NodeId};
#[cfg(doc)]
use super::loss::Loss;
use crate::gpu::{Buffer, Dispatch};
use crate::tensor::TensorKind;

/// A tensor that is complete at some stage of the plan, offered to a probe.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// The node that the tensor belongs to.
    pub node: NodeId,
    /// The name of the node.
    pub name: &'a str,
    /// [`TensorKind::Activation`] or [`TensorKind::Gradient`]. A view has one gradient with what it views: the sum over all
    /// consumers of both.
    pub kind: TensorKind,
    /// The tensor, `[batch, ...shape]`.
    pub buffer: &'a Buffer<f32>,
    /// Samples in the batch.
    pub batch: usize,
    /// The shape of a sample.
    pub shape: &'a [usize],
}

/// Sent to a probe while a plan is built, in the order of execution. The probe returns the dispatches to insert at this
/// point.
#[derive(Debug, Clone, Copy)]
pub enum ProbeEvent<'a> {
    /// A tensor is complete. A probe may measure it here, or at any later event up to [`ProbeEvent::BufferReused`] of its
    /// buffer or [`ProbeEvent::PlanEnd`].
    TensorReady(TensorView<'a>),
    /// The buffer is written next, so what is still to be measured of it has to be measured now.
    BufferReused(&'a Buffer<f32>),
    /// The end of a part of the plan that can be submitted on its own: what is still to be measured has to be measured now.
    PlanEnd,
}

/// Every dispatch of a step, built once. It is asked for with a [`PlanRequest`].
#[derive(Debug)]
pub struct Plan {
    stages: Vec<Stage>,
    /// Nodes of the graph: the stage of the losses follows theirs.
    nodes: usize,
    splits: Vec<NodeId>,
    values: HashMap<NodeId, Buffer<f32>>,
    gradients: HashMap<NodeId, Buffer<f32>>,
    scalars: Buffer<f32>,
    bytes: u64,
}

/// A part of a plan that is submitted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// The forward pass and the losses.
    Forward,
    /// The backward pass. Cotangents are read when it begins.
    Backward,
    /// The forward pass up to the value of this node, which the request has named in [`PlanRequest::split_after`].
    ForwardTo(NodeId),
    /// What follows [`Segment::ForwardTo`]: the rest of the forward pass, the losses and the backward pass.
    After(NodeId),
    /// [`Segment::After`] without the backward pass.
    ForwardAfter(NodeId),
}

impl Plan {
    /// Asks for a plan of `graph` for batches of `batch` samples.
    pub fn request(graph: &Graph, batch: usize) -> PlanRequest<'_> {
        PlanRequest::new(graph, batch)
    }

    /// All dispatches in order, with or without those of the probes.
    pub fn dispatches(&self, probed: bool) -> impl Iterator<Item = &Dispatch> {
        Self::of(&self.stages, probed)
    }

    /// The dispatches of a part of the plan in order, with or without those of the probes.
    ///
    /// # Panics
    /// The request has not named the node of the segment in [`PlanRequest::split_after`].
    pub fn segment(&self, segment: Segment, probed: bool) -> impl Iterator<Item = &Dispatch> {
        let after = |node: NodeId| {
            assert!(
                self.splits.contains(&node),
                "the plan is not split after node {}",
                node.index()
            );
            node.index() + 1
        };
        // The stage of the losses follows those of the nodes.
        let backward = self.nodes + 1;
        let stages = match segment {
            Segment::Forward => &self.stages[..backward],
            Segment::Backward => &self.stages[backward..],
            Segment::ForwardTo(node) => &self.stages[..after(node)],
            Segment::After(node) => &self.stages[after(node)..],
            Segment::ForwardAfter(node) => &self.stages[after(node)..backward],
        };
        Self::of(stages, probed)
    }

    fn of(stages: &[Stage], probed: bool) -> impl Iterator<Item = &Dispatch> {
        stages.iter().flat_map(move |stage| {
            let [before, after] =
                [&stage.before, &stage.after].map(|probes| if probed { &probes[..] } else { &[] });
            before.iter().chain(&stage.work).chain(after)
        })
    }

    /// The value of an input or of a node of [`PlanRequest::keep_value`], `[batch, ...shape]`.
    pub fn value(&self, node: NodeId) -> Option<&Buffer<f32>> {
        self.values.get(&node)
    }

    /// The gradient of a node of [`PlanRequest::wrt`] or [`PlanRequest::keep_gradient`], `[batch, ...shape]`. A view has
    /// one gradient with what it views.
    pub fn gradient(&self, node: NodeId) -> Option<&Buffer<f32>> {
        self.gradients.get(&node)
    }

    /// The loss and its terms, in the order of [`Loss::scalar_names`]; a single 0 without a loss.
    pub fn scalars(&self) -> &Buffer<f32> {
        &self.scalars
    }

    /// Bytes of all tensors, without parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Elements of the workspace of a node.
fn workspace(graph: &Graph, node: &Node, batch: usize) -> usize {
    let inputs = graph.shapes(&node.inputs);
    let operation = node.operation.as_ref();
    operation.map_or(0, |operation| operation.workspace(batch, &inputs))
}
