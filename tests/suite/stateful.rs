//! Runs of models that keep state, with a schedule, clipping and an average of weights: resumed they go on bit for bit.

use trainscope::nn::{Clip, Optimizer, RmsProp, Schedule};
use trainscope::train::{ModelPreview, Scenario, Trainer};

use crate::support::gpu;

const TEXT: &str = r#"
name = "stateful"
seed = 11

[data]
source = "mnist"

[model]
kind = "vae"
latent = 4
encoder = [
    { dense = { units = 24 } }, "batch_norm", "relu", { dropout = 0.25 },
    { dense = { units = 12, spectral_norm = true } }, "layer_norm", "tanh",
]
decoder = [
    { dense = { units = 24 } }, { reshape = [2, 4, 3] }, "batch_norm", "relu", { dense = { units = 784 } },
]

[train]
batch = 16
steps = 12
optimizer = { adamw = { lr = 1e-3, weight_decay = 0.01 } }
schedule = { cosine = { steps = 12, warmup = 3, floor = 0.1 } }
clip = { norm = 50.0 }
ema = 0.9
"#;

fn scenario(settings: &[&str]) -> trainscope::Result<Scenario> {
    let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
    Scenario::parse(TEXT, "test", &settings)
}

/// Runs up to `steps`; every third step is recorded, as a probe must change nothing.
fn go_on(trainer: &mut Trainer, steps: u64) {
    while trainer.steps_done() < steps {
        let watched = trainer.steps_done().is_multiple_of(3);
        trainer.step(watched).expect("a step");
        while trainer.take(trainer.is_full()).expect("a record").is_some() {}
    }
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    let scenario = scenario(&[]).expect("a scenario");
    assert_eq!(
        Scenario::parse(&scenario.to_toml(), "again", &[]).expect("its own text"),
        scenario
    );
    let mut whole = Trainer::new(gpu(), &scenario).expect("a trainer");
    let first = whole.checkpoint().expect("a checkpoint");
    go_on(&mut whole, 6);
    let middle = whole.checkpoint().expect("a checkpoint");
    let names: Vec<&str> = middle.parameters.iter().map(|t| t.name.as_str()).collect();
    for name in [
        "encoder.1.running_mean",
        "encoder.1.num_batches_tracked",
        "decoder.2.running_var",
        "encoder.4.weight_orig",
        "encoder.4.weight_u",
        "encoder.5.weight",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let value = |name: &str| {
        let found = middle.parameters.iter().find(|t| t.name == name);
        &found.expect("it is there").values
    };
    assert_eq!(value("encoder.1.num_batches_tracked"), &[6.0]);
    assert!(value("encoder.1.running_mean").iter().any(|&v| v != 0.0));
    let memory = |suffix: &str| {
        middle
            .optimizer
            .iter()
            .filter(|t| t.name.ends_with(suffix))
            .count()
    };
    assert_eq!(memory(".ema"), memory(".exp_avg"));
    assert!(middle.optimizer.iter().all(|t| !t.name.contains("running")));
    go_on(&mut whole, 12);
    let last = whole.checkpoint().expect("a checkpoint");
    for (start, step) in [(&middle, 6), (&first, 0)] {
        let mut again = Trainer::new(gpu(), &scenario).expect("a trainer");
        // The preview reads the running statistics; drawing it in between must change nothing.
        let preview = ModelPreview::new(&again, 5)
            .expect("it fits")
            .expect("a VAE");
        again.restore(start, "checkpoint").expect("its own");
        assert_eq!(again.steps_done(), step);
        preview.refresh(gpu());
        go_on(&mut again, 9);
        preview.refresh(gpu());
        go_on(&mut again, 12);
        let digest = again.checkpoint().expect("a checkpoint").digest();
        assert_eq!(digest, last.digest(), "from step {step}");
        let images = gpu()
            .read(&preview.reconstructions.as_ref().expect("of a VAE")[1])
            .expect("images");
        assert!(images.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }
}

#[test]
fn what_the_train_section_can_say() {
    let train = |settings: &[&str]| scenario(settings).map(|scenario| scenario.train);
    let said = train(&["train.optimizer={ rmsprop = { lr = 0.01, momentum = 0.5 } }"]);
    let Optimizer::RmsProp(RmsProp {
        alpha,
        centered,
        momentum,
        ..
    }) = said.expect("RMSprop").optimizer
    else {
        panic!("another optimizer")
    };
    assert_eq!((alpha, centered, momentum), (0.99, false, 0.5));
    let said = train(&["train.schedule={ step = { every = 500, factor = 0.5 } }"]);
    let step = Schedule::Step {
        every: 500,
        factor: 0.5,
        warmup: 0,
    };
    assert_eq!(said.expect("a schedule").schedule, step);
    let said = train(&["train.schedule={ constant = { warmup = 100 } }"]);
    let constant = Schedule::Constant { warmup: 100 };
    assert_eq!(said.expect("a schedule").schedule, constant);
    let said = train(&["train.clip={ value = 1.0 }"]);
    assert_eq!(said.expect("a clip").clip, Some(Clip::Value(1.0)));
    for (setting, problem) in [
        ("train.ema=1.0", "ema"),
        ("train.clip={ norm = -1.0 }", "clip"),
        (
            "train.schedule={ cosine = { steps = 5, warmup = 5 } }",
            "steps",
        ),
        (
            "train.optimizer={ rmsprop = { lr = 0.1, alpha = 2.0 } }",
            "alpha",
        ),
    ] {
        let error = scenario(&[setting]).expect_err(setting).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

/// A conditional VAE's samples follow the labels, and its own classes; without labels it is refused.
#[test]
fn a_conditional_vae_learns_and_shows_its_classes() {
    let settings = [
        "train.steps=12",
        "train.batch=16",
        "model.encoder=[{ dense = { units = 24 } }, \"relu\", { reshape = [2, 12] }]",
        "model.decoder=[{ dense = { units = 784 } }]",
    ]
    .map(str::to_owned);
    let scenario = Scenario::load("cvae-mnist", &settings).expect("it is valid");
    let mut trainer = Trainer::new(gpu(), &scenario).expect("a trainer");
    let mut losses = Vec::new();
    while trainer.steps_done() < 12 {
        trainer.step(true).expect("a step");
        while let Some(record) = trainer.take(trainer.is_full()).expect("a record") {
            losses.push(record.scalars[0]);
        }
    }
    assert!(losses[7] < losses[0], "{losses:?}");
    let checkpoint = trainer.checkpoint().expect("a checkpoint");
    let shape = |name: &str| {
        let found = checkpoint.parameters.iter().find(|t| t.name == name);
        found.expect("it is there").shape.clone()
    };
    assert_eq!(shape("condition.weight"), [10, 16]);
    assert_eq!(shape("mu.weight"), [12, 24 + 16]);
    assert_eq!(shape("decoder.0.weight"), [784, 12 + 16]);

    let preview = ModelPreview::new(&trainer, 32)
        .expect("it fits")
        .expect("a VAE");
    assert_eq!((preview.count, preview.classes), (30, 10));
    preview.refresh(gpu());
    let images = gpu().read(&preview.samples).expect("images");
    // The decoder is one dense layer: what two classes differ by is the same for every draw, before the sigmoid.
    let logit = |image: usize| {
        let pixel = f64::from(images[image * 784 + 300]);
        (pixel / (1.0 - pixel)).ln()
    };
    let difference = |row: usize| logit(row * 10 + 3) - logit(row * 10);
    assert!(difference(0).abs() > 1e-3);
    assert!((difference(0) - difference(1)).abs() < 1e-4);
    assert!((logit(0) - logit(10)).abs() > 1e-4);
    let [_, outputs] = preview.reconstructions.as_ref().expect("a VAE");
    assert!(
        gpu()
            .read(outputs)
            .expect("read")
            .iter()
            .all(|v| v.is_finite())
    );
}
