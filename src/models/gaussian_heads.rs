//! A diagonal Gaussian as a network says it: dense heads for its means and for the logarithms of its variances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::ops::{Activation, Dense};
use crate::nn::{Graph, NodeId, Role};

/// How the standard deviation comes out of the variance head `h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// `sigma = exp(h / 2)`: `h` is the log-variance itself, without bounds.
    #[default]
    Exp,
    /// The log-variance is `5 tanh(h / 5)`.
    Bounded,
    /// `sigma = softplus(h) + 0.001`.
    Softplus,
}

/// The heads of one Gaussian.
#[derive(Debug, Clone, Copy)]
pub(super) struct GaussianHeads {
    /// The means.
    pub mu: NodeId,
    /// The logarithms of the variances before any bound.
    pub head: NodeId,
    /// The same, bounds included.
    pub log_variance: NodeId,
}

impl GaussianHeads {
    /// Adds the heads `mu` and `logvar` of so many units over `features`; `prefix` comes before their names.
    pub fn add(
        graph: &mut Graph,
        prefix: &str,
        features: NodeId,
        units: usize,
        variance: Variance,
    ) -> Result<Self> {
        let mu = mean_head(graph, prefix, features, units)?;
        let head = graph.add(&format!("{prefix}logvar"), Dense::new(units), &[features])?;
        let bound = match variance {
            Variance::Exp => None,
            Variance::Bounded => Some(Activation::BoundedLogVariance),
            Variance::Softplus => Some(Activation::SoftplusLogVariance),
        };
        let log_variance = match bound {
            None => head,
            Some(bound) => graph.add(&format!("{prefix}log_variance"), bound, &[head])?,
        };
        Ok(Self {
            mu,
            head,
            log_variance,
        })
    }

    /// Says what the means, and the logarithms before any bound, are to the model.
    pub fn set_roles(self, graph: &mut Graph, [mean, log_variance]: [Role; 2]) {
        graph.set_role(self.mu, mean);
        graph.set_role(self.head, log_variance);
    }
}

/// Adds the head of the means alone.
pub(super) fn mean_head(
    graph: &mut Graph,
    prefix: &str,
    features: NodeId,
    units: usize,
) -> Result<NodeId> {
    graph.add(&format!("{prefix}mu"), Dense::new(units), &[features])
}
