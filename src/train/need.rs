//! How much of the adapter's memory training a scenario will take, before anything is allocated.

use super::probes::rows;
use super::scenario::Scenario;
use super::trainer::Model;
use crate::gpu::{Gpu, Need};
use crate::nn::{Graph, NodeId, Parameters, Plan, PlanSize, Update};
use crate::trace::FIGURES;

/// Networks, optimisers, plans and statistics; not the data.
pub(super) fn need(gpu: &Gpu, scenario: &Scenario, model: &Model) -> Need {
    let mut need = Need::default();
    let network = |need: &mut Need, graph: &Graph, gradients: usize, update: &Update| {
        Parameters::need(graph, gradients, update.memories(), need);
    };
    let plan = |need: &mut Need, graph: &Graph, keep: &[NodeId], given: &[NodeId]| {
        let size = PlanSize {
            batch: scenario.train.batch,
            training: true,
            keep,
            given,
        };
        Plan::need(gpu, graph, &size, need);
    };
    let update = scenario.train.update();
    let mut watched = vec![model.graph()];
    match model {
        Model::Gan(gan) => {
            // As the learner makes them: the discriminator has three passes, each with gradients of its own.
            network(&mut need, &gan.generator, 1, &update);
            let other = scenario.train.discriminator_update();
            network(&mut need, &gan.real.graph, 3, &other);
            plan(&mut need, &gan.play, &[gan.fake], &[]);
            plan(&mut need, &gan.real.graph, &[], &[]);
            let generated = &gan.generated;
            plan(&mut need, &generated.graph, &[], &[generated.x]);
            watched.extend([&gan.real.graph, &gan.real.graph]);
        }
        _ => {
            network(&mut need, model.graph(), 1, &update);
            plan(&mut need, model.graph(), &[], &[]);
        }
    }
    let rows: usize = watched.into_iter().map(rows).sum();
    need.buffer("statistics", "record", rows * FIGURES);
    need
}
