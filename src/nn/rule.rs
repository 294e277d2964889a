//! What a backward pass propagates instead of the gradient: rules of attribution.

/// What a backward pass propagates.
///
/// [`BackwardRule::Rescale`] and [`BackwardRule::Epsilon`] attribute the output of a network to its inputs. They need
/// operations that say how they propagate ([`Propagation`]), and give no gradients of parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum BackwardRule {
    /// The gradient.
    #[default]
    Gradient,
    /// The gradient with ReLUs that leak: their derivative below zero is `slope`, so that a unit which is dead for every
    /// sample still shows what would bring it back. The forward pass stays as it is.
    LeakyRelu {
        /// The derivative of a ReLU below zero.
        slope: f32,
    },
    /// The multipliers of DeepLIFT's rescale rule (Shrikumar, Greenside and Kundaje 2017). The first half of the batch
    /// holds samples and the second half their baselines; the derivative of a nonlinear function is replaced by the
    /// difference of its outputs over the difference of its inputs between a sample and its baseline. The sum of
    /// multipliers times differences of the inputs is then exactly the difference of the output.
    Rescale,
    /// Layer-wise relevance propagation (Bach et al. 2015, the epsilon rule). Cotangents and gradients are relevances: an
    /// affine operation hands the relevance of each output to its inputs in proportion to their contributions, of which
    /// biases and `epsilon` keep their share; functions of one element pass it on, and maxima send it to the greatest
    /// input. The relevance of a node at the start is usually its value.
    Epsilon {
        /// Added to the magnitude of what is divided by, against outputs near zero.
        epsilon: f32,
    },
}

impl BackwardRule {
    /// Whether the rule attributes an output to inputs instead of differentiating it.
    pub fn is_attribution(self) -> bool {
        matches!(self, Self::Rescale | Self::Epsilon { .. })
    }
}

/// How rules of attribution go through an operation. An operation whose backward pass looks at the rule itself, as max
/// pooling and layer norm do, names the class whose treatment it wants around that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Moves or copies elements: every rule takes the backward pass as it is.
    Routing,
    /// An affine function of each of its inputs: rescaling takes the gradient as it is, and relevance is divided in
    /// proportion to the contributions.
    Affine,
    /// A function of each element: rescaling takes the quotient of differences, and relevance is passed on.
    Elementwise,
}
