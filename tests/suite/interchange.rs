//! Checkpoints and PyTorch's state dicts are the same tensors, for every layer that has parameters or state.
//!
//! A fixture is what PyTorch's `state_dict()` gave for a scenario (tests/fixtures/make_interchange.py). A run begins with
//! it; the checkpoint that it writes holds the same names, shapes and values, so `load_state_dict` takes that as it is;
//! and the network computes what PyTorch's does.

use std::path::{Path, PathBuf};
use trainscope::tensor::NamedTensor;

use trainscope::models::DataShape;
use trainscope::nn::{Graph, Mode, NodeId, Plan};
use trainscope::trace::{Checkpoint, read_safetensors};
use trainscope::train::{ModelConfig, Run, Scenario, Trainer};

use crate::nn::fixture::Fixture;
use crate::nn::harness::distance;
use crate::support::gpu;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn parameters(dir: &Path, step: u64) -> Vec<NamedTensor> {
    let mut tensors = Checkpoint::read(dir, step).expect("whole").parameters;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// What a graph with the trainer's parameters makes of images 800 to 807 of the set, in evaluation.
fn evaluate(
    trainer: &Trainer,
    graph: &Graph,
    x: NodeId,
    label: Option<NodeId>,
    output: NodeId,
) -> Vec<f32> {
    let plan = Plan::request(graph, 8)
        .mode(Mode::Eval)
        .keep_value(output)
        .build(gpu(), trainer.parameters())
        .expect("it fits");
    let value = |node| plan.value(node).expect("kept");
    let labels = label.map(|label| value(label).cast());
    let indices: Vec<u32> = (800..808).collect();
    let dataset = trainer.dataset();
    let gather = dataset.gather_indices(gpu(), &indices, value(x), labels.as_ref());
    gpu().run("images", &gather.expect("it fits"));
    gpu().run("evaluate", plan.dispatches(false));
    gpu().read(value(output)).expect("read")
}

fn trainer_shape(trainer: &Trainer) -> DataShape {
    let dataset = trainer.dataset();
    DataShape {
        sample: dataset.shape(),
        classes: dataset.classes(),
    }
}

fn comes_in_and_goes_out(name: &str) {
    let scenario = fixture(&format!("{name}.toml"));
    let scenario = Scenario::load(&scenario.display().to_string(), &[]).expect("it is valid");
    let state = fixture(&format!("{name}.safetensors"));
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, Some(&state)).expect("it takes the tensors");
    let theirs = read_safetensors(&state).expect("PyTorch's file");
    let head = |tensor: &NamedTensor| (tensor.name.clone(), tensor.shape.clone());
    let heads: Vec<_> = theirs.iter().map(head).collect();
    let ours = parameters(&dir, 0);
    assert_eq!(ours.iter().map(head).collect::<Vec<_>>(), heads);
    assert_eq!(ours, theirs);

    let trainer = run.trainer();
    let data = trainer_shape(trainer);
    let got = match scenario.model() {
        ModelConfig::Classifier(config) => {
            let model = config.build(data).expect("it fits");
            evaluate(trainer, &model.graph, model.x, None, model.logits)
        }
        ModelConfig::TwoStream(config) => {
            let model = config.build(data).expect("it fits");
            evaluate(trainer, &model.graph, model.x, None, model.logits)
        }
        ModelConfig::Vae(config) => {
            let model = config
                .reconstructor(&data.sample, data.classes)
                .expect("it fits");
            let images = evaluate(trainer, &model.graph, model.x, model.label, model.image);
            // It ends in the images' sigmoid.
            images.iter().map(|p| (p / (1.0 - p)).ln()).collect()
        }
        _ => panic!("no such fixture"),
    };
    let off = distance(
        &got,
        Fixture::open(&format!("{name}_outputs")).get("logits"),
    );
    assert!(off < 1e-5, "{name}: off by {off}");

    // It trains on from there, and what it then writes still has the same tensors.
    while run.trainer().steps_done() < 3 {
        run.advance(&mut |_| ()).expect("a step");
    }
    let finished = run.finish(true, &mut |_| ()).expect("saved");
    let after = parameters(&dir, finished.trainer.steps_done());
    assert_eq!(after.iter().map(head).collect::<Vec<_>>(), heads);
    assert_ne!(after, theirs);
}

#[test]
fn a_state_dict_of_every_layer() {
    comes_in_and_goes_out("every_layer");
}

#[test]
fn a_state_dict_of_two_streams() {
    comes_in_and_goes_out("two_stream_fused");
    comes_in_and_goes_out("two_stream_late");
}

#[test]
fn a_state_dict_of_a_conditional_vae() {
    comes_in_and_goes_out("conditional_vae");
}
