//! Rates of the sampler: lines a second, at a fixed radius and for a wanted count, and how much longer the sequential
//! references take for the same sample on one CPU core.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::random::{Stream, standard_normal, uniform, words};
use trainscope::sample::{Budget, SampleOptions, order, reference, sample};
use trainscope::series::{Scale, SeriesBuffer, ValueScale};

const STEPS: usize = 128;
const RADIUS: f32 = 0.05;

/// Three families of curves, each line with a level and a pace of its own and a little noise.
fn series(lines: usize) -> Vec<f32> {
    let value = |line: usize, step: usize| {
        let own = words(1, Stream::Synthetic, 0, line as u32);
        let (level, pace) = (uniform(own[0]) - 0.5, uniform(own[1]) - 0.5);
        let [noise, ..] =
            standard_normal(words(1, Stream::Synthetic, 1 + step as u32, line as u32));
        let t = step as f64 / STEPS as f64;
        let shape = match line % 20 {
            0 => 0.45 + 0.2 * (8.0 * t + 0.4 * pace).sin(),
            1..6 => 0.15 + 0.45 / (1.0 + (-12.0 * (t - 0.5 - 0.06 * pace)).exp()),
            _ => 0.25 + 0.35 * (-t * (4.0 + 2.0 * pace)).exp(),
        };
        (shape + 0.1 * level + 0.003 * noise) as f32
    };
    (0..lines * STEPS)
        .map(|i| value(i / STEPS, i % STEPS))
        .collect()
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let mut group = criterion.benchmark_group("sample");
    for lines in [4_000usize, 100_000] {
        let values = series(lines);
        let scale = ValueScale::fit(Scale::Linear, &values);
        let series = SeriesBuffer::upload_with(&gpu, &values, STEPS, scale).expect("room");
        let run = |budget| {
            let options = SampleOptions {
                budget,
                ..SampleOptions::default()
            };
            sample(&gpu, &series, &options).expect("sampled")
        };
        // One element is one line.
        group.throughput(Throughput::Elements(lines as u64));
        group.bench_function(BenchmarkId::new("radius 0.05", lines), |bencher| {
            bencher.iter(|| run(Budget::Radius(RADIUS)));
        });
        group.bench_function(BenchmarkId::new("keep 100", lines), |bencher| {
            bencher.iter(|| run(Budget::Keep(100)));
        });

        let start = Instant::now();
        let found = run(Budget::Radius(RADIUS));
        let seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let rows = reference::envelopes(&values, STEPS, 256, scale);
        let tiers = reference::priority_tiers(&rows, &values);
        let order = order(&tiers, 0);
        let row_len = rows[0].len();
        let heights: Vec<f32> = rows.concat().iter().map(|&height| height as f32).collect();
        let rows = reference::Row::all(&heights, row_len, &tiers);
        let kept = reference::greedy(&rows, &order, RADIUS);
        let representatives = reference::nearest(&rows, &kept);
        let sequential = start.elapsed().as_secs_f64();
        println!(
            "{lines} lines, radius {RADIUS}: {} kept in {seconds:.3} s; the references: {} kept and {} assigned in {sequential:.3} s, ratio {:.1}",
            found.kept.len(),
            kept.len(),
            representatives.len(),
            sequential / seconds
        );
    }
    group.finish();
    criterion.final_summary();
}
