//! The density of all lines against its reference in double precision.

use trainscope::series::{Scale, SeriesBuffer, ValueAxis, ValueScale};
use trainscope::view::{Density, Plot, Rect, SeriesData, ShownLines};

use super::{series, unit_scale};
use crate::support::gpu;

/// Lines a pixel by cutting every segment at the columns' edges, in double precision.
fn reference_density(values: &[f32], steps: usize, scale: ValueScale, plot: &Plot) -> Vec<f64> {
    let (columns, rows) = (plot.rect.size.x as usize, plot.rect.size.y as usize);
    let mut counts = vec![0.0f64; columns * rows];
    let (first, last) = (f64::from(plot.first), f64::from(plot.last));
    let (low, high) = (f64::from(plot.bottom), f64::from(plot.top));
    let row_of = |value: f32| {
        let height = ValueAxis::from(scale)
            .height(f64::from(value))
            .clamp(-1e12, 1e12);
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
                let at = |step_index: f64| {
                    row_of(a) + (row_of(b) - row_of(a)) * (step_index - step as f64)
                };
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
    let series = SeriesBuffer::upload_with(gpu(), values, steps, scale).unwrap();
    Density::new(gpu(), &series, plot)
        .unwrap()
        .read(gpu())
        .unwrap()
}

#[test]
fn density_equals_its_reference_and_columns_add_up_to_the_lines() {
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
            let plot = Plot::over(Rect::new(0.0, 0.0, columns as f32, rows as f32), steps);
            let counts = density(&values, steps, scale, &plot);
            let reference = reference_density(&values, steps, scale, &plot);
            for (i, (count, expected)) in counts.iter().zip(&reference).enumerate() {
                assert!(
                    (f64::from(*count) - expected).abs() <= 2e-3 + 1e-3 * expected,
                    "{lines} lines of {steps} steps, cell {i}: {count}, not {expected}"
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
    let plot = Plot::over(Rect::new(0.0, 0.0, 100.0, 20.0), steps);
    let counts = density(&values, steps, unit_scale(), &plot);
    let column = |x: usize| counts[x * 20..][..20].iter().sum::<f32>();
    assert!((column(10) - 3.0).abs() < 1e-4);
    assert!((column(90) - 3.0).abs() < 1e-4);
    // One line has a gap here, the other is beyond the geometry.
    assert!((column(50) - 1.0).abs() < 1e-4);
    assert!(counts.iter().all(|count| count.is_finite()));
}

#[test]
fn density_is_computed_once_for_plots_of_one_size() {
    let values = series(50, 20);
    let buffer = SeriesBuffer::upload_with(gpu(), &values, 20, unit_scale()).unwrap();
    let data = SeriesData::new(buffer, ShownLines::None).unwrap();
    let density = |left: f32, width: f32| {
        let plot = Plot::over(Rect::new(left, 0.0, width, 30.0), 20);
        data.density(gpu(), &plot).unwrap()
    };
    let first = density(0.0, 64.0);
    let moved = density(7.5, 64.0);
    let wider = density(0.0, 65.0);
    assert_eq!(first.counts.raw(), moved.counts.raw());
    assert_ne!(first.counts.raw(), wider.counts.raw());
    assert_eq!(wider.columns, 65);
}
