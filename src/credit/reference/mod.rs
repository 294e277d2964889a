//! The decomposition in float64 on the CPU: what the kernels are held against. Slow, plain, and only for tests.
//!
//! It goes another way than the kernels do: every source of the gradient has an accumulator of its own, carried forward through
//! the optimizer, and every unit behind the layer sends its gradient backward on its own.

mod account;
mod hops;
mod layer;
mod numerator;
mod row;
mod walk;

use std::collections::BTreeMap;
use std::ops::Range;

use self::account::{Account, MovedWeights};
use self::hops::HopAccount;
use self::layer::PlainLayer;
use self::row::Row;
use self::walk::{projected, shares};
use super::cut::{Cut, Stretch, sources, units_of};
use super::probe_pass::PROBE_SEED_BIT;
use super::{Chosen, Contribution, Credit, CreditMaps};
use crate::nn::reference::{Reference, ReferenceStep};
use crate::nn::{BackwardRule, Graph, Mode, Node, NodeId, Pass, UpdateRule};

/// What a step of training is given.
#[derive(Debug, Clone)]
pub struct ReferenceBatch {
    /// For each pass its inputs, in the order of the graph's input nodes.
    pub inputs: Vec<Vec<Vec<f64>>>,
    /// Parameters and state that another network has in this step, by their index.
    pub given: Vec<(usize, Vec<f64>)>,
    /// State in which passes of another network leave this one, by its index.
    pub left: Vec<(usize, Vec<f64>)>,
    /// Whether the step updates the network.
    pub is_updated: bool,
}

impl From<Vec<Vec<f64>>> for ReferenceBatch {
    fn from(inputs: Vec<Vec<f64>>) -> Self {
        Self {
            inputs: vec![inputs],
            given: Vec::new(),
            left: Vec::new(),
            is_updated: true,
        }
    }
}

/// A pass of a step that has run.
#[derive(Debug)]
struct PassStep<'a> {
    pass: Pass<'a>,
    /// With which it began.
    parameters: Vec<Vec<f64>>,
    seed: u64,
    /// The number of the step.
    number: u32,
    computed: ReferenceStep,
}

/// A training of one network, in float64.
#[derive(Debug)]
pub struct ReferenceTraining<'a> {
    /// The passes that train the network in a step, of graphs with the same parameters; the probe batch goes through the
    /// first.
    pub passes: Vec<Pass<'a>>,
    /// Which of the graph's parameters the update moves: the first ones. The others are those of another network.
    pub own: Range<usize>,
    /// Bound on the weights after each update.
    pub weight_clip: Option<f64>,
    /// How gradients become updates.
    pub rule: UpdateRule,
    /// Samples in a batch.
    pub batch: usize,
    /// Seed of all noise.
    pub seed: u64,
    /// Values of all parameters and states, in the order of the graph's.
    pub parameters: Vec<Vec<f64>>,
    /// The optimizer's memories of each trainable parameter.
    pub moments: Vec<Vec<Vec<f64>>>,
    /// Steps done.
    pub step: u32,
    /// Updates done.
    pub updates: u32,
    /// The probe batch, in the order of the graph's input nodes.
    pub probe: Vec<Vec<f64>>,
    /// Samples in it.
    pub probe_samples: usize,
    /// The samples and positions that the unit's mean is over.
    pub chosen: Chosen,
}

/// What units of a tensor did, by the names of what they are made of.
pub(super) fn named_sources(graph: &Graph, input: NodeId, by_unit: Vec<f64>) -> Vec<Contribution> {
    let mut all = BTreeMap::new();
    for (source, credit) in sources(graph, input).into_iter().zip(by_unit) {
        *all.entry(source).or_insert(0.0) += credit;
    }
    let named = all.into_iter().map(|(source, credit)| Contribution {
        layer: graph.nodes()[source.node].name.clone(),
        unit: source.unit,
        credit,
    });
    named.collect()
}

impl<'a> ReferenceTraining<'a> {
    fn graph(&self) -> &'a Graph {
        self.passes[0].graph
    }

    fn reference<'r>(
        &'r self,
        mode: Mode,
        batch: usize,
        parameters: &'r [Vec<f64>],
    ) -> Reference<'r> {
        Reference {
            graph: self.graph(),
            batch,
            mode,
            parameters,
            noise: (self.seed ^ PROBE_SEED_BIT, 0),
            rule: BackwardRule::Gradient,
        }
    }

    /// Runs the passes of a step.
    fn run(&self, batch: &ReferenceBatch) -> Vec<PassStep<'a>> {
        let mut parameters = self.parameters.clone();
        let mut steps = Vec::new();
        for (&pass, inputs) in self.passes.iter().zip(&batch.inputs) {
            let seed = self.seed ^ pass.seed_bits;
            let reference = Reference {
                graph: pass.graph,
                noise: (seed, self.step),
                ..self.reference(Mode::Train, self.batch, &parameters)
            };
            let computed = reference.step(pass.loss, inputs);
            let left = computed.parameters.clone();
            steps.push(PassStep {
                pass,
                parameters: std::mem::replace(&mut parameters, left),
                seed,
                number: self.step,
                computed,
            });
        }
        steps
    }

    /// Values of all nodes on the probe batch.
    pub(super) fn probe_values(&self, parameters: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let reference = self.reference(Mode::Eval, self.probe_samples, parameters);
        reference.forward(&self.probe).values
    }

    /// Trains on `batches`, one a step, and decomposes the change of a unit, so many hops back.
    pub fn credit(
        &mut self,
        (layer, unit): (&str, usize),
        hops: usize,
        batches: &[ReferenceBatch],
    ) -> Credit {
        let graph = self.graph();
        let id = graph.find(layer).expect("a layer of that name");
        let from = self.step;
        let mut account = Account::new(self, id, Row::of_unit(graph, id, unit));
        let stretches = Stretch::of_hops(graph, id, hops.saturating_sub(1));
        let mut further: Vec<HopAccount> = stretches
            .iter()
            .map(|stretch| HopAccount::new(self, stretch))
            .collect();
        let mut by_input = vec![0.0; units_of(graph.node(account.cut().input))[0]];
        let first = self.unit_mean(id, unit);
        for batch in batches {
            put(&mut self.parameters, &batch.given);
            let before = self.parameters.clone();
            let steps = self.run(batch);
            let unclipped = sums_of_gradients(&steps);
            let mut clipped = self.learned(&unclipped);
            self.stop_frozen(&mut clipped);
            let of_layers = further.iter_mut().flat_map(|hop| &mut hop.accounts);
            for account in std::iter::once(&mut account).chain(of_layers) {
                account.shares = shares(&account.cuts, &account.row, &steps, self.batch);
                account.projected = projected(&account.cuts, &account.row, &steps, self.batch);
            }
            let updated = self.update(&steps, &mut clipped, batch.is_updated);
            put(&mut self.parameters, &batch.left);
            let moved = MovedWeights {
                is_updated: batch.is_updated,
                before: &before,
                unclipped: &unclipped,
                clipped: &clipped,
                updated: &updated,
                after: &self.parameters.clone(),
            };
            let ends = [&before[..], &self.parameters.clone()[..]];
            let mut normalization = 0.0;
            let (mut sensitivity, multipliers) = self.probe_step(
                account.cut(),
                unit,
                &account.row,
                ends,
                |place, state, all| {
                    by_input[place] += all - state;
                    normalization += state;
                },
            );
            let own = PlainLayer::new(graph, graph.node(id));
            normalization += own.to_parameters(&account.row, ends, &mut sensitivity);
            account.other.normalization += normalization;
            account.add(self, &moved, &sensitivity);
            self.add_hops(
                &mut further,
                (account.cut().input, multipliers),
                ends,
                &moved,
            );
        }
        let predecessors = named_sources(graph, account.cut().input, by_input);
        Credit {
            layer: layer.to_owned(),
            unit,
            samples: self.chosen.samples.clone(),
            positions: self.chosen.positions.clone(),
            region: None,
            from: from.into(),
            to: self.step.into(),
            change: self.unit_mean(id, unit) - first,
            explained: 0.0,
            residual: 0.0,
            cancellation: 0.0,
            predecessors,
            other: account.other,
            successors: account.successors(),
            hops: further
                .into_iter()
                .enumerate()
                .map(|(index, hop)| hop.finish(graph, index + 2))
                .collect(),
            first_nonfinite: None,
            deviation: None,
            maps: CreditMaps::default(),
        }
        .summed()
    }

    fn unit_mean(&self, id: NodeId, unit: usize) -> f64 {
        let node = self.graph().node(id);
        let [units, places] = units_of(node);
        let values = &self.probe_values(&self.parameters)[id.index()];
        let of_unit = values.chunks(places).enumerate();
        let of_unit = of_unit.filter(|(plane, _)| plane % units == unit);
        let of_unit = of_unit.flat_map(|(_, plane)| plane);
        of_unit
            .zip(self.weights(node))
            .map(|(z, weight)| z * weight)
            .sum()
    }

    /// The weights of the samples and places of a unit in its mean.
    fn weights(&self, node: &Node) -> Vec<f64> {
        let weights = self.chosen.weights(node, self.probe_samples);
        weights.expect("samples and positions that are there")
    }

    /// Whether the update moves a parameter.
    fn is_learned(&self, parameter: usize) -> bool {
        self.own.contains(&parameter) && self.graph().parameters()[parameter].trainable
    }

    /// Those of all parameters that the update moves.
    fn learned(&self, all: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let learned = (0..all.len()).filter(|&index| self.is_learned(index));
        learned.map(|index| all[index].clone()).collect()
    }

    fn is_frozen(&self, parameter: usize) -> bool {
        self.graph().parameters()[parameter].frozen
    }

    /// No gradients of frozen parameters are computed, so that they do not count where gradients are clipped together.
    fn stop_frozen(&self, gradients: &mut [Vec<f64>]) {
        let count = self.graph().parameters().len();
        let learned = (0..count).filter(|&index| self.is_learned(index));
        for (index, gradient) in learned.zip(gradients) {
            if self.is_frozen(index) {
                gradient.fill(0.0);
            }
        }
    }

    /// The update of all parameters and of the state; returns the parameters before their bound.
    fn update(
        &mut self,
        steps: &[PassStep<'_>],
        gradients: &mut [Vec<f64>],
        is_updated: bool,
    ) -> Vec<Vec<f64>> {
        let mut weights = self.learned(&self.parameters);
        if is_updated {
            self.rule
                .reference_step(&mut weights, gradients, &mut self.moments, self.updates);
            self.updates += 1;
        }
        let mut weights = weights.into_iter();
        let left = &steps.last().expect("a pass").computed.parameters;
        for (index, left) in left.iter().enumerate() {
            let updated = self
                .is_learned(index)
                .then(|| weights.next().expect("one for each"));
            match updated {
                Some(_) if self.is_frozen(index) => {}
                Some(weights) => self.parameters[index] = weights,
                None => self.parameters[index].clone_from(left),
            }
        }
        let updated = self.parameters.clone();
        if let (Some(bound), true) = (self.weight_clip, is_updated) {
            for index in 0..self.parameters.len() {
                if self.is_learned(index) && !self.is_frozen(index) {
                    let values = self.parameters[index].iter_mut();
                    values.for_each(|value| *value = value.clamp(-bound, bound));
                }
            }
        }
        self.step += 1;
        updated
    }

    /// Tells `arrived` for each unit that enters the layer what running statistics and all that changed in it did to the
    /// unit's mean, and returns how that depends on the row and on each element of the input.
    fn probe_step(
        &self,
        cut: &Cut,
        unit: usize,
        row: &Row,
        [before, after]: [&[Vec<f64>]; 2],
        mut arrived: impl FnMut(usize, f64, f64),
    ) -> (Vec<f64>, Vec<f64>) {
        let graph = self.graph();
        let input =
            |parameters: &[Vec<f64>]| self.probe_values(parameters).swap_remove(cut.input.index());
        let [start, end] = [input(before), input(after)];
        let [later, earlier] = [
            input(&mixed(graph, before, after)),
            input(&mixed(graph, after, before)),
        ];
        let node = graph.node(cut.layer);
        let layer = PlainLayer::new(graph, node);
        let [at_start, at_end] = [before, after].map(|parameters| layer.weights(parameters));
        let [weight, bias] = [0, 1].map(|which| middle(&at_start[which], &at_end[which]));
        let [units, places] = units_of(node);
        let weights = self.weights(node);
        let only = (0..self.probe_samples * units * places).map(|at| {
            if at / places % units == unit {
                weights[at / (units * places) * places + at % places]
            } else {
                0.0
            }
        });
        let only: Vec<f64> = only.collect();
        let input = middle(&start, &end);
        let gradients = layer.backward(self.probe_samples, [&weight, &bias], &input, &only);
        let [units, places] = units_of(graph.node(cut.input));
        for (at, multiplier) in gradients.inputs[0].iter().enumerate() {
            let state = 0.5 * (later[at] - start[at] + end[at] - earlier[at]);
            arrived(
                at / places % units,
                multiplier * state,
                multiplier * (end[at] - start[at]),
            );
        }
        let [weight, bias] = [&gradients.parameters[0], &gradients.parameters[1]];
        let multipliers = gradients.inputs.into_iter().next().unwrap_or_default();
        (row.within(weight, bias), multipliers)
    }
}

/// Learned parameters of one moment with the state of another.
pub(super) fn mixed(graph: &Graph, learned: &[Vec<f64>], state: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = graph.parameters().iter().zip(learned.iter().zip(state));
    let chosen = pairs.map(
        |(parameter, (learned, state))| {
            if parameter.trainable { learned } else { state }
        },
    );
    chosen.cloned().collect()
}

/// The mean of two tensors, element by element.
pub(super) fn middle(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect()
}

/// Puts values where they belong.
fn put(all: &mut [Vec<f64>], values: &[(usize, Vec<f64>)]) {
    for (index, values) in values {
        all[*index].clone_from(values);
    }
}

/// The gradients of all passes of a step.
fn sums_of_gradients(steps: &[PassStep<'_>]) -> Vec<Vec<f64>> {
    let mut sums = steps[0].computed.parameter_gradients.clone();
    for step in &steps[1..] {
        for (sum, gradient) in sums.iter_mut().zip(&step.computed.parameter_gradients) {
            let pairs = sum.iter_mut().zip(gradient);
            pairs.for_each(|(sum, gradient)| *sum += gradient);
        }
    }
    sums
}
