//! `trainscope sample`

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;
use trainscope::tensor::TensorKind;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use trainscope::gpu::Gpu;
use trainscope::sample::{
    Budget, Sample, SampleOptions, Scale, ValueScale, input, sample_values, write_ids,
};
use trainscope::trace::{RunReader, Statistic};
use trainscope::view::{Kept, Lines, Painter, Picture, SeriesChart, Theme};
use trainscope::{Error, Result};

use super::{Common, check_writable};

/// Size of the plot in points, and pixels a point.
const PLOT: [f32; 2] = [960.0, 540.0];
const PLOT_SCALE_FACTOR: f32 = 2.0;

#[derive(Debug, clap::Args)]
#[group(id = "budget", required = true, multiple = false)]
pub struct Amount {
    /// Keep about this many lines
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Keep lines that are this far apart, in units of the scaled value range [0, 1]
    #[arg(long, value_name = "R", value_parser = radius)]
    radius: Option<f32>,
}

#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// A .npy array [lines, steps], a .csv table (one line a row) or a run directory
    input: PathBuf,
    #[command(flatten)]
    amount: Amount,
    /// Compare lines in this many pixel columns
    #[arg(long, value_name = "W", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    columns: u32,
    /// The chart's y-axis, in which distances are measured
    #[arg(long, default_value = "linear", value_parser = PossibleValuesParser::new(["linear", "symlog"]).map(|word| scale(&word)))]
    scale: Scale,
    /// Seed of the order in which lines are taken
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Write the numbers of the kept lines, most remarkable first (int64)
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Write for each line the number of the kept line that stands for it (int64)
    #[arg(long, value_name = "FILE.npy")]
    assign: Option<PathBuf>,
    /// Draw the kept lines over the density of all lines
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    /// Of a run: only the units of this layer or parameter [default: all]
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Of a run: which values of the units
    #[arg(long, default_value = "activation", value_parser = PossibleValuesParser::new(TensorKind::ALL.map(TensorKind::name)).map(|word| named(&TensorKind::ALL, TensorKind::name, &word)))]
    kind: TensorKind,
    /// Of a run: which figure of those values over the batch
    #[arg(long, default_value = "mean", value_parser = PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(|word| named(&Statistic::ALL, Statistic::name, &word)))]
    quantity: Statistic,
}

/// The value with this name; the parser in front lets no other word through.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> T {
    let found = all.iter().find(|value| name(**value) == word);
    *found.unwrap_or(&all[0])
}

fn scale(word: &str) -> Scale {
    match word {
        "symlog" => Scale::Symlog,
        _ => Scale::Linear,
    }
}

fn radius(word: &str) -> std::result::Result<f32, String> {
    match word.parse::<f32>() {
        Ok(radius) if (1e-6..=3.0).contains(&radius) => Ok(radius),
        _ => Err("a radius is a number from 0.000001 to 3, such as 0.05".into()),
    }
}

/// Lines and where they come from.
struct Series {
    values: Vec<f32>,
    lines: usize,
    steps: usize,
    /// Title and axes of the plot.
    title: String,
    x_title: &'static str,
    y_title: String,
    first_step: u64,
    stride: u64,
    /// The lines of each tensor of a run.
    tensors: Vec<(String, Range<usize>)>,
}

pub fn run(common: &Common, args: &SampleArgs) -> Result<()> {
    for path in [&args.out, &args.assign, &args.plot].into_iter().flatten() {
        check_writable(path)?;
    }
    let series = read(args)?;
    let gpu = common.gpu()?;
    let budget = match (args.amount.keep, args.amount.radius) {
        (Some(keep), _) => Budget::Keep(keep as usize),
        (None, radius) => Budget::Radius(radius.unwrap_or(0.05)),
    };
    let options = SampleOptions {
        budget,
        columns: args.columns as usize,
        seed: args.seed,
    };
    let started = Instant::now();
    let sample = sample_values(&gpu, &series.values, series.steps, args.scale, &options)?;
    let seconds = started.elapsed().as_secs_f64();

    if let Some(path) = &args.plot {
        plot(&gpu, &series, &sample, args.scale)?.write_png(&gpu, path)?;
    }
    if let Some(path) = &args.out {
        write_ids(path, &sample.kept)?;
    }
    if let Some(path) = &args.assign {
        let stand_in = |&place: &u32| sample.kept[place as usize];
        let ids: Vec<u32> = sample.assign.iter().map(stand_in).collect();
        write_ids(path, &ids)?;
    }
    say(common, args, &series, &sample, seconds);
    common.print_json(&json!({
        "lines": series.lines,
        "steps": series.steps,
        "kept": sample.kept.len(),
        "radius": sample.radius,
        "rounds": sample.rounds,
        "seconds": seconds,
        "adapter": gpu.describe(),
        "nonfinite": sample.nonfinite,
        "columns": args.columns,
        "scale": match args.scale { Scale::Linear => "linear", Scale::Symlog => "symlog" },
        "seed": args.seed,
        "tensors": series.tensors.iter()
            .map(|(name, lines)| json!({ "tensor": name, "from": lines.start, "to": lines.end }))
            .collect::<Vec<_>>(),
        "out": args.out,
        "assign": args.assign,
        "plot": args.plot,
    }));
    Ok(())
}

fn say(common: &Common, args: &SampleArgs, series: &Series, sample: &Sample, seconds: f64) {
    common.note(&format!(
        "kept {} of {} lines of {} steps in {seconds:.2} s: {}",
        sample.kept.len(),
        series.lines,
        series.steps,
        if sample.kept.len() < series.lines {
            format!(
                "every other line stays within {:.4} of one of them everywhere (1 is the height of the chart)",
                sample.radius
            )
        } else {
            "all of them".to_owned()
        }
    ));
    if sample.nonfinite > 0 {
        let count = sample.nonfinite;
        common.note(&format!(
            "{count} with values that are not finite; they stand for no finite line"
        ));
    }
    for (what, path) in [
        ("kept lines", &args.out),
        ("stand-ins", &args.assign),
        ("plot", &args.plot),
    ] {
        if let Some(path) = path {
            common.note(&format!("{what}: {}", path.display()));
        }
    }
    if args.out.is_none() && args.assign.is_none() && args.plot.is_none() && !common.json {
        let ids: Vec<String> = sample.kept.iter().map(u32::to_string).collect();
        common.note(&ids.join(" "));
    }
}

fn read(args: &SampleArgs) -> Result<Series> {
    if args.input.is_dir() {
        return read_run(args);
    }
    if let Some(tensor) = &args.tensor {
        return Err(Error::usage(
            "--tensor",
            format!(
                "{} has no tensor '{tensor}': it is a file",
                args.input.display()
            ),
            "name a run directory, or leave --tensor out",
        ));
    }
    let series = input::read(&args.input)?;
    let name = args.input.file_name().unwrap_or(args.input.as_os_str());
    Ok(Series {
        title: name.to_string_lossy().into_owned(),
        x_title: "step",
        y_title: "value".to_owned(),
        first_step: 0,
        stride: 1,
        lines: series.lines,
        steps: series.steps,
        values: series.values,
        tensors: Vec::new(),
    })
}

/// The series of a run's units, tensor after tensor.
fn read_run(args: &SampleArgs) -> Result<Series> {
    let reader = RunReader::open(&args.input)?;
    let names: Vec<String> = match &args.tensor {
        Some(name) => vec![name.clone()],
        None => reader
            .entries()?
            .into_iter()
            .filter(|entry| entry.kind == args.kind)
            .map(|entry| entry.tensor)
            .collect(),
    };
    let mut values = Vec::new();
    let mut tensors = Vec::new();
    let mut lines = 0;
    let mut steps: Vec<u64> = Vec::new();
    for name in names {
        let series = reader.series(&name, args.kind, args.quantity)?;
        tensors.push((name, lines..lines + series.units));
        lines += series.units;
        values.extend(series.values);
        steps = series.steps;
    }
    if values.is_empty() {
        return Err(Error::input(
            args.input.display().to_string(),
            format!("no {} is recorded yet", args.kind.name()),
            "wait until its first segment is written, or train it with [record]",
        ));
    }
    let strides: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let even = strides.windows(2).all(|pair| pair[0] == pair[1]);
    let of = match &args.tensor {
        Some(name) => format!("the units of {name}"),
        None => "all units".to_owned(),
    };
    let figure = format!("{} of the {}", args.quantity.name(), args.kind.name());
    Ok(Series {
        title: format!("{}: {figure}, {of}", reader.info().name),
        x_title: if even { "training step" } else { "record" },
        y_title: figure,
        first_step: if even { steps[0] } else { 0 },
        stride: strides.first().copied().filter(|_| even).unwrap_or(1),
        steps: steps.len(),
        values,
        lines,
        tensors,
    })
}

fn plot(gpu: &Gpu, series: &Series, sample: &Sample, scale: Scale) -> Result<Picture> {
    // The most remarkable lines come first; drawn last, they lie on top.
    let kept: Vec<u32> = sample.kept.iter().rev().copied().collect();
    let counts: Vec<u32> = sample.counts.iter().rev().copied().collect();
    let dropped = series.lines - kept.len();
    let note = if dropped == 0 {
        format!("All {} lines.", series.lines)
    } else {
        format!(
            "{} of {} lines; every other line stays within {:.1} % of the chart's height of one of them everywhere.",
            kept.len(),
            series.lines,
            100.0 * sample.radius
        )
    };
    let chart = SeriesChart {
        title: &series.title,
        note: &note,
        x_title: series.x_title,
        y_title: &series.y_title,
        first_step: series.first_step,
        stride: series.stride,
        lines: Lines {
            values: &gpu.upload("series", &series.values)?,
            lines: series.lines,
            steps: series.steps,
            scale: ValueScale::fit(scale, &series.values),
        },
        kept: Some(Kept {
            lines: &kept,
            counts: &counts,
        }),
        density: dropped > 0,
        nonfinite: sample.nonfinite,
    };
    let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
    let picture = Picture::new(gpu, PLOT[0], PLOT[1], &theme)?;
    chart.draw(&Painter::new(gpu), &picture)?;
    Ok(picture)
}
