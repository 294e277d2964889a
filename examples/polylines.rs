//! Samples synthetic series, draws them as a chart and writes `polylines.png`: `cargo run --example polylines`.

use std::path::Path;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::sample::{Budget, SampleOptions};
use trainscope::series::{Scale, SeriesBuffer};
use trainscope::view::{Caption, Painter, SampledChart, Theme};

const LINES: u32 = 2_000;
const STEPS: u32 = 128;

/// A curve of its own level, rate and phase, with a little noise.
fn value(line: u32, step: u32) -> f32 {
    let [level, rate, phase, _] = standard_normal(words(7, Stream::Synthetic, 0, line));
    let [noise, ..] = standard_normal(words(7, Stream::Synthetic, 1 + step, line));
    let t = f64::from(step) / f64::from(STEPS);
    let decay = (-t * (2.0 + rate)).exp();
    (level * decay + 0.3 * (6.0 * t + phase).sin() + 0.03 * noise) as f32
}

fn main() -> trainscope::Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let lines = (0..LINES).flat_map(|line| (0..STEPS).map(move |step| value(line, step)));
    let values: Vec<f32> = lines.collect();
    let series = SeriesBuffer::upload(&gpu, &values, STEPS as usize, Scale::Linear)?;
    let caption = Caption {
        title: "Synthetic series".to_owned(),
        x_title: "step".to_owned(),
        y_title: "value".to_owned(),
        first_step: 0,
        stride: 1,
    };
    let options = SampleOptions {
        budget: Budget::Keep(20),
        ..SampleOptions::default()
    };
    let sampled = SampledChart::new(&gpu, series, caption, &options)?;
    let picture = sampled
        .chart()
        .picture(&Painter::new(&gpu), [900.0, 500.0], &Theme::light())?;
    picture.write_png(&gpu, Path::new("polylines.png"))
}
