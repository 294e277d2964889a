//! Frozen layers keep their first parameters to the bit, and the others train as they would beside them.

use std::path::Path;

use trainscope::diagnose::{Cause, Verdict, explain};
use trainscope::tensor::{NamedTensor, TensorKind};
use trainscope::trace::{Checkpoint, RunReader, RunView, Severity};
use trainscope::train::{Run, Scenario};

use crate::support::{SMALL, gpu, verify_replay};

fn train(text: &str, settings: &[&str], dir: &Path) {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let scenario = Scenario::parse(text, "frozen", &settings).unwrap();
    let mut run = Run::create(gpu(), &scenario, dir, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
}

fn parameters(dir: &Path, step: u64) -> Vec<NamedTensor> {
    Checkpoint::read(dir, step).unwrap().parameters
}

fn named<'t>(tensors: &'t [NamedTensor], name: &str) -> &'t NamedTensor {
    tensors.iter().find(|tensor| tensor.name == name).unwrap()
}

/// A scenario whose optimizer would move weights without a gradient, too.
const DECAYS: [&str; 5] = [
    "train.steps=10",
    "record.checkpoint_every=5",
    "train.optimizer={ adamw = { lr = 0.01, weight_decay = 0.5 } }",
    "train.clip={ norm = 1.0 }",
    "train.ema=0.5",
];

#[test]
fn frozen_layers_keep_their_first_values() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let settings = [&DECAYS[..], &[r#"train.frozen=["encoder", "logvar"]"#]].concat();
    train(SMALL, &settings, &dir);
    let (first, last) = (parameters(&dir, 0), parameters(&dir, 10));
    for (before, after) in first.iter().zip(&last) {
        let is_frozen = before.name.starts_with("encoder.") || before.name.starts_with("logvar.");
        let is_state = before.name.contains("running") || before.name.contains("num_batches");
        let is_same = before.values == after.values;
        assert_eq!(is_same, is_frozen && !is_state, "{}", before.name);
    }
    // The average of a weight that never moves is that weight.
    let optimizer = Checkpoint::read(&dir, 10).unwrap().optimizer;
    let average = named(&optimizer, "encoder.0.weight.ema");
    let weight = named(&last, "encoder.0.weight");
    for (average, weight) in average.values.iter().zip(&weight.values) {
        assert!(
            (average - weight).abs() <= 1e-6 * weight.abs(),
            "{average} of {weight}"
        );
    }
    // What is recorded says so: no updates, no gradients, and a layer that is frozen.
    let run = RunView::open(&dir).unwrap();
    assert!(run.model().layer("logvar").unwrap().frozen);
    assert!(!run.model().layer("mu").unwrap().frozen);
    assert!(
        run.layout()
            .find("logvar.weight", TensorKind::Weight)
            .is_some()
    );
    assert!(
        run.layout()
            .find("logvar.weight", TensorKind::Update)
            .is_none()
    );
    assert!(run.layout().find("mu.weight", TensorKind::Update).is_some());
    assert!(!run.scalars().contains_key("gradient_norm/logvar.weight"));
    assert!(run.scalars().contains_key("gradient_norm/mu.weight"));
    // It repeats bit for bit, also from a checkpoint in between.
    let verified = verify_replay(&dir, 5..10).unwrap();
    assert!(
        verified.differences.is_empty(),
        "{:?}",
        verified.differences
    );
}

/// In the first step the gradients of the others are the same, whatever is frozen before or behind them.
#[test]
fn the_other_layers_take_the_same_step() {
    let scratch = tempfile::tempdir().unwrap();
    let settings = ["train.steps=1", "train.optimizer={ sgd = { lr = 1e-3 } }"];
    let all = scratch.path().join("all");
    train(SMALL, &settings, &all);
    for (name, frozen) in [("front", "encoder"), ("middle", "mu"), ("end", "decoder")] {
        let dir = scratch.path().join(name);
        let set = format!("train.frozen=['{frozen}']");
        train(SMALL, &[&settings[..], &[&set]].concat(), &dir);
        let (free, some) = (parameters(&all, 1), parameters(&dir, 1));
        for (free, some) in free.iter().zip(&some) {
            let layer = some.name.split('.').next().unwrap();
            if layer != frozen {
                assert_eq!(free.values, some.values, "{} beside {frozen}", some.name);
            }
        }
    }
}

#[test]
fn a_run_goes_on_with_frozen_layers() {
    let scratch = tempfile::tempdir().unwrap();
    let (whole, halves) = (scratch.path().join("whole"), scratch.path().join("halves"));
    let settings = [&DECAYS[..], &["train.frozen=['decoder']"]].concat();
    train(SMALL, &settings, &whole);
    let owned: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let scenario = Scenario::parse(SMALL, "frozen", &owned).unwrap();
    let mut run = Run::create(gpu(), &scenario, &halves, None).unwrap();
    for _ in 0..5 {
        assert!(run.advance(&mut |_| {}).unwrap());
    }
    run.finish(true, &mut |_| {}).unwrap();
    let mut run = Run::resume(gpu(), &halves, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let digest = |dir: &Path| Checkpoint::read(dir, 10).unwrap().digest();
    assert_eq!(digest(&whole), digest(&halves));
}

const GAN: &str = r#"
name = "frozen-gan"
seed = 1
data = { source = "shapes", size = 8, count = 64 }
[model]
kind = "gan"
latent = 4
weight_clip = 0.01
generator = [{ dense = 16 }, "batch_norm", "relu", { dense = 192 }, "sigmoid"]
discriminator = [{ dense = 16 }, { leaky_relu = 0.2 }, { dense = 1 }]
[train]
batch = 8
steps = 6
"#;

/// A whole network of a GAN may be frozen; a bound on weights does not move it either, and `explain` says what stands still.
#[test]
fn a_whole_network_of_a_gan_stands_still() {
    let scratch = tempfile::tempdir().unwrap();
    for (network, other) in [
        ("generator", "discriminator"),
        ("discriminator", "generator"),
    ] {
        let dir = scratch.path().join(network);
        train(GAN, &[&format!("train.frozen=['{network}']")], &dir);
        let (first, last) = (parameters(&dir, 0), parameters(&dir, 6));
        let moved = |layer: &str| {
            let weights = first.iter().zip(&last);
            let mut weights =
                weights.filter(|(tensor, _)| tensor.name == format!("{layer}.0.weight"));
            weights.any(|(before, after)| before.values != after.values)
        };
        assert!(!moved(network) && moved(other), "{network}");
        let explained = explain(&RunView::open(&dir).unwrap());
        assert_eq!(explained.verdict, Verdict::Failed);
        assert_eq!(explained.findings[0].cause, Cause::FrozenLayers);
        assert!(
            explained
                .headline
                .contains(&format!("the {network} is frozen")),
            "{}",
            explained.headline
        );
        assert!(RunReader::open(&dir).unwrap().events().unwrap().is_empty());
    }
}

/// Where the others learn, frozen layers are a note.
#[test]
fn frozen_layers_alone_are_no_failure() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    train(
        SMALL,
        &["train.steps=5", "train.frozen=['encoder.0']"],
        &dir,
    );
    let explained = explain(&RunView::open(&dir).unwrap());
    let finding = explained
        .findings
        .iter()
        .find(|found| found.cause == Cause::FrozenLayers)
        .unwrap();
    assert_eq!(finding.severity, Severity::Note);
    assert_eq!(finding.layer.as_deref(), Some("encoder.0"));
    assert_eq!(finding.fixes[0].set, ["train.frozen=[]"]);
    assert_ne!(explained.verdict, Verdict::Failed);
}

#[test]
fn names_that_freeze_nothing_or_everything_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let refused = |frozen: &str| {
        let settings = [format!("train.frozen={frozen}")];
        let scenario = Scenario::parse(SMALL, "frozen", &settings).unwrap();
        let run = Run::create(gpu(), &scenario, &scratch.path().join("run"), None);
        run.map(|_| ()).expect_err("it is refused").to_string()
    };
    let error = refused("['encodr']");
    assert!(
        error.contains("'encodr'") && error.contains("encoder.0"),
        "{error}"
    );
    // No name ends within another one.
    assert!(refused("['m']").contains("'m'"));
    // An activation has nothing to freeze.
    let error = refused("['encoder', 'decoder', 'mu', 'logvar']");
    assert!(error.contains("nothing is left to train"), "{error}");
}
