//! `trainscope sample`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use trainscope::Result;
use trainscope::formats::{Header, LinesAre, ReadOptions, write_ids};
use trainscope::gpu::Gpu;
use trainscope::sample::{Budget, Sample, SampleOptions, sample_table};
use trainscope::series::{Scale, SeriesBuffer};
use trainscope::tensor::TensorKind;
use trainscope::trace::Statistic;
use trainscope::view::{Caption, Painter, SampledChart, Theme};

use super::sample_lines::Lines;
use super::{Common, interrupt, outputs, probe_lines};

/// Size of the plot in points, and pixels a point.
const PLOT: [f32; 2] = [960.0, 540.0];
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// The most values of a line that are drawn: several for each pixel.
const MAX_DRAWN_STEPS: usize = 8192;
/// Kept lines that are named on the terminal.
const MAX_NAMED: usize = 100;

#[derive(Debug, clap::Args)]
#[group(id = "budget", required = true, multiple = false)]
pub struct Amount {
    /// Keep this many lines
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Keep lines that are this far apart, in units of the scaled value range [0, 1]
    #[arg(long, value_name = "R", value_parser = radius)]
    radius: Option<f32>,
}

#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// A .npy array [lines, steps], a .csv or .parquet table (one line a row), a segment of a trace or a run directory
    pub input: PathBuf,
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
    pub tensor: Option<String>,
    /// Of a run: which values of the units
    #[arg(long, default_value = "activation", value_parser = PossibleValuesParser::new(TensorKind::ALL.map(TensorKind::name)).map(|word| named(&TensorKind::ALL, TensorKind::name, &word)))]
    pub kind: TensorKind,
    /// Of a run: which statistic of those values over the batch
    #[arg(long, default_value = "mean", value_parser = PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(|word| named(&Statistic::ALL, Statistic::name, &word)))]
    pub quantity: Statistic,
    /// Of a run: a line for each value of --tensor on each sample of the probe batch; the steps are run again
    #[arg(long, requires = "tensor", value_parser = ["sample"])]
    pub per: Option<String>,
    /// With --per sample: the first step [default: 0]
    #[arg(long, value_name = "T0", requires = "per")]
    pub from: Option<u64>,
    /// With --per sample: the step after the last [default: all of the run's]
    #[arg(long, value_name = "T1", requires = "per")]
    pub to: Option<u64>,
}

impl SampleArgs {
    /// How the table is to be read.
    pub fn read_options(&self) -> ReadOptions {
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

pub fn run(common: &Common, args: &SampleArgs) -> Result<()> {
    let written = [
        ("--out", &args.out),
        ("--assign", &args.assign),
        ("--plot", &args.plot),
    ];
    outputs::check(&args.input, &written)?;
    if let Some(path) = &args.plot {
        outputs::check_picture(path)?;
    }
    let (lines, gpu) = if args.per.is_some() {
        // The steps are run again first.
        let gpu = common.gpu()?;
        (probe_lines::read(common, args, &gpu)?, gpu)
    } else {
        let lines = Lines::read(common, args)?;
        if let Some(layout) = &lines.layout {
            common.note(&layout.to_string());
        }
        (lines, common.gpu()?)
    };
    let budget = match (args.amount.keep, args.amount.radius) {
        (Some(keep), _) => Budget::Keep(keep as usize),
        (None, radius) => Budget::Radius(radius.unwrap_or(0.05)),
    };
    let options = SampleOptions {
        budget,
        columns: args.columns as usize,
        seed: args.seed,
    };
    let interrupted = interrupt();
    let started = Instant::now();
    let sample = sample_table(&gpu, &lines.table, args.scale, &options, &interrupted)?;
    let seconds = started.elapsed().as_secs_f64();

    if let Some(path) = &args.plot {
        plot(&gpu, args.scale, &lines, sample.clone(), path)?;
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
    say(common, args, &lines, &sample, seconds);
    print(common, args, &lines, &sample, seconds, &gpu);
    Ok(())
}

/// Draws the kept lines over the density of all. Long lines are thinned first: a picture has few columns.
fn plot(gpu: &Gpu, scale: Scale, lines: &Lines, sample: Sample, path: &Path) -> Result<()> {
    let room = gpu.max_binding_size() as usize / size_of::<f32>();
    let most = MAX_DRAWN_STEPS.min(room / lines.table.lines);
    let (table, stride) = lines.table.thinned(most.max(2));
    let series = SeriesBuffer::upload_table(gpu, &table, scale)
        .map_err(|error| error.with_hint("leave --plot out, or draw a part of the lines"))?;
    let caption = Caption {
        stride: lines.caption.stride * stride,
        ..lines.caption.clone()
    };
    let series = series.with_groups(lines.groups.clone());
    let chart = SampledChart::of_sample(gpu, series, caption, sample)?;
    let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
    let picture = chart.chart().picture(&Painter::new(gpu), PLOT, &theme)?;
    picture.write_png(gpu, path)
}

fn print(
    common: &Common,
    args: &SampleArgs,
    lines: &Lines,
    sample: &Sample,
    seconds: f64,
    gpu: &Gpu,
) {
    let kept_lines = sample
        .kept
        .iter()
        .map(|&line| match lines.unit(line as usize) {
            Some(unit) => {
                json!({ "tensor": unit.tensor, "kind": unit.kind.name(), "unit": unit.unit })
            }
            None => match &lines.probe {
                Some(probe) => probe_lines::object(probe, line as usize),
                None => json!(line),
            },
        });
    common.print_json(&json!({
        "lines": lines.table.lines,
        "steps": lines.table.steps.len(),
        "kept": sample.kept.len(),
        "kept_lines": kept_lines.collect::<Vec<_>>(),
        "radius": sample.radius,
        "rounds": sample.rounds,
        "seconds": seconds,
        "adapter": gpu.describe(),
        "nonfinite": sample.nonfinite,
        "kept_for_gaps": sample.kept_for_gaps,
        "why_not": shortfall(args, sample),
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
}

/// Why another number of lines is kept than was asked for.
fn shortfall(args: &SampleArgs, sample: &Sample) -> Option<String> {
    sample.shortfall(args.amount.keep? as usize)
}

fn say(common: &Common, args: &SampleArgs, lines: &Lines, sample: &Sample, seconds: f64) {
    common.answer(&format!(
        "kept {} of {} lines of {} steps in {seconds:.2} s",
        sample.kept.len(),
        lines.table.lines,
        lines.table.steps.len(),
    ));
    if let Some(why) = shortfall(args, sample) {
        common.answer(&why);
    }
    common.answer(&sample.guarantee());
    if sample.nonfinite > 0 {
        let (count, alone) = (sample.nonfinite, sample.kept_for_gaps);
        common.answer(&format!(
            "lines with values that are not finite, which represent no finite line: {count}; kept only because of that: {alone}"
        ));
    }
    for (what, path) in [
        ("kept lines", &args.out),
        ("representatives", &args.assign),
        ("plot", &args.plot),
    ] {
        if let Some(path) = path {
            common.answer(&format!("{what}: {}", path.display()));
        }
    }
    if args.out.is_none() && args.assign.is_none() && args.plot.is_none() && !common.json {
        name_lines(common, lines, &sample.kept);
    }
}

/// The kept lines: by tensor and unit or by the file's name, one a line; those without names by number.
fn name_lines(common: &Common, lines: &Lines, kept: &[u32]) {
    if lines.groups.is_empty() && lines.names.is_empty() {
        let ids: Vec<String> = kept.iter().map(u32::to_string).collect();
        return common.answer(&ids.join(" "));
    }
    for &line in kept.iter().take(MAX_NAMED) {
        let name = match lines.unit(line as usize) {
            Some(unit) => format!(
                "{}, {} of unit {}",
                unit.tensor,
                unit.kind.name(),
                unit.unit
            ),
            None => lines.names.get(line as usize).cloned().unwrap_or_default(),
        };
        common.answer(&format!("{line}: {name}"));
    }
    if kept.len() > MAX_NAMED {
        let more = kept.len() - MAX_NAMED;
        common.answer(&format!("and {more} more: --out or --json has all"));
    }
}
