//! The decomposition in float64 on the CPU: what the kernels are held against. Slow, plain, and only for tests.
//!
//! It goes another way than the kernels do: every source of the gradient has an accumulator of its own, carried forward through
//! the optimizer, and every unit behind the layer sends its gradient backward on its own.

use super::cut::{Cut, sources, units_of};
use super::{Contribution, Credit, CreditMaps, OtherCredit};
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
}

/// A source of the gradient, and what is left of its gradients in the numerator of the next update.
struct Sender {
    layer: String,
    unit: usize,
    numerator: Vec<f64>,
    credit: f64,
}

/// Where a row lies within the weight and the bias of its layer.
struct Row {
    weights: Vec<usize>,
    unit: usize,
}

impl ReferenceTraining<'_> {
    fn reference<'r>(
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
    fn probe_values(&self, parameters: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let reference = self.reference(Mode::Eval, self.probe_samples, parameters);
        reference.forward(&self.probe).values
    }

    /// Trains on `batches`, one a step, and decomposes the change of a unit.
    pub fn credit(&mut self, layer: &str, unit: usize, batches: &[Vec<Vec<f64>>]) -> Credit {
        let graph = self.pass.graph;
        let id = graph.find(layer).expect("a layer of that name");
        let cut = Cut::new(&self.pass, id);
        let row = Row::new(graph, id, unit);
        let (weight, bias) = (graph.node(id).parameters[0], graph.node(id).parameters[1]);
        let from = self.step;
        let mut other = OtherCredit::default();
        let mut memory = self.carried(&row, [weight, bias]);
        let mut decay = vec![0.0; memory.len()];
        let mut senders = self.senders(&cut, memory.len());
        let mut by_input = vec![0.0; units_of(graph.node(cut.input))[0]];
        let first = self.unit_mean(id, unit);
        for inputs in batches {
            let before = self.parameters.clone();
            let reference = self.reference(Mode::Train, self.batch, &before);
            let step = reference.step(self.pass.loss, inputs);
            let shares = self.shares(&cut, &row, &step);
            let mut gradients = trainable(graph, &step.parameter_gradients);
            let unclipped = row.of([weight, bias], &step.parameter_gradients);
            self.update(&step, &mut gradients);
            let clipped = row.of_trainable(graph, [weight, bias], &gradients);
            let start = row.of([weight, bias], &before);
            // The counter has moved on already.
            let update = self.numerators(&row, [weight, bias], self.step - 1);
            let sensitivity = self.probe_step(
                &cut,
                unit,
                &row,
                [&before, &self.parameters.clone()],
                |place, state, all| {
                    by_input[place] += all - state;
                    other.normalization += state;
                },
            );
            let NumeratorRule {
                beta,
                gain,
                rate,
                coupled,
                decoupled,
            } = update;
            for r in 0..start.len() {
                let kept = if unclipped[r] == 0.0 {
                    1.0
                } else {
                    clipped[r] / unclipped[r]
                };
                let push = sensitivity[r] * rate[r];
                memory[r] *= beta;
                other.memory += push * memory[r];
                decay[r] = beta * decay[r] + gain[r] * coupled * start[r];
                other.weight_decay += push * decay[r] - sensitivity[r] * decoupled * start[r];
                for (sender, share) in senders.iter_mut().zip(&shares) {
                    sender.numerator[r] = beta * sender.numerator[r] + gain[r] * kept * share[r];
                    sender.credit += push * sender.numerator[r];
                }
            }
        }
        let sources = sources(graph, cut.input);
        let mut predecessors = std::collections::BTreeMap::new();
        for (source, credit) in sources.iter().zip(by_input) {
            *predecessors.entry(source.clone()).or_insert(0.0) += credit;
        }
        let predecessors = predecessors
            .into_iter()
            .map(|(source, credit)| Contribution {
                layer: graph.nodes()[source.node].name.clone(),
                unit: source.unit,
                credit,
            });
        let successors = senders.into_iter().map(|sender| Contribution {
            layer: sender.layer,
            unit: sender.unit,
            credit: sender.credit,
        });
        Credit {
            layer: layer.to_owned(),
            unit,
            from: from.into(),
            to: self.step.into(),
            change: self.unit_mean(id, unit) - first,
            explained: 0.0,
            residual: 0.0,
            cancellation: 0.0,
            predecessors: predecessors.collect(),
            successors: successors.collect(),
            other,
            first_nonfinite: None,
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
        let [units, places] = units_of(self.pass.graph.node(id));
        let values = &self.probe_values(&self.parameters)[id.index()];
        let of_unit = values.chunks(places).enumerate();
        let of_unit = of_unit.filter(|(plane, _)| plane % units == unit);
        let sum: f64 = of_unit.flat_map(|(_, plane)| plane).sum();
        sum / (self.probe_samples * places) as f64
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
    fn carried(&self, row: &Row, parameters: [usize; 2]) -> Vec<f64> {
        let index = match self.rule.optimizer {
            Optimizer::Sgd(_) | Optimizer::Adam(_) | Optimizer::AdamW(_) => Some(0),
            Optimizer::RmsProp(rmsprop) if rmsprop.momentum > 0.0 => {
                Some(1 + usize::from(rmsprop.centered))
            }
            Optimizer::RmsProp(_) => None,
        };
        self.moment(row, parameters, index)
    }

    fn moment(&self, row: &Row, parameters: [usize; 2], index: Option<usize>) -> Vec<f64> {
        let graph = self.pass.graph;
        let [weight, bias] = parameters.map(|parameter| place_among_trainable(graph, parameter));
        let [weight, bias] = [weight, bias].map(|place| &self.moments[place]);
        let of = |moments: &[Vec<f64>], at: usize| index.map_or(0.0, |index| moments[index][at]);
        let weights = row.weights.iter().map(|&at| of(weight, at));
        weights.chain([of(bias, row.unit)]).collect()
    }

    /// How the update of step `step`, which has run, made weights of numerators.
    fn numerators(&self, row: &Row, parameters: [usize; 2], step: u32) -> NumeratorRule {
        let share = self.rule.schedule.share(step);
        let count = row.weights.len() + 1;
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
                let squares = self.moment(row, parameters, Some(1));
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
                let squares = self.moment(row, parameters, Some(0));
                let means = self.moment(row, parameters, rmsprop.centered.then_some(1));
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
    /// unit's mean, and returns how that depends on the row.
    fn probe_step(
        &self,
        cut: &Cut,
        unit: usize,
        row: &Row,
        [before, after]: [&[Vec<f64>]; 2],
        mut arrived: impl FnMut(usize, f64, f64),
    ) -> Vec<f64> {
        let graph = self.pass.graph;
        let mix = |learned: &[Vec<f64>], state: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let pairs = graph.parameters().iter().zip(learned.iter().zip(state));
            pairs
                .map(
                    |(parameter, (learned, state))| {
                        if parameter.trainable { learned } else { state }
                    },
                )
                .cloned()
                .collect()
        };
        let input =
            |parameters: &[Vec<f64>]| self.probe_values(parameters).swap_remove(cut.input.index());
        let [start, end] = [input(before), input(after)];
        let [later, earlier] = [input(&mix(before, after)), input(&mix(after, before))];
        let middle = |a: &[f64], b: &[f64]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| 0.5 * (a + b))
                .collect::<Vec<f64>>()
        };
        let node = graph.node(cut.layer);
        let parameters = node.parameters.iter();
        let parameters: Vec<Vec<f64>> =
            parameters.map(|&p| middle(&before[p], &after[p])).collect();
        let [units, places] = units_of(node);
        let mean = (self.probe_samples * places) as f64;
        let only = (0..self.probe_samples * units * places).map(|at| {
            if at / places % units == unit {
                1.0 / mean
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
        let weights = row.weights.iter().map(|&at| gradients.parameters[0][at]);
        weights.chain([gradients.parameters[1][row.unit]]).collect()
    }
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
    fn new(graph: &Graph, id: NodeId, unit: usize) -> Self {
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
        Self { weights, unit }
    }

    fn of(&self, [weight, bias]: [usize; 2], all: &[Vec<f64>]) -> Vec<f64> {
        let weights = self.weights.iter().map(|&at| all[weight][at]);
        weights.chain([all[bias][self.unit]]).collect()
    }

    fn of_trainable(&self, graph: &Graph, parameters: [usize; 2], all: &[Vec<f64>]) -> Vec<f64> {
        self.of(
            parameters.map(|parameter| place_among_trainable(graph, parameter)),
            all,
        )
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
            return vec![0.0; row.weights.len() + 1];
        };
        let [units, places] = units_of(graph.node(cut.layer));
        for (at, value) in upstream.iter_mut().enumerate() {
            if at / places % units != row.unit {
                *value = 0.0;
            }
        }
        let of_row = self.backward(cut.layer, &upstream).parameters;
        let weights = row.weights.iter().map(|&at| of_row[0][at]);
        weights.chain([of_row[1][row.unit]]).collect()
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

fn backward(
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
