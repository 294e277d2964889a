//! What is drawn, pixel by pixel, against twins in double precision.

use proptest::prelude::*;
use trainscope::random::{Stream, standard_normal, words};
use trainscope::sample::{Scale, ValueScale};
use trainscope::view::{
    Align, Canvas, Density, ImageGrid, ImageRow, Kept, LineChart, LineStyle, Lines, Painter,
    Picture, Plot, Rect, Series, SeriesChart, Theme, ticks,
};

use crate::support::gpu;

const BLACK: [u8; 4] = [0, 0, 0, 255];

fn painter() -> Painter {
    Painter::new(gpu())
}

fn rect(left: f32, top: f32, width: f32, height: f32) -> Rect {
    Rect {
        left,
        top,
        width,
        height,
    }
}

fn unit_scale() -> ValueScale {
    ValueScale::over(0.0, 1.0, 0.0)
}

/// Draws lines over a whole picture on white and returns its pixels.
fn draw(values: &[f32], steps: usize, styles: &[LineStyle], size: [u32; 2]) -> Vec<[u8; 4]> {
    let picture = Picture::new(gpu(), size[0] as f32, size[1] as f32, &Theme::light()).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    let buffer = gpu().upload("values", values).unwrap();
    let lines = Lines {
        values: &buffer,
        lines: values.len() / steps,
        steps,
        scale: unit_scale(),
    };
    let plot = Plot::over(rect(0.0, 0.0, size[0] as f32, size[1] as f32), steps);
    canvas.polylines(lines, &plot, styles).unwrap();
    canvas.finish();
    pixels(&picture)
}

fn pixels(picture: &Picture) -> Vec<[u8; 4]> {
    let bytes = picture.read(gpu()).unwrap();
    bytes
        .chunks_exact(4)
        .map(|p| p.try_into().unwrap())
        .collect()
}

/// Values of a smooth random walk with spikes, in about [0, 1].
fn series(lines: usize, steps: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for line in 0..lines as u32 {
        let [level, slope, spike, _] = standard_normal(words(3, Stream::Synthetic, 0, line));
        for step in 0..steps as u32 {
            let [noise, ..] = standard_normal(words(3, Stream::Synthetic, 1 + step, line));
            let t = f64::from(step) / steps as f64;
            let jump = if step % 17 == 5 { 0.2 * spike } else { 0.0 };
            values.push((0.5 + 0.1 * level + 0.1 * slope * t + 0.03 * noise + jump) as f32);
        }
    }
    values
}

#[test]
fn a_horizontal_line_covers_the_pixels_it_lies_on() {
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
fn a_spiky_line_covers_what_its_nearest_segment_covers() {
    let (width, height, steps) = (120u32, 80u32, 12);
    let values = [
        0.2, 0.25, 0.9, 0.2, 0.2, 0.8, 0.75, 0.1, 0.5, 0.5, 0.52, 0.6,
    ];
    let colour = [0, 0, 0, 128];
    let drawn = draw(
        &values,
        steps,
        &[LineStyle::new(0, colour, 1.5)],
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
            // Segments that are not neighbours may blend over each other; those pixels are left out.
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
fn values_that_are_not_finite_leave_a_gap_and_a_mark() {
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
        assert_eq!(at(step(10.0), 30)[0], 127, "the line behind");

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
    // Vertical strokes up and down beside the steps next to the extreme one, flat lines elsewhere.
    assert!(dark(20, 5) && dark(20, 35) && dark(60, 5) && dark(60, 35));
    assert!(!dark(40, 5) && !dark(40, 20) && !dark(40, 35));
    assert!(dark(5, 20) && dark(75, 20));
}

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
    // One line has a gap here, the other is beyond the window.
    assert!((column(50) - 1.0).abs() < 1e-4);
    assert!(counts.iter().all(|count| count.is_finite()));
}

#[test]
fn image_grid_pixels_are_the_inputs() {
    let (count, height, width, zoom) = (5usize, 3usize, 4usize, 2usize);
    for channels in [1usize, 3] {
        let size = channels * height * width;
        let mut images: Vec<f32> = (0..count * size)
            .map(|i| (i * 37 % 256) as f32 / 255.0)
            .collect();
        images[2 * size + 5] = f32::NAN;
        let buffer = gpu().upload("images", &images).unwrap();
        let logits: Vec<f32> = images
            .iter()
            .map(|p| ((p + 1e-4) / (1.0001 - p)).ln())
            .collect();
        let logits = gpu().upload("logits", &logits).unwrap();
        let grid = ImageGrid {
            title: "images",
            note: "",
            rows: &[
                ImageRow {
                    label: "",
                    images: &buffer,
                    logits: false,
                },
                ImageRow {
                    label: "",
                    images: &logits,
                    logits: true,
                },
            ],
            count,
            channels,
            height,
            width,
            columns: 3,
            zoom,
        };
        let theme = Theme::light();
        let picture = grid.picture(&painter(), &theme).unwrap();
        let drawn = pixels(&picture);
        let [across, down] = picture.size().map(|side| side as usize);
        // The first image begins at the margin; its top is the first row below the heading that is not white.
        let left = 14;
        let top = 41;
        assert_eq!(
            drawn[top * across + left][0],
            0,
            "the first pixel of the first image"
        );
        for image in 0..count {
            let (group, column) = (image / 3, image % 3);
            for row in 0..2 {
                let x0 = left + column * (width * zoom + 2);
                let y0 = top + (group * 2 + row) * (height * zoom + 2) + group * 6;
                for y in 0..height * zoom {
                    for x in 0..width * zoom {
                        assert!(y0 + y < down);
                        let pixel = drawn[(y0 + y) * across + x0 + x];
                        let at = |channel: usize| {
                            images[image * size
                                + channel.min(channels - 1) * height * width
                                + y / zoom * width
                                + x / zoom]
                        };
                        if (0..3).any(|channel| at(channel).is_nan()) {
                            assert_eq!(pixel, theme.nonfinite);
                            continue;
                        }
                        for (channel, byte) in pixel.iter().take(3).enumerate() {
                            let expected = at(channel) * 255.0;
                            assert!(
                                (f32::from(*byte) - expected).abs() < 1.0,
                                "image {image} row {row} pixel {x} {y}: {byte}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

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
fn text_is_written_where_it_is_put() {
    let theme = Theme::light();
    let picture = Picture::new(gpu(), 200.0, 40.0, &theme).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    let taken = canvas.text("Hamburg \u{4e16}\n", 14.0, 190.0, 25.0, Align::Right, BLACK);
    assert!(
        canvas
            .fitted("a long text that does not fit", 14.0, 60.0)
            .ends_with('\u{2026}')
    );
    assert_eq!(canvas.fitted("fits", 14.0, 60.0), "fits");
    assert_eq!(canvas.fitted("", 14.0, 0.0), "");
    assert!(canvas.wrapped(&"word ".repeat(500), 14.0, 100.0, 3).len() <= 3);
    canvas.finish();
    let drawn = pixels(&picture);
    let mut inked = 0;
    for (i, pixel) in drawn.iter().enumerate() {
        if pixel[0] < 128 {
            let x = (i % 200) as f32;
            assert!(x >= taken.left - 1.0 && x <= taken.right() + 1.0);
            inked += 1;
        }
    }
    assert!(inked > 100, "{inked}");
}

#[test]
fn a_png_holds_the_pixels_and_leaves_no_temporary_file() {
    let picture = Picture::new(gpu(), 33.0, 5.0, &Theme::dark()).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    canvas.rect(rect(1.0, 1.0, 2.5, 1.0), [255, 0, 0, 255]);
    canvas.finish();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    picture.write_png(gpu(), &path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height, bytes.len()), (33, 5, 33 * 5 * 3));
    assert_eq!(bytes[(33 + 1) * 3..][..3], [255, 0, 0]);
    let half = bytes[(33 + 3) * 3];
    assert!((i32::from(half) - (255 + 0x12) / 2).abs() <= 1, "{half}");
    let error = picture.write_png(gpu(), &folder.path().join("none/picture.png"));
    assert!(error.unwrap_err().to_string().contains("none/picture.png"));
}

#[test]
fn what_cannot_be_drawn_is_said_in_a_sentence() {
    let most = gpu().limits.max_texture_dimension_2d as f32;
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
