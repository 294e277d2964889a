//! Training of a generator and a discriminator: against float64, and in two halves.

use std::collections::HashMap;
use trainscope::tensor::NamedTensor;

use trainscope::credit::{CreditRequest, credit};
use trainscope::models::GanConfig;
use trainscope::nn::metrics::reference_diversity;
use trainscope::nn::reference::Reference;
use trainscope::nn::{Graph, Loss, Mode, Optimizer, RmsProp};
use trainscope::trace::{Checkpoint, Half, RunReader};
use trainscope::train::{ModelConfig, Replay, Run, Scenario, StepRecord, Trainer};

use crate::support::gpu;

const BATCH: usize = 8;
const RATE: f64 = 0.1;

fn scenario(settings: &str) -> Scenario {
    let text = format!(
        "name = \"gan\"
seed = 11
[data]
source = \"shapes\"
size = 4
count = 40
shuffle = false
[model]
kind = \"gan\"
latent = 5
generator = [ {{ dense = {{ units = 12 }} }}, \"tanh\", {{ dense = {{ units = 48 }} }}, \"sigmoid\" ]
discriminator = [ {{ dense = {{ units = 10 }} }}, \"tanh\", {{ dense = {{ units = 1 }} }} ]
critic_steps = 2
{settings}
[train]
batch = {BATCH}
optimizer = {{ sgd = {{ lr = {RATE} }} }}
"
    );
    Scenario::parse(&text, "test", &[]).expect("a scenario")
}

fn go_on(trainer: &mut Trainer, to: u64) -> Vec<StepRecord> {
    let mut records = Vec::new();
    while trainer.steps_done() < to {
        trainer.step(true).expect("it runs");
        records.extend(trainer.take(true).expect("it runs"));
    }
    records
}

type Values = HashMap<String, Vec<f64>>;

/// Gradients of a graph's loss by its parameters, and its scalars. The weights by which a gradient passes the layers are
/// those of the layers.
fn gradients(
    (graph, loss): (&Graph, &Loss),
    inputs: &[Vec<f64>],
    values: &Values,
    (seed, step): (u64, u32),
) -> (Values, Vec<f64>, Vec<Vec<f64>>) {
    let names = graph.parameters().iter().map(|p| p.name.clone());
    let value = |name: String| values[&name.replace(".gradient.", ".")].clone();
    let parameters: Vec<Vec<f64>> = names.clone().map(value).collect();
    let reference = Reference {
        graph,
        batch: BATCH,
        mode: Mode::Train,
        parameters: &parameters,
        noise: (seed, step),
        rule: trainscope::nn::BackwardRule::Gradient,
    };
    let result = reference.step(loss, inputs);
    let gradients = names.zip(result.parameter_gradients).collect();
    (gradients, result.scalars, result.values)
}

fn descend(values: &mut Values, gradients: &Values, section: &str) {
    for (name, gradient) in gradients
        .iter()
        .filter(|(name, _)| name.starts_with(section))
    {
        let value = values.get_mut(name).expect("a parameter");
        value
            .iter_mut()
            .zip(gradient)
            .for_each(|(v, g)| *v -= RATE * g);
    }
}

/// The same steps in float64, one graph after the other.
fn reference_steps(
    config: &GanConfig,
    trainer: &Trainer,
    values: &mut Values,
    steps: u32,
) -> Vec<Vec<f64>> {
    let images = trainer.scenario().images().expect("generated");
    let gan = config.build(&images.shape).expect("it fits");
    let mut scalars = Vec::new();
    for step in 0..steps {
        let pixels: Vec<f64> = trainer
            .batch_samples(step.into())
            .into_iter()
            .flat_map(|sample| &images.pixels[48 * sample as usize..][..48])
            .map(|&byte| f64::from(f32::from(byte) / 255.0))
            .collect();
        let (_, _, played) = gradients(
            (&gan.generator_pass, &gan.generator_loss),
            &[],
            values,
            (11, step),
        );
        let index = gan
            .generator_pass
            .nodes()
            .iter()
            .position(|n| n.name == gan.generator_pass.node(gan.fake).name);
        let fake = played[index.expect("its own node")].clone();
        // What goes into the generator's last dense layer.
        let features = gan
            .generator_pass
            .nodes()
            .iter()
            .position(|n| n.name == "generator.1");
        let features = &played[features.expect("the activation before it")];
        let fake_images = fake.clone();
        let (real, real_scalars, _) = gradients(
            (&gan.real_pass.graph, &gan.real_pass.loss),
            std::slice::from_ref(&pixels),
            values,
            (11, step),
        );
        let (generated, fake_scalars, _) = gradients(
            (&gan.fake_pass.graph, &gan.fake_pass.loss),
            &[fake],
            values,
            (11, step),
        );
        let penalty = gan.gradient_penalty.as_ref().map(|penalty| {
            let graph = (&penalty.graph, &penalty.loss);
            gradients(
                graph,
                &[pixels, fake_images.clone()],
                values,
                (11 ^ 1 << 62, step),
            )
        });
        descend(values, &real, "discriminator");
        descend(values, &generated, "discriminator");
        if let Some((gradients, ..)) = &penalty {
            // Two parts of one gradient: that of the layers, and that of the nodes by which the gradient passes them.
            for (name, gradient) in gradients {
                let part = Values::from([(name.replace(".gradient.", "."), gradient.clone())]);
                descend(values, &part, "discriminator");
            }
        }
        let (play, play_scalars, _) = gradients(
            (&gan.generator_pass, &gan.generator_loss),
            &[],
            values,
            (11, step),
        );
        if step % 2 == 0 {
            descend(values, &play, "generator");
        }
        let of_penalty = penalty.map(|(_, scalars, _)| [scalars[0], scalars[2]]);
        let mut of_step = vec![
            real_scalars[0] + fake_scalars[0] + of_penalty.map_or(0.0, |[penalty, _]| penalty),
            real_scalars[1],
            fake_scalars[1],
            play_scalars[1],
            real_scalars[2],
            fake_scalars[2],
            reference_diversity(&fake_images, [BATCH, 48]),
            reference_diversity(features, [BATCH, 12]),
        ];
        of_step.extend(of_penalty.into_iter().flatten());
        scalars.push(of_step);
    }
    scalars
}

#[test]
fn steps_agree_with_float64() {
    let plain = ["cross_entropy", "minimax", "wasserstein", "hinge"];
    let plain = plain.map(|objective| (objective, ""));
    let penalized = ["cross_entropy", "wasserstein"];
    let penalized = penalized.map(|objective| (objective, "gradient_penalty = 2.0"));
    for (objective, penalty) in plain.into_iter().chain(penalized) {
        let scenario = scenario(&format!("objective = \"{objective}\"\n{penalty}"));
        let mut trainer = Trainer::new(gpu(), &scenario).expect("a trainer");
        let start = trainer.checkpoint().expect("a checkpoint");
        let mut values: Values = start
            .parameters
            .iter()
            .map(|NamedTensor { name, values, .. }| {
                (name.clone(), values.iter().map(|&v| v.into()).collect())
            })
            .collect();
        let ModelConfig::Gan(config) = scenario.model() else {
            panic!("a GAN");
        };
        let scalars = reference_steps(&config, &trainer, &mut values, 5);
        let records = go_on(&mut trainer, 5);
        let names = trainer.scalar_names();
        assert_eq!(scalars[0].len(), trainer.scalars_of_every_step());
        for (record, scalars) in records.iter().zip(&scalars) {
            for (name, (got, want)) in names.iter().zip(record.scalars.iter().zip(scalars)) {
                let off = (f64::from(*got) - want).abs();
                assert!(off < 1e-5, "{objective}: {name} is {got}, want {want}");
            }
        }
        for NamedTensor {
            name, values: got, ..
        } in trainer.checkpoint().expect("a checkpoint").parameters
        {
            let want = &values[&name];
            let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
            let off = square(&mut got.iter().zip(want).map(|(g, w)| f64::from(*g) - w));
            let size = square(&mut want.iter().copied());
            assert!((off / size).sqrt() < 1e-5, "{objective}: {name}");
        }
    }
}

#[test]
fn halves_give_the_bits_of_one_go() {
    let settings = "objective = \"wasserstein\"\nweight_clip = 0.05\ngradient_penalty = 10.0";
    let mut scenario = scenario(settings);
    scenario.train.optimizer = trainscope::nn::Optimizer::default();
    scenario.train.discriminator_optimizer = Some(Optimizer::RmsProp(RmsProp::new(1e-3)));
    let bits = |record: &StepRecord| -> Vec<u32> {
        let statistics = record.statistics.iter().flatten();
        let statistics: Vec<f32> = statistics.flat_map(|unit| unit.to_array()).collect();
        let all = record.scalars.iter().chain(&statistics);
        all.map(|value| value.to_bits()).collect()
    };
    let mut whole = Trainer::new(gpu(), &scenario).expect("a trainer");
    let records = go_on(&mut whole, 11);
    let last = whole.checkpoint().expect("a checkpoint");
    for NamedTensor { name, values, .. } in &last.parameters {
        let clipped = values.iter().all(|value| value.abs() <= 0.05);
        assert_eq!(clipped, name.starts_with("discriminator"), "{name}");
    }
    for half in [1, 4, 7] {
        let mut first = Trainer::new(gpu(), &scenario).expect("a trainer");
        go_on(&mut first, half);
        let middle = first.checkpoint().expect("a checkpoint");
        let mut second = Trainer::new(gpu(), &scenario).expect("a trainer");
        second.restore(&middle, "checkpoint").expect("its own");
        let rest = go_on(&mut second, 11);
        for (got, want) in rest.iter().zip(&records[half as usize..]) {
            assert!(bits(got) == bits(want), "step {} from {half}", want.step);
        }
        let again = second.checkpoint().expect("a checkpoint");
        assert_eq!(again.digest(), last.digest(), "from {half}");
    }
}

#[test]
fn networks_that_do_not_fit_are_named() {
    let refused = |from: &str, to: &str, parts: &[&str]| {
        let text = scenario("").to_toml().replace(from, to);
        let message = match Scenario::parse(&text, "test", &[]) {
            Err(error) => error.to_string(),
            Ok(scenario) => match Trainer::new(gpu(), &scenario) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{to} is accepted"),
            },
        };
        for part in parts {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    };
    refused("units = 48", "units = 47", &["generator.3", "47", "48"]);
    refused(
        "units = 1,",
        "units = 2,",
        &["discriminator.2", "2 numbers", "units = 1"],
    );
    refused(
        "critic_steps = 2",
        "critic_steps = 0",
        &["critic_steps = 0"],
    );
    refused(
        "critic_steps = 2",
        "weight_clip = -1.0",
        &["weight_clip = -1"],
    );
    refused(
        "critic_steps = 2",
        "gradient_penalty = 0.0",
        &["gradient_penalty = 0"],
    );
    let tail = "gradient_penalty = 10.0\ncritic_steps = 2";
    refused(
        "critic_steps = 2",
        &tail.replace("10.0", "-1.0"),
        &["gradient_penalty = -1"],
    );
    refused(
        "kind = \"gan\"",
        "kind = \"vae\"",
        &["needs the key 'encoder'"],
    );
}

/// A step of the discriminator alone is what `critic_steps` does between updates of the generator: the counters of both
/// optimizers count updates, so that Adam's corrections agree, too.
#[test]
fn steps_of_the_discriminator_alone_are_those_of_critic_steps() {
    let adam = |text: &str| text.replace("sgd = { lr = 0.1 }", "adam = { lr = 0.01 }");
    let trained = |critic: u64, halves: &[u64]| {
        let text = adam(&scenario("").to_toml())
            .replace("critic_steps = 2", &format!("critic_steps = {critic}"));
        let scenario = Scenario::parse(&text, "test", &[]).unwrap();
        let mut trainer = Trainer::new(gpu(), &scenario).unwrap();
        for step in 0..7 {
            if halves.contains(&step) {
                trainer.update_only(Half::Discriminator).unwrap();
            }
            go_on(&mut trainer, step + 1);
        }
        trainer.checkpoint().unwrap().digest()
    };
    assert_eq!(trained(1, &[1, 3, 5]), trained(2, &[]));
    assert_ne!(trained(1, &[1, 3]), trained(2, &[]));
}

/// Halves are in the run: it resumes and replays with them, and the other network stays as it is.
#[test]
fn half_steps_are_recorded_resumed_and_replayed() {
    half_steps_of("");
}

/// The same with a gradient penalty: its points between the images are a function of the step.
#[test]
fn half_steps_with_a_gradient_penalty_are_recorded_resumed_and_replayed() {
    half_steps_of("objective = \"wasserstein\"\ngradient_penalty = 10.0");
}

fn half_steps_of(model: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "train.steps=12",
        "train.optimizer={ adam = { lr = 0.01 } }",
        "record.checkpoint_every=4",
        "model.critic_steps=1",
    ];
    let settings = settings.map(str::to_owned);
    let text = scenario(model).to_toml();
    let scenario = Scenario::parse(&text, "test", &settings).unwrap();
    let halves = [
        (2, Half::Generator),
        (5, Half::Discriminator),
        (6, Half::Generator),
    ];
    let half_of = |step: u64| {
        halves
            .iter()
            .find(|(at, _)| *at == step)
            .map(|(_, half)| *half)
    };
    let advance = |run: &mut Run, to: u64| {
        while run.trainer().steps_done() < to {
            match half_of(run.trainer().steps_done()) {
                Some(half) => run.advance_half(half, &mut |_| {}),
                None => run.advance(&mut |_| {}),
            }
            .unwrap();
        }
    };
    let values = |run: &Run| run.trainer().checkpoint().unwrap().parameters;
    let changed = |before: &[NamedTensor], after: &[NamedTensor]| -> [bool; 2] {
        ["generator", "discriminator"].map(|network| {
            let pairs = before.iter().zip(after);
            let mut own = pairs.filter(|(a, _)| a.name.starts_with(network));
            own.any(|(a, b)| a.values != b.values)
        })
    };
    let whole = folder.path().join("whole");
    let mut run = Run::create(gpu(), &scenario, &whole, None).unwrap();
    for (step, half) in halves {
        advance(&mut run, step);
        let before = values(&run);
        advance(&mut run, step + 1);
        let expected = [half == Half::Generator, half == Half::Discriminator];
        assert_eq!(changed(&before, &values(&run)), expected, "step {step}");
    }
    advance(&mut run, 12);
    Box::new(run).finish(false, &mut |_| {}).unwrap();
    let listed = RunReader::open(&whole).unwrap().info().half_steps.clone();
    let listed: Vec<(u64, Half)> = listed
        .iter()
        .map(|half| (half.step, half.updated))
        .collect();
    assert_eq!(listed, halves);
    // Left after its second checkpoint but before that of its end, and resumed from it.
    let left = folder.path().join("left");
    let mut run = Run::create(gpu(), &scenario, &left, None).unwrap();
    advance(&mut run, 7);
    drop(run);
    let mut resumed = Run::resume(gpu(), &left, None).unwrap();
    assert_eq!(resumed.trainer().steps_done(), 4);
    while resumed.advance(&mut |_| {}).unwrap() {}
    Box::new(resumed).finish(false, &mut |_| {}).unwrap();
    let digest = |dir: &std::path::Path| Checkpoint::read(dir, 12).unwrap().digest();
    assert_eq!(digest(&left), digest(&whole));
    // Every recorded bit comes again.
    let mut replay = Replay::open(gpu(), &whole)
        .unwrap()
        .verify(true)
        .start()
        .unwrap();
    while replay.step().unwrap().is_some() {}
    let verification = replay.verification();
    assert_eq!(verification.differences, [] as [&str; 0]);
    assert_eq!((verification.records, verification.checkpoints), (12, 3));
    // A branch goes the same way.
    let branch = folder.path().join("branch");
    let mut run = Run::branch(gpu(), &whole, 4, &[], &branch).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    Box::new(run).finish(false, &mut |_| {}).unwrap();
    assert_eq!(digest(&branch), digest(&whole));
    // Credit says why it does not go past such a step.
    let request = CreditRequest::new("discriminator.0", vec![0], 0..4);
    let error = credit(
        Replay::open(gpu(), &whole).unwrap(),
        &request,
        &mut |_, _| {},
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("step 2 updated the generator alone"),
        "{error}"
    );
}

/// A discriminator of layers that a gradient penalty does not pass is refused with the layer's name, when the model is
/// built; its credit is refused, the generator's is not.
#[test]
fn what_a_gradient_penalty_does_not_pass_is_refused() {
    let penalized = scenario("objective = \"wasserstein\"\ngradient_penalty = 10.0");
    let layer = "discriminator = [\"batch_norm\", ";
    let text = penalized.to_toml().replace("discriminator = [", layer);
    let scenario = Scenario::parse(&text, "test", &[]).expect("its keys are right");
    let error = Trainer::new(gpu(), &scenario).unwrap_err().to_string();
    assert!(error.contains("discriminator.0"), "{error}");
    assert!(error.contains("samples of a batch"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let settings = ["train.steps=4".to_owned()];
    let scenario = Scenario::parse(&penalized.to_toml(), "test", &settings).unwrap();
    let mut run = Run::create(gpu(), &scenario, &path, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    Box::new(run).finish(false, &mut |_| {}).unwrap();
    let of = |layer: &str| {
        let request = CreditRequest::new(layer, vec![0], 0..4);
        credit(
            Replay::open(gpu(), &path).unwrap(),
            &request,
            &mut |_, _| {},
        )
    };
    let error = of("discriminator.0").unwrap_err().to_string();
    assert!(error.contains("gradient penalty"), "{error}");
    let credit = &of("generator.0").unwrap()[0];
    assert!(
        credit.residual.abs() < 0.05 * credit.magnitude(),
        "{credit:?}"
    );
}
