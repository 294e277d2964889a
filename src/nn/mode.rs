//! What a forward pass is for.

/// How operations behave that differ between training and evaluation. The mode says nothing about gradients: every mode
/// has a backward pass, which differentiates exactly what the forward pass of that mode computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A step of training: batch norm uses the statistics of the batch and updates its running statistics, spectral norm
    /// takes a step of its power iteration, dropout drops.
    #[default]
    Train,
    /// Computes the same values as [`Mode::Train`] and leaves all state as it is, so that an analysis of a training step
    /// does not change the run.
    TrainFrozenState,
    /// Evaluation: batch norm uses its running statistics, spectral norm its singular vectors as they are, dropout passes
    /// everything on, a latent vector is the mean of its distribution, and no state changes.
    Eval,
}

impl Mode {
    /// Whether values are computed as in training: from the statistics of the batch, with dropout.
    pub fn is_training(self) -> bool {
        self != Self::Eval
    }

    /// Whether the forward pass updates the state of operations.
    pub fn updates_state(self) -> bool {
        self == Self::Train
    }
}
