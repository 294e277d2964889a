//! Training of a generator and a discriminator in turn.
//!
//! A step updates the discriminator on a batch of real and one of generated images, each in a pass of its own as in
//! PyTorch's DCGAN example (which matters to batch norm), and then, in every `critic_steps`-th step, the generator
//! against the discriminator as it is now. The generated images of both halves are the same. A gradient penalty is a third
//! pass of the discriminator's half.

use super::command_list::CommandList;
use super::gan::{DISCRIMINATOR_SEED_BIT, Gan};
use super::gradient_penalty::PenaltyPass;
use super::model::Model;
use super::network::TrainableNetwork;
use super::preview::Decoder;
use super::step_builder::StepBuilder;
use super::train_step::{Halves, Scalar, TrainConfig, TrainStep};
use super::validation::Validation;
use crate::Result;
use crate::gpu::{AdapterProfile, Buffer, MemoryEstimate};
use crate::nn::metrics::diversity;
use crate::nn::{
    Graph, NodeId, Parameters, Pass, Plan, PlanRequest, Property, Segment, StepCounter, vectors,
};
use crate::tensor::TensorKind;

impl Model for Gan {
    fn kind(&self) -> &str {
        "gan"
    }

    fn passes(&self) -> Vec<Pass<'_>> {
        let [real, fake] = self.passes_of_discriminator();
        vec![self.pass_of_generator(), real, fake]
    }

    fn graphs_mut(&mut self) -> Vec<&mut Graph> {
        let mut graphs = vec![
            &mut self.generator,
            &mut self.generator_pass,
            &mut self.real_pass.graph,
            &mut self.fake_pass.graph,
        ];
        graphs.extend(self.gradient_penalty.as_mut().map(|p| &mut p.graph));
        graphs
    }

    fn needs_labels(&self) -> bool {
        false
    }

    fn estimate_memory(
        &self,
        profile: &AdapterProfile,
        config: &TrainConfig,
        estimate: &mut MemoryEstimate,
    ) {
        // The discriminator has three passes in a step, each with gradients of its own, and a gradient penalty has two more.
        let penalty = self.gradient_penalty.as_ref();
        let gradients = if penalty.is_some() { 5 } else { 3 };
        let generator_state = config.update_rule.memories();
        let discriminator_state = config.discriminator_update_rule.memories();
        Parameters::estimate_memory(&self.generator, 1, generator_state, estimate);
        Parameters::estimate_memory(
            &self.real_pass.graph,
            gradients,
            discriminator_state,
            estimate,
        );
        let of_penalty = penalty.map(|penalty| penalty.request(config));
        for request in self.requests(config).into_iter().chain(of_penalty) {
            request.estimate_memory(profile, estimate);
        }
    }

    fn train_step(&self, builder: &mut StepBuilder<'_>) -> Result<TrainStep> {
        let networks = Networks::new(self, builder)?;
        let plans = Plans::new(self, builder, &networks)?;
        let generator_steps = StepCounter::new(builder.gpu())?;

        let mut start = CommandList::default();
        builder.step_start(&self.generator, &networks.generator, &mut start)?;
        builder.step_start(&self.real_pass.graph, &networks.discriminator, &mut start)?;
        let discriminator_steps = StepCounter::new(builder.gpu())?;
        let (generated, diversities) = self.generated(builder, &plans, start)?;
        let discriminate = self.discriminator_half(
            builder,
            &networks,
            &plans,
            &discriminator_steps,
            generated.clone(),
        )?;
        let mut generate = CommandList::default();
        generate.either(|probed| plans.generator.segment(Segment::After(self.fake), probed));
        let counter = generator_steps.buffer();
        builder.update(&self.generator, &networks.generator, counter, &mut generate)?;
        generate.work([generator_steps.advance()]);

        let mut first = discriminate.clone();
        first.append(generate.clone());
        let mut programs = vec![first];
        let rest = self.without_generator_update(builder, &networks, &plans, discriminate)?;
        programs.extend((1..self.config.critic_steps).map(|_| rest.clone()));
        let mut alone = self.without_discriminator_update(builder, &networks, &plans, generated)?;
        alone.append(generate);
        let passes = [&plans.real, &plans.fake, &plans.generator];
        let scalars = passes.map(|plan| plan.scalars().clone());
        let has_features = diversities.len() > 1;
        let penalty = plans.penalty.iter().map(|pass| pass.plan.scalars().clone());
        let results = scalars.into_iter().chain(diversities).chain(penalty);
        let results: Vec<_> = results.collect();
        Ok(TrainStep {
            input: value_of(&plans.real, self.real_pass.x),
            label: None,
            scalars: scalars_of(has_features, plans.penalty.is_some()),
            results,
            networks: vec![networks.generator, networks.discriminator],
            programs,
            first_program_counter: Some(generator_steps),
            halves: Some(Halves {
                generator: alone,
                discriminator: rest,
                discriminator_counter: discriminator_steps,
            }),
        })
    }

    /// The discriminator on real images that it has not been trained on: one that has learned its images by heart scores
    /// these lower.
    fn validation(&self) -> Option<Validation<'_>> {
        let [real, _] = self.passes_of_discriminator();
        Some(Validation {
            pass: real,
            input: self.real_pass.x,
            label: None,
            network: 1,
            scalars: vec![
                Scalar::sum("real_loss", vec![(0, 1)]),
                Scalar::sum("real_score", vec![(0, 2)]),
            ],
        })
    }

    fn decoder(&self) -> Result<Option<Decoder>> {
        self.config.generator(&self.shape).map(Some)
    }
}

/// Both networks; the discriminator's parameters with gradients for each of its passes.
struct Networks {
    generator: TrainableNetwork,
    discriminator: TrainableNetwork,
    on_fake: Parameters,
}

impl Networks {
    fn new(gan: &Gan, builder: &StepBuilder<'_>) -> Result<Self> {
        let (gpu, config) = (builder.gpu(), builder.config());
        let rule = config.update_rule;
        let generator = TrainableNetwork::new(gpu, &gan.generator, config.seed, rule)?;
        // First values are drawn by index in the graph, so two graphs need two seeds.
        let seed = config.seed ^ DISCRIMINATOR_SEED_BIT;
        let rule = config.discriminator_update_rule;
        let discriminator = TrainableNetwork::new(gpu, &gan.real_pass.graph, seed, rule)?;
        Ok(Self {
            on_fake: discriminator.parameters.with_own_gradients(gpu)?,
            generator,
            discriminator,
        })
    }
}

/// The three passes of a step, and that of a gradient penalty.
struct Plans {
    generator: Plan,
    real: Plan,
    fake: Plan,
    penalty: Option<PenaltyPass>,
}

impl Plans {
    fn new(gan: &Gan, builder: &mut StepBuilder<'_>, networks: &Networks) -> Result<Self> {
        let in_generator_pass = networks
            .discriminator
            .parameters
            .with_own_gradients(builder.gpu())?;
        let generator = networks.generator.parameters.clone();
        let both = generator.with_fallback(in_generator_pass);
        let [generator, real, fake] = gan.requests(builder.config());
        let [real_pass, fake_pass] = gan.passes_of_discriminator();
        let generator = builder.plan(&gan.pass_of_generator(), generator, &both)?;
        let real = builder.plan(&real_pass, real, &networks.discriminator.parameters)?;
        let generated = value_of(&generator, gan.fake);
        let fake = fake.input(gan.fake_pass.x, &generated);
        let fake = builder.plan(&fake_pass, fake, &networks.on_fake)?;
        let penalty = gan.gradient_penalty.as_ref().map(|penalty| {
            let request = penalty
                .request(builder.config())
                .step_counter(builder.step_counter())
                .input(penalty.real, &value_of(&real, gan.real_pass.x))
                .input(penalty.fake, &generated);
            penalty.pass(builder.gpu(), request, &networks.discriminator.parameters)
        });
        Ok(Self {
            generator,
            real,
            fake,
            penalty: penalty.transpose()?,
        })
    }
}

impl Gan {
    /// The plans of the generator's pass, which is split after the generated images, and of the discriminator's passes on
    /// real and on generated images. Both passes of the discriminator draw dropout masks of their own.
    fn requests(&self, config: &TrainConfig) -> [PlanRequest<'_>; 3] {
        let generator = Plan::request(&self.generator_pass, config.batch)
            .seed(config.seed)
            .loss(&self.generator_loss)
            .split_after(self.fake);
        let measured = self.measured().into_iter();
        let generator = measured.fold(generator, PlanRequest::keep_value);
        let real = Plan::request(&self.real_pass.graph, config.batch)
            .seed(config.seed)
            .loss(&self.real_pass.loss);
        let [_, fake_pass] = self.passes_of_discriminator();
        let fake = Plan::request(fake_pass.graph, config.batch)
            .seed(config.seed ^ fake_pass.seed_bits)
            .loss(fake_pass.loss)
            .external_input(self.fake_pass.x);
        [generator, real, fake]
    }

    /// What is compared over the batch to see whether the generator makes one image again and again: the images, and the
    /// features that its last layer makes them from.
    fn measured(&self) -> Vec<NodeId> {
        let features = last_layer_input(&self.generator_pass, self.fake);
        [self.fake].into_iter().chain(features).collect()
    }

    /// Appends to `list` the generation of images; returns also where the diversities of [`Gan::measured`] are.
    fn generated(
        &self,
        builder: &StepBuilder<'_>,
        plans: &Plans,
        mut list: CommandList,
    ) -> Result<(CommandList, Vec<Buffer<f32>>)> {
        let (gpu, batch) = (builder.gpu(), builder.config().batch);
        list.either(|probed| {
            plans
                .generator
                .segment(Segment::ForwardTo(self.fake), probed)
        });
        let mut diversities = Vec::new();
        for node in self.measured() {
            let values = value_of(&plans.generator, node);
            let result = gpu.buffer("diversity", 1)?;
            let size = [batch, self.generator_pass.node(node).size()];
            list.work(diversity(gpu, &values, size, &result)?);
            diversities.push(result);
        }
        Ok((list, diversities))
    }

    /// Appends to `list` the discriminator's update.
    fn discriminator_half(
        &self,
        builder: &mut StepBuilder<'_>,
        networks: &Networks,
        plans: &Plans,
        steps: &StepCounter,
        mut list: CommandList,
    ) -> Result<CommandList> {
        let gpu = builder.gpu();
        list.either(|probed| plans.real.dispatches(probed));
        list.either(|probed| plans.fake.dispatches(probed));
        let parameters = &networks.discriminator.parameters;
        let trainable = 0..parameters.trainable_len();
        let gradients = parameters.gradients.binding();
        let on_fake = networks.on_fake.gradients.binding();
        list.work([vectors::add(gpu, gradients, on_fake, trainable)]);
        if let Some(penalty) = &plans.penalty {
            list.work(penalty.plan.dispatches(false).cloned());
            list.work(penalty.add_gradients(gpu, parameters));
        }
        let graph = &self.real_pass.graph;
        builder.update(graph, &networks.discriminator, steps.buffer(), &mut list)?;
        list.work([steps.advance()]);
        if let Some(bound) = self.config.weight_clip {
            let values = parameters.values.binding();
            list.work([vectors::clamp(
                gpu,
                values,
                0..parameters.updated_len(),
                bound,
            )]);
        }
        Ok(list)
    }

    /// The part of a step before the generator's where the discriminator is not updated: its losses are only evaluated (in
    /// passes that its running statistics count too), and what is recorded of its gradients in them, of its updates and of
    /// its weights around the update is zero.
    fn without_discriminator_update(
        &self,
        builder: &mut StepBuilder<'_>,
        networks: &Networks,
        plans: &Plans,
        generated: CommandList,
    ) -> Result<CommandList> {
        let gpu = builder.gpu();
        let mut list = generated;
        for plan in [&plans.real, &plans.fake] {
            list.either(|probed| plan.segment(Segment::Forward, probed));
        }
        if let Some(penalty) = &plans.penalty {
            list.work(penalty.plan.segment(Segment::Forward, false).cloned());
        }
        let mut skipped = Vec::new();
        for pass in self.passes_of_discriminator() {
            let nodes = pass.graph.ids();
            skipped.extend(nodes.map(|node| (pass.tensor_name(node), TensorKind::Gradient)));
        }
        for parameter in self.real_pass.graph.parameters() {
            let kinds = [TensorKind::Weight, TensorKind::Update];
            skipped.extend(kinds.map(|kind| (parameter.name.clone(), kind)));
        }
        list.probe(builder.skipped(&skipped)?);
        let norms = &networks.discriminator.gradient_norms.norms;
        list.probe([vectors::fill(gpu, norms.binding(), 0..norms.len(), 0.0)]);
        Ok(list)
    }

    /// A step that does not update the generator: its loss is only evaluated (a pass that the discriminator's running
    /// statistics count too), and what is recorded of its gradients, updates and weights around the update is zero.
    fn without_generator_update(
        &self,
        builder: &mut StepBuilder<'_>,
        networks: &Networks,
        plans: &Plans,
        discriminate: CommandList,
    ) -> Result<CommandList> {
        let gpu = builder.gpu();
        let mut list = discriminate;
        let evaluate = Segment::ForwardAfter(self.fake);
        list.work(plans.generator.segment(evaluate, false).cloned());
        let pass = self.pass_of_generator();
        let nodes = self.generator_pass.ids();
        let gradients = nodes.map(|node| (pass.tensor_name(node), TensorKind::Gradient));
        let parameters = self.generator.parameters().iter();
        let of_update = parameters.flat_map(|parameter| {
            let kinds = [TensorKind::Weight, TensorKind::Update];
            kinds.map(|kind| (parameter.name.clone(), kind))
        });
        list.probe(builder.skipped(&gradients.chain(of_update).collect::<Vec<_>>())?);
        let norms = &networks.generator.gradient_norms.norms;
        list.probe([vectors::fill(gpu, norms.binding(), 0..norms.len(), 0.0)]);
        Ok(list)
    }
}

fn value_of(plan: &Plan, node: NodeId) -> Buffer<f32> {
    plan.value(node)
        .expect("inputs and kept nodes have a buffer")
        .clone()
}

/// The scalars of a step whose results are the scalars of the passes on real and generated images and of the generator,
/// then the diversities of the images and, where there are any, of the features before them, then what a gradient penalty
/// computes, where there is one.
fn scalars_of(has_features: bool, has_penalty: bool) -> Vec<Scalar> {
    let [real, fake, generator, images, features] = [0, 1, 2, 3, 4];
    let penalty = if has_features { 5 } else { 4 };
    let mut loss = vec![(real, 0), (fake, 0)];
    loss.extend(has_penalty.then_some((penalty, 0)));
    let mut scalars = vec![
        ("loss", loss),
        ("real_loss", vec![(real, 1)]),
        ("fake_loss", vec![(fake, 1)]),
        ("generator_loss", vec![(generator, 1)]),
        ("real_score", vec![(real, 2)]),
        ("fake_score", vec![(fake, 2)]),
        ("diversity", vec![(images, 0)]),
    ];
    if has_features {
        scalars.push(("feature_diversity", vec![(features, 0)]));
    }
    if has_penalty {
        scalars.push(("gradient_penalty", vec![(penalty, 0)]));
        scalars.push(("input_gradient_norm", vec![(penalty, 2)]));
    }
    let scalars = scalars.into_iter();
    scalars
        .map(|(name, terms)| Scalar::sum(name, terms))
        .collect()
}

/// What goes into the last layer with weights before `image`.
fn last_layer_input(graph: &Graph, image: NodeId) -> Option<NodeId> {
    let mut before = graph.nodes().iter().take(image.index() + 1).rev();
    let last = before.find(|node| {
        let operation = node.operation.as_ref();
        operation.is_some_and(|operation| operation.properties().contains(&Property::WeightedSum))
    });
    last.map(|node| node.inputs[0])
}
