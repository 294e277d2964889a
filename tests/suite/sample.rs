//! The sampler: exact against the sequential greedy, its guarantees, and the figures it has to reach.

use std::collections::BTreeSet;

use trainscope::random::{self, Stream};
use trainscope::sample::{Budget, Sample, SampleOptions, Scale, ValueScale, reference, sample};

use crate::support::gpu;

/// A number in [0, 1) for each (seed, index).
fn uniform(seed: u64, index: usize) -> f32 {
    random::uniform(random::words(seed, Stream::Synthetic, 0, index as u32)[0]) as f32
}

fn run(values: &[f32], steps: usize, options: &SampleOptions) -> Sample {
    let gpu = gpu();
    let buffer = gpu.upload("series", values).expect("fits");
    let scale = ValueScale::fit(Scale::Linear, values);
    sample(gpu, &buffer, values.len() / steps, steps, scale, options).expect("valid")
}

/// Random walks of a few kinds, some with NaN or infinity.
fn walks(seed: u64, lines: usize, steps: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(lines * steps);
    for line in 0..lines {
        let kind = uniform(seed, 7 * line + 1);
        let mut height = uniform(seed, 7 * line + 2);
        for step in 0..steps {
            height += 0.05 * (uniform(seed + 1, line * steps + step) - 0.5);
            values.push(match () {
                () if kind < 0.02 && step > steps / 2 => f32::NAN,
                () if kind < 0.03 && step == steps / 3 => f32::INFINITY,
                () if kind < 0.3 => 0.5,
                () => height,
            });
        }
    }
    values
}

/// Envelopes as the kernels compute them from `values`: here the scale is the identity on dyadic heights, so that
/// both sides round nothing and can be compared line for line.
fn dyadic(values: &[f32]) -> Vec<f32> {
    values
        .iter()
        .map(|value| {
            if value.is_finite() {
                (value * 1024.0).round() / 1024.0
            } else {
                *value
            }
        })
        .collect()
}

fn envelopes(values: &[f32], steps: usize, columns: usize, scale: ValueScale) -> Vec<Vec<f32>> {
    reference::envelopes(values, steps, columns, scale)
        .into_iter()
        .map(|line| {
            line.into_iter()
                .flat_map(|(low, high)| [low as f32, high as f32])
                .collect()
        })
        .collect()
}

fn sample_identity(values: &[f32], steps: usize, options: &SampleOptions) -> Sample {
    let gpu = gpu();
    let buffer = gpu.upload("series", values).expect("fits");
    let identity = ValueScale::over(0.0, 1.0, 0.0);
    sample(gpu, &buffer, values.len() / steps, steps, identity, options).expect("valid")
}

#[test]
fn equals_the_sequential_greedy_and_keeps_its_guarantees() {
    for (case, (lines, steps, columns)) in [
        (1, 1, 16),
        (2, 1, 16),
        (3, 7, 4),
        (40, 5, 16),
        (257, 31, 8),
        (1000, 17, 17),
        (3001, 12, 6),
    ]
    .into_iter()
    .enumerate()
    {
        for radius in [0.3f32, 0.06, 0.01] {
            let values = dyadic(&walks(case as u64, lines, steps));
            let options = SampleOptions {
                budget: Budget::Radius(radius),
                columns,
                seed: 3,
            };
            let sample = sample_identity(&values, steps, &options);
            let envelopes = envelopes(&values, steps, columns, ValueScale::over(0.0, 1.0, 0.0));

            // The order is the sampler's own: kept lines stand in it, and the greedy over it keeps exactly them.
            let order = order_of(&values, steps, &envelopes, 3);
            assert_eq!(
                sample.kept,
                reference::greedy(&envelopes, &order, radius),
                "{lines} lines"
            );

            for (place, &a) in sample.kept.iter().enumerate() {
                for &b in &sample.kept[..place] {
                    let distance =
                        reference::distance(&envelopes[a as usize], &envelopes[b as usize]);
                    assert!(
                        distance >= f64::from(radius),
                        "{a} and {b} are {distance} apart"
                    );
                }
            }
            for (line, &place) in sample.assign.iter().enumerate() {
                let kept = sample.kept[place as usize] as usize;
                let distance = reference::distance(&envelopes[line], &envelopes[kept]);
                assert_eq!(distance as f32, sample.distances[line]);
                assert!(
                    distance < f64::from(radius),
                    "line {line} is {distance} from {kept}"
                );
                for &other in &sample.kept {
                    assert!(
                        reference::distance(&envelopes[line], &envelopes[other as usize])
                            >= distance
                    );
                }
            }
            assert_eq!(sample.counts.iter().sum::<u32>() as usize, lines);
        }
    }
}

/// The order of priority in float64: non-finite, outliers, the rest; then by hash.
fn order_of(values: &[f32], steps: usize, envelopes: &[Vec<f32>], seed: u64) -> Vec<u32> {
    let lines = values.len() / steps;
    let columns = envelopes[0].len() / 2;
    let finite = |line: usize, c: usize| envelopes[line][2 * c] < 2.0;
    let middle = |line: usize, c: usize| {
        f64::from(envelopes[line][2 * c] + envelopes[line][2 * c + 1]) / 2.0
    };
    let mut moments = Vec::new();
    for c in 0..columns {
        let heights: Vec<f64> = (0..lines)
            .filter(|&l| finite(l, c))
            .map(|l| middle(l, c))
            .collect();
        let count = heights.len().max(1) as f64;
        let mean = heights.iter().sum::<f64>() / count;
        let variance = heights.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / count;
        moments.push((mean, variance.sqrt()));
    }
    let bucket = |line: usize| {
        if (0..columns).any(|c| !finite(line, c)) {
            return 0;
        }
        let away = |c: usize| (middle(line, c) - moments[c].0).abs() > 4.0 * moments[c].1 + 0.002;
        if (0..columns).any(away) { 1 } else { 2 }
    };
    let mut order: Vec<u32> = (0..lines as u32).collect();
    order.sort_by_key(|&line| {
        (
            bucket(line as usize),
            random::words(seed, Stream::Priority, 0, line)[0],
            line,
        )
    });
    order
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let values = walks(5, 800, 20);
    let options = |seed| SampleOptions {
        budget: Budget::Keep(50),
        columns: 20,
        seed,
    };
    let first = run(&values, 20, &options(1));
    assert_eq!(first, run(&values, 20, &options(1)));
    assert_ne!(first.kept, run(&values, 20, &options(2)).kept);
}

#[test]
fn a_count_is_met_or_nearly() {
    let values = walks(9, 1500, 24);
    for keep in [1, 2, 10, 75, 400, 1500, 9999] {
        let sample = run(
            &values,
            24,
            &SampleOptions {
                budget: Budget::Keep(keep),
                ..Default::default()
            },
        );
        let wanted = keep.min(1500);
        // Walks that are all equal fall together, and no radius splits or joins at every count.
        let tolerance = if keep >= 1500 { 0 } else { 2 + wanted / 10 };
        assert!(
            sample.kept.len().abs_diff(wanted) <= tolerance.max(6),
            "{} for {keep}",
            sample.kept.len()
        );
    }
}

#[test]
fn lines_that_are_not_finite_are_never_merged_with_finite_ones() {
    let mut values = vec![0.5f32; 100 * 10];
    for (line, bad) in [(3, f32::NAN), (50, f32::INFINITY), (99, f32::NEG_INFINITY)] {
        values[line * 10 + 4] = bad;
    }
    let sample = run(
        &values,
        10,
        &SampleOptions {
            budget: Budget::Radius(0.1),
            ..Default::default()
        },
    );
    assert_eq!(sample.nonfinite, 3);
    // One stands for the three (their sentinels lie in one column), one for all others.
    assert_eq!(sample.kept.len(), 2);
    for line in [3, 50, 99] {
        assert!([3, 50, 99].contains(&sample.kept[sample.assign[line] as usize]));
        assert_ne!(sample.assign[line], sample.assign[0]);
    }
}

/// The data of the published figures: three families of 70, 25 and 5 percent, and planted spikes.
fn families_with_spikes(seed: u64, width: usize) -> (Vec<f32>, BTreeSet<u32>) {
    let (lines, steps) = (4000, 128);
    let mut values = Vec::with_capacity(lines * steps);
    let planted: BTreeSet<u32> = (0..40).map(|i| (i * 97 + 13) as u32).collect();
    for line in 0..lines {
        let family = line % 100;
        let phase = 0.04 * (uniform(seed, 3 * line) - 0.5);
        for step in 0..steps {
            let t = step as f32 / 127.0;
            let curve = match family {
                0..70 => 0.35 + 0.25 * (1.0 - (-4.0 * t).exp()),
                70..95 => 0.35 - 0.2 * t,
                _ => 0.35 + 0.1 * (12.0 * t).sin(),
            };
            let noise = 0.004 * (uniform(seed + 1, line * steps + step) - 0.5);
            values.push(curve + phase + noise);
        }
        if planted.contains(&(line as u32)) {
            let at = (uniform(seed + 2, line) * (steps - width) as f32) as usize;
            let sign = if uniform(seed + 3, line) < 0.5 {
                -1.0
            } else {
                1.0
            };
            let height = 0.25 + 0.25 * uniform(seed + 4, line);
            for value in &mut values[line * steps + at..line * steps + at + width] {
                *value += sign * height;
            }
        }
    }
    (values, planted)
}

/// Planted lines that are kept themselves.
fn recall(kept: &[u32], planted: &BTreeSet<u32>) -> f64 {
    kept.iter().filter(|line| planted.contains(line)).count() as f64 / planted.len() as f64
}

#[test]
fn planted_spikes_are_kept_and_random_choice_loses_them() {
    for width in [6, 2] {
        let (values, planted) = families_with_spikes(11, width);
        let options = SampleOptions {
            budget: Budget::Keep(100),
            columns: 128,
            seed: 1,
        };
        let sample = run(&values, 128, &options);
        let worst = sample.distances.iter().copied().fold(0.0, f32::max);
        let found = recall(&sample.kept, &planted);
        println!(
            "{width}-step spikes: recall {found}, kept {}, worst distance {worst}",
            sample.kept.len()
        );
        assert!(sample.kept.len().abs_diff(100) <= 5);
        assert!(found >= 0.95, "recall {found}");
        assert!(worst <= 0.04, "worst distance {worst}");

        let random: Vec<u32> = (0..100).map(|i| (uniform(99, i) * 4000.0) as u32).collect();
        assert!(recall(&random, &planted) <= 0.15);
    }
}

#[test]
fn thousands_of_lines_need_little_memory() {
    let (lines, steps) = (20_000, 16);
    let values = walks(21, lines, steps);
    let sample = run(
        &values,
        steps,
        &SampleOptions {
            budget: Budget::Radius(0.1),
            columns: 16,
            seed: 0,
        },
    );
    assert_eq!(sample.assign.len(), lines);
    assert!(sample.distances.iter().all(|&distance| distance < 0.1));
}

#[test]
fn options_that_make_no_sense_are_named() {
    let gpu = gpu();
    let buffer = gpu.upload("series", &[0.0f32; 8]).expect("fits");
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    let error = |lines, steps, budget| {
        let options = SampleOptions {
            budget,
            ..Default::default()
        };
        sample(gpu, &buffer, lines, steps, scale, &options)
            .expect_err("refused")
            .to_string()
    };
    assert!(error(0, 4, Budget::Keep(1)).contains("0 lines"));
    assert!(error(4, 4, Budget::Keep(1)).contains("do not fit"));
    assert!(error(2, 4, Budget::Keep(0)).contains("keep = 0"));
    assert!(error(2, 4, Budget::Radius(f32::NAN)).contains("radius"));
}
