//! The decomposition in float64 on the CPU: what the kernels are held against. Slow, plain, and only for tests.
//!
//! It goes another way than the kernels do: every source of the gradient has an accumulator of its own, carried forward through
//! the optimizer, and every unit behind the layer sends its gradient backward on its own.

use std::collections::BTreeMap;

use super::cut::{Cut, Stretch, sources, units_of};
use super::reference_hops::HopAccount;
use super::{Chosen, Contribution, Credit, CreditMaps, OtherCredit};
use crate::nn::reference::{Reference, ReferenceStep};
use crate::nn::{
    BackwardRule, Graph, Mode, Node, NodeId, Optimizer, Pass, ReferenceBackward, ReferenceForward,
    ReferenceGradients, UpdateRule,
};

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

/// A source of the gradient, and what is left of its gradients in the numerator of the next update.
#[derive(Debug)]
struct Sender {
    layer: String,
    unit: usize,
    numerator: Vec<f64>,
    credit: f64,
}

/// Where rows of weights lie within the weight and the bias of their layer.
#[derive(Debug)]
pub(super) struct Row {
    pub layer: NodeId,
    weights: Vec<usize>,
    units: Vec<usize>,
}

/// What the sources of the gradient did with rows of weights.
#[derive(Debug)]
pub(super) struct Account {
    pub cut: Cut,
    pub row: Row,
    memory: Vec<f64>,
    decay: Vec<f64>,
    senders: Vec<Sender>,
    /// What each sender sent in the step that is looked at.
    shares: Vec<Vec<f64>>,
    pub other: OtherCredit,
}

/// How a step moved the weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct MovedWeights<'a> {
    before: &'a [Vec<f64>],
    /// Gradients of all parameters.
    unclipped: &'a [Vec<f64>],
    /// Gradients of what is trainable.
    clipped: &'a [Vec<f64>],
}

impl Account {
    /// The account of rows of the layer `id`, at the start of the range.
    pub fn new(training: &ReferenceTraining<'_>, id: NodeId, row: Row) -> Self {
        let cut = Cut::new(&training.pass, id);
        let memory = training.carried(&row);
        Self {
            decay: vec![0.0; memory.len()],
            senders: training.senders(&cut, memory.len()),
            shares: Vec::new(),
            other: OtherCredit::default(),
            cut,
            row,
            memory,
        }
    }

    /// Adds what the update of a step did, where the unit depends on the rows by `sensitivity`.
    pub fn add(
        &mut self,
        training: &ReferenceTraining<'_>,
        moved: &MovedWeights<'_>,
        sensitivity: &[f64],
    ) {
        let graph = training.pass.graph;
        let unclipped = self.row.of(graph, moved.unclipped);
        let clipped = self.row.of_trainable(graph, moved.clipped);
        let start = self.row.of(graph, moved.before);
        // The counter has moved on already.
        let NumeratorRule {
            beta,
            gain,
            rate,
            coupled,
            decoupled,
        } = training.numerators(&self.row, training.step - 1);
        for r in 0..start.len() {
            let kept = if unclipped[r] == 0.0 {
                1.0
            } else {
                clipped[r] / unclipped[r]
            };
            let push = sensitivity[r] * rate[r];
            self.memory[r] *= beta;
            self.other.memory += push * self.memory[r];
            self.decay[r] = beta * self.decay[r] + gain[r] * coupled * start[r];
            self.other.weight_decay += push * self.decay[r] - sensitivity[r] * decoupled * start[r];
            for (sender, share) in self.senders.iter_mut().zip(&self.shares) {
                sender.numerator[r] = beta * sender.numerator[r] + gain[r] * kept * share[r];
                sender.credit += push * sender.numerator[r];
            }
        }
    }

    /// What the senders did.
    pub fn successors(self) -> Vec<Contribution> {
        let senders = self.senders.into_iter().map(|sender| Contribution {
            layer: sender.layer,
            unit: sender.unit,
            credit: sender.credit,
        });
        senders.collect()
    }
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
            }
            self.update(&step, &mut gradients);
            let moved = MovedWeights {
                before: &before,
                unclipped: &step.parameter_gradients,
                clipped: &gradients,
            };
            let ends = [&before[..], &self.parameters.clone()[..]];
            let mut normalization = 0.0;
            let (sensitivity, multipliers) = self.probe_step(
                &account.cut,
                unit,
                &account.row,
                ends,
                |place, state, all| {
                    by_input[place] += all - state;
                    normalization += state;
                },
            );
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

    fn senders(&self, cut: &Cut, len: usize) -> Vec<Sender> {
        let graph = self.pass.graph;
        let of_layers = cut.successors.iter().flat_map(|&id| {
            let units = 0..units_of(graph.node(id))[0];
            units.map(move |unit| (graph.node(id).name.clone(), unit))
        });
        let of_loss = (!cut.losses.is_empty()).then(|| ("loss".to_owned(), 0));
        let named = of_layers.chain(of_loss);
        named
            .map(|(layer, unit)| Sender {
                layer,
                unit,
                numerator: vec![0.0; len],
                credit: 0.0,
            })
            .collect()
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

    /// For each sender the gradient of the row that it sent.
    fn shares(&self, cut: &Cut, row: &Row, step: &ReferenceStep) -> Vec<Vec<f64>> {
        let graph = self.pass.graph;
        // The state at the start of the step is that with which its forward pass began.
        let walk = Walk {
            training: self,
            values: &step.values,
        };
        let mut shares = Vec::new();
        for &id in &cut.successors {
            let [units, places] = units_of(graph.node(id));
            let gradient = step.gradients[id.index()]
                .as_ref()
                .expect("it reaches the loss");
            for unit in 0..units {
                let only = gradient.iter().enumerate().map(|(at, &value)| {
                    if at / places % units == unit {
                        value
                    } else {
                        0.0
                    }
                });
                shares.push(walk.row_gradient(cut, row, &[(id, only.collect())]));
            }
        }
        if !cut.losses.is_empty() {
            let starts = cut
                .losses
                .iter()
                .map(|&(id, weight)| (id, vec![f64::from(weight) / self.batch as f64; self.batch]));
            shares.push(walk.row_gradient(cut, row, &starts.collect::<Vec<_>>()));
        }
        shares
    }

    /// What the optimizer carries in from before.
    fn carried(&self, row: &Row) -> Vec<f64> {
        let index = match self.rule.optimizer {
            Optimizer::Sgd(_) | Optimizer::Adam(_) | Optimizer::AdamW(_) => Some(0),
            Optimizer::RmsProp(rmsprop) if rmsprop.momentum > 0.0 => {
                Some(1 + usize::from(rmsprop.centered))
            }
            Optimizer::RmsProp(_) => None,
        };
        self.moment(row, index)
    }

    fn moment(&self, row: &Row, index: Option<usize>) -> Vec<f64> {
        let graph = self.pass.graph;
        let [weight, bias] = row
            .parameters(graph)
            .map(|parameter| place_among_trainable(graph, parameter));
        let [weight, bias] = [weight, bias].map(|place| &self.moments[place]);
        let of = |moments: &[Vec<f64>], at: usize| index.map_or(0.0, |index| moments[index][at]);
        let weights = row.weights.iter().map(|&at| of(weight, at));
        let biases = row.units.iter().map(|&unit| of(bias, unit));
        weights.chain(biases).collect()
    }

    /// How the update of step `step`, which has run, made weights of numerators.
    fn numerators(&self, row: &Row, step: u32) -> NumeratorRule {
        let share = self.rule.schedule.share(step);
        let count = row.len();
        let t = f64::from(step) + 1.0;
        match self.rule.optimizer {
            Optimizer::Sgd(sgd) => NumeratorRule {
                beta: sgd.momentum,
                gain: vec![1.0; count],
                rate: vec![-sgd.lr * share; count],
                coupled: sgd.weight_decay,
                decoupled: 0.0,
            },
            Optimizer::Adam(adam) | Optimizer::AdamW(adam) => {
                let is_apart = matches!(self.rule.optimizer, Optimizer::AdamW(_));
                let decay = adam
                    .weight_decay
                    .unwrap_or(if is_apart { 0.01 } else { 0.0 });
                let squares = self.moment(row, Some(1));
                let rate = squares.iter().map(|square| {
                    let root = square.sqrt() / (1.0 - adam.beta2.powf(t)).sqrt();
                    -adam.lr * share / (1.0 - adam.beta1.powf(t)) / (root + adam.eps)
                });
                NumeratorRule {
                    beta: adam.beta1,
                    gain: vec![1.0 - adam.beta1; count],
                    rate: rate.collect(),
                    coupled: if is_apart { 0.0 } else { decay },
                    decoupled: if is_apart {
                        adam.lr * share * decay
                    } else {
                        0.0
                    },
                }
            }
            Optimizer::RmsProp(rmsprop) => {
                let squares = self.moment(row, Some(0));
                let means = self.moment(row, rmsprop.centered.then_some(1));
                let gain = squares.iter().zip(means).map(|(square, mean)| {
                    1.0 / ((square - mean * mean).max(0.0).sqrt() + rmsprop.eps)
                });
                NumeratorRule {
                    beta: rmsprop.momentum,
                    gain: gain.collect(),
                    rate: vec![-rmsprop.lr * share; count],
                    coupled: rmsprop.weight_decay,
                    decoupled: 0.0,
                }
            }
        }
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
        let parameters = node.parameters.iter();
        let parameters: Vec<Vec<f64>> =
            parameters.map(|&p| middle(&before[p], &after[p])).collect();
        let [units, places] = units_of(node);
        let weights = self.weights(node);
        let only = (0..self.probe_samples * units * places).map(|at| {
            if at / places % units == unit {
                weights[at / (units * places) * places + at % places]
            } else {
                0.0
            }
        });
        let gradients = backward(
            node,
            &ReferenceForward {
                batch: self.probe_samples,
                inputs: vec![&middle(&start, &end)],
                input_shapes: vec![&graph.node(cut.input).shape],
                parameters: parameters.iter().map(|values| &values[..]).collect(),
                output_shape: &node.shape,
                noise_key: (self.seed, 0, cut.layer.index()),
                mode: Mode::Eval,
            },
            &[],
            &only.collect::<Vec<_>>(),
        );
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

/// How numerators become weights.
struct NumeratorRule {
    beta: f64,
    gain: Vec<f64>,
    rate: Vec<f64>,
    coupled: f64,
    decoupled: f64,
}

impl Row {
    /// The row of one unit of the layer `id`.
    fn of_unit(graph: &Graph, id: NodeId, unit: usize) -> Self {
        let node = graph.node(id);
        let shape = &graph.parameters()[node.parameters[0]].shape;
        let is_transposed = node
            .operation
            .as_ref()
            .is_some_and(|o| o.kind() == "conv_transpose2d");
        let weights = if is_transposed {
            let area: usize = shape[2..].iter().product();
            let of_input = |input: usize| {
                ((input * shape[1] + unit) * area)..((input * shape[1] + unit + 1) * area)
            };
            (0..shape[0]).flat_map(of_input).collect()
        } else {
            let len: usize = shape[1..].iter().product();
            (unit * len..(unit + 1) * len).collect()
        };
        Self {
            layer: id,
            weights,
            units: vec![unit],
        }
    }

    /// All weights of the layer `id`.
    pub fn whole(graph: &Graph, id: NodeId) -> Self {
        let [weight, bias] = [0, 1].map(|which| {
            let index = graph.node(id).parameters[which];
            (0..graph.parameters()[index].size()).collect()
        });
        Self {
            layer: id,
            weights: weight,
            units: bias,
        }
    }

    fn len(&self) -> usize {
        self.weights.len() + self.units.len()
    }

    /// Weight and bias of the layer among all parameters.
    fn parameters(&self, graph: &Graph) -> [usize; 2] {
        let parameters = &graph.node(self.layer).parameters;
        [parameters[0], parameters[1]]
    }

    /// The rows of a weight and a bias.
    pub fn within(&self, weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let weights = self.weights.iter().map(|&at| weight[at]);
        let biases = self.units.iter().map(|&unit| bias[unit]);
        weights.chain(biases).collect()
    }

    fn of(&self, graph: &Graph, all: &[Vec<f64>]) -> Vec<f64> {
        let [weight, bias] = self.parameters(graph);
        self.within(&all[weight], &all[bias])
    }

    fn of_trainable(&self, graph: &Graph, all: &[Vec<f64>]) -> Vec<f64> {
        let of = |parameter| place_among_trainable(graph, parameter);
        let [weight, bias] = self.parameters(graph).map(of);
        self.within(&all[weight], &all[bias])
    }
}

/// A training pass that gradients go back through again.
struct Walk<'a> {
    training: &'a ReferenceTraining<'a>,
    values: &'a [Vec<f64>],
}

impl Walk<'_> {
    /// The gradient of the row from gradients of some nodes, without crossing another layer with weights.
    fn row_gradient(&self, cut: &Cut, row: &Row, starts: &[(NodeId, Vec<f64>)]) -> Vec<f64> {
        let graph = self.training.pass.graph;
        let mut gradients: Vec<Option<Vec<f64>>> = vec![None; graph.nodes().len()];
        for (id, start) in starts {
            gradients[id.index()] = Some(start.clone());
        }
        for id in graph.ids().collect::<Vec<_>>().into_iter().rev() {
            let is_start = starts.iter().any(|(start, _)| *start == id);
            if !is_start && !cut.between.contains(&id) {
                continue;
            }
            let Some(upstream) = gradients[id.index()].take() else {
                continue;
            };
            let arrived = self.backward(id, &upstream).inputs;
            for (input, arrived) in graph.node(id).inputs.iter().zip(arrived) {
                let sum = gradients[input.index()].get_or_insert_with(|| vec![0.0; arrived.len()]);
                sum.iter_mut()
                    .zip(arrived)
                    .for_each(|(sum, arrived)| *sum += arrived);
            }
        }
        let Some(mut upstream) = gradients[cut.layer.index()].take() else {
            return vec![0.0; row.len()];
        };
        let [units, places] = units_of(graph.node(cut.layer));
        for (at, value) in upstream.iter_mut().enumerate() {
            if !row.units.contains(&(at / places % units)) {
                *value = 0.0;
            }
        }
        let of_row = self.backward(cut.layer, &upstream).parameters;
        row.within(&of_row[0], &of_row[1])
    }

    fn backward(&self, id: NodeId, upstream: &[f64]) -> ReferenceGradients {
        let training = self.training;
        let graph = training.pass.graph;
        let node = graph.node(id);
        let inputs = node.inputs.iter();
        let io = ReferenceForward {
            batch: training.batch,
            inputs: inputs
                .clone()
                .map(|input| &self.values[input.index()][..])
                .collect(),
            input_shapes: inputs.map(|input| &graph.node(*input).shape[..]).collect(),
            parameters: node
                .parameters
                .iter()
                .map(|&p| &training.parameters[p][..])
                .collect(),
            output_shape: &node.shape,
            noise_key: (training.seed, training.step, id.index()),
            mode: Mode::Train,
        };
        backward(node, &io, &self.values[id.index()], upstream)
    }
}

pub(super) fn backward(
    node: &Node,
    forward: &ReferenceForward<'_>,
    output: &[f64],
    upstream: &[f64],
) -> ReferenceGradients {
    let reference = node
        .operation
        .as_ref()
        .and_then(|operation| operation.reference());
    reference
        .expect("an operation with a reference")
        .reference_backward(&ReferenceBackward {
            forward: ReferenceForward {
                inputs: forward.inputs.clone(),
                input_shapes: forward.input_shapes.clone(),
                parameters: forward.parameters.clone(),
                ..*forward
            },
            output,
            output_gradient: upstream,
            rule: BackwardRule::Gradient,
        })
}

fn trainable(graph: &Graph, all: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let parameters = graph.parameters().iter().zip(all);
    let trainable = parameters.filter(|(parameter, _)| parameter.trainable);
    trainable.map(|(_, values)| values.clone()).collect()
}

fn place_among_trainable(graph: &Graph, parameter: usize) -> usize {
    let before = graph.parameters()[..parameter].iter();
    before.filter(|parameter| parameter.trainable).count()
}
