//! What is asked of a plan.

use super::liveness::Liveness;
use super::stages::Builder;
use super::{Plan, ProbeEvent, rules, workspace};
use crate::gpu::{AdapterProfile, Buffer, Dispatch, Gpu, MemoryEstimate};
use crate::nn::operation::{ScratchRequest, elements, layer};
use crate::nn::{BackwardRule, Graph, Loss, Mode, NodeId, Parameters};
use crate::{Error, Result};

/// A request for a [`Plan`]: which values and gradients of a graph to compute, and which of them to keep.
///
/// There is a backward pass where something is differentiated ([`PlanRequest::loss`], [`PlanRequest::cotangent`]) with
/// respect to something (the trainable parameters, unless [`PlanRequest::parameter_gradients`] turns them off, and the
/// nodes of [`PlanRequest::wrt`]).
///
/// ```no_run
/// use trainscope::gpu::{AdapterChoice, Gpu};
/// use trainscope::nn::losses::ElementwiseLoss;
/// use trainscope::nn::ops::Dense;
/// use trainscope::nn::{Graph, Loss, Mode, Parameters, Plan};
///
/// # fn main() -> trainscope::Result<()> {
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[8]);
/// let target = graph.input("target", &[2]);
/// let y = graph.add("y", Dense::new(2), &[x])?;
/// let error = graph.add("error", ElementwiseLoss::SquaredError, &[y, target])?;
/// let mut loss = Loss::new();
/// loss.add(&graph, "error", error, 1.0)?;
///
/// let gpu = Gpu::new(&AdapterChoice::default())?;
/// let parameters = Parameters::new(&gpu, &graph, 7)?;
/// // The gradient of the loss with respect to the input, and none with respect to the parameters.
/// let plan = Plan::request(&graph, 16)
///     .mode(Mode::Eval)
///     .loss(&loss)
///     .parameter_gradients(false)
///     .wrt(x)
///     .build(&gpu, &parameters)?;
/// gpu.write(plan.value(x).expect("inputs are kept"), 0, &[0.5; 16 * 8]);
/// gpu.run("saliency", plan.dispatches(false));
/// let saliency = gpu.read(plan.gradient(x).expect("asked for"))?;
/// # let _ = saliency;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is built"]
pub struct PlanRequest<'a> {
    pub(super) graph: &'a Graph,
    pub(super) batch: usize,
    pub(super) mode: Mode,
    pub(super) rule: BackwardRule,
    pub(super) seed: u64,
    step_counter: Option<Buffer<u32>>,
    pub(super) loss: Option<&'a Loss>,
    pub(super) differentiates_loss: bool,
    pub(super) inputs: Vec<Supplied>,
    pub(super) cotangents: Vec<Supplied>,
    pub(super) wrt: Vec<NodeId>,
    pub(super) parameter_gradients: bool,
    pub(super) kept_values: Vec<NodeId>,
    pub(super) kept_gradients: Vec<NodeId>,
    pub(super) splits: Vec<NodeId>,
}

/// A tensor of a node that lies in a buffer of the caller's, which may not exist yet.
#[derive(Debug, Clone)]
pub(super) struct Supplied {
    pub node: NodeId,
    pub buffer: Option<Buffer<f32>>,
}

impl<'a> PlanRequest<'a> {
    /// The forward pass of `graph` in training, for batches of `batch` samples. The other methods add to it.
    pub fn new(graph: &'a Graph, batch: usize) -> Self {
        Self {
            graph,
            batch,
            mode: Mode::Train,
            rule: BackwardRule::Gradient,
            seed: 0,
            step_counter: None,
            loss: None,
            differentiates_loss: false,
            inputs: Vec::new(),
            cotangents: Vec::new(),
            wrt: Vec::new(),
            parameter_gradients: true,
            kept_values: Vec::new(),
            kept_gradients: Vec::new(),
            splits: Vec::new(),
        }
    }

    /// What the forward pass is for; [`Mode::Train`] unless set.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What the backward pass propagates; [`BackwardRule::Gradient`] unless set.
    pub fn rule(mut self, rule: BackwardRule) -> Self {
        self.rule = rule;
        self
    }

    /// The seed of all noise in the graph; 0 unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A buffer whose first word is the step, which noise depends on. Without it every run of the plan is step 0.
    pub fn step_counter(mut self, step_counter: &Buffer<u32>) -> Self {
        self.step_counter = Some(step_counter.clone());
        self
    }

    /// Computes the loss and its metrics ([`Plan::scalars`]), and differentiates the loss.
    pub fn loss(mut self, loss: &'a Loss) -> Self {
        self.loss = Some(loss);
        self.differentiates_loss = true;
        self
    }

    /// Computes the loss and its metrics without differentiating it.
    pub fn evaluate(mut self, loss: &'a Loss) -> Self {
        self.loss = Some(loss);
        self.differentiates_loss = false;
        self
    }

    /// The input `node` reads this buffer `[batch, ...shape]` of the caller's; the plan makes one for each other input.
    pub fn input(mut self, node: NodeId, buffer: &Buffer<f32>) -> Self {
        supply(&mut self.inputs, node, Some(buffer));
        self
    }

    /// Announces [`PlanRequest::input`] before its buffer exists, for memory estimates.
    pub fn external_input(mut self, node: NodeId) -> Self {
        supply(&mut self.inputs, node, None);
        self
    }

    /// Starts the backward pass at `node` with this gradient `[batch, ...shape]`: with [`PlanRequest::wrt`] a
    /// vector-Jacobian product. It is read when the backward pass begins, and added to the gradient that comes from the
    /// loss or other cotangents.
    pub fn cotangent(mut self, node: NodeId, buffer: &Buffer<f32>) -> Self {
        supply(&mut self.cotangents, node, Some(buffer));
        self
    }

    /// Announces [`PlanRequest::cotangent`] before its buffer exists, for memory estimates.
    pub fn external_cotangent(mut self, node: NodeId) -> Self {
        supply(&mut self.cotangents, node, None);
        self
    }

    /// Differentiates with respect to `node`, which may be an input, and keeps the gradient ([`Plan::gradient`]).
    pub fn wrt(mut self, node: NodeId) -> Self {
        self.wrt.push(node);
        self.keep_gradient(node)
    }

    /// Whether the backward pass writes the gradients of the trainable parameters; it does unless set to false.
    pub fn parameter_gradients(mut self, wanted: bool) -> Self {
        self.parameter_gradients = wanted;
        self
    }

    /// Keeps the value of `node` readable after the plan has run ([`Plan::value`]). Inputs always are.
    pub fn keep_value(mut self, node: NodeId) -> Self {
        self.kept_values.push(node);
        self
    }

    /// Keeps the gradient of `node` readable after the plan has run ([`Plan::gradient`]).
    pub fn keep_gradient(mut self, node: NodeId) -> Self {
        self.kept_gradients.push(node);
        self
    }

    /// Lets the plan be run in two parts, before and after the value of `node` is complete ([`super::Segment`]): what a
    /// probe measures of the first part is complete when that ends.
    pub fn split_after(mut self, node: NodeId) -> Self {
        self.splits.push(node);
        self
    }

    /// Adds to `estimate` what the plan will allocate with the kernels of `profile`, without the parameters.
    pub fn estimate_memory(&self, profile: &AdapterProfile, estimate: &mut MemoryEstimate) {
        let liveness = Liveness::of(self);
        let placed = liveness.place(self);
        let nodes = self.graph.nodes();
        for (buffer, &elements) in placed.placement.sizes.iter().enumerate() {
            // Named after the largest tensor that lies in it.
            let largest = (0..placed.present.len())
                .filter(|&tensor| placed.placement.buffer_of[tensor] == buffer)
                .max_by_key(|&tensor| placed.lifetimes[tensor].size)
                .map_or("", |tensor| {
                    &nodes[placed.present[tensor] % nodes.len()].name
                });
            estimate.buffer("values and gradients", &layer(largest), elements);
        }
        for (index, node) in nodes.iter().enumerate() {
            let context = layer(&node.name);
            match workspace(self.graph, node, self.batch) {
                0 => {}
                elements => estimate.buffer("workspace", &context, elements),
            }
            if let Some(operation) = &node.operation {
                let inputs = self.graph.shapes(&node.inputs);
                let differentiated = |node: &NodeId| liveness.differentiated[node.0];
                let has_backward = liveness.differentiated[index];
                let request = ScratchRequest {
                    profile,
                    batch: self.batch,
                    inputs: &inputs,
                    mode: self.mode,
                    input_gradients: has_backward && node.inputs.iter().any(differentiated),
                    parameter_gradients: has_backward && self.updates(NodeId(index)),
                };
                for scratch in operation.scratch(&request) {
                    estimate.scratch(scratch, &context);
                }
                if request.input_gradients {
                    let largest = inputs.iter().map(|shape| elements(shape)).max();
                    let sizes = [largest.unwrap_or(0), node.size()].map(|size| self.batch * size);
                    for scratch in rules::scratch(self.rule, sizes) {
                        estimate.scratch(scratch, &context);
                    }
                }
            }
        }
    }

    /// Builds the plan with `parameters`, found by name.
    ///
    /// # Errors
    /// The request contradicts itself, a parameter is missing, or a tensor is larger than the adapter allows.
    pub fn build(&self, gpu: &Gpu, parameters: &Parameters) -> Result<Plan> {
        self.build_probed(gpu, parameters, &mut |_| Ok(Vec::new()))
    }

    /// Builds the plan with `parameters`, found by name. `probe` is offered each tensor once and returns the dispatches
    /// that record it ([`ProbeEvent`]).
    ///
    /// # Errors
    /// As [`PlanRequest::build`], or the probe fails.
    pub fn build_probed(
        &self,
        gpu: &Gpu,
        parameters: &Parameters,
        probe: &mut dyn FnMut(ProbeEvent<'_>) -> Result<Vec<Dispatch>>,
    ) -> Result<Plan> {
        let liveness = Liveness::of(self);
        self.validate(&liveness)?;
        let tensors = liveness.allocate(gpu, self)?;
        let step_counter = match &self.step_counter {
            Some(step_counter) => step_counter.clone(),
            None => gpu.upload("step counter", &[0u32])?,
        };
        let builder = Builder {
            gpu,
            request: self,
            parameters,
            step_counter: &step_counter,
            liveness: &liveness,
            tensors: &tensors,
        };
        let terms = self.loss.map_or(0, |loss| loss.terms().len());
        let scalars = gpu.buffer("loss and its terms", 1 + terms)?;
        let mut stages = builder.forward(probe)?;
        stages.push(builder.losses(&scalars));
        if self.has_backward() {
            stages.extend(builder.backward(probe)?);
        }
        let rest = probe(ProbeEvent::PlanEnd)?;
        let last = stages.last_mut().expect("that of the losses");
        last.after.extend(rest);
        Ok(Plan {
            stages,
            nodes: self.graph.nodes().len(),
            splits: self.splits.clone(),
            values: liveness.kept_values(&tensors),
            gradients: liveness.kept_gradients(&tensors),
            scalars,
            bytes: tensors.bytes,
        })
    }

    /// Whether something is differentiated, with respect to something.
    pub(super) fn has_backward(&self) -> bool {
        let from = self.differentiates_loss || !self.cotangents.is_empty();
        from && (self.parameter_gradients || !self.wrt.is_empty())
    }

    fn validate(&self, liveness: &Liveness) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::input(
                "batch",
                "expected at least one sample, got 0",
                "use a larger batch",
            ));
        }
        if self.graph.nodes().is_empty() {
            return Err(Error::input(
                "graph",
                "the graph is empty",
                "add an input and a layer",
            ));
        }
        for Supplied { node, buffer } in &self.inputs {
            let (node, what) = (self.graph.node(*node), "input");
            if node.operation.is_some() {
                return Err(Error::input(
                    format!("input {}", node.name),
                    "the node is computed by an operation",
                    "give buffers to input nodes only",
                ));
            }
            self.validate_buffer(what, &node.name, node.size(), buffer.as_ref())?;
        }
        for Supplied { node, buffer } in &self.cotangents {
            let node = self.graph.node(*node);
            self.validate_buffer("cotangent", &node.name, node.size(), buffer.as_ref())?;
        }
        self.validate_rule(liveness)?;
        let unreached = |node: &&NodeId| !liveness.differentiated[node.0];
        if let Some(node) = self.kept_gradients.iter().find(unreached) {
            return Err(Error::input(
                format!("gradient of {}", self.graph.node(*node).name),
                "nothing that is differentiated depends on this node",
                "ask for the gradient of a node between a root (a trainable parameter or `wrt`) and the loss",
            ));
        }
        Ok(())
    }

    /// Whether the gradients of a node's parameters are asked for: of frozen ones there are none.
    pub(super) fn updates(&self, node: NodeId) -> bool {
        self.parameter_gradients && self.graph.is_updated(node)
    }

    fn validate_rule(&self, liveness: &Liveness) -> Result<()> {
        if !self.rule.is_attribution() {
            return Ok(());
        }
        if self.parameter_gradients {
            return Err(Error::input(
                format!("backward rule {:?}", self.rule),
                "a rule of attribution gives no gradients of parameters",
                "ask for the plan with `parameter_gradients(false)`",
            ));
        }
        if self.rule == BackwardRule::Rescale && !self.batch.is_multiple_of(2) {
            return Err(Error::input(
                "backward rule Rescale",
                format!(
                    "expected as many samples as baselines, got a batch of {}",
                    self.batch
                ),
                "use an even batch: the samples first, then their baselines",
            ));
        }
        for (index, node) in self.graph.nodes().iter().enumerate() {
            if let (true, Some(operation)) = (liveness.differentiated[index], &node.operation)
                && operation.propagation(self.mode).is_none()
            {
                return Err(Error::input(
                    format!("{} ({})", layer(&node.name), operation.kind()),
                    format!(
                        "the operation has no rule of attribution in mode {:?}",
                        self.mode
                    ),
                    "attribute the output of an earlier layer, or use Mode::Eval",
                ));
            }
        }
        Ok(())
    }

    fn validate_buffer(
        &self,
        what: &str,
        name: &str,
        size: usize,
        buffer: Option<&Buffer<f32>>,
    ) -> Result<()> {
        let context = || format!("{what} {name}");
        let Some(buffer) = buffer else {
            return Err(Error::input(
                context(),
                "the buffer that was announced is missing",
                format!("give it with `{what}` before the plan is built"),
            ));
        };
        let expected = self.batch * size;
        if buffer.len() != expected {
            return Err(Error::input(
                context(),
                format!(
                    "expected a buffer of {expected} values, got {}",
                    buffer.len()
                ),
                "make the buffer as large as the batch",
            ));
        }
        Ok(())
    }
}

/// Sets the buffer of a node; a node that was announced before gets it now.
fn supply(all: &mut Vec<Supplied>, node: NodeId, buffer: Option<&Buffer<f32>>) {
    let buffer = buffer.cloned();
    let announced = all
        .iter_mut()
        .find(|supplied| supplied.node == node && supplied.buffer.is_none());
    match announced {
        Some(announced) => announced.buffer = buffer,
        None => all.push(Supplied { node, buffer }),
    }
}
