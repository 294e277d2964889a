//! How much of the adapter's memory training a scenario will take, before anything is allocated.

use super::probes::rows;
use super::scenario::Scenario;
use super::trainer::Model;
use super::{adversarial, supervised};
use crate::gpu::{Gpu, MemoryEstimate};
use crate::nn::{Graph, Parameters, UpdateRule};
use crate::trace::UnitStatistics;

/// Networks, optimizers, plans and statistics; not the data.
pub(super) fn estimate(gpu: &Gpu, scenario: &Scenario, model: &Model) -> MemoryEstimate {
    let mut estimate = MemoryEstimate::default();
    let network =
        |estimate: &mut MemoryEstimate, graph: &Graph, gradients: usize, update: &UpdateRule| {
            Parameters::estimate_memory(graph, gradients, update.memories(), estimate);
        };
    let update = scenario.train.update();
    let mut watched = vec![model.graph()];
    match model {
        Model::Gan(gan) => {
            // As the learner makes them: the discriminator has three passes, each with gradients of its own.
            network(&mut estimate, &gan.generator, 1, &update);
            let other = scenario.train.discriminator_update();
            network(&mut estimate, &gan.real.graph, 3, &other);
            for request in adversarial::requests(scenario, gan) {
                request.estimate_memory(gpu, &mut estimate);
            }
            watched.extend([&gan.real.graph, &gan.real.graph]);
        }
        _ => {
            network(&mut estimate, model.graph(), 1, &update);
            supervised::request(scenario, model.graph(), model.loss())
                .estimate_memory(gpu, &mut estimate);
        }
    }
    let rows: usize = watched.into_iter().map(rows).sum();
    estimate.buffer("statistics", "record", rows * UnitStatistics::LEN);
    estimate
}
