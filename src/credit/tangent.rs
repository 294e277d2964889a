//! Small changes of a layer's output on their way to the next layers with weights and to the loss.
//!
//! A change goes through the derivative of each operation between ([`Differential`]): that of a linear operation is its forward
//! pass, a symmetric one is the backward pass, and two more have kernels here. What has one number a sample, as terms of a
//! loss do, changes by its gradient times the changes of its inputs.

use std::collections::HashMap;

use super::capture::CapturedPass;
use super::cut::{Cut, units_of};
use super::sums::UnitSums;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::nn::{
    Backward, BackwardRule, Context, Differential, Forward, GradientTarget, Mode, Node, NodeId,
    Operation, ParameterSlice, Parameters, Pass, vectors,
};
use crate::{Error, Result, gpu_struct, shader};

static TANGENT: Shader = shader!("credit/tangent.wgsl");

gpu_struct! {
    struct TangentUniforms in TANGENT::Uniforms {
        count: u32,
        period: u32,
        outputs: u32,
    }
}

/// What the units of a layer behind the cut, or the loss, make of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    /// The name of the layer, or `loss`.
    pub layer: String,
    pub units: usize,
    /// Where its products begin in [`Tangents::products`].
    pub first: usize,
}

/// The way of a change through one pass of a training step.
#[derive(Debug)]
pub(super) struct Tangents {
    /// Computes the values between again, as the training step did.
    pub values: Vec<Dispatch>,
    /// Carries the change on, and multiplies it with the gradients that the step had where it arrives.
    pub carry: Vec<Dispatch>,
    /// The change of the layer's output, to be written first: `[batch, ...shape]`.
    pub change: Buffer<f32>,
    /// For each unit of the receivers the change of the loss through it.
    pub products: Buffer<f32>,
    pub receivers: Vec<Receiver>,
    /// For each successor its gradient and its change, `[batch, ...shape]`.
    pub arrived: Vec<Arrived>,
}

/// What arrives at a layer with weights.
#[derive(Debug)]
pub(super) struct Arrived {
    pub layer: String,
    /// Of a sample.
    pub shape: Vec<usize>,
    pub gradient: Buffer<f32>,
    pub change: Buffer<f32>,
}

/// What a pass was run with.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassSettings<'a> {
    /// Parameters of the step, and the state from which the pass started, or in which it has ended.
    pub parameters: &'a Parameters,
    /// Whether that is the state in which the pass has ended.
    pub state_is_final: bool,
    /// The step is its first word.
    pub step_counter: &'a Buffer<u32>,
    pub seed: u64,
}

impl Tangents {
    /// The way behind the layer of a cut.
    pub fn new(
        gpu: &Gpu,
        pass: &Pass<'_>,
        (captured, cut): (&CapturedPass, &Cut),
        settings: PassSettings<'_>,
    ) -> Result<Self> {
        let batch = captured.batch;
        let change = gpu.buffer("change", batch * pass.graph.node(cut.layer).size())?;
        let mut builder = Builder {
            gpu,
            pass,
            batch,
            settings,
            values: captured.values.clone(),
            workspaces: HashMap::new(),
            changes: HashMap::from([(cut.layer, change.clone())]),
        };
        let mut values = Vec::new();
        let mut carry = Vec::new();
        for &id in cut
            .between
            .iter()
            .chain(cut.losses.iter().map(|(id, _)| id))
        {
            values.extend(builder.value(id)?);
        }
        for &id in &cut.between {
            carry.extend(builder.change(id)?);
        }
        let units = |id: &NodeId| units_of(pass.graph.node(*id))[0];
        let count: usize = cut.successors.iter().map(units).sum();
        let products = gpu.buffer("credit of units", (count + 2 * cut.losses.len()).max(1))?;
        let mut receivers = Vec::new();
        let mut arrived = Vec::new();
        let mut first = 0;
        for &id in &cut.successors {
            let gradient = &captured.gradients[&id];
            let (dispatches, change) = builder.successor(id, gradient, (&products, first))?;
            carry.extend(dispatches);
            arrived.push(Arrived {
                layer: pass.tensor_name(id),
                shape: pass.graph.node(id).shape.clone(),
                gradient: gradient.clone(),
                change,
            });
            receivers.push(Receiver {
                layer: pass.tensor_name(id),
                units: units(&id),
                first,
            });
            first += units(&id);
        }
        for &(id, weight) in &cut.losses {
            for dispatches in builder.loss(id, weight, (&products, first))? {
                carry.extend(dispatches);
                receivers.push(Receiver {
                    layer: format!("loss{}", pass.suffix),
                    units: 1,
                    first,
                });
                first += 1;
            }
        }
        Ok(Self {
            values,
            carry,
            change,
            products,
            receivers,
            arrived,
        })
    }
}

/// For each input of a node its gradient, where that input changes.
type InputGradients = Vec<Option<Buffer<f32>>>;

impl Tangents {
    /// The dispatches that compute the change of the layer's output from changes of its weights.
    pub fn change_of_weights(
        &self,
        gpu: &Gpu,
        pass: &Pass<'_>,
        (captured, cut): (&CapturedPass, &Cut),
        weights: &Parameters,
    ) -> Result<Vec<Dispatch>> {
        let node = pass.graph.node(cut.layer);
        let operation = node.operation.as_ref().expect("a layer has an operation");
        // The weights as they are used, which a spectral norm divides.
        let plain = operation.with_units(units_of(node)[0]);
        let plain = plain.expect("a layer with weights");
        let slices = node.parameters[..2].iter().map(|&index| {
            let slice = weights.slice(&pass.graph.parameters()[index].name);
            slice.expect("the network has the weights of its layers")
        });
        let context = Context {
            gpu,
            batch: captured.batch,
            step_counter: &gpu.upload("step counter", &[0u32; 4])?,
            seed: 0,
            node: cut.layer.index(),
            mode: Mode::Eval,
            rule: BackwardRule::Gradient,
        };
        plain.forward(
            &context,
            &Forward {
                inputs: vec![&captured.values[&cut.input]],
                input_shapes: pass.graph.shapes(&node.inputs),
                parameters: slices.collect(),
                workspace: None,
                output: &self.change,
                output_shape: &node.shape,
            },
        )
    }
}

struct Builder<'a> {
    gpu: &'a Gpu,
    pass: &'a Pass<'a>,
    batch: usize,
    settings: PassSettings<'a>,
    values: HashMap<NodeId, Buffer<f32>>,
    workspaces: HashMap<NodeId, Buffer<f32>>,
    changes: HashMap<NodeId, Buffer<f32>>,
}

impl<'a> Builder<'a> {
    fn node(&self, id: NodeId) -> (&'a Node, &'a dyn Operation) {
        let node = self.pass.graph.node(id);
        let operation = node.operation.as_deref();
        (node, operation.expect("inputs are never behind a layer"))
    }

    fn context(&self, id: NodeId, mode: Mode) -> Context<'a> {
        Context {
            gpu: self.gpu,
            batch: self.batch,
            step_counter: self.settings.step_counter,
            seed: self.settings.seed,
            node: id.index(),
            mode,
            rule: BackwardRule::Gradient,
        }
    }

    fn shapes(&self, node: &Node) -> Vec<&'a [usize]> {
        let inputs = node.inputs.iter();
        inputs
            .map(|&input| &self.pass.graph.node(input).shape[..])
            .collect()
    }

    fn slices(&self, node: &Node) -> Vec<ParameterSlice<'a>> {
        let parameters = node.parameters.iter();
        let slice = |&index: &usize| {
            let name = &self.pass.graph.parameters()[index].name;
            let slice = self.settings.parameters.slice(name);
            slice.expect("the training step has all parameters of its graphs")
        };
        parameters.map(slice).collect()
    }

    fn buffer(&self, node: &Node) -> Result<Buffer<f32>> {
        self.gpu.buffer("change", self.batch * node.size())
    }

    /// A workspace for the node, where its operation has one.
    fn workspace(&self, node: &Node, operation: &dyn Operation) -> Result<Option<Buffer<f32>>> {
        let size = operation.workspace(self.batch, &self.shapes(node));
        let workspace = (size > 0).then(|| self.gpu.buffer("workspace", size));
        workspace.transpose()
    }

    /// The dispatches that compute the value of a node again.
    fn value(&mut self, id: NodeId) -> Result<Vec<Dispatch>> {
        let (node, operation) = self.node(id);
        if operation.is_view() {
            let viewed = self.values[&node.inputs[0]].clone();
            self.values.insert(id, viewed);
            return Ok(Vec::new());
        }
        let output = self.buffer(node)?;
        let workspace = self.workspace(node, operation)?;
        let inputs = node.inputs.iter();
        let dispatches = operation.forward(
            &self.context(id, Mode::TrainFrozenState),
            &Forward {
                inputs: inputs.map(|input| &self.values[input]).collect(),
                input_shapes: self.shapes(node),
                parameters: self.slices(node),
                workspace: workspace.as_ref(),
                output: &output,
                output_shape: &node.shape,
            },
        )?;
        self.values.insert(id, output);
        self.workspaces
            .extend(workspace.map(|workspace| (id, workspace)));
        Ok(dispatches)
    }

    /// The dispatches that carry the changes of a node's inputs to its output.
    fn change(&mut self, id: NodeId) -> Result<Vec<Dispatch>> {
        let (node, operation) = self.node(id);
        let (dispatches, change) = match operation.differential() {
            _ if operation.is_view() => (Vec::new(), self.changes[&node.inputs[0]].clone()),
            Some(Differential::Linear) => self.linear(id, &self.slices(node))?,
            Some(Differential::Symmetric) => self.symmetric(id)?,
            Some(Differential::SymmetricBeforeGain) => self.symmetric_before_gain(id)?,
            Some(Differential::Selection) => self.of_selected(id)?,
            None if node.size() == 1 => self.of_numbers(id)?,
            None => {
                return Err(Error::input(
                    format!("layer {} ({})", node.name, operation.kind()),
                    "its operation does not say how a small change goes through it",
                    "choose a layer whose output reaches the next layer with weights without it, or let the operation's `differential` say it",
                ));
            }
        };
        self.changes.insert(id, change);
        Ok(dispatches)
    }

    /// The forward pass, of the changes; inputs that do not change count as zeros.
    fn linear(
        &self,
        id: NodeId,
        parameters: &[ParameterSlice<'_>],
    ) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, operation) = self.node(id);
        let mut inputs = Vec::new();
        for &input in &node.inputs {
            inputs.push(match self.changes.get(&input) {
                Some(change) => change.clone(),
                None => self.buffer(self.pass.graph.node(input))?,
            });
        }
        let output = self.buffer(node)?;
        let workspace = self.workspace(node, operation)?;
        // The state of a network that has been through the whole step is that in which the pass has ended.
        let mut own = node.parameters.iter();
        let is_own = own.all(|&index| {
            let name = &self.pass.graph.parameters()[index].name;
            self.settings.parameters.contains(name)
        });
        let mode = if self.settings.state_is_final || !is_own {
            Mode::Eval
        } else {
            Mode::TrainFrozenState
        };
        let dispatches = operation.forward(
            &self.context(id, mode),
            &Forward {
                inputs: inputs.iter().collect(),
                input_shapes: self.shapes(node),
                parameters: parameters.to_vec(),
                workspace: workspace.as_ref(),
                output: &output,
                output_shape: &node.shape,
            },
        )?;
        Ok((dispatches, output))
    }

    /// The backward pass, whose upstream gradient is the change of one input after another.
    fn symmetric(&self, id: NodeId) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let output = self.buffer(node)?;
        let mut dispatches = Vec::new();
        for (place, input) in node.inputs.iter().enumerate() {
            let Some(change) = self.changes.get(input) else {
                continue;
            };
            let mut targets = vec![None; node.inputs.len()];
            targets[place] = Some(GradientTarget {
                buffer: &output,
                accumulate: !dispatches.is_empty(),
            });
            dispatches.extend(self.backward(id, change, targets, self.slices(node))?);
        }
        Ok((dispatches, output))
    }

    fn backward(
        &self,
        id: NodeId,
        upstream: &Buffer<f32>,
        input_gradients: Vec<Option<GradientTarget<'_>>>,
        parameters: Vec<ParameterSlice<'_>>,
    ) -> Result<Vec<Dispatch>> {
        let (node, operation) = self.node(id);
        let inputs = node.inputs.iter();
        operation.backward(
            &self.context(id, Mode::TrainFrozenState),
            &Backward {
                inputs: inputs.map(|input| &self.values[input]).collect(),
                input_shapes: self.shapes(node),
                parameters,
                workspace: self.workspaces.get(&id),
                output: &self.values[&id],
                output_shape: &node.shape,
                output_gradient: upstream,
                input_gradients,
                parameter_gradients: false,
            },
        )
    }

    /// The change of each output is that of the element which it is.
    fn of_selected(&self, id: NodeId) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let output = self.buffer(node)?;
        let input = node.inputs[0];
        let [_, pixels] = units_of(self.pass.graph.node(input));
        let [_, outputs] = units_of(node);
        let dispatch = self.kernel(
            "at_maximum",
            [output.len(), pixels, outputs],
            &[
                (1, self.changes[&input].binding()),
                (3, self.workspaces[&id].binding()),
                (4, output.binding()),
            ],
        );
        Ok((vec![dispatch], output))
    }

    /// For each sample the gradient of its number times the changes of the inputs.
    fn of_numbers(&self, id: NodeId) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let ones = self
            .gpu
            .upload("gradients of one", &vec![1.0; self.batch])?;
        let (mut dispatches, gradients) = self.gradients_of_changing(id, &ones)?;
        let output = self.buffer(node)?;
        let mut is_first = true;
        for (&input, gradient) in node.inputs.iter().zip(&gradients) {
            let Some(gradient) = gradient else {
                continue;
            };
            // Here a sample is what has a sum of its own.
            let sums = UnitSums {
                samples: 1,
                units: self.batch,
                places: self.pass.graph.node(input).size(),
            };
            let change = &self.changes[&input];
            if is_first {
                let at = (&output, 0);
                dispatches.extend(sums.dispatches(self.gpu, gradient, change, None, at)?);
                is_first = false;
                continue;
            }
            let further = self.buffer(node)?;
            let at = (&further, 0);
            dispatches.extend(sums.dispatches(self.gpu, gradient, change, None, at)?);
            let (sum, all) = (output.binding(), 0..self.batch);
            dispatches.push(vectors::add(self.gpu, sum, further.binding(), all));
        }
        Ok((dispatches, output))
    }

    /// The gradients of those inputs of a node that change.
    fn gradients_of_changing(
        &self,
        id: NodeId,
        upstream: &Buffer<f32>,
    ) -> Result<(Vec<Dispatch>, InputGradients)> {
        let (node, operation) = self.node(id);
        let mut gradients = Vec::new();
        for (place, &input) in node.inputs.iter().enumerate() {
            let changes = operation.differentiable(place) && self.changes.contains_key(&input);
            let gradient = changes.then(|| self.buffer(self.pass.graph.node(input)));
            gradients.push(gradient.transpose()?);
        }
        let targets = gradients.iter().map(|gradient| {
            gradient.as_ref().map(|buffer| GradientTarget {
                buffer,
                accumulate: false,
            })
        });
        let dispatches = self.backward(id, upstream, targets.collect(), self.slices(node))?;
        Ok((dispatches, gradients))
    }

    /// Without its gain the derivative is symmetric; the gain follows.
    fn symmetric_before_gain(&self, id: NodeId) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let [normalized, output] = [self.buffer(node)?, self.buffer(node)?];
        let mut parameters = self.slices(node);
        let gain = parameters[0];
        let ones = self.gpu.upload("gains of one", &vec![1.0; gain.len])?;
        parameters[0] = ParameterSlice {
            values: &ones,
            start: 0,
            ..gain
        };
        let target = GradientTarget {
            buffer: &normalized,
            accumulate: false,
        };
        let change = &self.changes[&node.inputs[0]];
        let mut dispatches = self.backward(id, change, vec![Some(target)], parameters)?;
        dispatches.push(self.kernel(
            "times_gain",
            [output.len(), gain.len, 1],
            &[
                (1, normalized.binding()),
                (2, gain.value()),
                (4, output.binding()),
            ],
        ));
        Ok((dispatches, output))
    }

    fn kernel(
        &self,
        entry: &'static str,
        [count, period, outputs]: [usize; 3],
        buffers: &[(u32, crate::gpu::Binding<'_>)],
    ) -> Dispatch {
        let uniform = self.gpu.uniform(
            "tangent",
            &TangentUniforms {
                count: count as u32,
                period: period as u32,
                outputs: outputs as u32,
            },
        );
        let bindings = [&[(0, uniform.binding())], buffers].concat();
        let kernel = self.gpu.kernel(&TANGENT, entry, &[]);
        kernel.bind(self.gpu, &bindings, grid(count, 64))
    }

    /// The change of a layer with weights, times its gradient.
    fn successor(
        &self,
        id: NodeId,
        gradient: &Buffer<f32>,
        products: (&Buffer<f32>, usize),
    ) -> Result<(Vec<Dispatch>, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let mut parameters = self.slices(node);
        // A change has no bias.
        let none = self.gpu.buffer("no bias", parameters[1].len)?;
        parameters[1] = ParameterSlice {
            values: &none,
            start: 0,
            ..parameters[1]
        };
        let (mut dispatches, change) = self.linear(id, &parameters)?;
        let [units, places] = units_of(node);
        let sums = UnitSums {
            samples: self.batch,
            units,
            places,
        };
        dispatches.extend(sums.dispatches(self.gpu, gradient, &change, None, products)?);
        Ok((dispatches, change))
    }

    /// For each input of a term of the loss that changes: its change, times the gradient of the term.
    fn loss(
        &self,
        id: NodeId,
        weight: f32,
        (products, first): (&Buffer<f32>, usize),
    ) -> Result<Vec<Vec<Dispatch>>> {
        let (node, _) = self.node(id);
        let upstream = vec![weight / self.batch as f32; self.batch];
        let upstream = self.gpu.upload("gradient of the loss", &upstream)?;
        let (mut backward, gradients) = self.gradients_of_changing(id, &upstream)?;
        let mut arrived: Vec<Vec<Dispatch>> = Vec::new();
        for (input, gradient) in node.inputs.iter().zip(&gradients) {
            let Some(gradient) = gradient else {
                continue;
            };
            let sums = UnitSums {
                samples: self.batch,
                units: 1,
                places: self.pass.graph.node(*input).size(),
            };
            let at = (products, first + arrived.len());
            let mut dispatches = std::mem::take(&mut backward);
            let change = &self.changes[input];
            dispatches.extend(sums.dispatches(self.gpu, gradient, change, None, at)?);
            arrived.push(dispatches);
        }
        Ok(arrived)
    }
}
