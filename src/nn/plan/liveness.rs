//! Which tensors there are, when each is alive, and the buffers that they share.

use super::memory::{Lifetime, Placement, place};
use super::{Graph, NodeId, PlanSize};
use crate::Result;
use crate::gpu::{Buffer, Gpu};

/// Tensors that exist (values at `0..nodes`, gradients behind them), how long they live, and where.
pub(super) struct Placed {
    pub present: Vec<usize>,
    pub lifetimes: Vec<Lifetime>,
    pub placement: Placement,
}

/// Who owns memory, who learns, and when.
pub(super) struct Liveness {
    /// The node whose memory a node uses: itself, unless it is a view.
    pub root: Vec<usize>,
    /// Inputs and kept nodes live as long as the plan.
    pub pinned: Vec<bool>,
    /// Nodes that have a gradient.
    pub differentiated: Vec<bool>,
    /// By root: where the backward pass starts, and with which gradient per sample.
    pub seeds: Vec<Option<f32>>,
    /// By root: some node adds to the gradient in the backward pass.
    pub added_to: Vec<bool>,
    last_stage: usize,
}

impl Liveness {
    pub fn of(graph: &Graph, options: &PlanSize<'_>) -> Self {
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
            let own = |&parameter: &usize| graph.parameters()[parameter].trainable;
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
    pub fn place(&self, graph: &Graph, options: &PlanSize<'_>) -> Placed {
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
    pub fn allocate(&self, gpu: &Gpu, graph: &Graph, options: &PlanSize<'_>) -> Result<Tensors> {
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

/// The buffers of all tensors, by node.
pub(super) struct Tensors {
    pub values: Vec<Buffer<f32>>,
    pub gradients: Vec<Buffer<f32>>,
    pub workspaces: Vec<Option<Buffer<f32>>>,
    pub bytes: u64,
}
