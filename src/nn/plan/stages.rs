//! The dispatches of each node forward and backward, and of the losses between.

use super::liveness::{Liveness, Tensors};
use super::{Graph, NodeId, Parameters, PlanOptions, ProbeEvent, TensorView};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::nn::operation::{Backward, Context, Forward, GradientTarget, Operation, ParameterSlice};
use crate::nn::vectors::fill;
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
#[derive(Default)]
pub(super) struct Stage {
    /// The probe's, of what is complete or about to be overwritten.
    pub before: Vec<Dispatch>,
    pub work: Vec<Dispatch>,
    /// The probe's, of what is complete then.
    pub after: Vec<Dispatch>,
}

/// Builds the stages of a plan whose tensors have their places.
pub(super) struct Builder<'a> {
    pub gpu: &'a Gpu,
    pub graph: &'a Graph,
    pub parameters: &'a Parameters,
    pub options: &'a PlanOptions<'a>,
    pub liveness: &'a Liveness,
    pub tensors: &'a Tensors,
}

type Probe<'p> = &'p mut dyn FnMut(ProbeEvent<'_>) -> Result<Vec<Dispatch>>;

impl<'a> Builder<'a> {
    fn value(&self, node: usize) -> &'a Buffer<f32> {
        &self.tensors.values[self.liveness.root[node]]
    }

    fn gradient(&self, node: usize) -> &'a Buffer<f32> {
        &self.tensors.gradients[self.liveness.root[node]]
    }

    fn context(&self, node: usize) -> Context<'a> {
        Context {
            gpu: self.gpu,
            batch: self.options.batch,
            step_counter: self.options.step_counter,
            seed: self.options.seed,
            node,
            training: self.options.training,
        }
    }

    fn watch(&self, node: usize, kind: TensorKind, probe: Probe<'_>) -> Result<Vec<Dispatch>> {
        let buffer = match kind {
            TensorKind::Activation => self.value(node),
            _ => self.gradient(node),
        };
        probe(ProbeEvent::TensorReady(TensorView {
            node: NodeId(node),
            name: &self.graph.nodes()[node].name,
            kind,
            buffer,
            batch: self.options.batch,
            shape: &self.graph.nodes()[node].shape,
        }))
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

    pub fn forward(&self, probe: Probe<'_>) -> Result<Vec<Stage>> {
        let mut stages = Vec::new();
        for (index, node) in self.graph.nodes().iter().enumerate() {
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
            // Plans are split behind nodes that are kept.
            if self.options.keep.contains(&NodeId(index)) {
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
        self.graph.shapes(&self.graph.nodes()[node].inputs)
    }

    pub fn losses(&self, scalars: &Buffer<f32>) -> Stage {
        let mut work = Vec::new();
        for (place, term) in self.graph.losses.iter().enumerate() {
            let uniform = self.gpu.uniform(
                "loss mean",
                &BatchMeanUniforms {
                    batch: self.options.batch as u32,
                    slot: place as u32 + 1,
                    weight: term.weight,
                    first: u32::from(place == 0),
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
        for index in self.filled() {
            before.extend(probe(ProbeEvent::BufferReused(self.gradient(index)))?);
        }
        let mut stages = vec![Stage {
            before,
            work: self.fills()?,
            after: Vec::new(),
        }];
        // Gradients that the loss or some consumer has already written.
        let mut written: Vec<bool> = self.liveness.seeds.iter().map(Option::is_some).collect();
        for (index, node) in self.graph.nodes().iter().enumerate().rev() {
            let (Some(operation), true) = (&node.operation, self.liveness.differentiated[index])
            else {
                continue;
            };
            // A gradient is complete when its own node's backward begins.
            let mut before = self.watch(index, TensorKind::Gradient, probe)?;
            let input_gradients: Vec<_> = node
                .inputs
                .iter()
                .enumerate()
                .map(|(place, input)| self.target(operation.as_ref(), place, input.0, &mut written))
                .collect();
            for target in input_gradients.iter().flatten() {
                if !operation.is_view() {
                    before.extend(probe(ProbeEvent::BufferReused(target.buffer))?);
                }
            }
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
                before,
                work,
                after: Vec::new(),
            });
        }
        Ok(stages)
    }

    /// Nodes whose gradient starts from a seed that is set anew in each step, since it is added to.
    fn filled(&self) -> impl Iterator<Item = usize> {
        let is_filled =
            |&index: &usize| self.liveness.seeds[index].is_some() && self.liveness.added_to[index];
        (0..self.graph.nodes().len()).filter(is_filled)
    }

    /// What has to be set anew in each step: seeds that are added to, and the gradients of parameters that no loss
    /// reaches, in whose place the optimizer leaves its updates.
    fn fills(&self) -> Result<Vec<Dispatch>> {
        let gpu = self.gpu;
        let mut work = Vec::new();
        for index in self.filled() {
            let seed = self.liveness.seeds[index].expect("filled with it");
            let gradient = self.gradient(index).binding();
            work.push(fill(gpu, gradient, 0..self.options.batch, seed));
        }
        for index in 0..self.graph.nodes().len() {
            if !self.liveness.differentiated[index] {
                let trainable = |&&index: &&usize| self.graph.parameters()[index].trainable;
                let count = self.graph.nodes()[index]
                    .parameters
                    .iter()
                    .filter(trainable)
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
        let wanted = operation.differentiable(place) && self.liveness.differentiated[input];
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
