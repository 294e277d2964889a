//! The dispatches of each node forward and backward, and of the losses between.

use super::liveness::{Liveness, Tensors};
use super::{NodeId, PlanRequest, ProbeEvent, TensorView, rules};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::nn::Parameters;
use crate::nn::operation::{Backward, Context, Forward, GradientTarget, Operation, ParameterSlice};
use crate::nn::vectors::{add, copy, fill};
use crate::tensor::TensorKind;
use crate::{Error, Result, gpu_struct, shader};

static BATCH_MEAN: Shader = shader!("nn/plan/batch_mean.wgsl");

gpu_struct! {
    struct BatchMeanUniforms in BATCH_MEAN::Uniforms {
        batch: u32,
        slot: u32,
        weight: f32,
        first: u32,
    }
}

/// The dispatches of a node in one direction.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// The probe's, of what is complete or about to be overwritten.
    pub before: Vec<Dispatch>,
    pub work: Vec<Dispatch>,
    /// The probe's, of what is complete then.
    pub after: Vec<Dispatch>,
}

/// Builds the stages of a plan whose tensors have their buffers.
pub(super) struct Builder<'a> {
    pub gpu: &'a Gpu,
    pub request: &'a PlanRequest<'a>,
    pub parameters: &'a Parameters,
    pub step_counter: &'a Buffer<u32>,
    pub liveness: &'a Liveness,
    pub tensors: &'a Tensors,
}

type Probe<'p> = &'p mut dyn FnMut(ProbeEvent<'_>) -> Result<Vec<Dispatch>>;

impl<'a> Builder<'a> {
    fn value(&self, node: usize) -> &'a Buffer<f32> {
        self.tensors.value(self.liveness.root[node])
    }

    fn gradient(&self, node: usize) -> &'a Buffer<f32> {
        self.tensors.gradient(self.liveness.root[node])
    }

    fn context(&self, node: usize) -> Context<'a> {
        Context {
            gpu: self.gpu,
            batch: self.request.batch,
            step_counter: self.step_counter,
            seed: self.request.seed,
            node,
            mode: self.request.mode,
            rule: self.request.rule,
        }
    }

    fn watch(&self, node: usize, kind: TensorKind, probe: Probe<'_>) -> Result<Vec<Dispatch>> {
        let buffer = match kind {
            TensorKind::Activation => self.value(node),
            _ => self.gradient(node),
        };
        probe(ProbeEvent::TensorReady(TensorView {
            node: NodeId(node),
            name: &self.request.graph.nodes()[node].name,
            kind,
            buffer,
            batch: self.request.batch,
            shape: &self.request.graph.nodes()[node].shape,
        }))
    }

    fn slices(&self, node: usize) -> Result<Vec<ParameterSlice<'a>>> {
        let slice = |&index: &usize| {
            let name = &self.request.graph.parameters()[index].name;
            self.parameters.slice(name).ok_or_else(|| {
                Error::input(
                    format!("parameter {name}"),
                    "the parameters do not have it",
                    "make them from a graph that has this layer",
                )
            })
        };
        self.request.graph.nodes()[node]
            .parameters
            .iter()
            .map(slice)
            .collect()
    }

    pub fn forward(&self, probe: Probe<'_>) -> Result<Vec<Stage>> {
        let mut stages = Vec::new();
        for (index, node) in self.request.graph.nodes().iter().enumerate() {
            let before = match &node.operation {
                Some(operation) if !operation.is_view() => {
                    probe(ProbeEvent::BufferReused(self.value(index)))?
                }
                _ => Vec::new(),
            };
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
            let mut after = self.watch(index, TensorKind::Activation, probe)?;
            if self.request.splits.contains(&NodeId(index)) {
                after.extend(probe(ProbeEvent::PlanEnd)?);
            }
            stages.push(Stage {
                before,
                work,
                after,
            });
        }
        Ok(stages)
    }

    fn input_shapes(&self, node: usize) -> Vec<&'a [usize]> {
        self.request
            .graph
            .shapes(&self.request.graph.nodes()[node].inputs)
    }

    pub fn losses(&self, scalars: &Buffer<f32>) -> Stage {
        let mut work = Vec::new();
        let terms = self.request.loss.map_or(&[][..], |loss| loss.terms());
        for (position, term) in terms.iter().enumerate() {
            let uniform = self.gpu.uniform(
                "loss mean",
                &BatchMeanUniforms {
                    batch: self.request.batch as u32,
                    slot: position as u32 + 1,
                    weight: term.weight,
                    first: u32::from(position == 0),
                },
            );
            let bindings = [
                (0, uniform.binding()),
                (1, self.value(term.node.0).binding()),
                (2, scalars.binding()),
            ];
            let kernel = self.gpu.kernel(&BATCH_MEAN, "main", &[]);
            work.push(kernel.bind(self.gpu, &bindings, [1, 1, 1]));
        }
        Stage {
            work,
            ..Stage::default()
        }
    }

    pub fn backward(&self, probe: Probe<'_>) -> Result<Vec<Stage>> {
        let mut before = Vec::new();
        for index in self.started() {
            before.extend(probe(ProbeEvent::BufferReused(self.gradient(index)))?);
        }
        let mut stages = vec![Stage {
            before,
            work: self.starts()?,
            after: Vec::new(),
        }];
        // Gradients that the loss, a cotangent or some consumer has already written.
        let mut written: Vec<bool> = (0..self.liveness.root.len())
            .map(|root| {
                self.liveness.loss_gradients[root].is_some()
                    || !self.liveness.cotangents[root].is_empty()
            })
            .collect();
        for (index, node) in self.request.graph.nodes().iter().enumerate().rev() {
            let before = self.complete_gradients(index, probe)?;
            match (&node.operation, self.liveness.differentiated[index]) {
                (Some(operation), true) => {
                    let mut stage =
                        self.operation_backward(index, operation.as_ref(), &mut written, probe)?;
                    stage.before.splice(0..0, before);
                    stages.push(stage);
                }
                _ if before.is_empty() => {}
                _ => stages.push(Stage {
                    before,
                    ..Stage::default()
                }),
            }
        }
        Ok(stages)
    }

    /// Offers the gradients that are complete when the backward pass arrives at a node: its own, and those of all views of
    /// it. A view's gradient lies in the memory of what it views, where other consumers may still add to it.
    fn complete_gradients(&self, index: usize, probe: Probe<'_>) -> Result<Vec<Dispatch>> {
        let mut dispatches = Vec::new();
        let nodes = index..self.liveness.root.len();
        let complete =
            |&node: &usize| self.liveness.root[node] == index && self.liveness.differentiated[node];
        for node in nodes.rev().filter(complete) {
            dispatches.extend(self.watch(node, TensorKind::Gradient, probe)?);
        }
        Ok(dispatches)
    }

    fn operation_backward(
        &self,
        index: usize,
        operation: &dyn Operation,
        written: &mut [bool],
        probe: Probe<'_>,
    ) -> Result<Stage> {
        let node = &self.request.graph.nodes()[index];
        let input_gradients: Vec<_> = node
            .inputs
            .iter()
            .enumerate()
            .map(|(number, input)| self.target(operation, number, input.0, written))
            .collect();
        let mut before = Vec::new();
        for target in input_gradients.iter().flatten() {
            if !operation.is_view() {
                before.extend(probe(ProbeEvent::BufferReused(target.buffer))?);
            }
        }
        let work = rules::backward(
            operation,
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
                parameter_gradients: self.request.updates(NodeId(index)),
            },
        )?;
        Ok(Stage {
            before,
            work,
            after: Vec::new(),
        })
    }

    /// Roots whose gradient is set when the backward pass begins. Where only the loss writes a gradient, it was written when
    /// the plan was made.
    fn started(&self) -> impl Iterator<Item = usize> {
        let is_started = |&root: &usize| {
            self.liveness.is_refilled(root) || !self.liveness.cotangents[root].is_empty()
        };
        (0..self.liveness.root.len()).filter(is_started)
    }

    /// What has to be set anew in each step: gradients that start from the loss or from cotangents and are added to, and the
    /// gradients of parameters that nothing reaches, where the optimizer leaves its updates.
    fn starts(&self) -> Result<Vec<Dispatch>> {
        let gpu = self.gpu;
        let request = self.request;
        let mut work = Vec::new();
        for root in self.started() {
            let gradient = self.gradient(root);
            let constant = self.liveness.loss_gradients[root];
            if let Some(constant) = constant {
                work.push(fill(gpu, gradient.binding(), 0..request.batch, constant));
            }
            for (position, &cotangent) in self.liveness.cotangents[root].iter().enumerate() {
                let buffer = request.cotangents[cotangent].buffer.as_ref();
                let source = buffer.expect("checked before the plan is built");
                let range = 0..source.len();
                let is_first = position == 0 && constant.is_none();
                let pass = if is_first { copy } else { add };
                work.push(pass(gpu, gradient.binding(), source.binding(), range));
            }
        }
        if !request.parameter_gradients {
            return Ok(work);
        }
        for index in 0..request.graph.nodes().len() {
            if !self.liveness.differentiated[index] {
                let updated = |&&index: &&usize| request.graph.parameters()[index].is_updated();
                let count = request.graph.nodes()[index]
                    .parameters
                    .iter()
                    .filter(updated)
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
        number: usize,
        input: usize,
        written: &mut [bool],
    ) -> Option<GradientTarget<'a>> {
        let wanted = operation.differentiable(number) && self.liveness.differentiated[input];
        wanted.then(|| {
            let buffer = self.gradient(input);
            // A view passes its gradient on as it is: that writes nothing.
            let accumulate = if operation.is_view() {
                false
            } else {
                std::mem::replace(&mut written[self.liveness.root[input]], true)
            };
            GradientTarget { buffer, accumulate }
        })
    }
}
