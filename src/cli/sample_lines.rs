//! The lines that `trainscope sample` reads: a file, or the recorded units of a run.

use trainscope::formats::{TableLayout, read_series};
use trainscope::series::{LineGroup, SeriesTable, UnitLine};
use trainscope::trace::{RunView, UnitSeries};
use trainscope::train::ProbeLines;
use trainscope::view::Caption;
use trainscope::{Error, Result};

use super::Common;
use super::sample_args::SampleArgs;

/// Lines and what a plot says of them.
pub struct Lines {
    pub table: SeriesTable,
    /// How a file was read.
    pub layout: Option<TableLayout>,
    /// The names of a file's lines; empty where it has none.
    pub names: Vec<String>,
    pub caption: Caption,
    /// The lines of each tensor of a run.
    pub groups: Vec<LineGroup>,
    /// Which values of the probe batch the lines follow, where they do.
    pub probe: Option<ProbeLines>,
}

impl Lines {
    /// Reads what the arguments name.
    pub fn read(common: &Common, args: &SampleArgs) -> Result<Self> {
        if args.input.is_dir() {
            let run = RunView::open(&args.input)?;
            return read_run(common, args, &run);
        }
        let is_parquet = args
            .input
            .extension()
            .is_some_and(|extension| extension == "parquet");
        if is_parquet && let Some(run) = RunView::open_segment(&args.input)? {
            return read_run(common, args, &run);
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
        Ok(Self {
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
            probe: None,
        })
    }

    /// The unit that a line belongs to; `None` for a file's.
    pub fn unit(&self, line: usize) -> Option<UnitLine<'_>> {
        UnitLine::of(&self.groups, line)
    }
}

/// The series of a run's units, tensor after tensor.
fn read_run(common: &Common, args: &SampleArgs, run: &RunView) -> Result<Lines> {
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
        probe: None,
    })
}
