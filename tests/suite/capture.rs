//! Replays that capture whole tensors, against float64 and against what the run has kept.

use std::collections::BTreeMap;

use trainscope::nn::Mode;
use trainscope::nn::reference::Reference;
use trainscope::tensor::NamedTensor;
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Replay, Run, Scenario, TensorCapture, TensorRequest};

use crate::nn::harness::distance;
use crate::support::{SMALL, gpu};

fn trained(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let scenario = Scenario::parse(text, "test", &[]).expect("a scenario");
    let mut run = Run::create(gpu(), &scenario, &dir, None).expect("a run");
    while run.advance(&mut |_| ()).expect("it runs") {}
    run.finish(false, &mut |_| ()).expect("it closes");
    (folder, dir)
}

fn capture(names: &[&str]) -> TensorCapture {
    let requests = names.iter().map(|name| TensorRequest::parse(name));
    TensorCapture::new(requests.map(|request| request.expect("a request")))
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

#[test]
fn captured_tensors_agree_with_float64() {
    let (_folder, dir) = trained(SMALL);
    let names = [
        "x",
        "encoder.1",
        "mu:activation",
        "z:gradient",
        "decoder.0:gradient",
        "reconstruction",
        "encoder.0.weight:weight",
        "mu.bias:update",
    ];
    let mut replay = Replay::open(gpu(), &dir)
        .expect("it opens")
        .range(20..22)
        .probe(capture(&names))
        .verify(true)
        .start()
        .expect("it starts");
    let record = replay.step().expect("it runs").expect("step 20");
    let outputs: BTreeMap<&str, &NamedTensor> = record
        .outputs
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    assert_eq!(outputs.len(), names.len());
    assert_eq!(outputs["z/gradient"].shape, [32, 4]);
    assert_eq!(outputs["x/activation"].shape, [32, 1, 28, 28]);
    assert_eq!(outputs["reconstruction/activation"].shape, [32]);

    // The batch is the samples that are named.
    let images = replay.trainer().scenario().images().expect("MNIST");
    let samples = replay.trainer().batch_samples(20);
    let pixels: Vec<f32> = samples
        .iter()
        .flat_map(|&sample| &images.pixels[784 * sample as usize..][..784])
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    assert_eq!(outputs["x/activation"].values, pixels);

    // The step in float64, from the checkpoint before it.
    let checkpoint = Checkpoint::read(&dir, 20).expect("a checkpoint");
    let pass = replay.trainer().model().passes()[0];
    let graph = pass.graph;
    let of_name = |name: &str| {
        let found = checkpoint
            .parameters
            .iter()
            .find(|tensor| tensor.name == name);
        &found.expect("a parameter").values
    };
    let parameters = graph.parameters().iter();
    let parameters: Vec<Vec<f64>> = parameters.map(|p| wide(of_name(&p.name))).collect();
    let reference = Reference {
        graph,
        batch: 32,
        mode: Mode::Train,
        parameters: &parameters,
        noise: (3, 20),
        rule: trainscope::nn::BackwardRule::Gradient,
    };
    let expected = reference.step(pass.loss, &[wide(&pixels)]);
    for (name, tensor) in &outputs {
        let (layer, kind) = name.rsplit_once('/').expect("a kind");
        let node = graph.nodes().iter().position(|node| node.name == layer);
        let wanted = match kind {
            "activation" => expected.values[node.expect("a layer")].clone(),
            "gradient" => expected.gradients[node.expect("a layer")]
                .clone()
                .expect("one"),
            _ => continue,
        };
        let off = distance(&tensor.values, &wanted);
        assert!(off < 1e-5, "{name}: off by {off}");
    }
    assert_eq!(
        outputs["encoder.0.weight/weight"].values,
        *of_name("encoder.0.weight")
    );

    // What a step adds is the difference of the states around it.
    let next = replay.step().expect("it runs").expect("step 21");
    let weight = |outputs: &[NamedTensor], name: &str| {
        let found = outputs.iter().find(|tensor| tensor.name == name);
        found.expect("captured").values.clone()
    };
    assert_ne!(
        weight(&next.outputs, "encoder.0.weight/weight"),
        *of_name("encoder.0.weight")
    );
    assert!(replay.step().expect("it runs").is_none());

    // The probe has changed no bit of the steps.
    let found = replay.verification();
    assert_eq!(found.differences, Vec::<String>::new());
    assert!(found.scalars > 0);
    assert_eq!(RunReader::open(&dir).expect("a run").info().steps_done, 40);
}

#[test]
fn what_a_step_does_not_have_is_refused_by_name() {
    let (_folder, dir) = trained(SMALL);
    let refused = |name: &str| {
        let replay = Replay::open(gpu(), &dir).expect("it opens").range(0..1);
        let started = replay.probe(capture(&[name])).start();
        started.map(|_| ()).expect_err("it is refused").to_string()
    };
    let error = refused("encoder.7");
    assert!(
        error.contains("tensor 'encoder.7'") && error.contains("encoder.0"),
        "{error}"
    );
    let error = refused("x:gradient");
    assert!(error.contains("computes no gradient"), "{error}");
    let error = TensorRequest::parse("mu:size")
        .expect_err("no kind")
        .to_string();
    assert!(
        error.contains("activation, gradient, weight or update"),
        "{error}"
    );
}

/// A GAN's generator is updated in every second step here; in the others its gradients are zero, never those of the step
/// before.
#[test]
fn passes_of_a_gan_have_names_of_their_own() {
    let (_folder, dir) = trained(
        "name = \"gan\"
seed = 5
[data]
source = \"shapes\"
size = 8
count = 40
[model]
kind = \"gan\"
latent = 3
generator = [ { dense = { units = 8 } }, \"tanh\", { dense = { units = 192 } }, \"sigmoid\" ]
discriminator = [ { dense = { units = 6 } }, \"tanh\", { dense = { units = 1 } } ]
critic_steps = 2
[train]
batch = 8
steps = 4
[record]
checkpoint_every = 4
",
    );
    let names = [
        "generator.0:gradient",
        "discriminator.0",
        "discriminator.0@generated",
        "discriminator.0@generator",
        "discriminator.0@generator:gradient",
        "generator.2.bias:update",
    ];
    let mut replay = Replay::open(gpu(), &dir)
        .expect("it opens")
        .probe(capture(&names))
        .verify(true)
        .start()
        .expect("it starts");
    for step in 0..4 {
        let record = replay.step().expect("it runs").expect("a step");
        let is_zero = |name: &str| {
            let found = record.outputs.iter().find(|tensor| tensor.name == name);
            found
                .expect("captured")
                .values
                .iter()
                .all(|&value| value == 0.0)
        };
        for name in [
            "generator.0/gradient",
            "discriminator.0@generator/gradient",
            "generator.2.bias/update",
        ] {
            assert_eq!(is_zero(name), step % 2 == 1, "{name} of step {step}");
        }
        assert!(!is_zero("discriminator.0@generator/activation"));
        // Generated images are the same in both passes, and the discriminator was updated in between.
        let values = |name: &str| {
            let found = record.outputs.iter().find(|tensor| tensor.name == name);
            found.expect("captured").values.clone()
        };
        assert_ne!(
            values("discriminator.0@generator/activation"),
            values("discriminator.0@generated/activation")
        );
    }
    assert_eq!(replay.verification().differences, Vec::<String>::new());
}
