//! How the gradient of an output becomes that of an input, as a node of a graph.

use super::Operation;

/// What makes the gradient of an operation's input from that of its output, where the gradient is a tensor of the graph that
/// is differentiated again.
#[derive(Debug)]
pub enum InputGradient {
    /// Every input gets the gradient as it is.
    PassedOn,
    /// Made from the gradient of the output alone: the operation is linear, up to a constant.
    Linear(Box<dyn Operation>),
    /// Made from the input and the gradient of the output, in this order.
    OfInput(Box<dyn Operation>),
}
