//! A model that does not fit is refused before anything is allocated, with what it requires and what there is.

use trainscope::ByteSize;
use trainscope::gpu::{AdapterChoice, Gpu};
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
    let place = format!("my.toml, line {line}, layer encoder.2");
    refused(
        &gpu,
        &scenario(&text, &[]),
        &[&place, "its parameters require 149.", &has],
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
