//! Draws synthetic series as a chart and writes `polylines.png`: `cargo run --example polylines`.

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::sample::{Scale, ValueScale};
use trainscope::view::{Kept, Lines, Painter, Picture, SeriesChart, Theme};

fn main() -> trainscope::Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let (lines, steps) = (2_000, 128);
    let mut values: Vec<f32> = Vec::with_capacity(lines * steps);
    for line in 0..lines as u32 {
        let [level, rate, phase, _] = standard_normal(words(7, Stream::Synthetic, 0, line));
        for step in 0..steps as u32 {
            let [noise, ..] = standard_normal(words(7, Stream::Synthetic, 1 + step, line));
            let t = f64::from(step) / steps as f64;
            let decay = (-t * (2.0 + rate)).exp();
            values.push((level * decay + 0.3 * (6.0 * t + phase).sin() + 0.03 * noise) as f32);
        }
    }
    let kept: Vec<u32> = (0..lines as u32).step_by(100).collect();
    let counts = vec![100; kept.len()];
    let chart = SeriesChart {
        title: "Synthetic series",
        note: "20 of 2,000 series, over the density of all of them",
        x_title: "step",
        y_title: "value",
        first_step: 0,
        stride: 1,
        lines: Lines {
            values: &gpu.upload("series", &values)?,
            lines,
            steps,
            scale: ValueScale::fit(Scale::Linear, &values),
        },
        kept: Some(Kept {
            lines: &kept,
            counts: &counts,
        }),
        density: true,
        nonfinite: 0,
    };
    let picture = Picture::new(&gpu, 900.0, 500.0, &Theme::light())?;
    chart.draw(&Painter::new(&gpu), &picture)?;
    picture.write_png(&gpu, std::path::Path::new("polylines.png"))
}
