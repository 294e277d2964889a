//! Training of a generator and a discriminator in turn.
//!
//! A step updates the discriminator on a batch of real and one of generated images, each in a pass of its own as in
//! PyTorch's DCGAN example (which matters to batch norm), and then, in every `critic_steps`-th step, the generator
//! against the discriminator as it is now. The generated images of both halves are the same.

use crate::tensor::TensorKind;
use std::ops::Range;

use super::learner::{Learner, Network, Procedure, Scalar};
use super::probes::Probes;
use super::scenario::Scenario;
use crate::Result;
use crate::data::BatchCursor;
use crate::gpu::{Buffer, Gpu};
use crate::models::{Gan, GanConfig};
use crate::nn::metrics::diversity;
use crate::nn::{Graph, NodeId, Parameters, Plan, PlanRequest, ProbeEvent, Segment, vectors};
use crate::trace::UnitStatistics;

/// Behind the names of a discriminator's tensors on generated images.
pub(super) const GENERATED: &str = "@generated";

/// Turns a scenario's seed, which is below 2^63, into another one.
const OTHER: u64 = 1 << 63;

/// The plans of a step: of both networks from noise to the generator's loss, split after the generated images, and of the
/// discriminator on real and on generated images. Both passes of the discriminator draw masks of their own.
pub(super) fn requests<'a>(scenario: &Scenario, gan: &'a Gan) -> [PlanRequest<'a>; 3] {
    let batch = scenario.train.batch;
    let play = measured(gan).into_iter().fold(
        Plan::request(&gan.play, batch)
            .seed(scenario.seed)
            .loss(&gan.generator_loss)
            .split_after(gan.fake),
        PlanRequest::keep_value,
    );
    let real = Plan::request(&gan.real.graph, batch)
        .seed(scenario.seed)
        .loss(&gan.real.loss);
    let generated = Plan::request(&gan.generated.graph, batch)
        .seed(scenario.seed ^ OTHER)
        .loss(&gan.generated.loss)
        .external_input(gan.generated.x);
    [play, real, generated]
}

/// The generated images and, where there is one, the layer of features before them: what diversity is measured of.
fn measured(gan: &Gan) -> Vec<NodeId> {
    let features = features(&gan.play, gan.fake);
    [gan.fake].into_iter().chain(features).collect()
}

struct Builder<'a, 'g> {
    gpu: &'g Gpu,
    step_counter: &'a Buffer<u32>,
    probes: Probes<'g>,
}

impl Builder<'_, '_> {
    /// A plan of `graph` whose tensors are recorded under their names and a `suffix`, as far as `is_probed`.
    fn plan(
        &mut self,
        graph: &Graph,
        request: PlanRequest<'_>,
        parameters: &Parameters,
        suffix: &str,
        is_probed: impl Fn(NodeId) -> bool,
    ) -> Result<Plan> {
        let probes = &mut self.probes;
        let mut probe = |event: ProbeEvent<'_>| match &event {
            ProbeEvent::TensorReady(tensor) if !is_probed(tensor.node) => Ok(Vec::new()),
            _ => Ok(probes.event(graph, event, suffix)),
        };
        request
            .step_counter(self.step_counter)
            .build_probed(self.gpu, parameters, &mut probe)
    }

    fn rows(&self) -> usize {
        self.probes.layout.rows()
    }
}

/// Both networks and their steps. `generator_clock` counts the generator's updates.
pub(super) fn learner<'g>(
    gpu: &'g Gpu,
    scenario: &Scenario,
    config: &GanConfig,
    gan: &Gan,
    cursor: &BatchCursor,
    generator_clock: &BatchCursor,
) -> Result<(Learner, Probes<'g>)> {
    let generator_update = scenario.train.update();
    let discriminator_update = scenario.train.discriminator_update();
    let alone = &gan.generator;
    let generator = Network::new(gpu, alone, scenario.seed, &generator_update)?;
    let real = &gan.real.graph;
    // First values are drawn by place in the graph: two graphs need two seeds.
    let seed = scenario.seed ^ OTHER;
    let discriminator = Network::new(gpu, real, seed, &discriminator_update)?;
    let mut builder = Builder {
        gpu,
        step_counter: cursor.buffer(),
        probes: Probes::new(gpu, &[&gan.play, real, real])?,
    };

    // The discriminator has three passes in a step, and each its own gradients.
    let on_generated = discriminator.parameters.with_own_gradients(gpu)?;
    let in_play = discriminator.parameters.with_own_gradients(gpu)?;
    let both = generator.parameters.clone().with_fallback(in_play);
    let play_rows = builder.rows();
    let [play, real_pass, generated_pass] = requests(scenario, gan);
    let play = builder.plan(&gan.play, play, &both, "", |node| node <= gan.fake)?;
    let gradient_rows = gradient_rows(&builder.probes, play_rows);
    let real_plan = builder.plan(real, real_pass, &discriminator.parameters, "", |_| true)?;
    let fake = play.value(gan.fake).expect("it is kept");
    let generated_pass = generated_pass.input(gan.generated.x, fake);
    let generated = &gan.generated.graph;
    let generated_plan =
        builder.plan(generated, generated_pass, &on_generated, GENERATED, |_| {
            true
        })?;

    let mut discriminate = Procedure::default();
    discriminate.plan(|watched| play.segment(Segment::ForwardTo(gan.fake), watched));
    let mut diversities = Vec::new();
    for node in measured(gan) {
        let values = play.value(node).expect("it is kept");
        let result = gpu.buffer("diversity", 1)?;
        let size = [scenario.train.batch, gan.play.node(node).size()];
        discriminate.work(diversity(gpu, values, size, &result)?);
        diversities.push(result);
    }
    discriminate.plan(|watched| real_plan.dispatches(watched));
    discriminate.plan(|watched| generated_plan.dispatches(watched));
    discriminate.work([vectors::add(
        gpu,
        discriminator.parameters.gradients.binding(),
        on_generated.gradients.binding(),
        0..discriminator.parameters.trainable_len(),
    )]);
    discriminator.update(
        real,
        &discriminator_update,
        cursor.buffer(),
        &mut builder.probes,
        &mut discriminate,
    )?;
    if let Some(most) = config.weight_clip {
        let values = discriminator.parameters.values.binding();
        let range = 0..discriminator.parameters.trainable_len();
        discriminate.work([vectors::bound(gpu, values, range, most)]);
    }

    let mut generate = Procedure::default();
    generate.plan(|watched| play.segment(Segment::After(gan.fake), watched));
    let update_rows = builder.rows();
    generator.update(
        alone,
        &generator_update,
        generator_clock.buffer(),
        &mut builder.probes,
        &mut generate,
    )?;
    generate.work([generator_clock.advance()]);
    let update_rows = update_rows..builder.rows();

    let first = discriminate.clone().then(generate);
    // Without an update of the generator its loss is only evaluated (a pass that running statistics of the
    // discriminator count too), and its gradients and updates are zeros.
    let mut rest = discriminate;
    rest.work(
        play.segment(Segment::ForwardAfter(gan.fake), false)
            .cloned(),
    );
    for rows in [gradient_rows, update_rows] {
        let statistics = builder.probes.statistics.binding();
        let range = rows.start * UnitStatistics::LEN..rows.end * UnitStatistics::LEN;
        rest.probe([vectors::fill(gpu, statistics, range, 0.0)]);
    }
    let norms = &generator.norms.norms;
    rest.probe([vectors::fill(gpu, norms.binding(), 0..norms.len(), 0.0)]);
    let mut procedures = vec![first];
    procedures.extend((1..config.critic_steps).map(|_| rest.clone()));

    let x = real_plan
        .value(gan.real.x)
        .expect("inputs are kept")
        .clone();
    let plans = [&real_plan, &generated_plan, &play];
    let mut results: Vec<Buffer<f32>> = plans.map(|plan| plan.scalars().clone()).into();
    let diversities_measured = diversities.len();
    results.append(&mut diversities);
    let mut first = 0;
    let starts: Vec<usize> = results
        .iter()
        .map(|buffer| {
            let start = first;
            first += buffer.raw().size() as usize / 4;
            start
        })
        .collect();
    let at = |result: usize, term: usize| starts[result] + term;
    let mut scalars = vec![
        ("loss", vec![at(0, 0), at(1, 0)]),
        ("real_loss", vec![at(0, 1)]),
        ("fake_loss", vec![at(1, 1)]),
        ("generator_loss", vec![at(2, 1)]),
        ("real_score", vec![at(0, 2)]),
        ("fake_score", vec![at(1, 2)]),
        ("diversity", vec![at(3, 0)]),
    ];
    if diversities_measured > 1 {
        scalars.push(("feature_diversity", vec![at(4, 0)]));
    }
    let learner = Learner {
        networks: vec![generator, discriminator],
        procedures,
        x,
        label: None,
        results,
        scalars: scalars
            .into_iter()
            .map(|(name, places)| Scalar::sum(name, places))
            .collect(),
    };
    Ok((learner, builder.probes))
}

/// The penultimate activation before `image`: what goes into the last dense or convolutional layer.
fn features(graph: &Graph, image: NodeId) -> Option<NodeId> {
    let layers = ["dense", "conv2d", "conv_transpose2d"];
    let before = graph.nodes().iter().take(image.index() + 1).rev();
    let mut last = before.filter(|node| {
        let kind = node.operation.as_ref().map(|operation| operation.kind());
        kind.is_some_and(|kind| layers.contains(&kind))
    });
    last.next().map(|node| node.inputs[0])
}

/// The rows of gradients among those from `first` on; a plan's gradients follow its values.
fn gradient_rows(probes: &Probes<'_>, first: usize) -> Range<usize> {
    let gradients = probes
        .layout
        .entries()
        .iter()
        .filter(|entry| entry.first_row >= first && entry.kind == TensorKind::Gradient);
    let begin = gradients.map(|entry| entry.first_row).min();
    begin.unwrap_or(probes.layout.rows())..probes.layout.rows()
}
