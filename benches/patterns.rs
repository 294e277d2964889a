//! Rates of the search for patterns: self-joins of many series, and one query against all of them, beside the same algorithm on
//! all CPU cores (running covariances along diagonals, in float64).

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::patterns::{Windows, distances_to, exclusion_zone, profiles};
use trainscope::random::{Stream, standard_normal, words};

const STEPS: usize = 1000;
const WINDOW: usize = 50;
/// The median of so many calls counts.
const CALLS: usize = 3;

/// Walks with noise: series whose windows have norms of about the same size.
fn series(lines: usize) -> Vec<Vec<f32>> {
    let line = |line: u32| {
        let mut level = 0.0;
        let value = |step: u32| {
            let [pace, noise, ..] = standard_normal(words(1, Stream::Synthetic, step, line));
            level = 0.98 * level + 0.1 * pace;
            (level + 0.3 * noise) as f32
        };
        (0..STEPS as u32).map(value).collect()
    };
    (0..lines as u32).map(line).collect()
}

/// Noise with a spike now and then, whose windows allow no running sums.
fn spiked(lines: usize) -> Vec<Vec<f32>> {
    let mut all = series(lines);
    for (index, line) in all.iter_mut().enumerate() {
        for at in (index % 90..STEPS).step_by(190) {
            line[at] += 1e5;
        }
    }
    all
}

fn windows(series: &[Vec<f32>]) -> Vec<Windows> {
    series
        .iter()
        .map(|line| Windows::new(line, WINDOW))
        .collect()
}

/// The largest correlation of each window and where it is, by running covariances in float64.
fn on_cpu(windows: &Windows) -> Vec<(f64, usize)> {
    let (count, length) = (windows.count(), windows.length);
    let value = |t: usize| f64::from(windows.values[t]);
    let changes: Vec<[f64; 3]> = (0..count)
        .map(|i| {
            let inverse = 1.0 / windows.norms[i];
            if i == 0 {
                return [0.0, 0.0, inverse];
            }
            let (leaves, enters) = (value(i - 1), value(i + length - 1));
            let g = (enters - windows.means[i]) + (leaves - windows.means[i - 1]);
            [(enters - leaves) / 2.0, g, inverse]
        })
        .collect();
    let mut best = vec![(f64::NEG_INFINITY, usize::MAX); count];
    for lag in exclusion_zone(length) + 1..count {
        let deviation = |start: usize, k: usize| value(start + k) - windows.means[start];
        let mut covariance: f64 = (0..length)
            .map(|k| deviation(0, k) * deviation(lag, k))
            .sum();
        for i in 0..count - lag {
            let (a, b) = (changes[i], changes[i + lag]);
            if i > 0 {
                covariance += a[0] * b[1] + b[0] * a[1];
            }
            let correlation = covariance * a[2] * b[2];
            if correlation > best[i].0 {
                best[i] = (correlation, i + lag);
            }
            if correlation > best[i + lag].0 {
                best[i + lag] = (correlation, i);
            }
        }
    }
    best
}

/// The same for many series, on all cores.
fn all_on_cpu(windows: &[Windows]) -> Vec<Vec<(f64, usize)>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = windows.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let parts = windows.chunks(part);
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(on_cpu).collect::<Vec<_>>()))
            .collect();
        let found = workers.into_iter();
        found
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    })
}

/// The correlations of a window with all windows of all series, on all cores.
fn query_on_cpu(query: &[f64], windows: &[Windows]) -> Vec<f64> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = windows.len().div_ceil(threads);
    let of_line = |windows: &Windows| -> Vec<f64> {
        let correlation = |start: usize| {
            let values = windows.values[start..start + windows.length].iter();
            let products = values.zip(query).map(|(&value, q)| f64::from(value) * q);
            products.sum::<f64>() / windows.norms[start]
        };
        (0..windows.count()).map(correlation).collect()
    };
    std::thread::scope(|scope| {
        let parts = windows.chunks(part);
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().flat_map(of_line).collect::<Vec<_>>()))
            .collect();
        let found = workers.into_iter();
        found
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    })
}

/// The median of the seconds of some calls.
fn seconds<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut taken: Vec<f64> = (0..CALLS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(call());
            start.elapsed().as_secs_f64()
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[CALLS / 2]
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let lines = 1000;
    for (name, series) in [("walks", series(lines)), ("spikes", spiked(lines))] {
        let prepared = windows(&series);
        let whole = seconds(|| profiles(&gpu, &windows(&series)).expect("joined"));
        let cpu = seconds(|| all_on_cpu(&windows(&series)));
        println!(
            "{lines} self-joins of {STEPS} {name}, m = {WINDOW}: {whole:.3} s; CPU {cpu:.3} s, ratio {:.2}",
            cpu / whole
        );
        let query = seconds(|| distances_to(&gpu, (&prepared[0], 7), &prepared).expect("compared"));
        let exact: Vec<f64> = prepared[0].normalized(7).collect();
        let cpu = seconds(|| query_on_cpu(&exact, &prepared));
        println!(
            "one query against {lines} x {STEPS} {name}: {query:.3} s; CPU {cpu:.3} s, ratio {:.2}",
            cpu / query
        );
        let prepare = seconds(|| windows(&series));
        println!("means and norms of {lines} x {STEPS} {name}: {prepare:.3} s");
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let mut group = criterion.benchmark_group("patterns");
    for lines in [100, 1000] {
        let prepared = windows(&series(lines));
        // One element is one pair of windows.
        group.throughput(Throughput::Elements((lines * STEPS * STEPS) as u64));
        group.bench_function(BenchmarkId::new("self-joins", lines), |bencher| {
            bencher.iter(|| profiles(&gpu, &prepared).expect("joined"));
        });
    }
    group.finish();
    criterion.final_summary();
}
