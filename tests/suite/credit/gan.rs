//! Both networks of a GAN, part by part against float64. The game is played there, too: its batches of generated images and
//! what each network leaves the other come from float64.

use std::ops::Range;
use std::path::Path;

use trainscope::credit::reference::{ReferenceBatch, ReferenceTraining};
use trainscope::credit::{Chosen, Credit, CreditRequest, credit};
use trainscope::models::GanConfig;
use trainscope::nn::reference::Reference;
use trainscope::nn::{BackwardRule, Graph, Mode, NodeId};
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{ModelConfig, Replay, Scenario, Trainer};

use super::{assert_explained, assert_same, measured, scenario, trained};
use crate::support::gpu;

/// A run of a GAN from a checkpoint on.
struct Game {
    scenario: Scenario,
    trainer: Trainer,
    checkpoint: Checkpoint,
    config: GanConfig,
    start: u64,
}

impl Game {
    fn of_run(dir: &Path, start: u64) -> Self {
        let reader = RunReader::open(dir).expect("a run");
        let scenario = Scenario::of_run(&reader).expect("a scenario");
        let ModelConfig::Gan(config) = scenario.model() else {
            panic!("a GAN");
        };
        Self {
            trainer: Trainer::new(gpu(), &scenario).expect("a trainer"),
            checkpoint: Checkpoint::read(dir, start).expect("a checkpoint there"),
            scenario,
            config,
            start,
        }
    }

    fn value(&self, name: &str) -> Option<Vec<f64>> {
        let tensors = [&self.checkpoint.parameters, &self.checkpoint.optimizer];
        let mut tensors = tensors.into_iter().flatten();
        let found = tensors.find(|tensor| tensor.name == name)?;
        Some(found.values.iter().copied().map(f64::from).collect())
    }

    fn pixels(&self, samples: impl IntoIterator<Item = u32>) -> Vec<f64> {
        let images = self.scenario.images().expect("images");
        let size = images.sample_size();
        let samples = samples.into_iter().map(|sample| sample as usize);
        let pixels = samples.flat_map(|sample| images.pixels[sample * size..][..size].to_vec());
        pixels
            .map(|byte| f64::from(f32::from(byte) / 255.0))
            .collect()
    }

    /// One of the networks at the start.
    fn network(&self, is_generator: bool) -> ReferenceTraining<'_> {
        let passes = self.trainer.model().passes();
        let config = self.scenario.train_config();
        let (passes, rule, section) = if is_generator {
            (passes[..1].to_vec(), config.update_rule, "generator.")
        } else {
            let rule = config.discriminator_update_rule;
            (passes[1..].to_vec(), rule, "discriminator.")
        };
        let parameters = passes[0].graph.parameters();
        let own = parameters
            .iter()
            .take_while(|p| p.name.starts_with(section));
        let own = 0..own.count();
        let probe_samples = self.scenario.record.probe_batch;
        let learned = parameters[own.clone()].iter().filter(|p| p.trainable);
        let state = rule.state(gpu(), self.trainer.parameters());
        let memories = state.expect("a state").moments;
        let moments = learned.map(|parameter| {
            let memories = memories.iter().map(|(memory, _)| {
                let zeros = || vec![0.0; parameter.shape.iter().product()];
                let name = format!("{}.{memory}", parameter.name);
                self.value(&name).unwrap_or_else(zeros)
            });
            memories.collect()
        });
        ReferenceTraining {
            rule,
            weight_clip: match is_generator {
                true => None,
                false => self.config.weight_clip.map(f64::from),
            },
            batch: self.scenario.train.batch,
            seed: self.scenario.seed,
            parameters: parameters
                .iter()
                .map(|parameter| self.value(&parameter.name).expect("a parameter"))
                .collect(),
            moments: moments.collect(),
            step: self.start as u32,
            updates: match is_generator {
                true => self.start.div_ceil(self.config.critic_steps) as u32,
                false => self.start as u32,
            },
            probe: match is_generator {
                true => Vec::new(),
                false => vec![self.pixels(0..probe_samples as u32)],
            },
            probe_samples,
            chosen: Chosen::default(),
            passes,
            own,
        }
    }

    /// What each step gives the generator and the discriminator.
    fn batches(&self, steps: Range<u64>) -> [Vec<ReferenceBatch>; 2] {
        let [mut generator, mut discriminator] = [true, false].map(|is| self.network(is));
        let pass = generator.passes[0];
        let (fake, _) = pass.repeated.expect("the discriminator follows");
        let mut batches = [Vec::new(), Vec::new()];
        for step in steps {
            let played = Reference {
                graph: pass.graph,
                batch: generator.batch,
                mode: Mode::Train,
                parameters: &generator.parameters,
                noise: (self.scenario.seed, step as u32),
                rule: BackwardRule::Gradient,
            };
            let images = played
                .forward(&[])
                .values
                .swap_remove(index_of(pass.graph, fake));
            let real = self.pixels(self.trainer.batch_samples(step));
            let mut of_discriminator = ReferenceBatch {
                inputs: vec![vec![real], vec![images]],
                ..ReferenceBatch::from(Vec::new())
            };
            take(&mut discriminator, &of_discriminator);
            let of_generator = ReferenceBatch {
                given: moved(
                    discriminator.passes[0].graph,
                    &discriminator,
                    pass.graph,
                    |_| true,
                ),
                is_updated: step.is_multiple_of(self.config.critic_steps),
                ..ReferenceBatch::from(Vec::new())
            };
            take(&mut generator, &of_generator);
            // The generator's pass goes through the discriminator in every step, whether it moves the generator or not, and
            // leaves its running statistics there.
            let graph = discriminator.passes[0].graph;
            let is_state = |name: &str| {
                let mut parameters = graph.parameters().iter();
                parameters.any(|parameter| parameter.name == name && !parameter.trainable)
            };
            of_discriminator.left = moved(pass.graph, &generator, graph, is_state);
            for (index, values) in &of_discriminator.left {
                discriminator.parameters[*index].clone_from(values);
            }
            batches[0].push(of_generator);
            batches[1].push(of_discriminator);
        }
        batches
    }
}

fn index_of(graph: &Graph, node: NodeId) -> usize {
    graph.ids().position(|id| id == node).expect("its own node")
}

/// Runs a step.
fn take(training: &mut ReferenceTraining<'_>, batch: &ReferenceBatch) {
    let name = &training.passes[0].graph.parameters()[0].name;
    let layer = name
        .rsplit_once('.')
        .expect("a layer's parameter")
        .0
        .to_owned();
    training.credit((&layer, 0), 1, std::slice::from_ref(batch));
}

/// The parameters that another graph has, too, by their index there.
fn moved(
    from: &Graph,
    training: &ReferenceTraining<'_>,
    to: &Graph,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<(usize, Vec<f64>)> {
    let places = to.parameters().iter().enumerate();
    let shared = places.filter(|(_, parameter)| is_wanted(&parameter.name));
    let shared = shared.filter_map(|(index, parameter)| {
        let mut own = from.parameters().iter();
        let place = own.position(|own| own.name == parameter.name)?;
        Some((index, training.parameters[place].clone()))
    });
    shared.collect()
}

/// Each part of a unit of each layer, so many hops back.
fn check(model: &str, training: &str, layers: &[&str], hops: usize) {
    let (_folder, dir) = trained(&scenario(model, training));
    let range = 10..15;
    let game = Game::of_run(&dir, range.start);
    let [of_generator, of_discriminator] = game.batches(range.clone());
    for &layer in layers {
        let is_generator = layer.starts_with("generator");
        let batches = if is_generator {
            &of_generator
        } else {
            &of_discriminator
        };
        let exact: Credit = game.network(is_generator).credit((layer, 0), hops, batches);
        assert_explained("a GAN in float64", &exact, 1e-10);
        let request = CreditRequest {
            hops,
            ..CreditRequest::new(layer, [0], range.clone())
        };
        let replay = Replay::open(gpu(), &dir).expect("it opens");
        let found = &credit(replay, &request, &mut |_, _| ()).expect("a decomposition")[0];
        assert_explained(layer, found, 1e-4);
        assert_same(layer, found, &exact, 2e-3);
    }
}

const SGD: &str = "optimizer = { sgd = { lr = 2e-2, momentum = 0.5 } }";

const CLIPPED: &str = r#"[model]
kind = "gan"
latent = 4
critic_steps = 2
weight_clip = 0.2
generator = [ { dense = { units = 12 } }, "batch_norm", "relu", { dense = { units = 432 } }, "sigmoid", { reshape = [3, 12, 12] } ]
discriminator = [ { dropout = 0.2 }, { dense = { units = 10 } }, "batch_norm", { leaky_relu = { slope = 0.2 } }, { dense = { units = 1 } } ]"#;
const LAYERS: [&str; 4] = [
    "generator.0",
    "generator.3",
    "discriminator.1",
    "discriminator.4",
];

#[test]
fn both_networks_of_a_gan_are_explained() {
    let (_folder, dir) = trained(&scenario(CLIPPED, SGD));
    for layer in LAYERS {
        for range in [5..6, 10..20, 0..50] {
            for credit in measured(&dir, layer, &[0], range.clone()) {
                assert_explained(&format!("gan {range:?}"), &credit, 1e-4);
            }
        }
    }
}

#[test]
fn each_part_of_both_networks_agrees_with_float64() {
    check(CLIPPED, SGD, &LAYERS, 2);
}

#[test]
fn a_discriminator_under_a_spectral_norm_agrees_with_float64() {
    let model = r#"[model]
kind = "gan"
latent = 4
objective = "hinge"
generator = [ { dense = { units = 12 } }, "relu", { dense = { units = 432 } }, "sigmoid", { reshape = [3, 12, 12] } ]
discriminator = [ { dense = { units = 10, spectral_norm = true } }, { leaky_relu = { slope = 0.2 } }, { dense = { units = 1, spectral_norm = true } } ]"#;
    let sgd = "optimizer = { sgd = { lr = 2e-2, momentum = 0.5, weight_decay = 1e-2 } }";
    let layers = [
        "generator.0",
        "generator.2",
        "discriminator.0",
        "discriminator.2",
    ];
    check(model, sgd, &layers, 2);
}
