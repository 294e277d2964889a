//! The sampler against its CPU reference: the same lines as the sequential greedy, what a sample guarantees, and how many
//! planted outliers it keeps.

#[cfg(feature = "cli")]
mod command;
pub mod series;

use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use trainscope::gpu::Gpu;
use trainscope::sample::reference::Row;
use trainscope::sample::{
    Budget, Envelopes, PriorityTier, Sample, SampleOptions, order, priority_tiers, reference,
    sample, sample_table,
};
use trainscope::series::{Numbers, Scale, SeriesBuffer, SeriesTable, ValueScale};

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
    tiers: Vec<PriorityTier>,
    order: Vec<u32>,
}

impl Seen {
    fn new(gpu: &Gpu, values: &[f32], steps: usize, scale: ValueScale, columns: usize) -> Self {
        let series = SeriesBuffer::upload_with(gpu, values, steps, scale).unwrap();
        let envelopes = Envelopes::new(gpu, &series, columns).unwrap();
        let tiers = priority_tiers(gpu, &envelopes).unwrap();
        Self {
            row_len: envelopes.row_len(),
            heights: envelopes.read(gpu).unwrap(),
            order: order(&tiers, 0),
            tiers,
        }
    }

    fn rows(&self) -> Vec<Row<'_>> {
        Row::all(&self.heights, self.row_len, &self.tiers)
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
    let chosen = &found.kept[..found.kept.len() - found.added];
    if found.added == 0 {
        // No two heights are farther apart than 1, so that larger radii are all the same.
        let radius = match budget {
            Budget::Radius(radius) => radius,
            Budget::Keep(_) if found.radius == 1.0 => 1.5,
            Budget::Keep(_) => found.radius,
        };
        let greedy = reference::greedy(&rows, &seen.order, radius);
        assert_eq!(chosen, greedy, "{what}");
    }
    for (index, &a) in found.kept.iter().enumerate() {
        for &b in &found.kept[..index] {
            let distance = reference::distance(rows[a as usize], rows[b as usize]);
            assert!(
                distance >= found.radius * (1.0 - 1e-5) - 1e-6,
                "{what}: {a} and {b} are {distance} apart"
            );
        }
    }
    if found.radius > 0.0 {
        let nearest = reference::nearest(&rows, &found.kept);
        for (line, (index, distance)) in nearest.into_iter().enumerate() {
            if found.kept.contains(&(line as u32)) {
                assert_eq!(found.distances[line], 0.0, "{what}: {line}");
                continue;
            }
            let is_covered = match found.added {
                0 => distance < found.radius || found.radius == 1.0,
                _ => distance <= found.radius + 1e-6,
            };
            assert!(is_covered, "{what}: {line} is {distance} away");
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
                let is_same_mark =
                    height.is_nan() && wanted.is_nan() || f64::from(height) == wanted;
                assert!(
                    is_same_mark || error < 4e-6,
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
            values[6 * steps..7 * steps].fill(f32::NAN);
        }
        let scale = ValueScale::fit(Scale::Linear, &values);
        let series = SeriesBuffer::upload_with(gpu, &values, steps, scale).unwrap();
        let envelopes = Envelopes::new(gpu, &series, columns).unwrap();
        let found = priority_tiers(gpu, &envelopes).unwrap();
        let expected = reference::priority_tiers(
            &reference::envelopes(&values, steps, columns, scale),
            &values,
        );
        assert_eq!(found, expected, "{lines} x {steps}");
        let count = |tier| found.iter().filter(|&&found| found == tier).count();
        if lines > 10 {
            assert_eq!(
                (count(PriorityTier::Empty), count(PriorityTier::Nonfinite)),
                (1, 2)
            );
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
            assert_eq!(found.kept.len(), keep.min(lines));
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
        assert_eq!(
            (found.nonfinite, found.nonfinite_kept, found.kept_for_gaps),
            (4, 4, 4)
        );
        let mut first = found.kept[..4].to_vec();
        first.sort_unstable();
        assert_eq!((found.kept[0], first), (0, vec![0, 1, 2, 3]));
        for line in 4..500 {
            assert!(
                found.nearest_representative[line] >= 4,
                "{line} merged with a line that is not finite"
            );
        }
    }
    // Without any value nothing can be compared; equal infinities are alike.
    let found = check(&vec![f32::NAN; 40 * steps], steps, 4, Budget::Radius(0.1));
    assert_eq!((found.kept.len(), found.nonfinite), (40, 40));
    let found = check(
        &vec![f32::INFINITY; 40 * steps],
        steps,
        4,
        Budget::Radius(0.1),
    );
    assert_eq!((found.kept.len(), found.nonfinite), (1, 40));
    let found = check(&vec![f32::NAN; 40 * steps], steps, 4, Budget::Keep(10));
    assert_eq!((found.kept.len(), found.kept_for_gaps), (40, 40));
    let why = "kept 41 instead of 10: 40 lines have gaps or infinities so that no other line can represent them";
    let mut values = vec![f32::NAN; 42 * steps];
    values[..2 * steps].fill(1.0);
    let found = sample_values(
        &values,
        steps,
        &SampleOptions {
            budget: Budget::Keep(10),
            ..SampleOptions::default()
        },
    );
    assert_eq!(found.shortfall(10).as_deref(), Some(why));
}

/// Smooth lines of which each has one gap, at a step of its own: compared where both have values.
#[test]
fn lines_with_gaps_represent_each_other() {
    let (lines, steps) = (500, 200);
    let clean: Vec<f32> = (0..lines * steps)
        .map(|i| ((i % steps) as f32 * 0.0314 + 0.001 * (i / steps) as f32).sin())
        .collect();
    let mut values = clean.clone();
    for line in 0..lines {
        values[line * steps + (line * 61) % steps] = f32::NAN;
    }
    for columns in [steps, 40] {
        let found = check(&values, steps, columns, Budget::Keep(20));
        let without = check(&clean, steps, columns, Budget::Keep(20));
        assert_eq!((found.kept.len(), without.kept.len()), (20, 20));
        assert!(
            found.radius < 3.0 * without.radius,
            "{} {}",
            found.radius,
            without.radius
        );
        assert_eq!((found.nonfinite, found.kept_for_gaps), (500, 1));
        assert!(found.guarantee().ends_with("where both have values."));
    }
    // An infinity is apart from a value, from a gap, and from one of the other sign.
    let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.5].map(|v| [0.25, v, 0.5, f32::NAN]);
    let found = check(&odd.concat(), 4, 4, Budget::Radius(1.0));
    assert_eq!((found.kept.len(), found.kept_for_gaps), (3, 3));
}

/// Where lines are alike no radius gives the wanted count: the farthest ones are added, also those that differ by less than
/// float32 shows.
#[test]
fn keeps_as_many_as_asked_wherever_so_many_differ() {
    // Few different values: a step of the radius keeps one line or all.
    let grid: Vec<f32> = noise(600 * 3, 8)
        .iter()
        .map(|v| v.round().clamp(-1.0, 1.0))
        .collect();
    for keep in [2, 5, 20, 27] {
        let found = check(&grid, 3, 3, Budget::Keep(keep));
        assert_eq!((found.kept.len(), found.shortfall(keep)), (keep, None));
    }
    let found = check(&grid, 3, 3, Budget::Keep(100));
    let why = "kept 27 instead of 100: only 27 of the 600 lines differ";
    assert_eq!(found.shortfall(100).as_deref(), Some(why));
    // One value explodes.
    for huge in [1e8f32, -1e12, 1e30, -1e38] {
        let mut values: Vec<f32> = (0..60 * 200)
            .map(|i| ((i % 200) as f32 * 0.03 * (1 + i / 200 % 7) as f32 + (i / 200) as f32).sin())
            .collect();
        values[3 * 200 + 10] = huge;
        for scale in [Scale::Linear, Scale::Symlog] {
            let series = SeriesBuffer::upload(gpu(), &values, 200, scale).unwrap();
            let options = SampleOptions {
                budget: Budget::Keep(20),
                ..SampleOptions::default()
            };
            let found = sample(gpu(), &series, &options).unwrap();
            assert_eq!(found.kept.len(), 20, "{huge} {scale:?}");
            assert!(found.kept.contains(&3));
            if scale == Scale::Symlog {
                assert!(found.radius > 1e-3, "{huge}: {}", found.radius);
            }
        }
    }
}

/// What float32 loses does not change a sample: the same lines are kept with a large number added to all values, scaled to
/// the smallest numbers, or as whole numbers beyond 2^53.
#[test]
fn samples_do_not_depend_on_base_and_unit() {
    let (lines, steps) = (60, 200);
    let value = |i: usize| {
        let (line, t) = (i / steps, (i % steps) as f64 * 0.0314);
        ((t * (1 + line % 7) as f64 + line as f64).sin() * 1e6).round()
    };
    let plain: Vec<f64> = (0..lines * steps).map(value).collect();
    let options = SampleOptions {
        budget: Budget::Radius(0.05),
        ..SampleOptions::default()
    };
    let never = AtomicBool::new(false);
    let kept = |table: &SeriesTable| {
        let sample = sample_table(gpu(), table, Scale::Linear, &options, &never).unwrap();
        sample.kept
    };
    let of = |change: &dyn Fn(f64) -> f64| {
        let values = plain.iter().map(|&value| change(value)).collect();
        kept(&SeriesTable::new(lines, Numbers::F64(values)))
    };
    let wanted = of(&|value| value);
    assert!(wanted.len() > 50, "{}", wanted.len());
    assert_eq!(of(&|value| value * 1e-6 + 1e8), wanted);
    assert_eq!(of(&|value| value - 1e12), wanted);
    assert_eq!(of(&|value| value * 1e294), wanted);
    assert_eq!(of(&|value| value * 1e-306), wanted);
    let whole = plain.iter().map(|&value| (1i128 << 62) + value as i128);
    assert_eq!(kept(&SeriesTable::of_integers(lines, whole)), wanted);
    let subnormal: Vec<f32> = plain
        .iter()
        .map(|value| f32::from_bits((value + 1e6) as u32))
        .collect();
    assert_eq!(
        kept(&SeriesTable::new(lines, Numbers::F32(subnormal))),
        wanted
    );
}

/// A table larger than what is bound at once is sampled in parts, and a sample can be stopped.
#[test]
fn tables_are_uploaded_in_parts_until_stopped() {
    let (lines, steps) = (40, 300_000);
    let values: Vec<f32> = (0..lines * steps)
        .map(|i| {
            ((i % steps) as f32 * 2e-5 * (1 + i / steps % 5) as f32 + (i / steps) as f32).cos()
        })
        .collect();
    let small = gpu().clone().with_max_binding_size(40 << 20);
    let options = SampleOptions {
        budget: Budget::Keep(10),
        ..SampleOptions::default()
    };
    let whole = sample_values(&values, steps, &options);
    let table = SeriesTable::new(lines, Numbers::F32(values));
    let flag = AtomicBool::new(false);
    let parts = sample_table(&small, &table, Scale::Linear, &options, &flag).unwrap();
    assert_eq!(parts, whole);
    flag.store(true, Ordering::Relaxed);
    let stopped = sample_table(&small, &table, Scale::Linear, &options, &flag).unwrap_err();
    assert_eq!(stopped.kind(), trainscope::ErrorKind::Cancelled);
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
fn keeps_as_many_as_asked() {
    let values = families(2000, 64, 3);
    for keep in [3, 20, 100, 700] {
        let options = SampleOptions {
            budget: Budget::Keep(keep),
            ..SampleOptions::default()
        };
        let found = sample_values(&values, 64, &options);
        assert_eq!(found.kept.len(), keep);
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
    // What the sentence says is true of the values themselves, and no more than they need.
    let scale = ValueScale::fit(Scale::Linear, &values);
    let mut farthest: f32 = 0.0;
    for (line, index) in found.nearest_representative.iter().enumerate() {
        let representative = found.kept[*index as usize] as usize;
        for step in 0..64 {
            let height = |line: usize| scale.height(values[line * 64 + step]);
            farthest = farthest.max((height(line) - height(representative)).abs());
        }
    }
    assert!(farthest <= 0.05);
    let said = |farthest: f32| {
        let percent = (farthest * 1000.0).ceil() / 10.0;
        format!(
            "Every hidden line stays within {percent:.1} % of the chart's height of one of the {shown} shown lines at every step."
        )
    };
    assert_eq!(found.guarantee(), said(farthest));
    // A single line of two represents the other one, however far the radius that keeps only one reaches.
    let two = [0.5, 0.6, 0.7, 0.3, 0.2, 0.1];
    let one = sample_values(
        &two,
        3,
        &SampleOptions {
            budget: Budget::Keep(1),
            columns: 64,
            seed: 0,
        },
    );
    assert!(
        one.radius > 1.0 && one.guarantee().contains("within 100.0 %"),
        "{one:?}"
    );
    let text = with(Budget::Radius(0.0123), 16).guarantee();
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
        let rows: Vec<Row<'_>> = values
            .chunks_exact(steps)
            .map(|heights| Row { heights, is_finite: true })
            .collect();
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
