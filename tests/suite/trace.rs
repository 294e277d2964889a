//! Statistics of units against a float64 reference.

use trainscope::gpu::{Buffer, Reduction};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::trace::{UnitLayout, UnitStatistics, Units, statistics};

use crate::support::gpu;

/// The statistics of one unit in float64.
fn reference(values: &[f32]) -> [f64; UnitStatistics::LEN] {
    let finite: Vec<f64> = values
        .iter()
        .filter(|value| value.is_finite())
        .map(|&value| value.into())
        .collect();
    let nonfinite = (values.len() - finite.len()) as f64;
    if finite.is_empty() {
        return [f64::NAN, f64::NAN, f64::NAN, f64::NAN, 0.0, nonfinite];
    }
    let count = finite.len() as f64;
    let mean = finite.iter().sum::<f64>() / count;
    let variance = finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    [
        mean,
        variance.sqrt(),
        finite.iter().copied().fold(f64::INFINITY, f64::min),
        finite.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        finite.iter().filter(|&&v| v == 0.0).count() as f64 / count,
        nonfinite,
    ]
}

/// Values with everything that statistics trip over: offsets far from zero, outliers, zeros, non-finite ones, and
/// units that are constant or not finite at all.
fn awkward(unit: usize, position: usize) -> f32 {
    let [normal, other, ..] =
        standard_normal(words(3, Stream::Synthetic, unit as u32, position as u32));
    match unit % 7 {
        0 => normal as f32,
        1 => (1000.0 + normal) as f32,
        2 if position == 0 => -3.0e4,
        2 => (normal * 1e-2) as f32,
        3 => (normal.max(0.0)) as f32,
        4 if other > 1.5 => f32::NAN,
        4 if other < -1.5 => f32::NEG_INFINITY,
        4 => normal as f32,
        5 => -0.3,
        _ => [f32::INFINITY, f32::NAN][position % 2],
    }
}

#[test]
fn statistics_equal_the_float64_reference() {
    let gpu = gpu();
    let mut layouts = Vec::new();
    let sizes = [
        (1, 1),
        (1, 5),
        (3, 1),
        (7, 33),
        (13, 128),
        (257, 10),
        (64, 784),
        (1000, 12),
        (20, 4099),
    ];
    for (units, length) in sizes {
        layouts.push(UnitLayout::Rows { units, length });
        layouts.push(UnitLayout::Columns {
            rows: length,
            units,
        });
        layouts.push(UnitLayout::Columns {
            rows: units,
            units: length,
        });
    }
    // More units than one row of a dispatch has workgroups.
    layouts.push(UnitLayout::Rows {
        units: 40_000,
        length: 3,
    });
    for (samples, units, positions) in [
        (1, 1, 1),
        (3, 5, 7),
        (2, 67, 4),
        (9, 3, 196),
        (130, 2, 9),
        (1, 33, 50),
    ] {
        layouts.push(UnitLayout::Channels {
            samples,
            units,
            positions,
        });
    }
    for layout in layouts {
        let at = 64;
        let units = layout.units();
        let length = layout.len() / units;
        let mut matrix = vec![f32::NAN; at + layout.len() + 9];
        let mut expected = Vec::new();
        for unit in 0..units {
            let values: Vec<f32> = (0..length)
                .map(|position| awkward(unit, position))
                .collect();
            for (position, &value) in values.iter().enumerate() {
                let index = match layout {
                    UnitLayout::Columns { units, .. } => position * units + unit,
                    UnitLayout::Channels {
                        units, positions, ..
                    } => (position / positions * units + unit) * positions + position % positions,
                    UnitLayout::Rows { length, .. } => unit * length + position,
                };
                matrix[at + index] = value;
            }
            expected.push((values.clone(), reference(&values)));
        }
        let source = gpu.upload("values", &matrix).unwrap();
        for reduction in [Reduction::Serial, Reduction::Parallel] {
            let first_row = 2;
            let untouched = UnitStatistics::from([7.0; 6]);
            let out: Buffer<UnitStatistics> = gpu
                .upload("statistics", &vec![untouched; first_row + units + 1])
                .unwrap();
            let matrix = Units {
                values: &source,
                at,
                layout,
                first_row,
            };
            gpu.run("statistics", &statistics(gpu, reduction, &[matrix], &out));
            let found = gpu.read(&out).unwrap();
            assert!(found[..first_row].iter().all(|row| *row == untouched));
            assert!(
                found[first_row + units..]
                    .iter()
                    .all(|row| *row == untouched)
            );
            for (unit, (values, expected)) in expected.iter().enumerate() {
                let row = found[first_row + unit].to_array();
                let case =
                    format!("{layout:?} {reduction:?} unit {unit}: {row:?} for {expected:?}");
                let largest = values
                    .iter()
                    .filter(|v| v.is_finite())
                    .fold(0f64, |most, &v| most.max(f64::from(v).abs()));
                // Mean: a few roundings of the largest value. Deviation: of its own size, plus those of the mean.
                let tolerance = [
                    1e-6 * largest,
                    2e-5 * expected[1] + 1e-6 * largest * f64::from(unit % 7 == 1),
                    0.0,
                    0.0,
                    1e-6,
                    0.0,
                ];
                for index in 0..UnitStatistics::LEN {
                    let (value, expected) = (f64::from(row[index]), expected[index]);
                    assert_eq!(value.is_nan(), expected.is_nan(), "{case}");
                    if !expected.is_nan() {
                        let error = (value - expected).abs();
                        assert!(error <= tolerance[index], "statistic {index} {case}");
                    }
                }
            }
        }
    }
}

#[test]
fn statistics_of_huge_values() {
    let gpu = gpu();
    let values: Vec<f32> = (0..200)
        .map(|i| [4e25, -2e25][i % 2] * (1.0 + i as f32 * 1e-3))
        .collect();
    let expected = reference(&values);
    let source = gpu.upload("values", &values).unwrap();
    let layout = UnitLayout::Rows {
        units: 1,
        length: 200,
    };
    for reduction in [Reduction::Serial, Reduction::Parallel] {
        let out: Buffer<UnitStatistics> = gpu.buffer("statistics", 1).unwrap();
        let matrix = Units {
            values: &source,
            at: 0,
            layout,
            first_row: 0,
        };
        gpu.run("statistics", &statistics(gpu, reduction, &[matrix], &out));
        let row = gpu.read(&out).unwrap()[0];
        assert!(
            (f64::from(row.mean) / expected[0] - 1.0).abs() < 1e-5,
            "{row:?}"
        );
        assert_eq!(row.std, f32::INFINITY);
        assert_eq!(f64::from(row.max), expected[3]);
        assert_eq!(row.nonfinite, 0.0);
    }
}

#[test]
fn statistics_repeat_bit_for_bit() {
    let gpu = gpu();
    let layout = UnitLayout::Columns {
        rows: 128,
        units: 400,
    };
    let values: Vec<f32> = (0..layout.len()).map(|i| awkward(0, i)).collect();
    let source = gpu.upload("values", &values).unwrap();
    let out: Buffer<UnitStatistics> = gpu.buffer("statistics", 400).unwrap();
    let matrix = Units {
        values: &source,
        at: 0,
        layout,
        first_row: 0,
    };
    let dispatches = statistics(gpu, gpu.profile().reduction, &[matrix], &out);
    let mut runs = (0..3).map(|_| {
        gpu.write(&out, 0, &vec![UnitStatistics::default(); 400]);
        gpu.run("statistics", &dispatches);
        let read = gpu.read(&out).unwrap();
        read.iter().map(|row| row.to_bits()).collect::<Vec<_>>()
    });
    let first = runs.next().unwrap();
    assert!(runs.all(|run| run == first));
}

/// Matrices of all kinds and sizes side by side, of one buffer or of two: each gets what it gets alone.
#[test]
fn batched_matrices_equal_single_ones() {
    let gpu = gpu();
    let rows = |units, length| UnitLayout::Rows { units, length };
    let columns = |rows, units| UnitLayout::Columns { rows, units };
    let layouts = [
        rows(40, 784),
        rows(40, 1),
        rows(3, 40),
        columns(5, 12),
        rows(9, 7),
        columns(3, 6),
        UnitLayout::Channels {
            samples: 3,
            units: 5,
            positions: 49,
        },
        rows(1, 4),
        rows(2, 1024),
    ];
    let len: usize = layouts
        .iter()
        .map(|layout| layout.len().next_multiple_of(64))
        .sum();
    let buffers = [0, 3].map(|shift| {
        let values: Vec<f32> = (0..len).map(|i| awkward((i + shift) % 7, i)).collect();
        gpu.upload("values", &values).unwrap()
    });
    for sources in [1, 2] {
        for count in [1, 2, layouts.len()] {
            for layouts in layouts.windows(count) {
                side_by_side(&buffers[..sources], layouts);
            }
        }
    }
}

fn side_by_side(buffers: &[Buffer<f32>], layouts: &[UnitLayout]) {
    let gpu = gpu();
    let (mut matrices, mut at, mut first_row) = (Vec::new(), 0, 0);
    for (number, &layout) in layouts.iter().enumerate() {
        matrices.push(Units {
            values: &buffers[number % buffers.len()],
            at,
            layout,
            first_row,
        });
        at = (at + layout.len()).next_multiple_of(64);
        first_row += layout.units();
    }
    let run = |reduction, matrices: &[Units]| {
        let out: Buffer<UnitStatistics> = gpu.buffer("statistics", first_row).unwrap();
        let dispatches = statistics(gpu, reduction, matrices, &out);
        gpu.run("statistics", &dispatches);
        let read = gpu.read(&out).unwrap();
        let bits: Vec<_> = read.iter().map(|row| row.to_bits()).collect();
        (bits, dispatches.len())
    };
    for reduction in [Reduction::Serial, Reduction::Parallel] {
        let (together, dispatches) = run(reduction, &matrices);
        let kinds = if reduction == Reduction::Serial { 3 } else { 4 };
        assert!(dispatches <= kinds, "one for each kind");
        for matrix in &matrices {
            let (alone, _) = run(reduction, std::slice::from_ref(matrix));
            let rows = matrix.first_row..matrix.first_row + matrix.layout.units();
            assert_eq!(
                together[rows.clone()],
                alone[rows],
                "{matrix:?} {reduction:?}"
            );
        }
    }
}
