//! Which tensors there are, when each is alive, and the buffers that they share.

use std::collections::HashMap;

use super::memory::{Lifetime, Placement, place};
use super::{NodeId, PlanRequest, workspace};
use crate::Result;
use crate::gpu::{Buffer, Gpu};
use crate::nn::operation::Saved;

/// Tensors that exist (values at `0..nodes`, gradients after them), how long they live, and where.
pub(super) struct Placed {
    pub present: Vec<usize>,
    pub lifetimes: Vec<Lifetime>,
    pub placement: Placement,
}

/// Which nodes share memory, which have gradients, and when each tensor is needed.
#[derive(Debug)]
pub(super) struct Liveness {
    /// The node whose memory a node uses: itself, unless it is a view.
    pub root: Vec<usize>,
    /// By root: the value lives as long as the plan, as those of inputs and kept nodes do.
    pinned_values: Vec<bool>,
    /// By root: the gradient lives until the plan has run.
    pinned_gradients: Vec<bool>,
    /// Nodes that have a gradient.
    pub differentiated: Vec<bool>,
    /// By root: where the backward pass starts from the loss, and with which gradient per sample.
    pub loss_gradients: Vec<Option<f32>>,
    /// By root: the caller's cotangents, as positions in the request.
    pub cotangents: Vec<Vec<usize>>,
    /// By root: some node adds to the gradient in the backward pass.
    added_to: Vec<bool>,
    last_stage: usize,
}

impl Liveness {
    pub fn of(request: &PlanRequest<'_>) -> Self {
        let nodes = request.graph.nodes();
        let mut root: Vec<usize> = (0..nodes.len()).collect();
        for (index, node) in nodes.iter().enumerate() {
            if node.operation.as_ref().is_some_and(|o| o.is_view()) {
                root[index] = root[node.inputs[0].0];
            }
        }
        let differentiated = differentiated(request);
        let mut loss_gradients = vec![None; nodes.len()];
        for term in terms(request) {
            if request.differentiates_loss && differentiated[term.node.0] {
                let gradient = loss_gradients[root[term.node.0]].get_or_insert(0.0);
                *gradient += term.weight / request.batch as f32;
            }
        }
        let mut cotangents = vec![Vec::new(); nodes.len()];
        for (position, cotangent) in request.cotangents.iter().enumerate() {
            if differentiated[cotangent.node.0] {
                cotangents[root[cotangent.node.0]].push(position);
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
            for (number, input) in node.inputs.iter().enumerate() {
                added_to[root[input.0]] |=
                    operation.differentiable(number) && differentiated[input.0];
            }
        }
        let mut pinned_values = vec![false; nodes.len()];
        let mut pinned_gradients = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            let id = NodeId(index);
            pinned_values[root[index]] |=
                node.operation.is_none() || request.kept_values.contains(&id);
            pinned_gradients[root[index]] |= request.kept_gradients.contains(&id);
        }
        Self {
            root,
            pinned_values,
            pinned_gradients,
            differentiated,
            loss_gradients,
            cotangents,
            added_to,
            last_stage: 2 * nodes.len(),
        }
    }

    /// Whether the gradient of a root starts from the loss and has to be set anew in each step, since others add to it.
    pub fn is_refilled(&self, root: usize) -> bool {
        let others = self.added_to[root] || !self.cotangents[root].is_empty();
        self.loss_gradients[root].is_some() && others
    }

    fn loss_stage(&self) -> usize {
        self.root.len()
    }

    fn backward_stage(&self, node: usize) -> usize {
        2 * self.root.len() - node
    }

    /// The first and the last stage of each tensor: values at `0..count`, gradients at `count..2 count`.
    fn spans(&self, request: &PlanRequest<'_>) -> Vec<Option<(usize, usize)>> {
        let nodes = request.graph.nodes();
        let count = nodes.len();
        let is_term = |node: usize| terms(request).any(|term| term.node.0 == node);
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; 2 * count];
        let mut extend = |tensor: usize, stage: usize| {
            let span = spans[tensor].get_or_insert((stage, stage));
            *span = (span.0.min(stage), span.1.max(stage));
        };
        for (index, node) in nodes.iter().enumerate() {
            let root = self.root[index];
            let gradient = count + root;
            let backward = self.backward_stage(index);
            extend(root, index);
            if self.pinned_values[root] {
                extend(root, 0);
                extend(root, self.last_stage);
            }
            if is_term(index) {
                extend(root, self.loss_stage());
            }
            if self.differentiated[index] {
                extend(gradient, backward);
                // Probes see it when every view of the root has got its part.
                extend(gradient, self.backward_stage(root));
                if is_term(index) && request.differentiates_loss {
                    // Filled once, when the plan is made, unless other gradients are added to it.
                    extend(gradient, 0);
                    extend(gradient, self.last_stage);
                }
                if !self.cotangents[root].is_empty() {
                    extend(gradient, self.loss_stage());
                }
                if self.pinned_gradients[root] {
                    extend(gradient, self.last_stage);
                }
            }
            let Some(operation) = &node.operation else {
                continue;
            };
            let saved = if request.rule.is_attribution() {
                Saved {
                    inputs: true,
                    output: true,
                }
            } else {
                operation.saved()
            };
            for input in &node.inputs {
                extend(self.root[input.0], index);
            }
            if !self.differentiated[index] {
                continue;
            }
            if saved.output {
                extend(root, backward);
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
        for supplied in &request.inputs {
            spans[supplied.node.0] = None;
        }
        spans
    }

    /// Decides which tensors share buffers.
    pub fn place(&self, request: &PlanRequest<'_>) -> Placed {
        let nodes = request.graph.nodes();
        let mut present = Vec::new();
        let mut lifetimes = Vec::new();
        for (tensor, span) in self.spans(request).into_iter().enumerate() {
            if let Some((first, last)) = span {
                let size = request.batch * nodes[tensor % nodes.len()].size();
                present.push(tensor);
                lifetimes.push(Lifetime { first, last, size });
            }
        }
        let placement = place(&lifetimes);
        Placed {
            present,
            lifetimes,
            placement,
        }
    }

    /// Makes the buffers. Inputs of the caller's lie in the buffers of the request.
    pub fn allocate(&self, gpu: &Gpu, request: &PlanRequest<'_>) -> Result<Tensors> {
        let nodes = request.graph.nodes();
        let Placed {
            present,
            lifetimes,
            placement,
        } = self.place(request);
        let buffers = placement
            .sizes
            .iter()
            .map(|&size| gpu.buffer("tensors", size))
            .collect::<Result<Vec<Buffer<f32>>>>()?;
        let mut bytes: u64 = buffers.iter().map(|buffer| buffer.raw().size()).sum();
        let mut values = vec![None; 2 * nodes.len()];
        for (position, &tensor) in present.iter().enumerate() {
            let buffer = &buffers[placement.buffer_of[position]];
            values[tensor] = Some(buffer.prefix(lifetimes[position].size));
        }
        let gradients = values.split_off(nodes.len());
        for (gradient, constant) in gradients.iter().zip(&self.loss_gradients) {
            if let (Some(gradient), Some(constant)) = (gradient, constant) {
                gpu.write(gradient, 0, &vec![*constant; request.batch]);
            }
        }
        for supplied in &request.inputs {
            values[supplied.node.0].clone_from(&supplied.buffer);
        }
        let mut workspaces = Vec::new();
        for node in nodes {
            let size = workspace(request.graph, node, request.batch);
            let workspace = (size > 0)
                .then(|| gpu.buffer("workspace", size))
                .transpose()?;
            bytes += workspace.as_ref().map_or(0, |buffer| buffer.raw().size());
            workspaces.push(workspace);
        }
        Ok(Tensors {
            values,
            gradients,
            workspaces,
            bytes,
        })
    }

    /// The values that can be read after the plan has run, by node.
    pub fn kept_values(&self, tensors: &Tensors) -> HashMap<NodeId, Buffer<f32>> {
        let kept = |&index: &usize| self.pinned_values[self.root[index]];
        (0..self.root.len())
            .filter(kept)
            .map(|index| (NodeId(index), tensors.value(self.root[index]).clone()))
            .collect()
    }

    /// The gradients that can be read after the plan has run, by node.
    pub fn kept_gradients(&self, tensors: &Tensors) -> HashMap<NodeId, Buffer<f32>> {
        let kept =
            |&index: &usize| self.differentiated[index] && self.pinned_gradients[self.root[index]];
        (0..self.root.len())
            .filter(kept)
            .map(|index| (NodeId(index), tensors.gradient(self.root[index]).clone()))
            .collect()
    }
}

fn terms<'a>(request: &PlanRequest<'a>) -> impl Iterator<Item = &'a crate::nn::LossTerm> {
    request.loss.into_iter().flat_map(|loss| loss.terms())
}

/// The nodes that have a gradient: those that depend on a root of differentiation, and that something which is
/// differentiated depends on.
fn differentiated(request: &PlanRequest<'_>) -> Vec<bool> {
    let graph = request.graph;
    let nodes = graph.nodes();
    if !request.has_backward() {
        return vec![false; nodes.len()];
    }
    let mut depends_on_root = vec![false; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let mut depends = request.wrt.contains(&NodeId(index)) || request.updates(NodeId(index));
        if let Some(operation) = &node.operation {
            let mut inputs = node.inputs.iter().enumerate();
            depends |= inputs.any(|(number, input)| {
                operation.differentiable(number) && depends_on_root[input.0]
            });
        }
        depends_on_root[index] = depends;
    }
    let mut reached = vec![false; nodes.len()];
    for term in terms(request).filter(|_| request.differentiates_loss) {
        reached[term.node.0] = true;
    }
    for cotangent in &request.cotangents {
        reached[cotangent.node.0] = true;
    }
    for (index, node) in nodes.iter().enumerate().rev() {
        if let (true, Some(operation)) = (reached[index], &node.operation) {
            for (number, input) in node.inputs.iter().enumerate() {
                reached[input.0] |= operation.differentiable(number);
            }
        }
    }
    let both = depends_on_root.iter().zip(&reached);
    both.map(|(depends, reached)| *depends && *reached)
        .collect()
}

/// The buffers of all tensors that exist, by root.
#[derive(Debug)]
pub(super) struct Tensors {
    values: Vec<Option<Buffer<f32>>>,
    gradients: Vec<Option<Buffer<f32>>>,
    pub workspaces: Vec<Option<Buffer<f32>>>,
    pub bytes: u64,
}

impl Tensors {
    pub fn value(&self, root: usize) -> &Buffer<f32> {
        self.values[root].as_ref().expect("every node has a value")
    }

    pub fn gradient(&self, root: usize) -> &Buffer<f32> {
        let gradient = self.gradients[root].as_ref();
        gradient.expect("every differentiated node has a gradient")
    }
}
