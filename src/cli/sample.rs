//! `trainscope sample`

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use trainscope::Result;
use trainscope::formats::write_ids;
use trainscope::gpu::Gpu;
use trainscope::sample::{Budget, Sample, SampleOptions, sample_table};
use trainscope::series::{Scale, SeriesBuffer};
use trainscope::view::{Caption, Painter, SampledChart, Theme};

use super::sample_args::SampleArgs;
use super::sample_lines::Lines;
use super::{Common, interrupt, outputs, probe_lines};

/// Size of the plot in points, and pixels a point.
const PLOT: [f32; 2] = [960.0, 540.0];
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// The most values of a line that are drawn: several for each pixel.
const MAX_DRAWN_STEPS: usize = 8192;
/// Kept lines that are named on the terminal.
const MAX_NAMED: usize = 100;

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
    let chart = SampledChart::of_sample(series, caption, sample)?;
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
