//! A second layer of latent units above the first one of a VAE: the deep latent Gaussian model (Rezende et al. 2014) with two
//! layers, as Burda et al. 2016 and Sønderby et al. 2016 train it.
//!
//! The encoder goes up, `q(z2 | z1) q(z1 | x)`, and the generative model comes down, `p(x | z1) p(z1 | z2) p(z2)`, with
//! `p(z2) = N(0, 1)`. So the first layer's prior is learned, and what was one divergence is two:
//! `KL(q(z1 | x) || p(z1 | z2)) + KL(q(z2 | z1) || N(0, 1))`, of which the first is exact for the sample of `z2`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gaussian_heads::{GaussianHeads, Variance, mean_head};
use super::layer::Layer;
use crate::Result;
use crate::nn::losses::{GaussianKl, GaussianPairKl};
use crate::nn::ops::Reparameterize;
use crate::nn::{Graph, NodeId, Role};

/// Before the names of the heads of `q(z2 | z1)`.
const POSTERIOR: &str = "second_latent.";
/// Before those of `p(z1 | z2)`.
const PRIOR: &str = "second_latent.prior.";
/// The draw from `q(z2 | z1)`, or from `p(z2)`.
const Z: &str = "second_latent.z";
/// The scalars of the two divergences, that of the first layer first.
pub(super) const DIVERGENCES: [&str; 2] = ["first_kl_divergence", "second_kl_divergence"];

/// `[model.second_latent]` of a VAE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section [model.second_latent]")]
pub struct SecondLatent {
    /// The number of latent units of the second layer.
    pub units: usize,
    /// The layers from the first latent vector to the features of the second layer's heads.
    #[serde(default)]
    pub encoder: Vec<Layer>,
    /// The layers from the second latent vector to the features of the first layer's prior.
    #[serde(default)]
    pub decoder: Vec<Layer>,
}

/// What a second latent layer adds to the graph that is trained.
#[derive(Debug, Clone, Copy)]
pub struct SecondLatentNodes {
    /// Means of `q(z2 | z1)`.
    pub mu: NodeId,
    /// Its log-variances, bounds included.
    pub log_variance: NodeId,
    /// A draw from it.
    pub z: NodeId,
    /// Means of `p(z1 | z2)`.
    pub prior_mu: NodeId,
    /// Its log-variances, bounds included.
    pub prior_log_variance: NodeId,
    /// The divergences of the first layer and of the second, each one number per sample.
    pub divergences: [NodeId; 2],
}

impl SecondLatent {
    /// Adds the layer above `z`, a draw from the Gaussian `first`, and both divergences.
    pub(super) fn add_to(
        &self,
        graph: &mut Graph,
        (first, z): (GaussianHeads, NodeId),
        variance: Variance,
        noise: f32,
    ) -> Result<SecondLatentNodes> {
        let features = graph.sequential("second_latent.encoder", &self.encoder, z)?;
        let posterior = GaussianHeads::add(graph, POSTERIOR, features, self.units, variance)?;
        posterior.set_roles(graph, [Role::LatentMean, Role::LatentLogVariance]);
        let inputs = [posterior.mu, posterior.log_variance];
        let z = graph.add(Z, Reparameterize::new(noise), &inputs)?;
        graph.set_role(z, Role::Latent);
        let latent = graph.node(first.mu).size();
        let features = self.prior_features(graph, z)?;
        let prior = GaussianHeads::add(graph, PRIOR, features, latent, variance)?;
        prior.set_roles(graph, [Role::PriorMean, Role::PriorLogVariance]);
        let [of_first, of_second] = DIVERGENCES;
        let pair = [first.mu, first.log_variance, prior.mu, prior.log_variance];
        let divergences = [
            graph.add(of_first, GaussianPairKl, &pair)?,
            graph.add(of_second, GaussianKl, &inputs)?,
        ];
        for divergence in divergences {
            graph.set_role(divergence, Role::Loss);
        }
        Ok(SecondLatentNodes {
            mu: posterior.mu,
            log_variance: posterior.log_variance,
            z,
            prior_mu: prior.mu,
            prior_log_variance: prior.log_variance,
            divergences,
        })
    }

    /// Adds an input for draws from `p(z2)`, and the mean of `p(z1 | z2)`, which has `latent` units: the input and that mean.
    pub(super) fn add_decoder(&self, graph: &mut Graph, latent: usize) -> Result<[NodeId; 2]> {
        let z = graph.input(Z, &[self.units]);
        let features = self.prior_features(graph, z)?;
        Ok([z, mean_head(graph, PRIOR, features, latent)?])
    }

    fn prior_features(&self, graph: &mut Graph, z: NodeId) -> Result<NodeId> {
        graph.sequential("second_latent.decoder", &self.decoder, z)
    }
}
