//! Checkpoints and PyTorch's state dicts are the same tensors, for every layer that has parameters or state.
//!
//! The fixture is what PyTorch's `state_dict()` gave for `every_layer.toml` (tests/fixtures/make_interchange.py). A run
//! begins with it; the checkpoint that it writes holds the same names, shapes and values, so `load_state_dict` takes
//! that as it is; and the network computes what PyTorch's does.

use std::path::{Path, PathBuf};

use trainscope::nn::{Plan, PlanOptions, Watched};
use trainscope::trace::{Checkpoint, read_safetensors};
use trainscope::train::{Model, Run, Scenario};

use crate::nn::fixture::Fixture;
use crate::nn::harness::distance;
use crate::support::gpu;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn a_state_dict_of_every_layer_comes_in_and_goes_out_unchanged() {
    let scenario = fixture("every_layer.toml");
    let scenario = Scenario::load(&scenario.display().to_string(), &[]).expect("it is valid");
    let state = fixture("every_layer.safetensors");
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, Some(&state)).expect("it takes the tensors");
    let theirs = read_safetensors(&state).expect("PyTorch's file");
    let mut ours = Checkpoint::read(&dir, 0).expect("the first").parameters;
    ours.sort_by(|a, b| a.0.cmp(&b.0));
    let head = |(name, shape, _): &(String, Vec<usize>, Vec<f32>)| (name.clone(), shape.clone());
    let heads: Vec<_> = ours.iter().map(head).collect();
    assert_eq!(heads, theirs.iter().map(head).collect::<Vec<_>>());
    assert_eq!(ours, theirs);

    // The network in evaluation, on images 800 to 807 of the file.
    let trainer = run.trainer();
    let Model::Classifier(classifier) = trainer.model() else {
        panic!("a classifier");
    };
    let clock = gpu().buffer("clock", 4).expect("small");
    let options = PlanOptions {
        batch: 8,
        seed: 0,
        clock: &clock,
        training: false,
        keep: &[classifier.logits],
        inputs: &[],
    };
    let mut no_probe = |_: &Watched<'_>| Ok(Vec::new());
    let graph = &classifier.graph;
    let plan =
        Plan::new(gpu(), graph, trainer.parameters(), &options, &mut no_probe).expect("it fits");
    let x = plan.value(classifier.x).expect("an input");
    let indices: Vec<u32> = (800..808).collect();
    let gather = trainer
        .dataset()
        .gather_indices(gpu(), &indices, x)
        .expect("there are 10,000");
    gpu().run("images", [&gather]);
    gpu().run("evaluate", plan.dispatches(false));
    let logits = gpu()
        .read(plan.value(classifier.logits).expect("kept"))
        .expect("read");
    let outputs = Fixture::open("every_layer_outputs");
    let off = distance(&logits, outputs.get("logits"));
    assert!(off < 1e-5, "off by {off}");

    // It trains on from there, and what it then writes still has the same tensors.
    while run.trainer().steps_done() < 3 {
        run.advance(&mut |_| ()).expect("a step");
    }
    let finished = run.finish(true, &mut |_| ()).expect("saved");
    let mut after = Checkpoint::read(&dir, finished.trainer.steps_done())
        .expect("the last")
        .parameters;
    after.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(heads, after.iter().map(head).collect::<Vec<_>>());
    assert_ne!(after, theirs);
}
