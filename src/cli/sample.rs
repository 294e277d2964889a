//! `trainscope sample`

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use trainscope::formats::{Header, LinesAre, ReadOptions, TableLayout, read_series, write_ids};
use trainscope::sample::{Budget, Sample, SampleOptions};
use trainscope::series::{LineGroup, Scale, SeriesBuffer, SeriesTable};
use trainscope::tensor::TensorKind;
use trainscope::trace::{RunView, Statistic, UnitSeries};
use trainscope::view::{Caption, Painter, SampledChart, Theme};
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
    /// Of a table: whether row 1 is its header [default: as it looks]
    #[arg(long, value_name = "yes|no", value_parser = PossibleValuesParser::new(["yes", "no"]))]
    header: Option<String>,
    /// Of a file: each column is a line and each row a step, as TensorBoard and Weights & Biases export them
    #[arg(long)]
    columns_are_lines: bool,
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
    /// Write for each line the number of the kept line that represents it (int64)
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
    /// Of a run: which statistic of those values over the batch
    #[arg(long, default_value = "mean", value_parser = PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(|word| named(&Statistic::ALL, Statistic::name, &word)))]
    quantity: Statistic,
}

impl SampleArgs {
    /// How the table is to be read.
    fn read_options(&self) -> ReadOptions {
        ReadOptions {
            header: match self.header.as_deref() {
                Some("yes") => Header::Yes,
                Some(_) => Header::No,
                None => Header::Auto,
            },
            lines_are: if self.columns_are_lines {
                LinesAre::Columns
            } else {
                LinesAre::Rows
            },
        }
    }
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

/// Lines and what a plot says of them.
struct Lines {
    table: SeriesTable,
    /// How a file was read.
    layout: Option<TableLayout>,
    /// The names of a file's lines; empty where it has none.
    names: Vec<String>,
    caption: Caption,
    /// The lines of each tensor of a run.
    groups: Vec<LineGroup>,
}

pub fn run(common: &Common, args: &SampleArgs) -> Result<()> {
    for path in [&args.out, &args.assign, &args.plot].into_iter().flatten() {
        check_writable(path)?;
    }
    let lines = read(common, args)?;
    let table = &lines.table;
    if let Some(layout) = &lines.layout {
        common.note(&layout.to_string());
    }
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
    let buffer =
        SeriesBuffer::upload_table(&gpu, table, args.scale)?.with_groups(lines.groups.clone());
    let chart = SampledChart::new(&gpu, buffer, lines.caption.clone(), &options)?;
    let seconds = started.elapsed().as_secs_f64();

    let sample = chart.sample();
    if let Some(path) = &args.plot {
        let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
        let picture = chart.chart().picture(&Painter::new(&gpu), PLOT, &theme)?;
        picture.write_png(&gpu, path)?;
    }
    if let Some(path) = &args.out {
        write_ids(path, &sample.kept)?;
    }
    if let Some(path) = &args.assign {
        let representatives = sample.nearest_representative.iter();
        let ids: Vec<u32> = representatives
            .map(|&index| sample.kept[index as usize])
            .collect();
        write_ids(path, &ids)?;
    }
    say(common, args, table, sample, seconds);
    common.print_json(&json!({
        "lines": table.lines,
        "steps": table.steps.len(),
        "kept": sample.kept.len(),
        "radius": sample.radius,
        "rounds": sample.rounds,
        "seconds": seconds,
        "adapter": gpu.describe(),
        "nonfinite": sample.nonfinite,
        "columns": args.columns,
        "scale": match args.scale { Scale::Linear => "linear", Scale::Symlog => "symlog" },
        "seed": args.seed,
        "read": lines.layout,
        "names": sample.kept.iter().filter_map(|&line| lines.names.get(line as usize)).collect::<Vec<_>>(),
        "tensors": lines.groups.iter()
            .map(|group| json!({ "tensor": group.tensor, "from": group.lines.start, "to": group.lines.end }))
            .collect::<Vec<_>>(),
        "out": args.out,
        "assign": args.assign,
        "plot": args.plot,
    }));
    Ok(())
}

fn say(common: &Common, args: &SampleArgs, table: &SeriesTable, sample: &Sample, seconds: f64) {
    common.note(&format!(
        "kept {} of {} lines of {} steps in {seconds:.2} s",
        sample.kept.len(),
        table.lines,
        table.steps.len(),
    ));
    common.note(&sample.guarantee());
    if sample.nonfinite > 0 {
        let count = sample.nonfinite;
        common.note(&format!(
            "{count} lines have values that are not finite; they represent no finite line"
        ));
    }
    for (what, path) in [
        ("kept lines", &args.out),
        ("representatives", &args.assign),
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

fn read(common: &Common, args: &SampleArgs) -> Result<Lines> {
    if args.input.is_dir() {
        return read_run(common, args);
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
    let name = args.input.file_name().unwrap_or(args.input.as_os_str());
    let file = read_series(&args.input, args.read_options())?;
    let steps = &file.table.steps;
    let stride = match steps[..] {
        [first, second, ..] => second - first,
        _ => 1,
    };
    let is_even = steps.windows(2).all(|pair| pair[1] - pair[0] == stride);
    let (first_step, stride) = if is_even { (steps[0], stride) } else { (0, 1) };
    Ok(Lines {
        caption: Caption {
            title: name.to_string_lossy().into_owned(),
            x_title: "step".to_owned(),
            y_title: "value".to_owned(),
            first_step,
            stride,
        },
        table: file.table,
        layout: Some(file.layout),
        names: file.names,
        groups: Vec::new(),
    })
}

/// The series of a run's units, tensor after tensor.
fn read_run(common: &Common, args: &SampleArgs) -> Result<Lines> {
    let run = RunView::open(&args.input)?;
    for problem in run.problems() {
        common.note(&format!("left out: {problem}"));
    }
    let names: Vec<String> = match &args.tensor {
        Some(name) => vec![name.clone()],
        None => run
            .entries()
            .iter()
            .filter(|entry| entry.kind == args.kind)
            .map(|entry| entry.tensor.clone())
            .collect(),
    };
    let mut all = UnitSeries::default();
    let mut groups = Vec::new();
    for name in names {
        let series = run.series(&name, args.kind, args.quantity)?;
        groups.push(LineGroup {
            tensor: name,
            kind: args.kind,
            lines: all.units..all.units + series.units,
        });
        all.units += series.units;
        all.values.extend(series.values);
        all.steps = series.steps;
    }
    if all.values.is_empty() {
        return Err(Error::input(
            args.input.display().to_string(),
            format!("no {} is recorded yet", args.kind.name()),
            "wait until its first segment is written, or train it with [record]",
        ));
    }
    let of = match &args.tensor {
        Some(name) => format!("the units of {name}"),
        None => "all units".to_owned(),
    };
    let statistic = format!("{} of the {}", args.quantity.name(), args.kind.name());
    // Uneven records are drawn one after another.
    let (x_title, first_step, stride) = match (all.steps.first(), all.stride()) {
        (Some(&first), Some(stride)) => ("training step", first, stride),
        _ => ("record", 0, 1),
    };
    Ok(Lines {
        caption: Caption {
            title: format!("{}: {statistic}, {of}", run.name()),
            x_title: x_title.to_owned(),
            y_title: statistic,
            first_step,
            stride,
        },
        table: all.into(),
        layout: None,
        names: Vec::new(),
        groups,
    })
}
