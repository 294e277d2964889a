//! Lines and their gaps, pixel by pixel against distances in double precision.

use trainscope::gpu::{AdapterProfile, Reduction};
use trainscope::series::SeriesBuffer;
use trainscope::view::{Canvas, LineStyle, Painter, Picture, Plot, Rect, Theme};

use super::{painter, pixels, unit_scale};
use crate::support::gpu;

const BLACK: [u8; 4] = [0, 0, 0, 255];

/// Draws lines over a whole picture on white and returns its pixels: as quads, and as a software adapter blends many lines.
fn draw(values: &[f32], steps: usize, styles: &[LineStyle], size: [u32; 2]) -> Vec<[u8; 4]> {
    let quads = drawn(values, steps, styles, size);
    // Lines that nobody sees make them many.
    let unseen = LineStyle::new((values.len() / steps) as u32, [0; 4], 1.0);
    let mut many = vec![unseen; 16];
    many.extend_from_slice(styles);
    let mut values = values.to_vec();
    values.extend(vec![0.5; steps]);
    for (at, (one, other)) in quads
        .iter()
        .zip(drawn(&values, steps, &many, size))
        .enumerate()
    {
        let apart = one.iter().zip(other).map(|(a, b)| a.abs_diff(b)).max();
        assert!(
            apart <= Some(2),
            "pixel {at}: {one:?} as a quad, blended {other:?}"
        );
    }
    quads
}

fn drawn(values: &[f32], steps: usize, styles: &[LineStyle], size: [u32; 2]) -> Vec<[u8; 4]> {
    let picture = Picture::new(gpu(), size[0] as f32, size[1] as f32, &Theme::light()).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    let series = SeriesBuffer::upload_with(gpu(), values, steps, unit_scale()).unwrap();
    let plot = Plot::over(Rect::new(0.0, 0.0, size[0] as f32, size[1] as f32), steps);
    canvas.polylines(&series, &plot, styles).unwrap();
    canvas.finish();
    pixels(&picture)
}

#[test]
fn horizontal_line_covers_the_pixels_it_lies_on() {
    let (width, height) = (40u32, 20u32);
    for (value, stroke) in [
        (0.5, 1.0),
        (0.525, 1.0),
        (0.51, 1.5),
        (0.3, 0.5),
        (0.7, 3.0),
    ] {
        let style = LineStyle::new(0, BLACK, stroke);
        let drawn = draw(&[value; 9], 9, &[style], [width, height]);
        let middle = (1.0 - f64::from(value)) * f64::from(height);
        for y in 0..height {
            let (top, bottom) = (
                middle - f64::from(stroke) / 2.0,
                middle + f64::from(stroke) / 2.0,
            );
            let covered = (bottom.min(f64::from(y) + 1.0) - top.max(f64::from(y))).clamp(0.0, 1.0);
            let expected = 255.0 * (1.0 - covered);
            for x in 0..width {
                let [r, g, b, a] = drawn[(y * width + x) as usize];
                assert!(
                    (f64::from(r) - expected).abs() <= 1.5 && r == g && g == b && a == 255,
                    "value {value}, width {stroke}, pixel {x} {y}: {r}, not {expected}"
                );
            }
        }
    }
}

/// The distance from `p` to the segment `a`..`b`.
fn distance(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (e, q) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let squared = e[0] * e[0] + e[1] * e[1];
    let t = if squared > 0.0 {
        ((q[0] * e[0] + q[1] * e[1]) / squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (q[0] - t * e[0]).hypot(q[1] - t * e[1])
}

#[test]
fn spiky_line_covers_what_its_nearest_segment_covers() {
    let (width, height, steps) = (120u32, 80u32, 12);
    let values = [
        0.2, 0.25, 0.9, 0.2, 0.2, 0.8, 0.75, 0.1, 0.5, 0.5, 0.52, 0.6,
    ];
    let color = [0, 0, 0, 128];
    let drawn = draw(
        &values,
        steps,
        &[LineStyle::new(0, color, 1.5)],
        [width, height],
    );
    let points: Vec<[f64; 2]> = values
        .iter()
        .enumerate()
        .map(|(step, value)| {
            let x = step as f64 / (steps - 1) as f64 * f64::from(width);
            [x, (1.0 - f64::from(*value)) * f64::from(height)]
        })
        .collect();
    let mut compared = 0;
    for y in 0..height {
        for x in 0..width {
            let p = [f64::from(x) + 0.5, f64::from(y) + 0.5];
            let far: Vec<f64> = points.windows(2).map(|s| distance(p, s[0], s[1])).collect();
            let nearest = far.iter().copied().fold(f64::INFINITY, f64::min);
            // Segments that are not neighbors may blend over each other; those pixels are left out.
            let near: Vec<usize> = (0..far.len()).filter(|i| far[*i] < 2.0).collect();
            if near
                .last()
                .zip(near.first())
                .is_some_and(|(l, f)| l - f > 1)
            {
                continue;
            }
            let coverage = (0.5 + 0.75 - nearest).clamp(0.0, 1.0);
            let expected = 255.0 * (1.0 - coverage * 128.0 / 255.0);
            let [r, ..] = drawn[(y * width + x) as usize];
            assert!(
                (f64::from(r) - expected).abs() <= 1.5,
                "pixel {x} {y}: {r}, not {expected}"
            );
            compared += 1;
        }
    }
    assert!(compared > 9_000);
}

#[test]
fn nonfinite_values_leave_a_gap_and_a_mark() {
    let (width, height, steps) = (121u32, 60u32, 13);
    let nonfinite = Theme::light().nonfinite;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = vec![0.5f32; steps];
        values[5..9].fill(bad);
        let drawn = draw(
            &values,
            steps,
            &[LineStyle::new(0, BLACK, 1.0)],
            [width, height],
        );
        let at = |x: u32, y: u32| drawn[(y * width + x) as usize];
        let step = |index: f32| (index / 12.0 * 121.0) as u32;
        assert_eq!(at(step(2.0), 30)[0], 127, "the line before");
        assert_eq!(
            at(step(4.0), 30),
            nonfinite,
            "the mark at the last finite value"
        );
        for index in [5.0, 6.0, 7.0, 8.0, 8.5] {
            assert!(
                (0..height).all(|y| at(step(index), y)[..3] == [255; 3]),
                "the gap"
            );
        }
        assert_eq!(at(step(10.0), 30)[0], 127, "the line after it");

        let drawn = draw(
            &vec![bad; steps],
            steps,
            &[LineStyle::new(0, BLACK, 1.0)],
            [width, height],
        );
        let marked = drawn.iter().filter(|p| **p == nonfinite).count();
        assert!(
            marked > 0,
            "a line without finite values has its mark at the upper rim"
        );
        assert!(
            drawn[(20 * width) as usize..]
                .iter()
                .all(|p| p[..3] == [255; 3])
        );
    }
    // A finite value on its own is a dot.
    let mut alone = vec![f32::NAN; steps];
    alone[steps - 1] = 0.5;
    let drawn = draw(
        &alone,
        steps,
        &[LineStyle::new(0, BLACK, 1.5)],
        [width, height],
    );
    assert!(drawn.iter().any(|p| p[..3] == [0; 3]));
}

/// Colors over each other, on a plot that begins and ends within pixels and shows a part of the steps.
#[test]
fn many_lines_are_blended_as_quads_are() {
    let (lines, steps) = (60, 40);
    let mut values = super::series(lines, steps);
    values[7 * steps + 9] = f32::NAN;
    values[9 * steps..9 * steps + 3].fill(f32::INFINITY);
    let styles = |line: usize| {
        let color = [
            (line * 37) as u8,
            (line * 101) as u8,
            (line * 11) as u8,
            40 + 3 * line as u8,
        ];
        LineStyle::new(line as u32, color, 0.4 + line as f32 / 20.0)
    };
    let styles: Vec<LineStyle> = (0..lines).map(styles).collect();
    let series = SeriesBuffer::upload_with(gpu(), &values, steps, unit_scale()).unwrap();
    let software = gpu().clone().with_profile(AdapterProfile::CPU);
    let hardware = gpu().clone().with_profile(AdapterProfile {
        reduction: Reduction::Parallel,
        ..*gpu().profile()
    });
    let pictures: Vec<Vec<[u8; 4]>> = [software.unwrap(), hardware.unwrap()]
        .iter()
        .map(|gpu| {
            let picture = Picture::new(gpu, 150.0, 90.0, &Theme::dark()).unwrap();
            let painter = Painter::new(gpu);
            let mut canvas = Canvas::new(&painter, &picture);
            let plot = Plot {
                first: 3.5,
                last: 30.0,
                ..Plot::over(Rect::new(10.3, 5.7, 120.4, 70.9), steps)
            };
            canvas.polylines(&series, &plot, &styles).unwrap();
            canvas.finish();
            pixels(&picture)
        })
        .collect();
    // Each of up to sixty layers of quads is rounded to a byte; what is blended is rounded once.
    let apart = |(a, b): (&[u8; 4], &[u8; 4])| {
        a.iter()
            .zip(b)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0)
    };
    let apart: Vec<u8> = pictures[0].iter().zip(&pictures[1]).map(apart).collect();
    assert!(apart.iter().max() <= Some(&12), "{:?}", apart.iter().max());
    assert!(apart.iter().filter(|apart| **apart > 3).count() < apart.len() / 50);
    let is_drawn = |pixel: &&[u8; 4]| pixel[..3] != pictures[0][0][..3];
    assert!(pictures[0].iter().filter(is_drawn).count() > 2_000);
}

#[test]
fn extreme_lines_keep_to_their_pixels() {
    let styles: Vec<LineStyle> = (0..3).map(|i| LineStyle::new(i, BLACK, 1.5)).collect();
    let mut values = vec![0.5f32; 3 * 5];
    values[2] = 1e38;
    values[7] = -1e38;
    values[12] = f32::MAX;
    let (width, height) = (81u32, 40u32);
    let drawn = draw(&values, 5, &styles, [width, height]);
    let dark = |x: u32, y: u32| drawn[(y * width + x) as usize][0] < 100;
    // Vertical strokes up and down next to the steps next to the extreme one, flat lines elsewhere.
    assert!(dark(20, 5) && dark(20, 35) && dark(60, 5) && dark(60, 35));
    assert!(!dark(40, 5) && !dark(40, 20) && !dark(40, 35));
    assert!(dark(5, 20) && dark(75, 20));
}
