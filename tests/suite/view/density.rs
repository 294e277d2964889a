//! The density of all lines against its twin.

use trainscope::sample::{Scale, ValueScale};
use trainscope::view::{Density, Lines, Plot, ticks};

use super::{rect, series, unit_scale};
use crate::support::gpu;

/// Lines a pixel by cutting every segment at the columns' edges, in double precision.
fn density_twin(values: &[f32], steps: usize, scale: ValueScale, plot: &Plot) -> Vec<f64> {
    let (columns, rows) = (plot.rect.width as usize, plot.rect.height as usize);
    let mut counts = vec![0.0f64; columns * rows];
    let (first, last) = (f64::from(plot.first), f64::from(plot.last));
    let (low, high) = (f64::from(plot.bottom), f64::from(plot.top));
    let row_of = |value: f32| {
        let height = ticks::height(&scale, f64::from(value)).clamp(-1e12, 1e12);
        (high - height) / (high - low) * rows as f64
    };
    for line in values.chunks_exact(steps) {
        for column in 0..columns {
            let width = (last - first) / columns as f64;
            let (from, to) = (
                first + column as f64 * width,
                first + (column + 1) as f64 * width,
            );
            let mut pieces = Vec::new();
            for step in 0..(steps - 1).max(1) {
                let (a, b) = (line[step], line[(step + 1).min(steps - 1)]);
                let (s, t) = if steps > 1 {
                    (from.max(step as f64), to.min(step as f64 + 1.0))
                } else {
                    (from, to)
                };
                if t <= s || !a.is_finite() || !b.is_finite() {
                    continue;
                }
                let at = |place: f64| row_of(a) + (row_of(b) - row_of(a)) * (place - step as f64);
                let across = (t - s) / width;
                pieces.push((at(s).min(at(t)), at(s).max(at(t)), across));
            }
            let length = |piece: &(f64, f64, f64)| piece.2.hypot(piece.1 - piece.0);
            let all: f64 = pieces.iter().map(length).sum();
            for piece in &pieces {
                let span = (piece.1 - piece.0).max(1.0);
                let mut middle = (piece.0 + piece.1) / 2.0;
                if piece.0 >= -1e-3 && piece.1 <= rows as f64 + 1e-3 {
                    middle = middle.clamp(span / 2.0, rows as f64 - span / 2.0);
                }
                for row in 0..rows {
                    let overlap = (middle + span / 2.0).min(row as f64 + 1.0)
                        - (middle - span / 2.0).max(row as f64);
                    counts[column * rows + row] += length(piece) / all * overlap.max(0.0) / span;
                }
            }
        }
    }
    counts
}

fn density(values: &[f32], steps: usize, scale: ValueScale, plot: &Plot) -> Vec<f32> {
    let buffer = gpu().upload("values", values).unwrap();
    let lines = Lines {
        values: &buffer,
        lines: values.len() / steps,
        steps,
        scale,
    };
    Density::new(gpu(), lines, plot)
        .unwrap()
        .read(gpu())
        .unwrap()
}

#[test]
fn density_is_what_its_twin_says_and_columns_add_up_to_the_lines() {
    for (lines, steps, columns, rows) in [
        (1, 1, 7, 5),
        (1, 2, 64, 31),
        (3, 17, 101, 40),
        (37, 128, 90, 50),
        (600, 9, 65, 33),
        (2, 1000, 130, 70),
    ] {
        let values = series(lines, steps);
        for scale in [Scale::Linear, Scale::Symlog] {
            let scale = ValueScale::fit(scale, &values);
            let plot = Plot::over(rect(0.0, 0.0, columns as f32, rows as f32), steps);
            let counts = density(&values, steps, scale, &plot);
            let twin = density_twin(&values, steps, scale, &plot);
            for (i, (count, twin)) in counts.iter().zip(&twin).enumerate() {
                assert!(
                    (f64::from(*count) - twin).abs() <= 2e-3 + 1e-3 * twin,
                    "{lines} lines of {steps} steps, cell {i}: {count}, not {twin}"
                );
            }
            for column in counts.chunks_exact(rows) {
                let all: f64 = column.iter().map(|c| f64::from(*c)).sum();
                assert!(
                    (all - lines as f64).abs() < 1e-3 * lines as f64,
                    "{all} of {lines}"
                );
            }
        }
    }
}

#[test]
fn density_counts_finite_stretches_only() {
    let steps = 11;
    let mut values = vec![0.5f32; 4 * steps];
    values[steps..2 * steps].fill(f32::NAN);
    values[2 * steps + 5] = f32::INFINITY;
    values[3 * steps + 5] = 1e38;
    let plot = Plot::over(rect(0.0, 0.0, 100.0, 20.0), steps);
    let counts = density(&values, steps, unit_scale(), &plot);
    let column = |x: usize| counts[x * 20..][..20].iter().sum::<f32>();
    assert!((column(10) - 3.0).abs() < 1e-4);
    assert!((column(90) - 3.0).abs() < 1e-4);
    // One line has a gap here, the other is beyond the geometry.
    assert!((column(50) - 1.0).abs() < 1e-4);
    assert!(counts.iter().all(|count| count.is_finite()));
}
