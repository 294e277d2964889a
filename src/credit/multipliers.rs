//! The way back from the input of a unit's layer to the layers with weights before, and on to those before them.
//!
//! A multiplier says how the unit's mean depends on an element over a step. Multipliers go back as in DeepLIFT's rescale
//! rule, where sample and baseline are the two ends of the step: through each operation goes an exact quotient of
//! differences. An operation with parameters has others at each end; what it passes on is the mean of both, and what
//! is left of the difference is what its parameters did.

use std::collections::HashMap;
use std::ops::Range;

use super::capture::CapturedNetwork;
use super::cut::{Stretch, has_spectral_norm, sources, units_of};
use super::hop_meter::{MeteredHop, MeteredLayer, Shares};
use super::midpoint::midpoint;
use super::probe_pass::{Ends, ProbePass};
use super::spectral::SpectralLayer;
use super::sums::UnitSums;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{
    Backward, BackwardRule, Context, Forward, GradientTarget, Graph, Mode, Node, NodeId, Operation,
    ParameterSlice, Parameters, backward_by_rule, vectors,
};

/// A sum that is taken once everything is computed.
struct Sum {
    factors: Buffer<f32>,
    values: Buffer<f32>,
    before: Buffer<f32>,
    over: UnitSums,
    first: usize,
}

/// What measures a step.
#[derive(Debug)]
pub(super) struct Measurement {
    /// Values at the end of the step, at its start, and where both lie in one batch.
    pub joined: Vec<[Buffer<f32>; 3]>,
    pub dispatches: Vec<Dispatch>,
    /// Where the sums come to lie.
    pub sums: Buffer<f32>,
}

/// Builds the dispatches of the way back. Batches hold the ends of a step, then its starts.
pub(super) struct Multipliers<'a> {
    gpu: &'a Gpu,
    graph: &'a Graph,
    probe: &'a ProbePass,
    /// Parameters at the end of the step and at its start.
    ends: [Parameters; 2],
    /// What was learned at the start with the state of the end, and the other way round.
    crossed: Option<[Parameters; 2]>,
    step_counter: Buffer<u32>,
    joined: HashMap<NodeId, Buffer<f32>>,
    joins: Vec<[Buffer<f32>; 3]>,
    workspaces: HashMap<NodeId, Buffer<f32>>,
    dispatches: Vec<Dispatch>,
    sums: Vec<Sum>,
    sums_len: usize,
}

impl<'a> Multipliers<'a> {
    pub fn new(
        gpu: &'a Gpu,
        graph: &'a Graph,
        probe: &'a ProbePass,
        network: &CapturedNetwork,
    ) -> Result<Self> {
        let [end, start] = [network.live.clone(), network.start.clone()];
        let learned = 0..end.trainable_len();
        let state = end.trainable_len()..end.values.len();
        let mut dispatches = Vec::new();
        let mut mixed = |of_learned: &Parameters, of_state: &Parameters| -> Result<Parameters> {
            let mixed = end.with_own_values(gpu, "crossed parameters")?;
            for (from, range) in [(of_learned, &learned), (of_state, &state)] {
                let [to, from] = [&mixed, from].map(|parameters| parameters.values.binding());
                dispatches.push(vectors::copy(gpu, to, from, range.clone()));
            }
            Ok(mixed)
        };
        let crossed = if state.is_empty() {
            None
        } else {
            Some([mixed(&start, &end)?, mixed(&end, &start)?])
        };
        Ok(Self {
            gpu,
            graph,
            probe,
            ends: [end, start],
            crossed,
            step_counter: gpu.upload("step counter", &[0u32; 4])?,
            joined: HashMap::new(),
            joins: Vec::new(),
            workspaces: HashMap::new(),
            dispatches,
            sums: Vec::new(),
            sums_len: 0,
        })
    }

    /// One hop: from the multipliers at some tensors to those at the inputs of the layers before.
    pub fn hop(
        &mut self,
        stretch: &Stretch,
        mut at: HashMap<NodeId, Buffer<f32>>,
    ) -> Result<(MeteredHop, HashMap<NodeId, Buffer<f32>>)> {
        let mut between = Vec::new();
        for &id in &stretch.between {
            let multipliers = at[&id].clone();
            let (node, operation) = self.node(id);
            if !node.parameters.is_empty() {
                between.push(self.own(id, &multipliers)?);
            } else if !operation.is_view() {
                self.fill_workspace(id)?;
            }
            for (place, &input) in node.inputs.iter().enumerate() {
                let is_data = self.graph.node(input).operation.is_none();
                if operation.differentiable(place) && !is_data {
                    let sent = self.send(id, place, &multipliers)?;
                    self.arrive(input, sent, &mut at)?;
                }
            }
        }
        let mut before = HashMap::new();
        let gradients = self.ends[0].with_own_gradients(self.gpu)?;
        let mut layers = Vec::new();
        for &id in stretch.layers.iter().rev() {
            let (layer, sent) = self.layer(id, &at[&id].clone(), &gradients)?;
            layers.push(layer);
            self.arrive(self.graph.node(id).inputs[0], sent, &mut before)?;
        }
        Ok((MeteredHop { layers, between }, before))
    }

    /// All that was asked for.
    pub fn finish(mut self) -> Result<Measurement> {
        let result = self.gpu.buffer("sums of hops", self.sums_len.max(1))?;
        for sum in &self.sums {
            let target = (&result, sum.first);
            let (values, before) = (&sum.values, Some(&sum.before));
            let dispatches = sum
                .over
                .dispatches(self.gpu, &sum.factors, values, before, target)?;
            self.dispatches.extend(dispatches);
        }
        Ok(Measurement {
            joined: self.joins,
            dispatches: self.dispatches,
            sums: result,
        })
    }

    /// A layer with weights, and the multipliers that it sends to its input.
    fn layer(
        &mut self,
        id: NodeId,
        multipliers: &Buffer<f32>,
        gradients: &Parameters,
    ) -> Result<(MeteredLayer, Buffer<f32>)> {
        let (node, _) = self.node(id);
        let row = self.row(node);
        let input = node.inputs[0];
        let samples = self.probe.samples;
        let [units, places] = units_of(node);
        let over = UnitSums {
            samples,
            units,
            places,
        };
        let both = UnitSums {
            samples: 2 * samples,
            ..over
        };
        let [at_end, at_start] = self.ends.clone();
        let [at_end, at_start] = [self.forward(id, &at_end)?, self.forward(id, &at_start)?];
        let by_weights = self.sum(multipliers, [&at_end, &at_start], both);
        let of_ends = multipliers.prefix(samples * node.size());
        let probe = self.probe;
        let ends = probe.ends(id);
        let through = self.sum(&of_ends, [&ends.now, &ends.before], over);
        self.row_gradient(id, &of_ends, gradients)?;
        let sent = self.send(id, 0, multipliers)?;
        let Ends {
            now,
            before,
            crossed,
        } = probe.ends(input);
        let [units, places] = units_of(self.graph.node(input));
        let over = UnitSums {
            samples,
            units,
            places,
        };
        let own = sent.prefix(now.len());
        let by_input = self.sum(&own, [now, before], over);
        let by_state = crossed.as_ref().map(|crossed| {
            [
                self.sum(&own, [&crossed.later_state, before], over),
                self.sum(&own, [now, &crossed.earlier_state], over),
            ]
        });
        let layer = MeteredLayer {
            id,
            name: node.name.clone(),
            is_frozen: self.graph.is_frozen(id),
            row,
            spectral: SpectralLayer::new(self.graph, node, &self.ends[0]),
            gradients: gradients.gradients.clone(),
            by_weights,
            through,
            by_input,
            by_state,
            sources: sources(self.graph, input),
        };
        Ok((layer, sent))
    }

    /// How the unit depends on the weights and the bias of a layer, at its input halfway through the step.
    fn row_gradient(
        &mut self,
        id: NodeId,
        multipliers: &Buffer<f32>,
        gradients: &Parameters,
    ) -> Result<()> {
        let (node, operation) = self.node(id);
        // The weights as they are used, which a spectral norm divides.
        let plain = operation.with_units(units_of(node)[0]);
        let plain = plain.expect("a layer with weights");
        let ends = self.probe.ends(node.inputs[0]);
        let middle = self.gpu.buffer("input halfway", ends.now.len())?;
        self.dispatches
            .push(midpoint(self.gpu, [&ends.before, &ends.now], &middle));
        let context = Context {
            batch: self.probe.samples,
            rule: BackwardRule::Gradient,
            ..self.context(id)
        };
        let mut parameters = slices(self.graph, node, gradients);
        parameters.truncate(2);
        let dispatches = plain.backward(
            &context,
            &Backward {
                inputs: vec![&middle],
                input_shapes: self.graph.shapes(&node.inputs),
                parameters,
                workspace: None,
                // Not read: a layer's gradient depends on its input alone.
                output: multipliers,
                output_shape: &node.shape,
                output_gradient: multipliers,
                input_gradients: vec![None],
                parameter_gradients: true,
            },
        )?;
        self.dispatches.extend(dispatches);
        Ok(())
    }

    /// What an operation between did by its own parameters: by what they learned, and by their state.
    fn own(&mut self, id: NodeId, multipliers: &Buffer<f32>) -> Result<[Shares; 2]> {
        let (node, _) = self.node(id);
        let [units, places] = units_of(node);
        let over = UnitSums {
            samples: 2 * self.probe.samples,
            units,
            places,
        };
        let has_state = node
            .parameters
            .iter()
            .any(|&index| !self.graph.parameters()[index].trainable);
        let [end, start] = self.ends.clone();
        let [at_end, at_start] = [self.forward(id, &end)?, self.forward(id, &start)?];
        let crossed = self.crossed.clone().filter(|_| has_state);
        let Some([later_state, earlier_state]) = crossed else {
            // The mean of what it did at either end of the input.
            let learned = self.sum(multipliers, [&at_end, &at_start], over);
            return Ok([Shares::new([learned], 0.5), Shares::new([], 0.0)]);
        };
        let later_state = self.forward(id, &later_state)?;
        let earlier_state = self.forward(id, &earlier_state)?;
        let mut of = |pairs: [[&Buffer<f32>; 2]; 2]| {
            Shares::new(pairs.map(|pair| self.sum(multipliers, pair, over)), 0.25)
        };
        Ok([
            of([[&at_end, &later_state], [&earlier_state, &at_start]]),
            of([[&at_end, &earlier_state], [&later_state, &at_start]]),
        ])
    }

    /// The multipliers that a node sends to one of its inputs.
    fn send(&mut self, id: NodeId, place: usize, multipliers: &Buffer<f32>) -> Result<Buffer<f32>> {
        let (node, operation) = self.node(id);
        if operation.is_view() {
            return Ok(multipliers.clone());
        }
        if node.parameters.is_empty() {
            let parameters = self.ends[0].clone();
            return self.backward(id, place, multipliers, &parameters);
        }
        let [end, start] = self.ends.clone();
        let mut of = |parameters: &Parameters| {
            if has_spectral_norm(node) {
                // Its workspace keeps the weights of the last pass.
                self.forward(id, parameters)?;
            }
            self.backward(id, place, multipliers, parameters)
        };
        let [of_end, of_start] = [of(&end)?, of(&start)?];
        let mean = self.gpu.buffer("multipliers", of_end.len())?;
        self.dispatches
            .push(midpoint(self.gpu, [&of_start, &of_end], &mean));
        Ok(mean)
    }

    /// Adds what was sent to a tensor to what has arrived there.
    fn arrive(
        &mut self,
        tensor: NodeId,
        sent: Buffer<f32>,
        at: &mut HashMap<NodeId, Buffer<f32>>,
    ) -> Result<()> {
        let Some(known) = at.get(&tensor) else {
            at.insert(tensor, sent);
            return Ok(());
        };
        // Neither summand may change: what was sent is also read for itself.
        let (gpu, all) = (self.gpu, 0..known.len());
        let sum = gpu.buffer("multipliers", known.len())?;
        let copy = vectors::copy(gpu, sum.binding(), known.binding(), all.clone());
        let add = vectors::add(gpu, sum.binding(), sent.binding(), all);
        self.dispatches.extend([copy, add]);
        at.insert(tensor, sum);
        Ok(())
    }

    fn backward(
        &mut self,
        id: NodeId,
        place: usize,
        multipliers: &Buffer<f32>,
        parameters: &Parameters,
    ) -> Result<Buffer<f32>> {
        let (node, operation) = self.node(id);
        let [inputs, output] = self.joined_of(id)?;
        let size = self.graph.node(node.inputs[place]).size();
        let target = self
            .gpu
            .buffer("multipliers", 2 * self.probe.samples * size)?;
        let mut input_gradients = vec![None; node.inputs.len()];
        input_gradients[place] = Some(GradientTarget {
            buffer: &target,
            accumulate: false,
        });
        let dispatches = backward_by_rule(
            operation,
            &self.context(id),
            &Backward {
                inputs: inputs.iter().collect(),
                input_shapes: self.graph.shapes(&node.inputs),
                parameters: slices(self.graph, node, parameters),
                workspace: self.workspaces.get(&id),
                output: &output[0],
                output_shape: &node.shape,
                output_gradient: multipliers,
                input_gradients,
                parameter_gradients: false,
            },
        )?;
        self.dispatches.extend(dispatches);
        Ok(target)
    }

    /// Both ends of a node's inputs with the parameters of one moment.
    fn forward(&mut self, id: NodeId, parameters: &Parameters) -> Result<Buffer<f32>> {
        let (node, operation) = self.node(id);
        let shapes = self.graph.shapes(&node.inputs);
        let elements = operation.workspace(2 * self.probe.samples, &shapes);
        if elements > 0 && !self.workspaces.contains_key(&id) {
            let workspace = self.gpu.buffer("workspace", elements)?;
            self.workspaces.insert(id, workspace);
        }
        let [inputs, _] = self.joined_of(id)?;
        let output = self
            .gpu
            .buffer("both ends", 2 * self.probe.samples * node.size())?;
        let dispatches = operation.forward(
            &self.context(id),
            &Forward {
                inputs: inputs.iter().collect(),
                input_shapes: shapes,
                parameters: slices(self.graph, node, parameters),
                workspace: self.workspaces.get(&id),
                output: &output,
                output_shape: &node.shape,
            },
        )?;
        self.dispatches.extend(dispatches);
        Ok(output)
    }

    /// Leaves in the workspace of an operation what its backward pass reads.
    fn fill_workspace(&mut self, id: NodeId) -> Result<()> {
        let (node, operation) = self.node(id);
        let shapes = self.graph.shapes(&node.inputs);
        if operation.workspace(2 * self.probe.samples, &shapes) > 0 {
            let parameters = self.ends[0].clone();
            self.forward(id, &parameters)?;
        }
        Ok(())
    }

    /// The inputs and the output of a node, both ends of each.
    fn joined_of(&mut self, id: NodeId) -> Result<[Vec<Buffer<f32>>; 2]> {
        let (node, _) = self.node(id);
        let inputs = node.inputs.iter().map(|&input| self.both_ends(input));
        let inputs = inputs.collect::<Result<_>>()?;
        Ok([inputs, vec![self.both_ends(id)?]])
    }

    fn both_ends(&mut self, id: NodeId) -> Result<Buffer<f32>> {
        if let Some(known) = self.joined.get(&id) {
            return Ok(known.clone());
        }
        let Ends { now, before, .. } = self.probe.ends(id);
        let joined = self.gpu.buffer("both ends", 2 * now.len())?;
        self.joins
            .push([now.clone(), before.clone(), joined.clone()]);
        self.joined.insert(id, joined.clone());
        Ok(joined)
    }

    /// Asks for sums of `factors * (values - before)`, one a unit, and says where they will lie.
    fn sum(
        &mut self,
        factors: &Buffer<f32>,
        [values, before]: [&Buffer<f32>; 2],
        over: UnitSums,
    ) -> Range<usize> {
        let first = self.sums_len;
        self.sums_len += over.units;
        self.sums.push(Sum {
            factors: factors.clone(),
            values: values.clone(),
            before: before.clone(),
            over,
            first,
        });
        first..self.sums_len
    }

    /// Where weight and bias of a layer lie among all parameters.
    fn row(&self, node: &Node) -> [Range<usize>; 2] {
        [0, 1].map(|which| {
            let name = &self.graph.parameters()[node.parameters[which]].name;
            let slice = self.ends[0].slice(name).expect("the layer is trained");
            slice.start..slice.start + slice.len
        })
    }

    fn node(&self, id: NodeId) -> (&'a Node, &'a dyn Operation) {
        let node = self.graph.node(id);
        let operation = node.operation.as_deref();
        (node, operation.expect("data are never on the way back"))
    }

    fn context(&self, id: NodeId) -> Context<'_> {
        Context {
            gpu: self.gpu,
            batch: 2 * self.probe.samples,
            step_counter: &self.step_counter,
            seed: 0,
            node: id.index(),
            mode: Mode::Eval,
            rule: BackwardRule::Rescale,
        }
    }
}

impl Shares {
    fn new<const N: usize>(ranges: [Range<usize>; N], share: f64) -> Self {
        Self {
            ranges: ranges.into(),
            share,
        }
    }
}

fn slices<'p>(graph: &Graph, node: &Node, parameters: &'p Parameters) -> Vec<ParameterSlice<'p>> {
    let own = node.parameters.iter();
    let slice = |&index: &usize| {
        let slice = parameters.slice(&graph.parameters()[index].name);
        slice.expect("the network has all parameters before its layer")
    };
    own.map(slice).collect()
}
