//! What each unit behind a layer sends backward, on its own.

use super::PassStep;
use super::layer::PlainLayer;
use super::row::Row;
use crate::credit::cut::{Cut, units_of};
use crate::nn::{
    BackwardRule, Mode, NodeId, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
};

/// A training pass that gradients go back through again.
struct Walk<'a> {
    step: &'a PassStep<'a>,
    batch: usize,
}

impl Walk<'_> {
    /// The gradient of the row from gradients of some nodes, without crossing another layer with weights.
    fn row_gradient(&self, cut: &Cut, row: &Row, starts: &[(NodeId, Vec<f64>)]) -> Vec<f64> {
        let graph = self.step.pass.graph;
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
        let mut of_row = self.weight_gradients(cut.layer, &upstream).parameters;
        let layer = PlainLayer::new(graph, graph.node(cut.layer));
        if let Some(normed) = layer.normed(&self.step.parameters, true) {
            of_row[0]
                .iter_mut()
                .for_each(|gradient| *gradient /= normed.sigma);
        }
        row.within(&of_row[0], &of_row[1])
    }

    /// The gradients of a layer's weights as they are used.
    fn weight_gradients(&self, id: NodeId, upstream: &[f64]) -> ReferenceGradients {
        let graph = self.step.pass.graph;
        let node = graph.node(id);
        let layer = PlainLayer::new(graph, node);
        // They do not depend on the weights.
        let [weight, bias] = [0, 1].map(|which| &self.step.parameters[node.parameters[which]][..]);
        let input = &self.step.computed.values[node.inputs[0].index()];
        layer.backward(self.batch, [weight, bias], input, upstream)
    }

    fn backward(&self, id: NodeId, upstream: &[f64]) -> ReferenceGradients {
        let PassStep {
            pass,
            parameters,
            seed,
            number,
            computed,
        } = self.step;
        let graph = pass.graph;
        let node = graph.node(id);
        let operation = node
            .operation
            .as_ref()
            .expect("data are not behind a layer");
        let inputs = node.inputs.iter();
        let io = ReferenceForward {
            batch: self.batch,
            inputs: inputs
                .clone()
                .map(|input| &computed.values[input.index()][..])
                .collect(),
            input_shapes: inputs.map(|input| &graph.node(*input).shape[..]).collect(),
            parameters: node
                .parameters
                .iter()
                .map(|&p| &parameters[p][..])
                .collect(),
            output_shape: &node.shape,
            noise_key: (*seed, *number, id.index()),
            mode: Mode::Train,
        };
        backward(&**operation, &io, &computed.values[id.index()], upstream)
    }
}

/// What a step's passes are looked at with.
fn walks<'a>(steps: &'a [PassStep<'a>], batch: usize) -> impl Iterator<Item = Walk<'a>> {
    steps.iter().map(move |step| Walk { step, batch })
}

/// The gradient of the row that the singular value of a spectral norm sent, which depends on all weights of the layer.
pub(super) fn projected(cuts: &[Cut], row: &Row, steps: &[PassStep<'_>], batch: usize) -> Vec<f64> {
    let mut sums = vec![0.0; row.len()];
    for (walk, cut) in walks(steps, batch).zip(cuts) {
        let graph = walk.step.pass.graph;
        let layer = PlainLayer::new(graph, graph.node(cut.layer));
        let Some(normed) = layer.normed(&walk.step.parameters, true) else {
            continue;
        };
        let gradient = walk.step.computed.gradients[cut.layer.index()].as_ref();
        let gradients = walk.weight_gradients(cut.layer, gradient.expect("it is trained"));
        let pairs = gradients.parameters[0].iter().zip(&normed.scaled);
        let product: f64 = pairs.map(|(gradient, weight)| gradient * weight).sum();
        let columns = normed.v.len();
        for (sum, at) in sums.iter_mut().zip(&row.weights) {
            let outer = normed.u[at / columns] * normed.v[at % columns];
            *sum -= product * outer / normed.sigma;
        }
    }
    sums
}

/// For each sender the gradient of the row that it sent.
pub(super) fn shares(
    cuts: &[Cut],
    row: &Row,
    steps: &[PassStep<'_>],
    batch: usize,
) -> Vec<Vec<f64>> {
    let mut shares = Vec::new();
    for (walk, cut) in walks(steps, batch).zip(cuts) {
        let graph = walk.step.pass.graph;
        for &id in &cut.successors {
            let [units, places] = units_of(graph.node(id));
            let gradient = walk.step.computed.gradients[id.index()].as_ref();
            let gradient = gradient.expect("it reaches the loss");
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
                .map(|&(id, weight)| (id, vec![f64::from(weight) / batch as f64; batch]));
            shares.push(walk.row_gradient(cut, row, &starts.collect::<Vec<_>>()));
        }
    }
    shares
}

pub(super) fn backward(
    operation: &dyn Operation,
    forward: &ReferenceForward<'_>,
    output: &[f64],
    upstream: &[f64],
) -> ReferenceGradients {
    let reference = operation.reference();
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
