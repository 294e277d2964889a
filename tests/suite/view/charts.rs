//! Whole charts: hard inputs, refusals, and the ticks of their axes.

use proptest::prelude::*;
use trainscope::series::{Scale, SeriesBuffer, ValueAxis, ValueScale};
use trainscope::view::{
    ChartFrame, ImageGrid, ImageRow, LineChart, Picture, Representatives, ScalarData, ScalarLine,
    SeriesChart, SeriesData, ShownLines, Theme,
};

use super::{painter, pixels, series, unit_scale};
use crate::support::gpu;

/// With `TRAINSCOPE_GALLERY=FOLDER` pictures are also written there, to be looked at.
fn keep(picture: &Picture, name: &str) {
    if let Some(folder) = std::env::var_os("TRAINSCOPE_GALLERY") {
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        picture.write_png(gpu(), &path).unwrap();
    }
}

/// Values of hard inputs: name, values, steps, scale.
fn hard_series() -> Vec<(&'static str, Vec<f32>, usize, Scale)> {
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
    let extreme = [1e38, -1e38, 0.0, 1e38];
    let huge = [&extreme[..], &[f32::MAX, f32::MIN]].concat();
    let huge_symlog = [&extreme[..], &[1.0, f32::MIN]].concat();
    let tiny = vec![1e-38, 2e-38, 3e-38, 1e-38, 1e-39, 2e-38];
    vec![
        ("many", series(2000, 128), 128, Scale::Linear),
        ("symlog", spread(400, 64), 64, Scale::Symlog),
        ("broken", broken, 100, Scale::Linear),
        ("one_line", series(1, 50), 50, Scale::Linear),
        ("one_step", series(30, 1), 1, Scale::Linear),
        ("two_steps", series(30, 2), 2, Scale::Linear),
        ("nothing_finite", vec![f32::NAN; 40], 10, Scale::Symlog),
        ("constant", vec![0.25; 40], 10, Scale::Linear),
        ("huge", huge, 3, Scale::Linear),
        ("huge_symlog", huge_symlog, 3, Scale::Symlog),
        ("tiny", tiny, 3, Scale::Linear),
    ]
}

/// Every 40th line or so, over the density of all.
fn sampled(values: &[f32], steps: usize, scale: Scale) -> SeriesData {
    let lines = values.len() / steps;
    let kept: Vec<u32> = (0..lines as u32).step_by(lines.div_ceil(40)).collect();
    let counts: Vec<u32> = kept.iter().map(|k| 1 + k % 60).collect();
    let is_nonfinite = |line: &&[f32]| line.iter().any(|v| !v.is_finite());
    let nonfinite = values.chunks_exact(steps).filter(is_nonfinite).count();
    let series = SeriesBuffer::upload(gpu(), values, steps, scale).unwrap();
    let shown = ShownLines::Representatives(Representatives {
        lines: kept,
        counts,
    });
    let data = SeriesData::new(series, shown).unwrap();
    data.with_density(true).with_nonfinite(nonfinite)
}

#[test]
fn series_charts_of_hard_inputs_are_drawn_and_deterministic() {
    let painter = painter();
    for (name, values, steps, scale) in &hard_series() {
        let data = sampled(values, *steps, *scale);
        let chart = SeriesChart {
            frame: ChartFrame {
                title: "Mean activation of the units of encoder.0 (dense, 400 units)",
                note: "A sample of units; every other unit is within 0.03 of one of these everywhere.",
                x_title: "training step",
                y_title: "mean activation",
                first_step: 0,
                stride: 10,
            },
            data: &data,
        };
        for (mode, theme) in [
            ("light", Theme::light()),
            ("dark", Theme::dark()),
            ("light_2x", Theme::light().scaled(2.0)),
        ] {
            let render = || chart.picture(&painter, [760.0, 420.0], &theme).unwrap();
            let picture = render();
            if mode == "light" {
                assert!(picture.read(gpu()).unwrap() == render().read(gpu()).unwrap());
            }
            keep(&picture, &format!("series_{name}_{mode}"));
        }
    }
}

#[test]
fn highlighted_line_stands_out_and_the_others_fade() {
    let values = series(30, 40);
    let data = sampled(&values, 40, Scale::Linear);
    let chart = SeriesChart {
        frame: ChartFrame {
            stride: 1,
            ..ChartFrame::default()
        },
        data: &data,
    };
    let theme = Theme::light();
    let painter = painter();
    let picture = Picture::new(gpu(), 600.0, 300.0, &theme).unwrap();
    let layout = chart.layout(picture.extent(), 1.0).unwrap();
    let count = |color: [u8; 4]| pixels(&picture).iter().filter(|p| **p == color).count();
    chart.draw(&painter, &layout, &[], &picture).unwrap();
    assert_eq!(count(theme.highlight), 0);
    chart.draw(&painter, &layout, &[7], &picture).unwrap();
    keep(&picture, "highlight");
    assert!(count(theme.highlight) > 300, "{}", count(theme.highlight));
    assert!(chart.draw(&painter, &layout, &[30], &picture).is_err());
    let other = Picture::new(gpu(), 601.0, 300.0, &theme).unwrap();
    let error = chart.draw(&painter, &layout, &[], &other).unwrap_err();
    assert!(
        error.to_string().contains("laid out for 600 x 300"),
        "{error}"
    );
}

#[test]
fn line_charts_are_drawn_linear_logarithmic_and_failing() {
    let painter = painter();
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
            let line = |name, values| ScalarLine { name, values };
            let lines = [line("loss", first), line("kl_divergence", &kl)];
            let data = ScalarData::new(gpu(), &lines, scale, 20).unwrap();
            let chart = LineChart {
                frame: ChartFrame {
                    title: "Loss",
                    note: "Mean over the batch of per-sample sums; strong lines are running means over 20 steps.",
                    x_title: "training step",
                    y_title: "nats a sample",
                    first_step: 1,
                    stride: 5,
                },
                data: &data,
            };
            let picture = chart.picture(&painter, [760.0, 360.0], &theme).unwrap();
            keep(&picture, &format!("loss_{name}_{mode}"));
        }
    }
    assert!(ScalarData::new(gpu(), &[], Scale::Linear, 0).is_err());
    let line = |name, values| ScalarLine { name, values };
    let lines = [line("long", &loss[..]), line("short", &kl[..9])];
    let error = ScalarData::new(gpu(), &lines, Scale::Linear, 0).unwrap_err();
    assert!(
        error.to_string().contains("expected 400 values, got 9"),
        "{error}"
    );
}

#[test]
fn image_grids_are_drawn_in_both_themes() {
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
    for (mode, theme) in [("light", Theme::light()), ("dark", Theme::dark())] {
        let picture = grid.picture(&painter(), &theme).unwrap();
        keep(&picture, &format!("grid_{mode}"));
    }
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let most = Picture::new(gpu(), 1e9, 10.0, &Theme::light());
    assert!(most.unwrap_err().to_string().contains("pixels a side"));
    for (width, height) in [(0.0, 10.0), (f32::NAN, 10.0)] {
        assert!(Picture::new(gpu(), width, height, &Theme::light()).is_err());
    }
    let values = gpu().upload("values", &[0.0f32; 20]).unwrap();
    let buffer =
        |lines: usize, steps: usize| SeriesBuffer::new(values.clone(), lines, steps, unit_scale());
    assert!(buffer(3, 10).is_err());
    assert!(buffer(2, 0).is_err());
    assert!(buffer(usize::MAX, 10).is_err());
    let data = |lines: usize, shown: &[u32], counts: &[u32]| {
        let shown = ShownLines::Representatives(Representatives {
            lines: shown.to_vec(),
            counts: counts.to_vec(),
        });
        SeriesData::new(buffer(lines, 10).unwrap(), shown)
    };
    assert!(data(2, &[2], &[1]).is_err());
    assert!(data(2, &[1], &[]).is_err());
    let painter = painter();
    let draw = |data: &SeriesData, size: [f32; 2]| {
        let frame = ChartFrame {
            stride: 1,
            ..ChartFrame::default()
        };
        SeriesChart { frame, data }.picture(&painter, size, &Theme::light())
    };
    assert!(draw(&data(2, &[1], &[1]).unwrap(), [300.0, 200.0]).is_ok());
    assert!(draw(&data(0, &[], &[]).unwrap(), [300.0, 200.0]).is_ok());
    let error = draw(&data(2, &[1], &[1]).unwrap(), [40.0, 40.0]).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
    gpu().wait().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Both directions of the scale agree.
    #[test]
    fn heights_and_values_are_inverse(low in -1e6f32..1e6, extent in 1e-3f32..1e6, threshold in 1e-3f32..1e3, height in 0f64..1.0) {
        for threshold in [0.0, threshold] {
            let scale = ValueScale::over(low, low + extent, threshold);
            let value = ValueAxis::from(scale).value(height);
            prop_assert!((ValueAxis::from(scale).height(value) - height).abs() < 1e-6);
        }
    }
}
