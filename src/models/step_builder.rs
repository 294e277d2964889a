//! Puts a training step together: builds plans and updates, and asks the probes at each point.

use super::command_list::CommandList;
use super::network::TrainableNetwork;
use super::train_step::TrainConfig;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{
    Graph, ParameterStage, ParameterView, Parameters, Pass, Plan, PlanRequest, Probe, ProbeEvent,
};
use crate::tensor::TensorKind;

/// What a model is given to build its [`super::TrainStep`] with.
pub struct StepBuilder<'a> {
    gpu: &'a Gpu,
    config: TrainConfig,
    step_counter: &'a Buffer<u32>,
    probes: Vec<&'a mut dyn Probe>,
}

impl std::fmt::Debug for StepBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepBuilder")
            .field("config", &self.config)
            .field("probes", &self.probes.len())
            .finish_non_exhaustive()
    }
}

impl<'a> StepBuilder<'a> {
    /// A builder of a step whose number is the first word of `step_counter`.
    pub fn new(
        gpu: &'a Gpu,
        config: TrainConfig,
        step_counter: &'a Buffer<u32>,
        probes: Vec<&'a mut dyn Probe>,
    ) -> Self {
        Self {
            gpu,
            config,
            step_counter,
            probes,
        }
    }

    /// The device.
    pub fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// What the step is built for.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The buffer whose first word is the number of the step.
    pub fn step_counter(&self) -> &'a Buffer<u32> {
        self.step_counter
    }

    /// The plan of a pass, with the probes' dispatches in it.
    ///
    /// # Errors
    /// The adapter's limits, or a probe fails.
    pub fn plan(
        &mut self,
        pass: &Pass<'_>,
        request: PlanRequest<'_>,
        parameters: &Parameters,
    ) -> Result<Plan> {
        let (gpu, probes) = (self.gpu, &mut self.probes);
        let mut probe = |event: ProbeEvent<'_>| {
            let mut dispatches = Vec::new();
            for probe in probes.iter_mut() {
                dispatches.extend(probe.event(gpu, pass, event)?);
            }
            Ok(dispatches)
        };
        request
            .step_counter(self.step_counter)
            .build_probed(gpu, parameters, &mut probe)
    }

    /// Shows the probes the parameters of a network before anything of the step has run.
    ///
    /// # Errors
    /// A probe fails.
    pub fn step_start(
        &mut self,
        graph: &Graph,
        network: &TrainableNetwork,
        list: &mut CommandList,
    ) -> Result<()> {
        self.show(graph, network, ParameterStage::StepStart, list)
    }

    /// Appends the update of a network from its gradients, with what the probes look at before and after it.
    /// `step_counter` counts the network's updates.
    ///
    /// # Errors
    /// The adapter's limits, or a probe fails.
    pub fn update(
        &mut self,
        graph: &Graph,
        network: &TrainableNetwork,
        step_counter: &Buffer<u32>,
        list: &mut CommandList,
    ) -> Result<()> {
        self.show(graph, network, ParameterStage::BeforeUpdate, list)?;
        list.probe(network.gradient_norms.dispatches.iter().cloned());
        let update = |keep_updates| {
            let rule = network.update_rule();
            let (parameters, state) = (&network.parameters, &network.state);
            rule.dispatches(self.gpu, parameters, state, step_counter, keep_updates)
        };
        let (plain, probed) = (update(false)?, update(true)?);
        list.either(|is_probed| if is_probed { &probed } else { &plain }.iter());
        self.show(graph, network, ParameterStage::AfterUpdate, list)
    }

    fn show(
        &mut self,
        graph: &Graph,
        network: &TrainableNetwork,
        stage: ParameterStage,
        list: &mut CommandList,
    ) -> Result<()> {
        let view = ParameterView {
            graph,
            parameters: &network.parameters,
            state: &network.state,
            stage,
        };
        for probe in &mut self.probes {
            list.probe(probe.parameters(self.gpu, view)?);
        }
        Ok(())
    }

    /// What sets to zero what the probes keep of `tensors`, for steps that do not compute them.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn skipped(&mut self, tensors: &[(String, TensorKind)]) -> Result<Vec<Dispatch>> {
        let mut dispatches = Vec::new();
        for probe in &mut self.probes {
            dispatches.extend(probe.skipped(self.gpu, tensors)?);
        }
        Ok(dispatches)
    }
}
