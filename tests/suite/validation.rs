//! Samples that training does not see: how they are chosen, what is measured of them, and that training does not notice.

use std::path::Path;

use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Confusion, Finished, Run, Scenario, ValidationResult};

use crate::support::{SMALL, gpu, verify_replay};

const CLASSIFIER: &str = r#"name = "held-out"
seed = 5
[data]
source = "mnist"
[validate]
split = 0.05
every = 10
[model]
kind = "classifier"
layers = [ { dense = 32 }, "relu", { dropout = 0.2 }, { dense = 10 } ]
[train]
batch = 64
steps = 30
optimizer = { adam = 3e-3 }
[record]
every = 5
checkpoint_every = 10
"#;

fn parse(text: &str, settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::parse(text, "held-out.toml", &settings).unwrap()
}

fn train(scenario: &Scenario, dir: &Path) -> Finished {
    let mut run = Run::create(gpu(), scenario, dir, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap()
}

fn digest(dir: &Path, step: u64) -> String {
    Checkpoint::read(dir, step).unwrap().digest()
}

#[test]
fn the_parts_are_disjoint_and_complete() {
    let scenario = parse(CLASSIFIER, &[]);
    let (training, held) = (
        scenario.images().unwrap(),
        scenario.validation_images().unwrap().unwrap(),
    );
    let all = parse(SMALL, &[]).images().unwrap();
    assert_eq!((training.count, held.count), (9_500, 500));
    // Walking through the file, every image is the next one of one part or of the other.
    let size = all.sample_size();
    let (mut of_training, mut of_held) = (0, 0);
    for sample in 0..all.count {
        let pixels = &all.pixels[sample * size..][..size];
        let is_next = |part: &trainscope::data::Images, at: usize| {
            at < part.count
                && part.pixels[at * size..][..size] == *pixels
                && part.labels[at] == all.labels[sample]
        };
        if is_next(&training, of_training) {
            of_training += 1;
        } else {
            assert!(is_next(&held, of_held), "sample {sample}");
            of_held += 1;
        }
    }
    assert_eq!((of_training, of_held), (9_500, 500));
    // Every class is there, and another seed holds out others.
    assert!((0..10).all(|class| held.labels.contains(&class)));
    let other = parse(CLASSIFIER, &["seed=6"])
        .validation_images()
        .unwrap()
        .unwrap();
    assert_ne!(other.pixels, held.pixels);
}

/// Measuring changes nothing of training, also in what is recorded, and replays and resumes do not need it.
#[test]
fn training_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let often = parse(CLASSIFIER, &["validate.every=1"]);
    let finished = train(&often, &at("often"));
    train(&parse(CLASSIFIER, &["validate.every=1000"]), &at("hardly"));
    for step in [0, 10, 20, 30] {
        assert_eq!(digest(&at("often"), step), digest(&at("hardly"), step));
    }
    let read = |name: &str| RunReader::open(&at(name)).unwrap().scalars().unwrap();
    let (often, hardly) = (read("often"), read("hardly"));
    for (name, series) in &hardly {
        if !name.starts_with("validation/") {
            assert_eq!(series, &often[name], "{name}");
        }
    }
    let steps = |series: &[(u64, f64)]| series.iter().map(|(step, _)| *step).collect::<Vec<_>>();
    assert_eq!(
        steps(&often["validation/loss"]),
        (0..30).collect::<Vec<_>>()
    );
    assert_eq!(steps(&hardly["validation/accuracy"]), [0, 29]);
    let found = verify_replay(&at("often"), 5..25).unwrap();
    assert!(found.differences.is_empty(), "{:?}", found.differences);

    // The result at the end, with what was taken for what.
    let result = finished.validation.expect("it was measured");
    assert_eq!((result.step, result.samples), (30, 500));
    let written = std::fs::read(at("often/analysis/validation.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<ValidationResult>(&written).unwrap(),
        result
    );
    let confusion = result.confusion.expect("of a classifier");
    let right: u32 = (0..10).map(|class| confusion.counts[class][class]).sum();
    let accuracy = result
        .scalars
        .iter()
        .find(|(name, _)| name == "accuracy")
        .unwrap()
        .1;
    assert!(
        (f64::from(right) / 500.0 - accuracy).abs() < 1e-6,
        "{right} {accuracy}"
    );
    assert!(accuracy > 0.3, "{accuracy}");
    let all: u32 = confusion.counts.iter().flatten().sum();
    assert_eq!(all, 500);
    let info = RunReader::open(&at("often")).unwrap().info().clone();
    assert_eq!(info.parameters, Some(784 * 32 + 32 + 32 * 10 + 10));
    assert!(info.started.is_some_and(|time| time.ends_with('Z')));
}

/// A resumed run measures the same.
#[test]
fn a_resumed_run_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    train(&parse(CLASSIFIER, &[]), &at("whole"));
    let mut run = Run::create(gpu(), &parse(CLASSIFIER, &[]), &at("parts"), None).unwrap();
    for _ in 0..20 {
        run.advance(&mut |_| {}).unwrap();
    }
    run.finish(true, &mut |_| {}).unwrap();
    let mut run = Run::resume(gpu(), &at("parts"), None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let scalars = |name: &str| RunReader::open(&at(name)).unwrap().scalars().unwrap();
    assert_eq!(scalars("whole"), scalars("parts"));
}

/// A VAE and a GAN are measured too, in batches that do not divide the samples.
#[test]
fn generative_models_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let vae = format!("{SMALL}\n[validate]\nsplit = 0.0107\nevery = 20\n");
    let result = train(&parse(&vae, &[]), &folder.path().join("vae"))
        .validation
        .unwrap();
    let names: Vec<&str> = result
        .scalars
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["loss", "reconstruction", "kl_divergence", "elbo"]);
    assert_eq!(result.samples, 107);
    let value = |name: &str| {
        result
            .scalars
            .iter()
            .find(|(found, _)| found == name)
            .unwrap()
            .1
    };
    let bound = -(value("reconstruction") + value("kl_divergence"));
    assert!((value("elbo") - bound).abs() < 1e-3 * bound.abs());
    assert!(result.confusion.is_none());

    let settings = ["train.steps=4", "train.batch=16"].map(str::to_owned);
    let gan = Scenario::load("gan-mnist", &settings).unwrap();
    let gan = Scenario::parse(
        &format!("{}\n[validate]\nevery = 2\n", gan.to_toml()),
        "gan",
        &[],
    )
    .unwrap();
    let result = train(&gan, &folder.path().join("gan")).validation.unwrap();
    assert_eq!(result.scalars[0].0, "real_loss");
    assert!(result.scalars.iter().all(|(_, value)| value.is_finite()));
}

#[test]
fn what_cannot_be_held_out_is_refused() {
    for (split, part) in [
        ("0.0", "above 0"),
        ("1.0", "below 1"),
        ("nan", "above 0"),
        ("\"test\"", "reads no files"),
        ("true", "true or false"),
    ] {
        let text = CLASSIFIER.replace("0.05", split);
        let error = Scenario::parse(&text, "held-out.toml", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("held-out.toml, line ") && error.contains(part),
            "{error}"
        );
    }
    let scenario = parse(CLASSIFIER, &["validate.split=1e-6"]);
    assert!(
        scenario
            .images()
            .unwrap_err()
            .to_string()
            .contains("0 of 10000")
    );
}

#[test]
fn classes_without_samples_have_no_accuracy() {
    let confusion = Confusion {
        counts: vec![vec![3, 1], vec![0, 0]],
    };
    assert_eq!(confusion.accuracies(), [Some(0.75), None]);
}
