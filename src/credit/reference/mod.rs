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

use self::account::{Account, MovedWeights};
use self::hops::HopAccount;
use self::layer::PlainLayer;
use self::row::Row;
use super::cut::{Cut, Stretch, sources, units_of};
use super::{Chosen, Contribution, Credit, CreditMaps};
use crate::nn::reference::{Reference, ReferenceStep};
use crate::nn::{BackwardRule, Graph, Mode, Node, NodeId, Pass, UpdateRule};

/// A training of one graph, in float64.
#[derive(Debug)]
pub struct ReferenceTraining<'a> {
    /// The pass that is trained.
    pub pass: Pass<'a>,
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

impl ReferenceTraining<'_> {
    pub(super) fn reference<'r>(
        &'r self,
        mode: Mode,
        batch: usize,
        parameters: &'r [Vec<f64>],
    ) -> Reference<'r> {
        Reference {
            graph: self.pass.graph,
            batch,
            mode,
            parameters,
            noise: (self.seed, self.step),
            rule: BackwardRule::Gradient,
        }
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
        batches: &[Vec<Vec<f64>>],
    ) -> Credit {
        let graph = self.pass.graph;
        let id = graph.find(layer).expect("a layer of that name");
        let from = self.step;
        let mut account = Account::new(self, id, Row::of_unit(graph, id, unit));
        let stretches = Stretch::of_hops(graph, id, hops.saturating_sub(1));
        let mut further: Vec<HopAccount> = stretches
            .iter()
            .map(|stretch| HopAccount::new(self, stretch))
            .collect();
        let mut by_input = vec![0.0; units_of(graph.node(account.cut.input))[0]];
        let first = self.unit_mean(id, unit);
        for inputs in batches {
            let before = self.parameters.clone();
            let reference = self.reference(Mode::Train, self.batch, &before);
            let step = reference.step(self.pass.loss, inputs);
            let mut gradients = trainable(graph, &step.parameter_gradients);
            let of_layers = further.iter_mut().flat_map(|hop| &mut hop.accounts);
            for account in std::iter::once(&mut account).chain(of_layers) {
                account.shares = self.shares(&account.cut, &account.row, &step);
                account.projected = self.projected(&account.row, &step);
            }
            self.update(&step, &mut gradients);
            let moved = MovedWeights {
                before: &before,
                unclipped: &step.parameter_gradients,
                clipped: &gradients,
            };
            let ends = [&before[..], &self.parameters.clone()[..]];
            let mut normalization = 0.0;
            let (mut sensitivity, multipliers) = self.probe_step(
                &account.cut,
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
            self.add_hops(&mut further, (account.cut.input, multipliers), ends, &moved);
        }
        let predecessors = named_sources(graph, account.cut.input, by_input);
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
        let node = self.pass.graph.node(id);
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

    /// The update of all parameters and of the state.
    fn update(&mut self, step: &ReferenceStep, gradients: &mut [Vec<f64>]) {
        let graph = self.pass.graph;
        let mut weights = trainable(graph, &self.parameters);
        self.rule
            .reference_step(&mut weights, gradients, &mut self.moments, self.step);
        let mut weights = weights.into_iter();
        for (index, parameter) in graph.parameters().iter().enumerate() {
            self.parameters[index] = if parameter.trainable {
                weights.next().expect("one for each")
            } else {
                step.parameters[index].clone()
            };
        }
        self.step += 1;
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
        let graph = self.pass.graph;
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

fn trainable(graph: &Graph, all: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let parameters = graph.parameters().iter().zip(all);
    let trainable = parameters.filter(|(parameter, _)| parameter.trainable);
    trainable.map(|(_, values)| values.clone()).collect()
}
