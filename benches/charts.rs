//! Frames of the window's charts: how long drawing takes for runs of 1,000 and of 100,000 recorded steps, all of them and
//! brushed to 500, and how long the worker prepares what is drawn.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::sample::{Budget, SampleOptions};
use trainscope::tensor::TensorKind;
use trainscope::trace::{Statistic, UnitSeries};
use trainscope::view::{
    Painter, Picture, SampledChart, ScalarChart, Theme, TimeAxis, TimeScale, UnitsOf,
};

const SIZE: [f32; 2] = [900.0, 300.0];
/// Units of the chart of units, of which so many lines are drawn.
const UNITS: usize = 400;
const SHOWN: usize = 200;
/// Steps that are brushed.
const BRUSHED: usize = 500;

fn noise(line: u32, step: u64) -> f64 {
    standard_normal(words(1, Stream::Synthetic, step as u32, line))[0]
}

fn loss(steps: u64) -> Vec<(u64, f64)> {
    let value = |step| 100.0 / (1.0 + step as f64 / 50.0) + noise(0, step);
    (0..steps).map(|step| (step, value(step))).collect()
}

fn units(steps: u64) -> UnitSeries {
    let values = (0..UNITS as u32).flat_map(|unit| {
        (0..steps).map(move |step| noise(unit, step / 8) as f32 * 0.1 + unit as f32 / 99.0)
    });
    UnitSeries {
        steps: (0..steps).collect(),
        units: UNITS,
        values: values.collect(),
    }
}

/// The last steps of series.
fn brushed(all: &UnitSeries) -> UnitSeries {
    let from = all.steps.len() - BRUSHED;
    UnitSeries {
        steps: all.steps[from..].to_vec(),
        units: all.units,
        values: all.rows().flat_map(|row| row[from..].to_vec()).collect(),
    }
}

fn axis(scale: TimeScale, steps: &[u64]) -> TimeAxis {
    let last = steps[steps.len() - 1];
    TimeAxis::new(scale, steps, &[last / 3, last / 2]).expect("steps")
}

fn scalar_chart(gpu: &Gpu, axis: &TimeAxis, loss: &[(u64, f64)]) -> ScalarChart {
    let recorded = [("loss", loss)];
    let chart = ScalarChart::along(gpu, axis, "Loss", "loss", &recorded, None);
    chart.expect("room").expect("values")
}

fn unit_chart(gpu: &Gpu, axis: &TimeAxis, recorded: &UnitSeries) -> SampledChart {
    let units = UnitsOf {
        tensor: "encoder.0".to_owned(),
        kind: TensorKind::Activation,
        statistic: Statistic::Mean,
    };
    let options = SampleOptions {
        budget: Budget::Keep(SHOWN),
        ..SampleOptions::default()
    };
    let chart = SampledChart::along(gpu, axis, &units, recorded, None, &options);
    chart.expect("room").expect("values")
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let painter = Painter::new(&gpu);
    let theme = Theme::dark();
    let picture = Picture::new(&gpu, SIZE[0], SIZE[1], &theme).expect("a picture");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut group = criterion.benchmark_group("charts");
    for steps in [1_000u64, 100_000] {
        let (loss, all) = (loss(steps), units(steps));
        let (last_loss, last) = (&loss[loss.len() - BRUSHED..], brushed(&all));
        let shown = [
            (
                "folded",
                axis(TimeScale::Folded, &all.steps),
                &loss[..],
                &all,
            ),
            (
                "linear",
                axis(TimeScale::Linear, &all.steps),
                &loss[..],
                &all,
            ),
            (
                "brushed",
                axis(TimeScale::Linear, &last.steps),
                last_loss,
                &last,
            ),
        ];
        for (name, axis, loss, units) in &shown {
            let scalars = scalar_chart(&gpu, axis, loss);
            let units = unit_chart(&gpu, axis, units);
            let chart = scalars.chart();
            let layout = chart.layout(picture.extent(), 1.0).expect("room");
            group.bench_function(
                BenchmarkId::new(format!("scalars, {name}"), steps),
                |bencher| {
                    bencher.iter(|| {
                        chart.draw(&painter, &layout, &picture).expect("drawn");
                        gpu.wait().expect("done");
                    });
                },
            );
            let chart = units.chart();
            let layout = chart.layout(picture.extent(), 1.0).expect("room");
            group.bench_function(
                BenchmarkId::new(format!("units, {name}"), steps),
                |bencher| {
                    bencher.iter(|| {
                        chart
                            .draw(&painter, &layout, &[7], &picture)
                            .expect("drawn");
                        gpu.wait().expect("done");
                    });
                },
            );
            // What a frame costs in which another line is pointed at.
            let ground = picture.alike(&gpu);
            chart
                .draw_ground(&painter, &layout, true, &ground)
                .expect("drawn");
            group.bench_function(
                BenchmarkId::new(format!("pointing, {name}"), steps),
                |bencher| {
                    bencher.iter(|| {
                        let over = chart.draw_over(&painter, &layout, &[7], &ground, &picture);
                        over.expect("drawn");
                        gpu.wait().expect("done");
                    });
                },
            );
        }
        let (_, axis, loss, _) = &shown[0];
        group.bench_function(BenchmarkId::new("preparing scalars", steps), |bencher| {
            bencher.iter(|| scalar_chart(&gpu, axis, loss));
        });
    }
    group.finish();
    criterion.final_summary();
}
