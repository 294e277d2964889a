//! Whole models: gradients, and fifty steps of training, against PyTorch in float64.

use std::io::Read as _;
use std::path::Path;

use trainscope::gpu::Gpu;
use trainscope::nn::losses::{ElementwiseLoss, GaussianKl, SoftmaxCrossEntropy};
use trainscope::nn::ops::{Activation, Dense, Reparameterize};
use trainscope::nn::{Optimizer, Parameters, Plan, Sgd};

use super::fixture::Fixture;
use super::harness::{Input, Network, Probed, distance, split, variants, wide};

const PIXELS: usize = 784;

/// 784 - 32 - (8, 8) - 32 - 784, without noise.
fn vae() -> Network {
    let mut graph = Network::new();
    let mut build = || -> trainscope::Result<()> {
        let x = graph.input("x", &[PIXELS]);
        let h = graph.add("encoder.0", Dense::new(32), &[x])?;
        let h = graph.add("encoder.1", Activation::Relu, &[h])?;
        let mu = graph.add("mu", Dense::new(8), &[h])?;
        let log_variance = graph.add("logvar", Dense::new(8), &[h])?;
        let z = graph.add("z", Reparameterize::new(0.0), &[mu, log_variance])?;
        let h = graph.add("decoder.0", Dense::new(32), &[z])?;
        let h = graph.add("decoder.1", Activation::Relu, &[h])?;
        let logits = graph.add("decoder.2", Dense::new(PIXELS), &[h])?;
        let error = graph.add("bce", ElementwiseLoss::BceWithLogits, &[logits, x])?;
        let kl = graph.add("kl", GaussianKl, &[mu, log_variance])?;
        graph.loss("reconstruction", error, 1.0)?;
        graph.loss("kl_divergence", kl, 1.0)
    };
    build().expect("it fits");
    graph
}

/// 784 - 32 - 10.
fn classifier() -> Network {
    let mut graph = Network::new();
    let mut build = || -> trainscope::Result<()> {
        let x = graph.input("x", &[PIXELS]);
        let label = graph.input("label", &[]);
        let h = graph.add("layers.0", Dense::new(32), &[x])?;
        let h = graph.add("layers.1", Activation::Tanh, &[h])?;
        let logits = graph.add("layers.2", Dense::new(10), &[h])?;
        let error = graph.add("error", SoftmaxCrossEntropy::default(), &[logits, label])?;
        graph.loss("cross_entropy", error, 1.0)
    };
    build().expect("it fits");
    graph
}

fn load(gpu: &Gpu, parameters: &Parameters, fixture: &Fixture) {
    let all = parameters
        .pack(&fixture.named("param."), "the fixture")
        .expect("the same parameters");
    gpu.write(&parameters.values, 0, &all);
}

/// Norm of the difference over norm, of all parameters together.
fn relative(got: &[Vec<f32>], want: &[Vec<f64>]) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.len(), want.len());
        for (&g, w) in got.iter().zip(want) {
            difference += (f64::from(g) - w).powi(2);
            norm += w * w;
        }
    }
    (difference / norm).sqrt()
}

fn check_gradients(graph: &Network, fixture: &Fixture, inputs: &[Input], names: [&str; 3]) {
    let [loss, logits, gradients] = names;
    for (variant, gpu) in &variants() {
        let probed = Probed::new(gpu, graph, 16, 1);
        load(gpu, &probed.parameters, fixture);
        let got = probed.run(inputs, 0);
        let off = distance(&got.scalars[..1], fixture.get(loss));
        println!("{variant}: {loss} off by {off:.1e}");
        assert!(off < 1e-6, "{variant}: loss off by {off}");
        let last_dense = graph
            .nodes()
            .iter()
            .rposition(|node| !node.parameters.is_empty())
            .expect("a dense layer");
        let off = distance(&got.values[last_dense], fixture.get(logits));
        assert!(off < 1e-5, "{variant}: {logits} off by {off}");
        for (parameter, got) in graph.parameters().iter().zip(&got.parameter_gradients) {
            let want = fixture.get(&format!("{gradients}.{}", parameter.name));
            let off = relative(std::slice::from_ref(got), &[want.to_vec()]);
            println!("{variant}: gradient of {} off by {off:.1e}", parameter.name);
            assert!(off < 2e-6, "{variant}: {} off by {off}", parameter.name);
        }
        let exact = probed.reference(inputs, 1, 0);
        for (parameter, got) in graph.parameters().iter().zip(&exact.parameter_gradients) {
            // The fixture's gradients were rounded to float32.
            let want = fixture.narrow(&format!("{gradients}.{}", parameter.name));
            let off = distance(&want, got);
            assert!(
                off < 1e-7,
                "the reference's {} is off by {off}",
                parameter.name
            );
        }
    }
}

#[test]
fn gradients_of_a_vae_agree_with_pytorch() {
    let fixture = Fixture::open("vae_gradients");
    let inputs = [Input::Numbers(fixture.narrow("x"))];
    check_gradients(&vae(), &fixture, &inputs, ["loss0", "logits0", "grad0"]);
}

#[test]
fn gradients_of_a_classifier_agree_with_pytorch() {
    let fixture = Fixture::open("classifier");
    let labels = fixture.get("labels").iter().map(|&label| label as u32);
    let inputs = [
        Input::Numbers(fixture.narrow("x")),
        Input::Labels(labels.collect()),
    ];
    check_gradients(&classifier(), &fixture, &inputs, ["loss", "logits", "grad"]);
}

fn idx(name: &str, header: usize) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("assets/mnist")
        .join(name);
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).expect("MNIST"))
        .read_to_end(&mut bytes)
        .expect("gzip");
    bytes.split_off(header)
}

struct Trained {
    parameters: Vec<Vec<f32>>,
    /// Of each step: the loss and its terms.
    scalars: Vec<Vec<f32>>,
}

/// Fifty steps of batch 64, batches in file order.
fn train(gpu: &Gpu, graph: &Network, initial: &Fixture, optimizer: &Optimizer) -> Trained {
    const BATCH: usize = 64;
    let images = idx("t10k-images-idx3-ubyte.gz", 16);
    let labels = idx("t10k-labels-idx1-ubyte.gz", 8);
    let parameters = Parameters::new(gpu, graph, 0).expect("parameters");
    load(gpu, &parameters, initial);
    let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
    let plan = Plan::request(graph, BATCH)
        .step_counter(&step_counter)
        .loss(&graph.loss)
        .build(gpu, &parameters)
        .expect("a plan");
    let state = optimizer.state(gpu, &parameters).expect("state");
    let update = optimizer.dispatch(gpu, &parameters, &state, &step_counter);
    let input = |name| graph.find(name).and_then(|node| plan.value(node));
    let mut scalars = Vec::new();
    for step in 0..50 {
        let pixels: Vec<f32> = images[step * BATCH * PIXELS..][..BATCH * PIXELS]
            .iter()
            .map(|&pixel| f32::from(pixel) / 255.0)
            .collect();
        gpu.write(input("x").expect("an input"), 0, &pixels);
        if let Some(buffer) = input("label") {
            let labels: Vec<u32> = labels[step * BATCH..][..BATCH]
                .iter()
                .map(|&label| u32::from(label))
                .collect();
            gpu.write(&buffer.cast::<u32>(), 0, &labels);
        }
        gpu.write(&step_counter, 0, &[step as u32]);
        gpu.run("step", plan.dispatches(false).chain([&update]));
        scalars.push(gpu.read(plan.scalars()).expect("scalars"));
    }
    let all = gpu.read(&parameters.values).expect("parameters");
    Trained {
        parameters: split(&parameters, &all),
        scalars,
    }
}

/// The limits are the project's; what is reached is printed and lies far below.
fn check_training(
    what: &str,
    graph: &Network,
    initial: &Fixture,
    fixture: &Fixture,
    optimizer: &Optimizer,
    [parameter_limit, loss_limit]: [f64; 2],
) {
    let finals: Vec<Vec<f64>> = graph
        .parameters()
        .iter()
        .map(|parameter| wide(&fixture.narrow(&format!("final.{}", parameter.name))))
        .collect();
    for (variant, gpu) in &variants() {
        let trained = train(gpu, graph, initial, optimizer);
        let losses = fixture.get("losses");
        let off = |slot: usize, want: &[f64]| {
            let pairs = trained.scalars.iter().zip(want);
            pairs
                .map(|(got, want)| ((f64::from(got[slot]) - want) / want).abs())
                .fold(0.0f64, f64::max)
        };
        let loss = off(0, losses);
        let parameters = relative(&trained.parameters, &finals);
        println!("{what}, {variant}: parameters {parameters:.1e}, losses {loss:.1e}");
        assert!(
            parameters < parameter_limit,
            "{what}, {variant}: {parameters}"
        );
        assert!(loss < loss_limit, "{what}, {variant}: {loss}");
        if graph.loss.scalar_names().len() == 3 {
            assert!(off(1, fixture.get("reconstruction")) < loss_limit);
            assert!(off(2, fixture.get("kl_divergence")) < loss_limit);
        }
    }
}

#[test]
fn fifty_steps_of_sgd_agree_with_pytorch() {
    let sgd = |lr| {
        Optimizer::Sgd(Sgd {
            lr,
            momentum: 0.9,
            weight_decay: 1e-4,
        })
    };
    let [initial, fixture] = ["vae_gradients", "vae_sgd"].map(Fixture::open);
    check_training(
        "VAE, SGD",
        &vae(),
        &initial,
        &fixture,
        &sgd(1e-3),
        [1e-5, 1e-5],
    );
    let fixture = Fixture::open("classifier");
    let graph = classifier();
    check_training(
        "classifier, SGD",
        &graph,
        &fixture,
        &fixture,
        &sgd(1e-2),
        [1e-5, 1e-5],
    );
}

#[test]
fn fifty_steps_of_adam_agree_with_pytorch() {
    let [initial, fixture] = ["vae_gradients", "vae_adam"].map(Fixture::open);
    let adam = Optimizer::default();
    check_training("VAE, Adam", &vae(), &initial, &fixture, &adam, [1e-5, 1e-5]);
}
