//! The sampler against its CPU reference: the same lines as the sequential greedy, what a sample guarantees, and how many
//! planted outliers it keeps.

#[cfg(feature = "cli")]
mod command;
pub mod series;

use proptest::prelude::*;
use trainscope::gpu::Gpu;
use trainscope::sample::{
    Budget, Envelopes, PriorityTier, Sample, SampleOptions, order, priority_tiers, reference,
    sample,
};
use trainscope::series::{Scale, SeriesBuffer, ValueScale};

use self::series::{families, noise, plant_spikes};
use crate::support::gpu;

fn sample_values(values: &[f32], steps: usize, options: &SampleOptions) -> Sample {
    let series = SeriesBuffer::upload(gpu(), values, steps, Scale::Linear).unwrap();
    sample(gpu(), &series, options).unwrap()
}

/// Lines as the sampler sees them: rows of heights and the order in which they are considered.
struct Seen {
    row_len: usize,
    heights: Vec<f32>,
    order: Vec<u32>,
}

impl Seen {
    fn new(gpu: &Gpu, values: &[f32], steps: usize, scale: ValueScale, columns: usize) -> Self {
        let series = SeriesBuffer::upload_with(gpu, values, steps, scale).unwrap();
        let envelopes = Envelopes::new(gpu, &series, columns).unwrap();
        Self {
            row_len: envelopes.row_len(),
            heights: envelopes.read(gpu).unwrap(),
            order: order(&priority_tiers(gpu, &envelopes).unwrap(), 0),
        }
    }

    fn rows(&self) -> Vec<&[f32]> {
        self.heights.chunks(self.row_len).collect()
    }
}

/// Samples, and compares the sample with the CPU reference: same lines, same nearest lines, separation and coverage.
fn check(values: &[f32], steps: usize, columns: usize, budget: Budget) -> Sample {
    let gpu = gpu();
    let lines = values.len() / steps;
    let what = format!("{lines} lines of {steps} steps in {columns} columns, {budget:?}");
    let options = SampleOptions {
        budget,
        columns,
        seed: 0,
    };
    let found = sample_values(values, steps, &options);
    let scale = ValueScale::fit(Scale::Linear, values);
    let seen = Seen::new(gpu, values, steps, scale, columns);
    let rows = seen.rows();
    assert_eq!(
        found.kept,
        reference::greedy(&rows, &seen.order, found.radius),
        "{what}"
    );
    for (index, &a) in found.kept.iter().enumerate() {
        for &b in &found.kept[..index] {
            let distance = reference::distance(rows[a as usize], rows[b as usize]);
            assert!(
                distance >= found.radius,
                "{what}: {a} and {b} are {distance} apart"
            );
        }
    }
    if found.radius > 0.0 {
        let nearest = reference::nearest(&rows, &found.kept);
        for (line, (index, distance)) in nearest.into_iter().enumerate() {
            assert!(distance < found.radius, "{what}: {line} is not covered");
            assert_eq!(
                (found.nearest_representative[line], found.distances[line]),
                (index, distance),
                "{what}: {line}"
            );
        }
    }
    for (index, &line) in found.kept.iter().enumerate() {
        assert_eq!(
            found.nearest_representative[line as usize] as usize, index,
            "{what}"
        );
    }
    let mut counts = vec![0; found.kept.len()];
    found
        .nearest_representative
        .iter()
        .for_each(|&index| counts[index as usize] += 1);
    assert_eq!(found.counts, counts, "{what}");
    found
}

#[test]
fn envelopes_equal_their_reference() {
    let gpu = gpu();
    for (lines, steps, columns, scale) in [
        (1, 1, 1, Scale::Linear),
        (3, 2, 1, Scale::Linear),
        (7, 13, 256, Scale::Linear),
        (5, 127, 31, Scale::Symlog),
        (130, 64, 64, Scale::Symlog),
        (33, 257, 128, Scale::Linear),
        (40_009, 5, 2, Scale::Linear),
    ] {
        let mut values = noise(lines * steps, 1);
        values[lines * steps / 2] = f32::NAN;
        values[lines * steps / 3] = f32::NEG_INFINITY;
        let fitted = ValueScale::fit(scale, &values);
        // Some heights lie beyond the chart.
        let narrow = ValueScale {
            inverse_extent: fitted.inverse_extent * 4.0,
            ..fitted
        };
        for scale in [fitted, narrow] {
            let seen = Seen::new(gpu, &values, steps, scale, columns);
            let expected = reference::envelopes(&values, steps, columns, scale).concat();
            assert_eq!(seen.heights.len(), expected.len());
            for (i, (&height, &wanted)) in seen.heights.iter().zip(&expected).enumerate() {
                let error = (f64::from(height) - wanted).abs();
                assert!(
                    error < 4e-6,
                    "{lines} x {steps} in {columns}, {i}: {height} {wanted}"
                );
            }
        }
    }
}

#[test]
fn priority_tiers_equal_their_reference() {
    let gpu = gpu();
    for (lines, steps, columns) in [(1, 1, 1), (5, 3, 3), (1025, 7, 7), (3000, 40, 16)] {
        let mut values: Vec<f32> = noise(lines * steps, 2)
            .iter()
            .map(|v| v.clamp(-2.0, 2.0))
            .collect();
        if lines > 10 {
            plant_spikes(&mut values, steps, lines / 50, 1, 30.0);
            values[4 * steps] = f32::NAN;
            values[5 * steps + 1] = f32::INFINITY;
        }
        let scale = ValueScale::fit(Scale::Linear, &values);
        let series = SeriesBuffer::upload_with(gpu, &values, steps, scale).unwrap();
        let envelopes = Envelopes::new(gpu, &series, columns).unwrap();
        let found = priority_tiers(gpu, &envelopes).unwrap();
        let expected =
            reference::priority_tiers(&reference::envelopes(&values, steps, columns, scale));
        assert_eq!(found, expected, "{lines} x {steps}");
        let count = |tier| found.iter().filter(|&&found| found == tier).count();
        if lines > 10 {
            assert_eq!(count(PriorityTier::Nonfinite), 2);
            assert!(count(PriorityTier::Outlier) >= lines / 50 - 2);
        }
    }
}

#[test]
fn equals_the_sequential_greedy() {
    for (lines, steps, columns) in [
        (1, 1, 1),
        (1, 5, 5),
        (2, 1, 8),
        (3, 7, 3),
        (31, 9, 9),
        (257, 33, 17),
        (1009, 24, 24),
    ] {
        let values = noise(lines * steps, lines as u32);
        for radius in [1e-6, 0.02, 0.2, 0.35, 0.6, 3.0] {
            check(&values, steps, columns, Budget::Radius(radius));
        }
        for keep in [1, 2, lines / 2 + 1, lines, lines + 7] {
            let found = check(&values, steps, columns, Budget::Keep(keep));
            if keep >= lines {
                assert_eq!((found.kept.len(), found.radius), (lines, 0.0));
            }
        }
    }
}

/// Long chains of conflicts take many rounds; the order is what counts.
#[test]
fn equals_the_sequential_greedy_on_a_line_of_neighbors() {
    let values: Vec<f32> = (0..3000).map(|i| i as f32).collect();
    for neighbors in [1.5, 3.5, 40.5] {
        let found = check(&values, 1, 1, Budget::Radius(neighbors / 2999.0));
        assert!(found.rounds > 3, "{} rounds", found.rounds);
    }
}

/// Several chunks of the largest size, kept lines by the thousand, and survivors in each chunk.
#[test]
fn equals_the_sequential_greedy_beyond_several_chunks() {
    let values = noise(2 * 40_000, 5);
    let found = check(&values, 2, 2, Budget::Radius(0.01));
    assert!(found.kept.len() > 1000, "{}", found.kept.len());
}

#[test]
fn equal_lines_leave_one() {
    let found = check(&vec![0.25; 700 * 6], 6, 6, Budget::Radius(0.1));
    assert_eq!((found.kept.len(), found.counts[0]), (1, 700));
    let found = check(&vec![0.25; 700 * 6], 6, 6, Budget::Keep(10));
    assert_eq!(found.kept.len(), 1);
}

#[test]
fn nonfinite_lines_stay_apart_and_come_first() {
    let steps = 12;
    let mut values = noise(500 * steps, 6);
    values[..steps].fill(f32::NAN);
    values[steps..2 * steps].fill(f32::INFINITY);
    values[2 * steps + 4] = f32::NEG_INFINITY;
    values[3 * steps + 5..4 * steps].fill(f32::NAN);
    for budget in [Budget::Radius(3.0), Budget::Radius(0.3), Budget::Keep(10)] {
        let found = check(&values, steps, steps, budget);
        assert_eq!(found.nonfinite, 4);
        let mut first = found.kept[..3].to_vec();
        first.sort_unstable();
        // All NaN and all infinite look alike; the other two differ in where.
        assert!(first == [0, 2, 3] || first == [1, 2, 3], "{first:?}");
        for line in 4..500 {
            assert!(
                found.nearest_representative[line] >= 3,
                "{line} merged with a line that is not finite"
            );
        }
    }
    // Nothing finite at all.
    let found = check(&vec![f32::NAN; 40 * steps], steps, 4, Budget::Radius(0.1));
    assert_eq!((found.kept.len(), found.nonfinite), (1, 40));
    // Different everywhere: more lines than asked for, since they never merge.
    let mut values = noise(40 * 40, 7);
    (0..40).for_each(|line| values[line * 40 + line] = f32::NAN);
    assert_eq!(check(&values, 40, 40, Budget::Keep(5)).kept.len(), 40);
}

#[test]
fn sample_is_a_function_of_the_seed() {
    let values = families(2000, 64, 3);
    let with = |seed| {
        let options = SampleOptions {
            seed,
            ..SampleOptions::default()
        };
        sample_values(&values, 64, &options)
    };
    assert_eq!(with(11), with(11));
    assert_ne!(with(11).kept, with(12).kept);
}

#[test]
fn keeps_about_as_many_as_asked() {
    let values = families(2000, 64, 3);
    for keep in [3, 20, 100, 700] {
        let options = SampleOptions {
            budget: Budget::Keep(keep),
            ..SampleOptions::default()
        };
        let found = sample_values(&values, 64, &options);
        let off = found.kept.len().abs_diff(keep);
        assert!(
            off <= keep / 50 + 1,
            "{} instead of {keep}",
            found.kept.len()
        );
    }
}

/// Share of the planted lines that are kept themselves, and the largest distance of a line to the nearest kept one.
#[test]
fn planted_outliers_are_kept() {
    let (lines, steps, keep, planted) = (4000, 128, 100, 40);
    for width in [6, 2] {
        for seed in 0..3 {
            let mut values = families(lines, steps, seed);
            let spikes = plant_spikes(&mut values, steps, planted, width, 0.3);
            let options = SampleOptions {
                budget: Budget::Keep(keep),
                seed: u64::from(seed),
                ..SampleOptions::default()
            };
            let found = sample_values(&values, steps, &options);
            let recall = |kept: &[u32]| {
                spikes.iter().filter(|line| kept.contains(line)).count() as f64 / planted as f64
            };
            // As many lines by their hash alone: the order of a sample in which all lines are ordinary.
            let random =
                &order(&vec![PriorityTier::Ordinary; lines], u64::from(seed))[..found.kept.len()];
            let worst = found.distances.iter().copied().fold(0.0, f32::max);
            println!(
                "{width}-step spikes, seed {seed}: kept {}, radius {:.4}, recall {:.3}, worst distance {worst:.4}; random recall {:.3}",
                found.kept.len(),
                found.radius,
                recall(&found.kept),
                recall(random),
            );
            assert!(recall(&found.kept) >= 0.95);
            assert!(worst <= 0.04, "{worst}");
            assert!(recall(random) <= 0.15);
        }
    }
}

#[test]
fn guarantee_names_the_distance_and_what_was_compared() {
    let values = families(500, 64, 3);
    let with = |budget, columns| {
        let options = SampleOptions {
            budget,
            columns,
            seed: 0,
        };
        sample_values(&values, 64, &options)
    };
    let found = with(Budget::Radius(0.05), 64);
    let shown = found.kept.len();
    assert_eq!(
        found.guarantee(),
        format!(
            "Every hidden line stays within 5.0 % of the chart's height of one of the {shown} shown lines at every step."
        )
    );
    // What the sentence says is true of the values themselves.
    let scale = ValueScale::fit(Scale::Linear, &values);
    for (line, index) in found.nearest_representative.iter().enumerate() {
        let representative = found.kept[*index as usize] as usize;
        for step in 0..64 {
            let height = |line: usize| scale.height(values[line * 64 + step]);
            assert!((height(line) - height(representative)).abs() <= 0.05);
        }
    }
    let text = with(Budget::Radius(0.0123), 16).guarantee();
    assert!(text.contains("within 1.3 %"), "{text}");
    assert!(
        text.ends_with("in its lowest and its highest value in each of 16 columns."),
        "{text}"
    );
    assert_eq!(
        with(Budget::Keep(500), 64).guarantee(),
        "All 500 lines are shown."
    );
}

#[test]
fn invalid_budgets_and_series_are_refused() {
    let gpu = gpu();
    let values = gpu.upload("series", &[1.0; 6]).unwrap();
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    let with = |lines, columns, budget| {
        let options = SampleOptions {
            budget,
            columns,
            seed: 0,
        };
        let series = SeriesBuffer::new(values.clone(), lines, 3, scale).unwrap();
        sample(gpu, &series, &options).map_err(|error| error.to_string())
    };
    let keep = Budget::Keep(1);
    let cases = [
        with(0, 8, keep),
        with(2, 0, keep),
        with(2, 8, Budget::Keep(0)),
        with(2, 8, Budget::Radius(0.0)),
        with(2, 8, Budget::Radius(f32::NAN)),
        with(2, 8, Budget::Radius(4.0)),
    ];
    for case in cases {
        let message = case.unwrap_err();
        assert!(message.starts_with("sample: "), "{message}");
    }
    assert!(with(2, 8, keep).is_ok());
    for (lines, steps) in [(3, 0), (3, 3), (usize::MAX, 3)] {
        assert!(SeriesBuffer::new(values.clone(), lines, steps, scale).is_err());
    }
    assert!(SeriesBuffer::upload(gpu, &[1.0; 7], 3, Scale::Linear).is_err());
    assert!(SeriesBuffer::upload(gpu, &[1.0; 7], 0, Scale::Linear).is_err());
}

proptest! {
    /// The CPU reference itself: separated, covering, and no line can be added.
    #[test]
    fn greedy_reference_separates_and_covers(
        values in prop::collection::vec(-1.0f32..1.0, 1..200),
        steps in 1usize..5,
        radius in 0.01f32..1.5,
    ) {
        let rows: Vec<&[f32]> = values.chunks_exact(steps).collect();
        let lines: Vec<u32> = (0..rows.len() as u32).rev().collect();
        let kept = reference::greedy(&rows, &lines, radius);
        for (line, (index, distance)) in reference::nearest(&rows, &kept).into_iter().enumerate() {
            if kept.contains(&(line as u32)) {
                prop_assert_eq!(distance, 0.0);
            } else {
                prop_assert!(distance < radius);
            }
            prop_assert_eq!(reference::distance(rows[line], rows[kept[index as usize] as usize]), distance);
        }
        for (i, &a) in kept.iter().enumerate() {
            for &b in &kept[..i] {
                prop_assert!(reference::distance(rows[a as usize], rows[b as usize]) >= radius);
            }
        }
    }
}
