//! Rates of drawing: segments of polylines and lines of density images a second.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::series::{Scale, SeriesBuffer};
use trainscope::view::{Canvas, Density, LineStyle, Painter, Picture, Plot, Rect, Theme};

const STEPS: usize = 128;

fn series(lines: usize) -> Vec<f32> {
    (0..lines * STEPS)
        .map(|i| {
            let (line, step) = ((i / STEPS) as u32, (i % STEPS) as u32);
            let [level, slope, ..] = standard_normal(words(1, Stream::Synthetic, 0, line));
            let [noise, ..] = standard_normal(words(1, Stream::Synthetic, 1 + step, line));
            (level + slope * f64::from(step) / 100.0 + 0.05 * noise) as f32
        })
        .collect()
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let painter = Painter::new(&gpu);
    let picture = Picture::new(&gpu, 900.0, 500.0, &Theme::light()).expect("a picture");
    let plot = Plot::over(Rect::new(0.0, 0.0, 900.0, 500.0), STEPS);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let mut group = criterion.benchmark_group("polylines");
    for lines in [1_000usize, 10_000] {
        let values = series(lines);
        let data = SeriesBuffer::upload(&gpu, &values, STEPS, Scale::Linear).expect("room");
        let styles: Vec<LineStyle> = (0..lines as u32)
            .map(|line| LineStyle::new(line, [0, 0, 0, 60], 1.25))
            .collect();
        // One element is one segment: the rate is segments a second.
        group.throughput(Throughput::Elements((lines * (STEPS - 1)) as u64));
        group.bench_function(BenchmarkId::new("segments", lines), |bencher| {
            bencher.iter(|| {
                let mut canvas = Canvas::new(&painter, &picture);
                canvas.polylines(&data, &plot, &styles).expect("drawn");
                canvas.finish();
                gpu.wait().expect("done");
            });
        });
    }
    for lines in [4_000usize, 100_000] {
        let values = series(lines);
        let data = SeriesBuffer::upload(&gpu, &values, STEPS, Scale::Linear).expect("room");
        // One element is one line of the density image.
        group.throughput(Throughput::Elements(lines as u64));
        group.bench_function(BenchmarkId::new("density lines", lines), |bencher| {
            bencher.iter(|| {
                let density = Density::new(&gpu, &data, &plot).expect("computed");
                gpu.wait().expect("done");
                density
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
