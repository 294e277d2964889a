//! Whole charts: hard inputs, refusals, and the ticks of their axes.

use proptest::prelude::*;
use trainscope::sample::{Scale, ValueScale};
use trainscope::view::{
    ImageGrid, ImageRow, Kept, LineChart, Lines, Picture, Series, SeriesChart, Theme, ticks,
};

use super::{painter, series, unit_scale};
use crate::support::gpu;

/// Draws every kind of chart from inputs that are hard to draw; all must come out, and come out the same twice.
/// With `TRAINSCOPE_GALLERY=FOLDER` they are also written there, to be looked at.
#[test]
fn charts_of_hard_inputs_come_out_and_come_out_the_same() {
    let gallery = std::env::var_os("TRAINSCOPE_GALLERY").map(std::path::PathBuf::from);
    let painter = painter();
    let spread = |lines: usize, steps: usize| -> Vec<f32> {
        series(lines, steps)
            .iter()
            .enumerate()
            .map(|(i, v)| (v - 0.5) * 10f32.powi((i / steps % 7) as i32 * 2 - 6))
            .collect()
    };
    let mut broken = series(60, 100);
    broken[4 * 100 + 40..5 * 100].fill(f32::NAN);
    broken[6 * 100 + 70..7 * 100].fill(f32::INFINITY);
    broken[8 * 100..9 * 100].fill(f32::NAN);
    let cases: Vec<(&str, Vec<f32>, usize, Scale)> = vec![
        ("many", series(2000, 128), 128, Scale::Linear),
        ("symlog", spread(400, 64), 64, Scale::Symlog),
        ("broken", broken, 100, Scale::Linear),
        ("one_line", series(1, 50), 50, Scale::Linear),
        ("one_step", series(30, 1), 1, Scale::Linear),
        ("two_steps", series(30, 2), 2, Scale::Linear),
        ("nothing_finite", vec![f32::NAN; 40], 10, Scale::Symlog),
        ("constant", vec![0.25; 40], 10, Scale::Linear),
        (
            "huge",
            vec![1e38, -1e38, 0.0, 1e38, f32::MAX, f32::MIN],
            3,
            Scale::Linear,
        ),
        (
            "huge_symlog",
            vec![1e38, -1e38, 0.0, 1e38, 1.0, f32::MIN],
            3,
            Scale::Symlog,
        ),
        (
            "tiny",
            vec![1e-38, 2e-38, 3e-38, 1e-38, 1e-39, 2e-38],
            3,
            Scale::Linear,
        ),
    ];
    for (name, values, steps, scale) in &cases {
        let buffer = gpu().upload("values", values).unwrap();
        let lines = values.len() / steps;
        let kept: Vec<u32> = (0..lines as u32).step_by(lines.div_ceil(40)).collect();
        let counts: Vec<u32> = kept.iter().map(|k| 1 + k % 60).collect();
        for (mode, theme) in [
            ("light", Theme::light()),
            ("dark", Theme::dark()),
            ("light_2x", Theme::light().scaled(2.0)),
        ] {
            let nonfinite = values
                .chunks_exact(*steps)
                .filter(|line| line.iter().any(|v| !v.is_finite()))
                .count();
            let chart = SeriesChart {
                title: "Mean activation of the units of encoder.0 (dense, 400 units)",
                note: "A sample of units; every other unit is within 0.03 of one of these everywhere.",
                x_title: "training step",
                y_title: "mean activation",
                first_step: 0,
                stride: 10,
                lines: Lines {
                    values: &buffer,
                    lines,
                    steps: *steps,
                    scale: ValueScale::fit(*scale, values),
                },
                kept: Some(Kept {
                    lines: &kept,
                    counts: &counts,
                }),
                density: true,
                nonfinite,
            };
            let render = || {
                let picture = Picture::new(gpu(), 760.0, 420.0, &theme).unwrap();
                chart.draw(&painter, &picture).unwrap();
                picture
            };
            let picture = render();
            if mode == "light" {
                assert!(picture.read(gpu()).unwrap() == render().read(gpu()).unwrap());
            }
            if let Some(folder) = &gallery {
                let path = folder.join(format!("series_{name}_{mode}.png"));
                picture.write_png(gpu(), &path).unwrap();
            }
        }
    }
    let loss: Vec<f32> = (0..400)
        .map(|i| 100.0 + 450.0 * (-(i as f32) / 25.0).exp() + 8.0 * ((i * i) as f32).sin())
        .collect();
    let kl: Vec<f32> = (0..400)
        .map(|i| 25.0 - 20.0 * (-(i as f32) / 60.0).exp() + ((i * i) as f32).cos())
        .collect();
    let mut failing = loss.clone();
    failing[300..].fill(f32::NAN);
    for (mode, theme) in [("light", Theme::light()), ("dark", Theme::dark())] {
        for (name, first, scale) in [
            ("linear", &loss, Scale::Linear),
            ("symlog", &loss, Scale::Symlog),
            ("failing", &failing, Scale::Linear),
        ] {
            let chart = LineChart {
                title: "Loss",
                note: "Mean over the batch of per-sample sums; strong lines are running means over 20 steps.",
                x_title: "training step",
                y_title: "nats a sample",
                first_step: 1,
                stride: 5,
                series: &[
                    Series {
                        name: "loss",
                        values: first,
                    },
                    Series {
                        name: "kl_divergence",
                        values: &kl,
                    },
                ],
                scale,
                smooth: 20,
            };
            let picture = Picture::new(gpu(), 760.0, 360.0, &theme).unwrap();
            chart.draw(&painter, &picture).unwrap();
            if let Some(folder) = &gallery {
                let path = folder.join(format!("loss_{name}_{mode}.png"));
                picture.write_png(gpu(), &path).unwrap();
            }
        }
        let (count, side) = (24usize, 28usize);
        let images: Vec<f32> = (0..count * side * side)
            .map(|i| {
                let (image, y, x) = (i / (side * side), i / side % side, i % side);
                let (dx, dy) = (x as f32 - 13.5, y as f32 - 13.5);
                let radius = (dx * dx + dy * dy).sqrt();
                (1.5 - (radius - 4.0 - image as f32 / 4.0).abs()).clamp(0.0, 1.0)
            })
            .collect();
        let buffer = gpu().upload("images", &images).unwrap();
        let row = |label| ImageRow {
            label,
            images: &buffer,
            logits: false,
        };
        let grid = ImageGrid {
            title: "Reconstructions after 2,000 steps",
            note: "Inputs of the probe batch above what the decoder makes of them.",
            rows: &[row("input"), row("reconstruction")],
            count,
            channels: 1,
            height: side,
            width: side,
            columns: 12,
            zoom: 2,
        };
        let picture = grid.picture(&painter, &theme).unwrap();
        if let Some(folder) = &gallery {
            picture
                .write_png(gpu(), &folder.join(format!("grid_{mode}.png")))
                .unwrap();
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_said_in_a_sentence() {
    let most = gpu().limits().max_texture_dimension_2d as f32;
    for (width, height) in [(0.0, 10.0), (10.0, most + 1.0), (f32::NAN, 10.0)] {
        assert!(Picture::new(gpu(), width, height, &Theme::light()).is_err());
    }
    let picture = Picture::new(gpu(), 300.0, 200.0, &Theme::light()).unwrap();
    let small = Picture::new(gpu(), 40.0, 40.0, &Theme::light()).unwrap();
    let painter = painter();
    let values = gpu().upload("values", &[0.0f32; 20]).unwrap();
    let chart = |lines: usize, steps: usize, kept: &[u32], counts: &[u32], picture: &Picture| {
        SeriesChart {
            title: "",
            note: "",
            x_title: "",
            y_title: "",
            first_step: 0,
            stride: 1,
            lines: Lines {
                values: &values,
                lines,
                steps,
                scale: unit_scale(),
            },
            kept: Some(Kept {
                lines: kept,
                counts,
            }),
            density: true,
            nonfinite: 0,
        }
        .draw(&painter, picture)
    };
    assert!(chart(2, 10, &[1], &[1], &picture).is_ok());
    assert!(chart(0, 10, &[], &[], &picture).is_ok());
    assert!(chart(2, 10, &[2], &[1], &picture).is_err());
    assert!(chart(2, 10, &[1], &[], &picture).is_err());
    assert!(chart(3, 10, &[1], &[1], &picture).is_err());
    assert!(chart(2, 0, &[1], &[1], &picture).is_err());
    assert!(chart(usize::MAX, 10, &[1], &[1], &picture).is_err());
    assert!(chart(2, 10, &[1], &[1], &small).is_err());
    gpu().wait().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The place of a tick is the place of its value: both directions of the scale agree.
    #[test]
    fn heights_and_values_are_inverse(low in -1e6f32..1e6, extent in 1e-3f32..1e6, threshold in 1e-3f32..1e3, height in 0f64..1.0) {
        for threshold in [0.0, threshold] {
            let scale = ValueScale::over(low, low + extent, threshold);
            let value = ticks::value_at(&scale, height);
            prop_assert!((ticks::height(&scale, value) - height).abs() < 1e-6);
        }
    }
}
