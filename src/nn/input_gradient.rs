//! The gradient of a node with respect to another as nodes of the same graph, so that it can be differentiated again.

use super::graph::{Graph, NodeId};
use super::operation::{InputGradient, Operation, Property, layer};
use super::ops::{Add, Constant};
use crate::{Error, Result};

/// Follows the name of a layer in those of the node and of the weight by which a gradient passes it.
pub(crate) const SUFFIX: &str = ".gradient";

impl Graph {
    /// Adds nodes that compute the gradient of `output`, one number per sample, with respect to `input`, and returns the
    /// gradient. A loss on it is minimized like any other: the second derivatives are exact.
    ///
    /// The gradient passes the layer `name` in a node `name.gradient`, which has the layer's weight under the name
    /// `name.gradient.weight`; [`Parameters::for_input_gradients`](super::Parameters::for_input_gradients) gives a plan both.
    ///
    /// # Errors
    /// The output does not depend on the input, or passes an operation whose gradient cannot be differentiated again; the
    /// message names the layer, the reason and what to do.
    pub fn input_gradient(&mut self, output: NodeId, input: NodeId) -> Result<NodeId> {
        let depends = self.depending_on(input);
        let one = Constant {
            shape: self.node(output).shape.clone(),
            value: 1.0,
        };
        let name = format!("{}{SUFFIX}_of_itself", self.node(output).name);
        let mut gradients: Vec<Option<NodeId>> = vec![None; depends.len()];
        gradients[output.0] = Some(self.add(&name, one, &[])?);
        for index in (input.0 + 1..=output.0).rev() {
            let (true, Some(gradient)) = (depends[index], gradients[index]) else {
                continue;
            };
            let inputs = self.nodes()[index].inputs.clone();
            let before = self.gradient_before(index, gradient)?;
            for of in inputs.into_iter().filter(|input| depends[input.0]) {
                gradients[of.0] = Some(match gradients[of.0] {
                    None => before,
                    Some(other) => {
                        let name = format!("{}{SUFFIX}_sum", self.nodes()[index].name);
                        self.add(&name, Add, &[other, before])?
                    }
                });
            }
        }
        gradients[input.0].ok_or_else(|| {
            Error::input(
                layer(&self.node(output).name),
                format!("it does not depend on {}", self.node(input).name),
                "choose a node that comes before it",
            )
        })
    }

    /// Whether each node depends on one.
    fn depending_on(&self, input: NodeId) -> Vec<bool> {
        let mut depends = vec![false; self.nodes().len()];
        depends[input.0] = true;
        for (index, node) in self.nodes().iter().enumerate() {
            depends[index] |= node.inputs.iter().any(|before| depends[before.0]);
        }
        depends
    }

    /// The gradient of what enters a node, from that of the node.
    fn gradient_before(&mut self, index: usize, gradient: NodeId) -> Result<NodeId> {
        let node = &self.nodes()[index];
        let operation = node.operation.as_deref().expect("it depends on another");
        let first = node.inputs[0];
        let shape = &self.node(first).shape;
        let name = format!("{}{SUFFIX}", node.name);
        match operation.input_gradient(shape, index) {
            Some(InputGradient::PassedOn) => Ok(gradient),
            Some(InputGradient::Linear(operation)) => self.add_boxed(&name, operation, &[gradient]),
            Some(InputGradient::OfInput(operation)) => {
                self.add_boxed(&name, operation, &[first, gradient])
            }
            None => {
                let (reason, hint) = refusal(operation);
                let context = format!("{} ({})", layer(&node.name), operation.kind());
                Err(Error::input(context, reason, hint))
            }
        }
    }
}

/// Why the gradient of an operation is not differentiated again, and what to do.
fn refusal(operation: &dyn Operation) -> (&'static str, &'static str) {
    let has = |property| operation.properties().contains(&property);
    if has(Property::BatchStatistics) {
        (
            "it mixes the samples of a batch, so that an input has no gradient of its own for a gradient penalty",
            "use \"layer_norm\" in its place, or leave out gradient_penalty",
        )
    } else if has(Property::SpectralNorm) {
        (
            "its spectral norm bounds the slope already, and a gradient penalty is not differentiated through it",
            "leave out spectral_norm, or leave out gradient_penalty",
        )
    } else {
        (
            "a gradient penalty needs the second derivative of every layer, and this one has none here",
            "use another layer (avg_pool2d or a stride for max_pool2d), or leave out gradient_penalty",
        )
    }
}
