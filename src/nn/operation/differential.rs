//! How a small change of an operation's inputs reaches its output.

/// The differential of an operation, the linear map from changes of its inputs to the change of its output, by the passes
/// that it has: a change is carried forward without a kernel of its own where its Jacobian allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differential {
    /// The operation is linear: its forward pass, of the changes, is the change.
    Linear,
    /// For each of its inputs the Jacobian is symmetric, as that of a function of each element is: the backward pass, of the
    /// change of one input after another, sums up to the change.
    Symmetric,
    /// Symmetric up to a gain of each output, its first parameter, which comes last.
    SymmetricBeforeGain,
    /// Each output is one element of the input, whose place the forward pass leaves in the workspace.
    Selection,
}
