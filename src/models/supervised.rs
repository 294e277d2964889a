//! Training of one graph with one optimizer: forward, loss, backward, update. VAEs and classifiers do it, and any graph of
//! one's own.

use super::command_list::CommandList;
use super::model::Model;
use super::network::TrainableNetwork;
use super::step_builder::StepBuilder;
use super::train_step::{Scalar, TrainConfig, TrainStep};
use super::validation::Validation;
use crate::Result;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::{Graph, Loss, NodeId, Parameters, Pass, Plan, PlanRequest, Role};

/// A model of one graph whose losses one optimizer minimizes.
#[derive(Debug)]
pub struct Supervised {
    kind: String,
    graph: Graph,
    loss: Loss,
    input: NodeId,
    label: Option<NodeId>,
}

impl Supervised {
    /// The model that minimizes `loss` over a graph whose node `input` takes the samples of the data set, scaled to [0, 1];
    /// `kind` is its name in messages.
    pub fn new(kind: impl Into<String>, mut graph: Graph, loss: Loss, input: NodeId) -> Self {
        graph.set_role(input, Role::Input);
        Self {
            kind: kind.into(),
            graph,
            loss,
            input,
            label: None,
        }
    }

    /// The same, whose node `label` takes the labels, one `u32` per sample in the bits of the node's buffer.
    pub fn with_label(mut self, label: NodeId) -> Self {
        self.graph.set_role(label, Role::Label);
        Self {
            label: Some(label),
            ..self
        }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl Model for Supervised {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn passes(&self) -> Vec<Pass<'_>> {
        vec![Pass::new("model", &self.graph, &self.loss)]
    }

    fn graphs_mut(&mut self) -> Vec<&mut Graph> {
        vec![&mut self.graph]
    }

    fn needs_labels(&self) -> bool {
        self.label.is_some()
    }

    fn estimate_memory(
        &self,
        profile: &AdapterProfile,
        config: &TrainConfig,
        estimate: &mut MemoryEstimate,
    ) {
        estimate_memory(profile, config, &self.passes()[0], estimate);
    }

    fn train_step(&self, builder: &mut StepBuilder<'_>) -> Result<TrainStep> {
        train_step(builder, &self.passes()[0], self.input, self.label)
    }

    fn validation(&self) -> Option<Validation<'_>> {
        let pass = Pass::new("model", &self.graph, &self.loss);
        Some(Validation::of_pass(pass, self.input, self.label))
    }
}

/// The plan of the only pass.
fn request<'a>(config: &TrainConfig, pass: &Pass<'a>) -> PlanRequest<'a> {
    Plan::request(pass.graph, config.batch)
        .seed(config.seed)
        .loss(pass.loss)
}

/// Adds what [`train_step`] will allocate.
pub(super) fn estimate_memory(
    profile: &AdapterProfile,
    config: &TrainConfig,
    pass: &Pass<'_>,
    estimate: &mut MemoryEstimate,
) {
    let state_buffers = config.update_rule.memories();
    Parameters::estimate_memory(pass.graph, 1, state_buffers, estimate);
    request(config, pass).estimate_memory(profile, estimate);
}

/// The step of a pass whose graph takes samples at `input` and labels at `label`.
pub(super) fn train_step(
    builder: &mut StepBuilder<'_>,
    pass: &Pass<'_>,
    input: NodeId,
    label: Option<NodeId>,
) -> Result<TrainStep> {
    let config = *builder.config();
    let graph = pass.graph;
    let network = TrainableNetwork::new(builder.gpu(), graph, config.seed, config.update_rule)?;
    let mut program = CommandList::default();
    builder.step_start(graph, &network, &mut program)?;
    let plan = builder.plan(pass, request(&config, pass), &network.parameters)?;
    program.either(|probed| plan.dispatches(probed));
    builder.update(graph, &network, builder.step_counter(), &mut program)?;
    let value = |node| plan.value(node).expect("inputs are kept");
    let names = pass.loss.scalar_names();
    let scalars = names.iter().enumerate();
    Ok(TrainStep {
        input: value(input).clone(),
        label: label.map(|label| value(label).cast()),
        results: vec![plan.scalars().clone()],
        scalars: scalars
            .map(|(term, name)| Scalar::sum(name, vec![(0, term)]))
            .collect(),
        networks: vec![network],
        programs: vec![program],
        first_program_counter: None,
        halves: None,
    })
}
