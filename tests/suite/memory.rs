//! A model that does not fit is refused before anything is allocated, with what it requires and what there is.

use trainscope::ByteSize;
use trainscope::gpu::{AdapterChoice, Buffer, Gpu, MemoryEstimate};
use trainscope::nn::losses::SoftmaxCrossEntropy;
use trainscope::nn::ops::{Activation, BatchNorm, Conv2d, Dense};
use trainscope::nn::{Conv2dGeometry, Graph, Loss, Mode, NodeId, Parameters, Plan, PlanRequest};
use trainscope::train::{Scenario, Trainer};

use crate::support::SMALL;

/// A device whose allocations nobody else counts on.
fn fresh() -> Gpu {
    Gpu::new(&AdapterChoice::default()).expect("an adapter")
}

fn scenario(text: &str, settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::parse(text, "my.toml", &settings).unwrap()
}

fn refused(gpu: &Gpu, scenario: &Scenario, parts: &[&str]) {
    let error = Trainer::new(gpu, scenario)
        .map(|_| ())
        .expect_err("it does not fit")
        .to_string();
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(gpu.total_allocated_bytes(), 0, "{error}");
}

#[test]
fn too_large_layers_are_refused() {
    let gpu = fresh();
    let text = SMALL.replace(
        "encoder = [ { dense = { units = 16 } }, \"relu\" ]",
        "encoder = [\n    { dense = { units = 200000 } }, \"relu\",\n    { dense = { units = 200000 } },\n]",
    );
    let line = 1 + text
        .lines()
        .position(|line| line.contains("200000 } },") && !line.contains("relu"))
        .unwrap();
    let has = ByteSize(gpu.max_binding_size()).to_string();
    let context = format!("my.toml, line {line}, layer encoder.2");
    refused(
        &gpu,
        &scenario(&text, &[]),
        &[&context, "its parameters require 149.", &has],
    );
    let set = ["model.encoder=[{dense={units=200000}},{dense={units=200000}}]"];
    refused(
        &gpu,
        &scenario(SMALL, &set),
        &["--set model.encoder=", "layer encoder.1", "149."],
    );
}

#[test]
fn memory_limit_is_kept() {
    let scenario = scenario(SMALL, &[]);
    let gpu = fresh();
    refused(
        &gpu.clone().with_memory(200 << 10),
        &scenario,
        &["training requires", "parameters", "optimizer", "200.0 KiB"],
    );
    // Enough for the model, not for a batch beside it. MNIST itself has 10,000 images of 784 bytes and a label.
    let model = Trainer::estimate_memory(&gpu, &scenario).expect("it fits") - 10_000 * 788;
    let tight = gpu.with_memory(model + 50_000);
    refused(&tight, &scenario, &["data set 'mnist'", "two batches"]);
    // Enough for some batches: the set is streamed, and all stays within the budget.
    let gpu = fresh().with_memory(2 << 20);
    let trainer = Trainer::new(&gpu, &scenario).expect("it fits");
    assert!(trainer.dataset().is_streamed());
    assert!(
        gpu.total_allocated_bytes() <= 2 << 20,
        "{}",
        gpu.total_allocated_bytes()
    );
}

/// The estimate is what is allocated, except for small buffers.
#[test]
fn memory_estimate_matches_allocation() {
    let convolutions = r#"encoder = [ { conv2d = { channels = 5, kernel = 3, padding = 1 } }, "batch_norm", "relu", { max_pool2d = { kernel = 2 } } ]"#;
    let dense = "encoder = [ { dense = { units = 16 } }, \"relu\" ]";
    let gan = include_str!("../../scenarios/gan-mnist.toml");
    for (name, text) in [
        ("dense", SMALL.to_owned()),
        ("convolutions", SMALL.replace(dense, convolutions)),
        ("gan", gan.to_owned()),
        (
            "gradient penalty",
            gan.replace("latent = ", "gradient_penalty = 10.0\nlatent = "),
        ),
    ] {
        let gpu = fresh();
        let scenario = scenario(&text, &["train.batch=48", "train.ema=0.9"]);
        let needed = Trainer::estimate_memory(&gpu, &scenario).expect("a sound model");
        Trainer::new(&gpu, &scenario).expect("it fits");
        let off = gpu.total_allocated_bytes().abs_diff(needed);
        // Uniforms, cursors, samples of a batch, sums: small things are not planned.
        assert!(
            off < 128 << 10,
            "{name}: {needed} against {}",
            gpu.total_allocated_bytes()
        );
    }
}

/// A plan allocates what its request has estimated, whatever it is asked for.
#[test]
fn plan_estimates_match_allocation_for_every_request() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[3, 24, 24]);
    let label = graph.input("label", &[]);
    let conv = Conv2d::new(8, Conv2dGeometry::new(3).padding(1));
    let conv = graph.add("conv", conv, &[x]).unwrap();
    let norm = graph.add("norm", BatchNorm::default(), &[conv]).unwrap();
    let relu = graph.add("relu", Activation::Relu, &[norm]).unwrap();
    let logits = graph.add("logits", Dense::new(5), &[relu]).unwrap();
    let entropy = graph.add("entropy", SoftmaxCrossEntropy::default(), &[logits, label]);
    let mut loss = Loss::new();
    loss.add(&graph, "entropy", entropy.unwrap(), 1.0).unwrap();
    type Ask = for<'a> fn(PlanRequest<'a>, &'a Loss, [NodeId; 3], &Buffer<f32>) -> PlanRequest<'a>;
    let asks: [(&str, Ask); 5] = [
        ("forward", |request, _, _, _| request),
        ("training", |request, loss, _, _| request.loss(loss)),
        ("saliency", |request, loss, [x, ..], _| {
            request.loss(loss).parameter_gradients(false).wrt(x)
        }),
        ("product", |request, _, [x, relu, _], cotangent| {
            request
                .cotangent(relu, cotangent)
                .parameter_gradients(false)
                .wrt(x)
        }),
        ("kept", |request, loss, [_, relu, logits], _| {
            let kept = request.loss(loss).keep_value(relu).keep_value(logits);
            kept.keep_gradient(relu).keep_gradient(logits)
        }),
    ];
    for mode in [Mode::Train, Mode::TrainFrozenState, Mode::Eval] {
        for (name, ask) in asks {
            let gpu = fresh();
            let parameters = Parameters::new(&gpu, &graph, 1).unwrap();
            let cotangent = gpu
                .buffer("cotangent", 16 * graph.node(relu).size())
                .unwrap();
            let request = Plan::request(&graph, 16).mode(mode);
            let request = ask(request, &loss, [x, relu, logits], &cotangent);
            let before = gpu.total_allocated_bytes();
            let mut estimate = MemoryEstimate::default();
            request.estimate_memory(gpu.profile(), &mut estimate);
            request.build(&gpu, &parameters).unwrap();
            let allocated = gpu.total_allocated_bytes() - before;
            let off = allocated.abs_diff(estimate.bytes());
            let estimate = estimate.bytes();
            assert!(
                off < 16 << 10,
                "{name}, {mode:?}: {estimate} against {allocated}"
            );
        }
    }
}
