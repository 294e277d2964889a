//! What scenarios say of losses, first values and inputs: each trains as it should, and replays bit for bit.

use trainscope::diagnose::{Cause, explain};
use trainscope::gpu::Gpu;
use trainscope::trace::{RunReader, RunView};
use trainscope::train::{ModelPreview, Run, Scenario, Trainer};

use crate::support::{gpu, verify_replay};

/// A classifier of generated shapes, of two classes or three.
fn classifier(end: &str, loss: &str, shares: &str) -> Scenario {
    let text = format!(
        r#"
name = "losses"
seed = 3
data = {{ source = "shapes", size = 8, count = 300, class_shares = {shares} }}
[model]
kind = "classifier"
loss = "{loss}"
layers = [{{ dense = 24 }}, "batch_norm", "tanh", {end}]
[train]
batch = 32
steps = 60
optimizer = {{ adam = {{ lr = 0.02 }} }}
[record]
every = 10
"#
    );
    Scenario::parse(&text, "losses", &[]).unwrap()
}

/// The named scalar of a run of `scenario`, which replays bit for bit.
fn scalar(scenario: &Scenario, name: &str) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), scenario, &dir, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let steps = scenario.train.steps;
    let verified = verify_replay(&dir, steps - 5..steps).unwrap();
    assert!(
        verified.differences.is_empty(),
        "{:?}",
        verified.differences
    );
    let scalars = RunReader::open(&dir).unwrap().scalars().unwrap();
    let values = scalars[name].iter().map(|(_, value)| *value);
    values.collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn classifiers_learn_with_every_loss() {
    for (end, loss) in [
        ("{ dense = 3 }", "cross_entropy"),
        (r#"{ dense = 3 }, "softmax""#, "negative_log_likelihood"),
        ("{ dense = 3 }", "bce_with_logits"),
        (r#"{ dense = 3 }, "sigmoid""#, "bce"),
        ("{ dense = 3 }", "squared_error"),
    ] {
        let accuracy = scalar(&classifier(end, loss, "[1.0]"), "accuracy");
        let late = mean(&accuracy[50..]);
        assert!(late > 0.55, "{loss}: {late} after {}", mean(&accuracy[..5]));
    }
}

/// With smoothed labels a classifier learns as well, and its loss stays above that of an answer which is always right.
#[test]
fn classifiers_learn_smoothed_labels() {
    let entropy = |shares: &[f64]| -> f64 { shares.iter().map(|p| -p * p.ln()).sum() };
    let of_classes = entropy(&[0.8, 0.1, 0.1]);
    let of_answers = 3.0 * entropy(&[0.85, 0.15]);
    for (end, loss, least) in [
        ("{ dense = 3 }", "cross_entropy", of_classes),
        (
            r#"{ dense = 3 }, "softmax""#,
            "negative_log_likelihood",
            of_classes,
        ),
        ("{ dense = 3 }", "bce_with_logits", of_answers),
        (r#"{ dense = 3 }, "sigmoid""#, "bce", of_answers),
        ("{ dense = 3 }", "squared_error", 0.0),
    ] {
        let smoothed = classifier(end, loss, "[1.0]");
        let smoothed = smoothed
            .with(&["model.label_smoothing=0.3".into()])
            .unwrap();
        let late = mean(&scalar(&smoothed, "accuracy")[50..]);
        assert!(late > 0.55, "{loss}: {late}");
        let losses = scalar(&smoothed, "loss");
        assert!(
            losses.iter().all(|value| *value >= least - 1e-5),
            "{loss}: {losses:?}"
        );
    }
    let one = classifier("{ dense = 1 }", "bce_with_logits", "[1.0, 1.0, 0.0]");
    let one = one.with(&["model.label_smoothing=0.2".into()]).unwrap();
    let late = mean(&scalar(&one, "accuracy")[50..]);
    assert!(late > 0.6, "one output: {late}");
    let error = one.with(&["model.label_smoothing=1.0".into()]).unwrap_err();
    assert!(error.to_string().contains("below 1"), "{error}");
}

/// One output for two classes, the second of which it says.
#[test]
fn one_output_is_enough_for_two_classes() {
    for (end, loss) in [
        ("{ dense = 1 }", "bce_with_logits"),
        (r#"{ dense = 1 }, "sigmoid""#, "bce"),
        ("{ dense = 1 }", "squared_error"),
    ] {
        let accuracy = scalar(&classifier(end, loss, "[1.0, 1.0, 0.0]"), "accuracy");
        let late = mean(&accuracy[50..]);
        assert!(late > 0.6, "{loss}: {late} after {}", mean(&accuracy[..5]));
        let three = classifier(end, loss, "[1.0]");
        let error = Trainer::new(gpu(), &three)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("3 classes"), "{error}");
    }
    let wrong = classifier("{ dense = 3 }", "bce_with_logits", "[0.0, 0.0, 0.0]");
    let error = wrong.images().unwrap_err().to_string();
    assert!(error.contains("leaves no sample"), "{error}");
}

/// The weight of a divergence grows in a straight line; what is recorded is the divergence itself.
#[test]
fn divergences_fade_in() {
    let text = r#"
name = "annealed"
data = { source = "shapes", size = 4, count = 64, scale = 2.0, shift = -1.0 }
[model]
kind = "vae"
latent = 2
beta_warmup = 10
reconstruction = "squared_error"
encoder = [{ dense = { units = 8, init = { normal = 0.1 } } }, "tanh"]
decoder = [{ dense = { units = 48, init = { uniform = 0.2 } } }, "tanh"]
[train]
batch = 16
steps = 20
[record]
every = 5
"#;
    let scenario = Scenario::parse(text, "annealed", &[]).unwrap();
    let [loss, reconstruction, divergence, annealed] = [
        "loss",
        "reconstruction",
        "kl_divergence",
        "annealed_divergence",
    ]
    .map(|name| scalar(&scenario, name));
    assert_eq!(annealed[0], 0.0);
    for step in 0..20 {
        let share = (step as f64 / 10.0).min(1.0);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
        assert!(
            close(annealed[step], share * divergence[step]),
            "step {step}"
        );
        assert!(
            close(loss[step], reconstruction[step] + annealed[step]),
            "step {step}"
        );
    }
}

/// Inputs are in [-1, 1], and pictures of them where they were.
#[test]
fn scaled_inputs_reach_the_model_and_pictures_show_the_samples() {
    let text = r#"
name = "scaled"
data = { source = "shapes", size = 4, count = 16, scale = 2.0, shift = -1.0 }
[model]
kind = "vae"
latent = 2
reconstruction = "squared_error"
encoder = [{ dense = { units = 8, init = { constant = 0.5 } } }]
decoder = [{ dense = 48 }, "tanh"]
[train]
batch = 8
steps = 1
"#;
    let scenario = Scenario::parse(text, "scaled", &[]).unwrap();
    let gpu: &Gpu = gpu();
    let trainer = Trainer::new(gpu, &scenario).unwrap();
    let samples = scenario.images().unwrap();
    let preview = ModelPreview::new(&trainer, 4).unwrap().unwrap();
    let [originals, _] = preview.reconstructions.clone().unwrap();
    let shown = gpu.read(&originals).unwrap();
    for (value, &byte) in shown.iter().zip(&samples.pixels) {
        assert_eq!(*value, f32::from(byte) / 255.0);
    }
    let weight = trainer.checkpoint().unwrap().parameters;
    let constant = weight
        .iter()
        .find(|tensor| tensor.name == "encoder.0.weight")
        .unwrap();
    assert!(constant.values.iter().all(|value| *value == 0.5));
    let bias = weight
        .iter()
        .find(|tensor| tensor.name == "encoder.0.bias")
        .unwrap();
    assert!(bias.values.iter().all(|value| *value == 0.0));
    let input = trainer.scenario().data.range();
    assert_eq!(input, (-1.0, 1.0));
}

/// A loss that takes logarithms of probabilities and is given any numbers fails at once, and that is what is said.
#[test]
fn logits_read_as_probabilities_are_explained() {
    let scenario = classifier("{ dense = 3 }", "negative_log_likelihood", "[1.0]");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let explanation = explain(&RunView::open(&dir).unwrap());
    let first = &explanation.findings[0];
    assert_eq!(first.cause, Cause::OutputActivation, "{explanation:?}");
    let changed: Vec<String> = first.fixes[0].set.clone();
    assert!(changed[0].contains("softmax"), "{changed:?}");
}
