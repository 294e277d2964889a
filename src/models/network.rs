//! A network in training: parameters that share one optimizer.

use crate::Result;
use crate::gpu::Gpu;
use crate::nn::metrics::GradientNorms;
use crate::nn::{Graph, OptimizerState, Parameters, UpdateRule};
use crate::tensor::NamedTensor;

/// Parameters, what their optimizer keeps from step to step, and the norms of their gradients.
#[derive(Debug)]
pub struct TrainableNetwork {
    /// Values and gradients.
    pub parameters: Parameters,
    /// The optimizer's moments.
    pub state: OptimizerState,
    /// The norm of each parameter's gradient, computed in probed steps.
    pub gradient_norms: GradientNorms,
    update_rule: UpdateRule,
}

impl TrainableNetwork {
    /// The parameters of `graph`, their first values drawn from `seed`.
    ///
    /// # Errors
    /// They need more memory than the adapter has.
    pub fn new(gpu: &Gpu, graph: &Graph, seed: u64, update_rule: UpdateRule) -> Result<Self> {
        let parameters = Parameters::new(gpu, graph, seed)?;
        let state = update_rule.state(gpu, &parameters)?;
        let gradient_norms = GradientNorms::new(gpu, &parameters)?;
        Ok(Self {
            parameters,
            state,
            gradient_norms,
            update_rule,
        })
    }

    /// How gradients become updates.
    pub fn update_rule(&self) -> &UpdateRule {
        &self.update_rule
    }

    /// Reads all parameters back.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read_parameters(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        Ok(self.parameters.unpack(&gpu.read(&self.parameters.values)?))
    }

    /// Reads the optimizer's state back.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read_optimizer(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        self.state.read(gpu, &self.parameters)
    }
}
