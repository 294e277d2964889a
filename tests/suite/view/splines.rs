//! Curves against a reference in double precision: how much of each pixel a line along the curve covers.

use trainscope::view::{Canvas, Picture, Rect, Spline, Theme, Vec2};

use super::{painter, pixels};
use crate::support::gpu;

/// Points along a uniform cubic B-spline whose ends count three times.
fn curve(points: &[Vec2]) -> Vec<[f64; 2]> {
    let all: Vec<[f64; 2]> = points
        .iter()
        .map(|point| [f64::from(point.x), f64::from(point.y)])
        .collect();
    let (first, last) = (all[0], all[all.len() - 1]);
    let mut control = vec![first, first];
    control.extend(&all);
    control.extend([last, last]);
    let mut along = Vec::new();
    for window in control.windows(4) {
        for part in 0..=400 {
            let t = f64::from(part) / 400.0;
            let weights = [
                (1.0 - t).powi(3),
                3.0 * t.powi(3) - 6.0 * t * t + 4.0,
                -3.0 * t.powi(3) + 3.0 * t * t + 3.0 * t + 1.0,
                t.powi(3),
            ];
            along.push([0, 1].map(|axis| {
                let parts = weights.iter().zip(window);
                parts
                    .map(|(weight, point)| weight * point[axis])
                    .sum::<f64>()
                    / 6.0
            }));
        }
    }
    along
}

#[test]
fn curves_cover_what_the_reference_covers() {
    let points = [
        Vec2::new(12.0, 20.0),
        Vec2::new(60.0, 14.0),
        Vec2::new(90.0, 80.0),
        Vec2::new(150.0, 66.0),
    ];
    for width in [1.25f32, 3.0, 7.0] {
        let picture = Picture::new(gpu(), 170.0, 100.0, &Theme::light()).unwrap();
        let painter = painter();
        let mut canvas = Canvas::new(&painter, &picture);
        let spline = Spline {
            points: points.to_vec(),
            color: [0, 0, 0, 255],
            width,
        };
        canvas
            .splines(&[spline], Rect::new(0.0, 0.0, 170.0, 100.0))
            .unwrap();
        canvas.finish();
        let drawn = pixels(&picture);
        let reference = curve(&points);
        let mut covered = 0;
        for y in 0..100 {
            // Ends are cut straight, which the distance to the curve does not know.
            for x in 20..140 {
                let at = [f64::from(x) + 0.5, f64::from(y) + 0.5];
                let distances = reference
                    .iter()
                    .map(|point| (point[0] - at[0]).hypot(point[1] - at[1]));
                let distance = distances.fold(f64::INFINITY, f64::min);
                let wanted = (f64::from(width) / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                let [red, ..] = drawn[y as usize * 170 + x as usize];
                let got = 1.0 - f64::from(red) / 255.0;
                // Straight parts leave the curve by less than a tenth of a pixel.
                assert!((got - wanted).abs() < 0.12, "{x} {y}: {got}, not {wanted}");
                covered += usize::from(got > 0.5);
            }
        }
        assert!(covered > 100, "{covered}");
    }
}
