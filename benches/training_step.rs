//! Training steps a second of the built-in VAE, with and without recording, and the time of each of its kernels.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use trainscope::gpu::{AdapterChoice, Gpu, Timer};
use trainscope::train::{Scenario, Trainer};

/// Multiplications and additions of a step's matrix products: forward, weight gradients, and gradients of all inputs
/// but the images.
fn step_flops(scenario: &Scenario) -> f64 {
    let layers = [(784, 400), (400, 20), (400, 20), (20, 400), (400, 784)];
    let products: usize = layers
        .iter()
        .enumerate()
        .map(|(place, (inputs, units))| inputs * units * if place == 0 { 2 } else { 3 })
        .sum();
    2.0 * (products * scenario.train.batch) as f64
}

/// Runs one step to its end.
fn step(trainer: &mut Trainer, watched: bool) {
    trainer.step(watched).expect("it runs");
    while trainer.take(true).expect("it runs").is_some() {}
}

fn main() {
    let started = Instant::now();
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let scenario = Scenario::load("vae-mnist", &[]).expect("built in");
    let mut trainer = Trainer::new(&gpu, &scenario).expect("valid");
    step(&mut trainer, false);
    println!("first step after {:.2} s", started.elapsed().as_secs_f64());
    step(&mut trainer, true);

    // Alternated, because the machine's speed changes from second to second.
    let (mut plain, mut watched) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..40 {
        let start = Instant::now();
        step(&mut trainer, false);
        plain += start.elapsed();
        let start = Instant::now();
        step(&mut trainer, true);
        watched += start.elapsed();
    }
    let seconds = plain.as_secs_f64() / 40.0;
    println!(
        "{:.1} ms a step, {:.1} steps/s, {:.1} GFLOP/s in matrix products; recording every unit costs {:.1} %",
        1e3 * seconds,
        1.0 / seconds,
        step_flops(&scenario) / seconds * 1e-9,
        100.0 * (watched.as_secs_f64() / plain.as_secs_f64() - 1.0)
    );
    if let Some(timer) = Timer::new(&gpu) {
        println!("kernels of a step, best of 5:");
        for dispatch in trainer.dispatches(false) {
            let seconds = (0..5)
                .map(|_| timer.measure(&gpu, [dispatch]).expect("it runs"))
                .fold(f64::INFINITY, f64::min);
            println!("{:9.3} ms  {}", 1e3 * seconds, dispatch.label());
        }
    }

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut group = criterion.benchmark_group("training step");
    group.throughput(Throughput::Elements(scenario.train.batch as u64));
    group.bench_function("vae-mnist", |bencher| {
        bencher.iter(|| step(&mut trainer, false))
    });
    group.bench_function("vae-mnist, every unit recorded", |bencher| {
        bencher.iter(|| step(&mut trainer, true));
    });
    group.finish();
    criterion.final_summary();
}
