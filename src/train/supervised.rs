//! Training of one graph with one optimizer: VAE, classifier.

use super::learner::{Learner, Network, Procedure, Scalar};
use super::probes::Probes;
use super::scenario::Scenario;
use crate::Result;
use crate::data::BatchCursor;
use crate::gpu::Gpu;
use crate::nn::{Graph, Loss, NodeId, Plan, PlanRequest, ProbeEvent};

/// The plan that trains a graph.
pub(super) fn request<'a>(
    scenario: &Scenario,
    graph: &'a Graph,
    loss: &'a Loss,
) -> PlanRequest<'a> {
    Plan::request(graph, scenario.train.batch)
        .seed(scenario.seed)
        .loss(loss)
}

/// Forward, loss, backward, update. `x` and `label` are the graph's inputs.
pub(super) fn learner<'g>(
    gpu: &'g Gpu,
    scenario: &Scenario,
    (graph, loss): (&Graph, &Loss),
    (x, label): (NodeId, Option<NodeId>),
    cursor: &BatchCursor,
) -> Result<(Learner, Probes<'g>)> {
    let update = scenario.train.update();
    let network = Network::new(gpu, graph, scenario.seed, &update)?;
    let mut probes = Probes::new(gpu, &[graph])?;
    let mut probe = |event: ProbeEvent<'_>| Ok(probes.event(graph, event, ""));
    let plan = request(scenario, graph, loss)
        .step_counter(cursor.buffer())
        .build_probed(gpu, &network.parameters, &mut probe)?;
    let mut procedure = Procedure::default();
    procedure.plan(|watched| plan.dispatches(watched));
    network.update(graph, &update, cursor.buffer(), &mut probes, &mut procedure)?;
    let value = |node| plan.value(node).expect("inputs are kept");
    let names = loss.scalar_names();
    let place = |name: &str| names.iter().position(|scalar| scalar == name);
    // Without the weight that a beta-VAE gives to the divergence, so that runs of any beta compare.
    let elbo = place("reconstruction").zip(place("kl_divergence"));
    let elbo = elbo.map(|(reconstruction, divergence)| Scalar {
        name: "elbo".to_owned(),
        places: vec![reconstruction, divergence],
        factor: -1.0,
    });
    let scalars = names.iter().enumerate();
    let scalars = scalars.map(|(place, name)| Scalar::sum(name, vec![place]));
    let learner = Learner {
        x: value(x).clone(),
        label: label.map(|label| value(label).cast()),
        results: vec![plan.scalars().clone()],
        scalars: scalars.chain(elbo).collect(),
        networks: vec![network],
        procedures: vec![procedure],
    };
    Ok((learner, probes))
}
