//! `trainscope watch`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use trainscope::app::{self, FrameTimes, Input, Interaction, Shown, Source, Start, Stop, Training};
use trainscope::diagnose;
use trainscope::trace::{RunView, Status};
use trainscope::{Error, Result};

use super::run_options::RunOptions;
use super::{Common, on_interrupt, scenarios};

/// What is trained where nothing is named.
const DEFAULT: &str = "vae-mnist";

#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// A scenario to train live, or the directory of a run to look at
    #[arg(value_name = "SCENARIO|DIR", default_value = DEFAULT, conflicts_with = "resume")]
    what: String,
    /// Replay an interaction, print how long frames and input took, and close the window
    #[arg(long, value_name = "FILE", conflicts_with = "keep_input")]
    bench: Option<PathBuf>,
    /// Keep what is done in the window in a file that --bench replays
    #[arg(long, value_name = "FILE")]
    keep_input: Option<PathBuf>,
    #[command(flatten)]
    options: RunOptions,
}

pub fn run(common: &Common, args: &WatchArgs) -> Result<()> {
    let source = source(args)?;
    let is_live = matches!(source, Source::Training(_));
    let stop = Stop::default();
    let of_signals = stop.clone();
    on_interrupt(move || of_signals.request());
    let input = match (&args.bench, &args.keep_input) {
        (Some(path), _) => Input::Replayed(Interaction::read(path)?),
        (None, Some(path)) => Input::Kept(path.clone()),
        (None, None) => Input::Person,
    };
    let prepare = |gpu| common.prepared(gpu);
    let Shown { dir, frame_times } = app::show(&common.choice(), &prepare, source, &stop, input)?;
    let run = RunView::open(&dir)?;
    let lines = diagnose::summary(&run);
    let info = run.info();
    if is_live && let Some(info) = info {
        if let Some(data) = &info.data {
            common.note(&format!("data: {data}"));
        }
        scenarios::print_warnings(common, &info.warnings);
    }
    common.note(&format!("run: {}", dir.display()));
    for line in &lines {
        common.note(&format!("  {line}"));
    }
    if let Some(times) = &frame_times {
        say(common, times);
    }
    let status = info.map(|info| info.status.clone());
    common.print_json(&json!({
        "run": dir,
        "status": status.as_ref().map(ToString::to_string),
        "steps": info.map(|info| info.steps_done),
        "findings": lines,
        "warnings": info.map(|info| &info.warnings),
        "data": info.map(|info| &info.data),
        "bench": frame_times.as_ref().map(object),
    }));
    match status {
        // A run that failed earlier was looked at, and that went well.
        Some(Status::Failed(reason)) if is_live => Err(Error::input(
            dir.display().to_string(),
            format!("the run failed: {reason}"),
            "see events.jsonl and the report there",
        )),
        _ => Ok(()),
    }
}

/// Shares of the durations that are named.
const SHARES: [(f64, &str); 4] = [
    (0.5, "median"),
    (0.95, "p95"),
    (0.99, "p99"),
    (1.0, "longest"),
];

fn milliseconds(duration: Duration) -> f64 {
    1000.0 * duration.as_secs_f64()
}

fn say(common: &Common, times: &FrameTimes) {
    let named = |durations: &[Duration]| {
        let named = SHARES.iter().map(|(share, name)| {
            let duration = FrameTimes::percentile(durations, *share);
            format!("{name} {:.1} ms", milliseconds(duration))
        });
        named.collect::<Vec<_>>().join(", ")
    };
    let seconds = times.took.as_secs_f64();
    common.answer(&format!(
        "frames: {} in {seconds:.1} s: {}",
        times.frames.len(),
        named(&times.frames)
    ));
    common.answer(&format!(
        "of them {} drew something: {}",
        times.drawn.len(),
        named(&times.drawn)
    ));
    common.answer(&format!("input to frame: {}", named(&times.latencies)));
    if times.steps > 0 {
        let rate = times.steps as f64 / seconds;
        common.answer(&format!(
            "training: {} steps, {rate:.1} a second",
            times.steps
        ));
    }
}

fn object(times: &FrameTimes) -> Value {
    let named = |durations: &[Duration]| {
        let named = SHARES.iter().map(|(share, name)| {
            let duration = FrameTimes::percentile(durations, *share);
            ((*name).to_owned(), json!(milliseconds(duration)))
        });
        Value::Object(named.collect())
    };
    json!({
        "seconds": times.took.as_secs_f64(),
        "frames": times.frames.len(),
        "frame_ms": named(&times.frames),
        "drawn_frames": times.drawn.len(),
        "drawn_frame_ms": named(&times.drawn),
        "input_ms": named(&times.latencies),
        "steps": times.steps,
    })
}

/// What is to be shown: a run to resume, a run directory, or a scenario.
fn source(args: &WatchArgs) -> Result<Source> {
    let options = &args.options;
    let path = Path::new(&args.what);
    let start = match &options.resume {
        Some(dir) => Start::Resume {
            dir: dir.clone(),
            steps: options.steps,
        },
        None if path.join("run.json").is_file() => {
            return match options.first_given() {
                None => Ok(Source::Run(path.to_owned())),
                Some(option) => Err(Error::usage(
                    option,
                    format!("{} is a run, which is only looked at", args.what),
                    format!("leave it out, or train on with --resume {}", args.what),
                )),
            };
        }
        None if path.is_dir() => {
            return Err(Error::input(
                args.what.clone(),
                "no run.json found",
                "name a run directory or a scenario",
            ));
        }
        None => {
            let scenario = options.scenario(&args.what)?;
            Start::Scenario {
                dir: options.directory(&scenario),
                scenario: Box::new(scenario),
                init: options.init.clone(),
            }
        }
    };
    Ok(Source::Training(Training {
        start,
        writes_report: !options.no_report,
        stop_on: options.stop_on,
    }))
}
