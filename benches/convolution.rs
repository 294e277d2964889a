//! Rates of convolutions in GFLOP/s: forward passes, and steps with all gradients.

use std::time::Instant;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::{Conv2d, ConvTranspose2d, Dense, Reshape};
use trainscope::nn::{Conv2dGeometry, Graph, Loss, Operation, Parameters, Plan};

/// One layer between two that make it learn and be trainable from.
fn measure(
    gpu: &Gpu,
    name: &str,
    batch: usize,
    shape: [usize; 3],
    operation: impl Operation + 'static,
) {
    let mut graph = Graph::new();
    let x = graph.input("x", &[1]);
    // A small layer before it, so that its input has a gradient.
    let dense = Dense::new(shape.iter().product());
    let flat = graph.add("flat", dense, &[x]).expect("it fits");
    let shaped = Reshape {
        shape: shape.to_vec(),
    };
    let first = graph.add("first", shaped, &[flat]).expect("it fits");
    let out = operation.output_shape(&[&shape]).expect("it fits");
    let weight: usize = operation.parameters(&[&shape])[0].shape.iter().product();
    let transposed = operation.kind() == "conv_transpose2d";
    // Multiplications per sample: every weight at every place of the small side.
    let places = if transposed {
        shape[1] * shape[2]
    } else {
        out[1] * out[2]
    };
    let flops = 2.0 * (batch * weight * places) as f64;
    let y = graph.add("y", operation, &[first]).expect("it fits");
    let target = graph.input("target", &out);
    let error = graph
        .add("error", ElementwiseLoss::SquaredError, &[y, target])
        .expect("it fits");
    let mut loss = Loss::new();
    loss.add(&graph, "error", error, 1.0).expect("a scalar");
    let parameters = Parameters::new(gpu, &graph, 1).expect("parameters");
    let plan = Plan::request(&graph, batch)
        .loss(&loss)
        .build(gpu, &parameters)
        .expect("a plan");
    let all: Vec<_> = plan.dispatches(false).collect();
    let time = |dispatches: &[&trainscope::gpu::Dispatch]| {
        let run = || {
            gpu.run("conv", dispatches.iter().copied());
            gpu.wait().expect("it runs");
        };
        run();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            run();
            best = best.min(start.elapsed().as_secs_f64());
        }
        best
    };
    let total = time(&all);
    println!(
        "{name}: step {:.2} ms for {:.0} MFLOP x 3 = {:.1} GFLOP/s",
        total * 1e3,
        flops * 1e-6,
        3.0 * flops / total * 1e-9
    );
    if std::env::args().any(|a| a == "--detail") {
        // By label, each alone.
        let mut rows: Vec<(String, f64, usize)> = Vec::new();
        let mut i = 0;
        while i < all.len() {
            let t = time(&all[i..=i]);
            match rows.iter_mut().find(|r| r.0 == all[i].label()) {
                Some(r) => {
                    r.1 += t;
                    r.2 += 1;
                }
                None => rows.push((all[i].label().into(), t, 1)),
            }
            i += 1;
        }
        for r in rows {
            println!("    {:40} {:3} x {:.3} ms total", r.0, r.2, r.1 * 1e3);
        }
    }
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let w = |k: usize| Conv2dGeometry::new(k);
    measure(
        &gpu,
        "conv 1>32 k3 s2 28x28 b128",
        128,
        [1, 28, 28],
        Conv2d::new(32, w(3).stride(2).padding(1)),
    );
    measure(
        &gpu,
        "conv 32>64 k3 s2 14x14 b128",
        128,
        [32, 14, 14],
        Conv2d::new(64, w(3).stride(2).padding(1)),
    );
    measure(
        &gpu,
        "conv 32>64 k5 s1 14x14 b64",
        64,
        [32, 14, 14],
        Conv2d::new(64, w(5).padding(2)),
    );
    measure(
        &gpu,
        "convT 64>32 k4 s2 7x7 b128",
        128,
        [64, 7, 7],
        ConvTranspose2d::new(32, w(4).stride(2).padding(1)),
    );
    measure(
        &gpu,
        "convT 32>1 k4 s2 14x14 b128",
        128,
        [32, 14, 14],
        ConvTranspose2d::new(1, w(4).stride(2).padding(1)),
    );
    measure(
        &gpu,
        "dcgan conv 64>128 k4 s2 32x32 b64",
        64,
        [64, 32, 32],
        Conv2d::new(128, w(4).stride(2).padding(1)),
    );
    measure(
        &gpu,
        "dcgan convT 64>3 k4 s2 32x32 b64",
        64,
        [64, 32, 32],
        ConvTranspose2d::new(3, w(4).stride(2).padding(1)),
    );
}
