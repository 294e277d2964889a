//! Further hops in float64, for the reference.

use std::collections::BTreeMap;

use super::account::{Account, MovedWeights};
use super::layer::PlainLayer;
use super::row::Row;
use super::{ReferenceTraining, middle, mixed, named_sources};
use crate::credit::cut::{Stretch, units_of};
use crate::credit::{Contribution, Hop, OtherCredit, Through};
use crate::nn::reference::Reference;
use crate::nn::{BackwardRule, Graph, Mode, NodeId};

/// A hop, added up over steps.
#[derive(Debug)]
pub(super) struct HopAccount {
    stretch: Stretch,
    /// Of each layer, in order of the graph.
    pub accounts: Vec<Account>,
    of_layers: Vec<OfLayer>,
    explains: f64,
    other: OtherCredit,
}

#[derive(Debug)]
struct OfLayer {
    by_input: Vec<f64>,
    through: Vec<f64>,
    by_weights: Vec<f64>,
}

/// The probe batch at both ends of a step: all values at the end, then all at the start.
struct BothEnds<'a> {
    training: &'a ReferenceTraining<'a>,
    /// Parameters before the step and after it.
    ends: [&'a [Vec<f64>]; 2],
    values: Vec<Vec<f64>>,
}

impl HopAccount {
    pub fn new(training: &ReferenceTraining<'_>, stretch: &Stretch) -> Self {
        let graph = training.graph();
        let layers = || stretch.layers.iter().rev();
        let of_layer = |&id: &NodeId| {
            let node = graph.node(id);
            let [units, inputs] = [node, graph.node(node.inputs[0])].map(|node| units_of(node)[0]);
            OfLayer {
                by_input: vec![0.0; inputs],
                through: vec![0.0; units],
                by_weights: vec![0.0; units],
            }
        };
        let account = |&id: &NodeId| Account::new(training, id, Row::whole(graph, id));
        Self {
            accounts: layers().map(account).collect(),
            of_layers: layers().map(of_layer).collect(),
            stretch: stretch.clone(),
            explains: 0.0,
            other: OtherCredit::default(),
        }
    }

    pub fn finish(self, graph: &Graph, hop: usize) -> Hop {
        let mut other = self.other;
        let mut predecessors: BTreeMap<(usize, usize), Contribution> = BTreeMap::new();
        let mut successors: Vec<Contribution> = Vec::new();
        let mut through = Vec::new();
        let mut layers = Vec::new();
        for (account, of_layer) in self.accounts.into_iter().zip(self.of_layers) {
            other.memory += account.other.memory;
            other.clipping += account.other.clipping;
            other.weight_decay += account.other.weight_decay;
            other.normalization += account.other.normalization;
            let node = graph.node(account.cut().layer);
            layers.push(node.name.clone());
            let units = of_layer
                .through
                .iter()
                .zip(&of_layer.by_weights)
                .enumerate();
            through.extend(units.map(|(unit, (through, by_weights))| Through {
                layer: node.name.clone(),
                unit,
                by_weights: *by_weights,
                by_input: through - by_weights,
            }));
            for part in named_sources(graph, account.cut().input, of_layer.by_input) {
                let place = graph
                    .find(&part.layer)
                    .expect("a node of the graph")
                    .index();
                let known = predecessors.entry((place, part.unit));
                let credit = part.credit;
                known
                    .and_modify(|known| known.credit += credit)
                    .or_insert(part);
            }
            for part in account.successors() {
                let mut known = successors.iter_mut();
                match known.find(|known| (&known.layer, known.unit) == (&part.layer, part.unit)) {
                    Some(known) => known.credit += part.credit,
                    None => successors.push(part),
                }
            }
        }
        Hop {
            hop,
            layers,
            explains: self.explains,
            explained: 0.0,
            residual: 0.0,
            cancellation: 0.0,
            predecessors: predecessors.into_values().collect(),
            successors,
            other,
            through,
        }
        .summed()
    }
}

impl ReferenceTraining<'_> {
    /// Adds what a step did through each hop, back from the multipliers at a tensor.
    pub(super) fn add_hops(
        &self,
        hops: &mut [HopAccount],
        (tensor, multipliers): (NodeId, Vec<f64>),
        ends: [&[Vec<f64>]; 2],
        moved: &MovedWeights<'_>,
    ) {
        let graph = self.graph();
        let both = BothEnds::new(self, ends);
        let mut at = BTreeMap::from([(tensor, multipliers.repeat(2))]);
        for hop in hops {
            hop.explains += at
                .iter()
                .map(|(&id, multipliers)| both.credit(id, multipliers).iter().sum::<f64>())
                .sum::<f64>();
            for &id in &hop.stretch.between {
                let multipliers = at.remove(&id).expect("all of them are reached");
                let [learned, state] = both.own(id, &multipliers);
                hop.other.other_parameters += learned;
                hop.other.normalization += state;
                both.send(id, &multipliers, &mut at);
            }
            let mut before = BTreeMap::new();
            for (account, found) in hop.accounts.iter_mut().zip(&mut hop.of_layers) {
                let id = account.cut().layer;
                let multipliers = &at[&id];
                add_all(&mut found.through, both.credit(id, multipliers));
                let own = both.difference(id, multipliers, both.ends);
                add_all(&mut found.by_weights, own);
                let mut sensitivity = both.row_sensitivity(id, multipliers, &account.row);
                let own = PlainLayer::new(graph, graph.node(id));
                hop.other.normalization += own.to_parameters(&account.row, ends, &mut sensitivity);
                account.add(self, moved, &sensitivity);
                let mut sent = BTreeMap::new();
                both.send(id, multipliers, &mut sent);
                let input = graph.node(id).inputs[0];
                let multipliers = &sent[&input];
                let state = both.state_before(input, multipliers);
                hop.other.normalization += state.iter().sum::<f64>();
                let all = both.credit(input, multipliers);
                let learned = all.iter().zip(&state).map(|(all, state)| all - state);
                add_all(&mut found.by_input, learned.collect());
                let sum = before
                    .entry(input)
                    .or_insert_with(|| vec![0.0; multipliers.len()]);
                add_all(sum, multipliers.clone());
            }
            at = before;
        }
    }
}

impl<'a> BothEnds<'a> {
    fn new(training: &'a ReferenceTraining<'a>, ends: [&'a [Vec<f64>]; 2]) -> Self {
        let [start, end] = ends.map(|parameters| training.probe_values(parameters));
        let values = end.into_iter().zip(start);
        Self {
            training,
            ends,
            values: values.map(|(end, start)| [end, start].concat()).collect(),
        }
    }

    fn reference(&self, parameters: &'a [Vec<f64>]) -> Reference<'a> {
        let batch = 2 * self.training.probe_samples;
        Reference {
            rule: BackwardRule::Rescale,
            ..self.training.reference(Mode::Eval, batch, parameters)
        }
    }

    /// For each unit, the sum of multipliers times values, which have one of each for both ends.
    fn by_unit(&self, id: NodeId, multipliers: &[f64], values: &[f64]) -> Vec<f64> {
        let [units, places] = units_of(self.training.graph().node(id));
        let mut sums = vec![0.0; units];
        for (at, (multiplier, value)) in multipliers.iter().zip(values).enumerate() {
            sums[at / places % units] += multiplier * value;
        }
        sums
    }

    /// For each unit, what its change did.
    fn credit(&self, id: NodeId, multipliers: &[f64]) -> Vec<f64> {
        let values = &self.values[id.index()];
        let (end, start) = values.split_at(values.len() / 2);
        let change: Vec<f64> = end
            .iter()
            .zip(start)
            .map(|(end, start)| end - start)
            .collect();
        self.by_unit(id, multipliers, &change)
    }

    /// For each unit, what the parameters of the second moment make of the same inputs and those of the first do not: the
    /// mean of both ends of the inputs.
    fn difference(
        &self,
        id: NodeId,
        multipliers: &[f64],
        [first, second]: [&[Vec<f64>]; 2],
    ) -> Vec<f64> {
        let of = |parameters| {
            let training = self.training;
            let batch = 2 * training.probe_samples;
            let reference = training.reference(Mode::Eval, batch, parameters);
            reference.operation_forward(id.index(), &self.values)
        };
        let pairs = of(second).into_iter().zip(of(first));
        let halves: Vec<f64> = pairs
            .map(|(second, first)| 0.5 * (second - first))
            .collect();
        self.by_unit(id, multipliers, &halves)
    }

    /// What an operation did by what it learned, and by its state.
    fn own(&self, id: NodeId, multipliers: &[f64]) -> [f64; 2] {
        let graph = self.training.graph();
        let [start, end] = self.ends;
        let [later, earlier] = [mixed(graph, start, end), mixed(graph, end, start)];
        let difference = |from, to| {
            let by_unit = self.difference(id, multipliers, [from, to]);
            0.5 * by_unit.iter().sum::<f64>()
        };
        [
            difference(&later, end) + difference(start, &earlier),
            difference(&earlier, end) + difference(start, &later),
        ]
    }

    /// For each unit of a tensor, what the state of the operations before did.
    fn state_before(&self, id: NodeId, multipliers: &[f64]) -> Vec<f64> {
        let graph = self.training.graph();
        let [start, end] = self.ends;
        let of = |learned, state| {
            let values = self.training.probe_values(&mixed(graph, learned, state));
            values[id.index()].clone()
        };
        let later = of(start, end);
        let earlier = of(end, start);
        let values = &self.values[id.index()];
        let (now, before) = values.split_at(values.len() / 2);
        let moved = (0..now.len()).map(|i| 0.5 * (later[i] - before[i] + now[i] - earlier[i]));
        self.by_unit(id, multipliers, &moved.collect::<Vec<f64>>())
    }

    /// Adds the multipliers that a node sends to its inputs.
    fn send(&self, id: NodeId, multipliers: &[f64], at: &mut BTreeMap<NodeId, Vec<f64>>) {
        let graph = self.training.graph();
        let node = graph.node(id);
        let operation = node.operation.as_deref().expect("data are not on the way");
        let of = |parameters| {
            let reference = self.reference(parameters);
            let index = id.index();
            reference
                .operation_backward(index, operation, &self.values, multipliers)
                .inputs
        };
        let [start, end] = self.ends.map(of);
        for (place, (&input, (start, end))) in
            node.inputs.iter().zip(start.iter().zip(&end)).enumerate()
        {
            if operation.differentiable(place) {
                let sent = middle(start, end);
                let sum = at.entry(input).or_insert_with(|| vec![0.0; sent.len()]);
                add_all(sum, sent);
            }
        }
    }

    /// How the unit depends on the weights of a layer, at its input halfway through the step.
    fn row_sensitivity(&self, id: NodeId, multipliers: &[f64], row: &Row) -> Vec<f64> {
        let graph = self.training.graph();
        let node = graph.node(id);
        let input = &self.values[node.inputs[0].index()];
        let (end, start) = input.split_at(input.len() / 2);
        let layer = PlainLayer::new(graph, node);
        let weights = [0, 1].map(|which| &self.ends[0][node.parameters[which]][..]);
        let samples = self.training.probe_samples;
        let multipliers = &multipliers[..multipliers.len() / 2];
        let gradients = layer.backward(samples, weights, &middle(start, end), multipliers);
        row.within(&gradients.parameters[0], &gradients.parameters[1])
    }
}

fn add_all(sums: &mut [f64], values: Vec<f64>) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += value);
}
