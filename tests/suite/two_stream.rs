//! Two-stream networks: what they are made of, that they learn, and that they are refused where they make no sense.

use trainscope::models::{DataShape, Fusion, Streams};
use trainscope::train::{ModelConfig, Scenario, Trainer};

use crate::support::gpu;

fn scenario(name: &str, settings: &[&str]) -> trainscope::Result<Scenario> {
    let small = ["data.count=96", "train.batch=16", "train.steps=24"];
    let all = small.iter().chain(settings);
    let settings: Vec<String> = all.map(|&s| s.to_owned()).collect();
    Scenario::load(name, &settings)
}

fn losses(scenario: &Scenario) -> (Vec<f32>, String) {
    let mut trainer = Trainer::new(gpu(), scenario).expect("a trainer");
    let mut losses = Vec::new();
    while trainer.steps_done() < scenario.train.steps {
        trainer
            .step(trainer.steps_done().is_multiple_of(8))
            .expect("a step");
        while let Some(record) = trainer.take(trainer.is_full()).expect("a record") {
            losses.push(record.scalars[0]);
        }
    }
    while let Some(record) = trainer.take(true).expect("a record") {
        losses.push(record.scalars[0]);
    }
    (losses, trainer.checkpoint().expect("saved").digest())
}

#[test]
fn both_tasks_are_learnt_the_same_way_twice() {
    for name in ["two-stream-clips", "two-stream-binding"] {
        let scenario = scenario(
            name,
            &[
                "model.widths=[4, 8]",
                "model.fusion_width=8",
                "train.optimizer.adam.lr=1e-2",
            ],
        );
        let scenario = scenario.expect("it is valid");
        let (first, digest) = losses(&scenario);
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        let (early, late) = (mean(&first[..4]), mean(&first[20..]));
        assert!(late < 0.99 * early, "{name}: {early} to {late}");
        assert_eq!(losses(&scenario), (first, digest));
    }
}

#[test]
fn a_network_has_the_streams_that_it_is_told() {
    let data = DataShape {
        sample: [23, 32, 32],
        classes: 24,
    };
    let parameters = |settings: &[&str]| {
        let scenario = scenario("two-stream-clips", settings).expect("it is valid");
        let model = scenario.build_model(data).expect("it fits");
        let passes = model.passes();
        let parameters = passes[0].graph.parameters().iter();
        let count = |p: &trainscope::nn::Parameter| p.shape.iter().product::<usize>();
        let named = parameters.map(|p| (p.name.clone(), count(p)));
        named.collect::<Vec<_>>()
    };
    let has = |of: &[(String, usize)], name: &str| of.iter().any(|(n, _)| n.starts_with(name));
    let both = parameters(&[]);
    assert!(has(&both, "appearance.0") && has(&both, "flow.6") && has(&both, "fusion"));
    // About 125,000, as in the prototype that these figures are compared with.
    let all: usize = both.iter().map(|(_, count)| count).sum();
    assert!((115_000..130_000).contains(&all), "{all}");
    let flow = parameters(&["model.streams=\"flow\""]);
    assert!(!has(&flow, "appearance") && has(&flow, "flow.0") && has(&flow, "fusion"));
    let late = parameters(&["model.fusion=\"late\""]);
    assert!(has(&late, "appearance.logits") && has(&late, "flow.logits") && !has(&late, "fusion"));

    let ModelConfig::TwoStream(config) = scenario("two-stream-binding", &[])
        .expect("it is valid")
        .model()
    else {
        panic!("a two-stream network");
    };
    assert_eq!(
        (config.streams, config.fusion),
        (Streams::Both, Fusion::Convolution)
    );
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    let refused = |name: &str, settings: &[&str], words: &[&str]| {
        let error = match scenario(name, settings) {
            Ok(scenario) => Trainer::new(gpu(), &scenario).expect_err("it is refused"),
            Err(error) => error,
        };
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{text}: no '{word}'");
        }
    };
    refused(
        "two-stream-clips",
        &["model.targets=\"pairs\""],
        &["model.targets", "24 classes", "binding"],
    );
    refused("two-stream-clips", &["data.size=8"], &["size", "24 to 128"]);
    refused(
        "two-stream-clips",
        &["model.widths=[]"],
        &["widths", "empty"],
    );
    refused(
        "two-stream-clips",
        &["data.source=mnist"],
        &["mnist", "task", "leave it out"],
    );
    // Images without flow.
    refused(
        "two-stream-clips",
        &["data={ source = \"shapes\", size = 32, count = 32 }"],
        &["flow.input", "[3, 32, 32]"],
    );
}
