//! `trainscope train`

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;
use trainscope::models::Variance;
use trainscope::trace::{RunView, Status};
use trainscope::train::{BUILT_IN, BuiltIn, Finished, ModelConfig, Run, Scenario, StepRecord};
use trainscope::{Error, Result};

use super::{Common, interrupt, progress};

/// How many unreadable files of a data set are named.
const NAMED_FILES: usize = 10;

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// A TOML file or the name of a built-in scenario
    #[arg(required_unless_present_any = ["resume", "list"])]
    scenario: Option<String>,
    /// Write the run here [default: runs/NAME, numbered]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Train this many steps in all
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Start from the parameters of this safetensors file
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// Continue the run in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenario", "out", "set"])]
    resume: Option<PathBuf>,
    /// Change a key of the scenario, such as train.batch=64
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// List the built-in scenarios
    #[arg(long)]
    list: bool,
}

pub fn run(common: &Common, args: &TrainArgs) -> Result<()> {
    let started = Instant::now();
    if args.list {
        return list(common);
    }
    let interrupted = interrupt();
    let scenario = match &args.scenario {
        Some(name) => {
            let mut settings = args.set.clone();
            settings.extend(args.steps.map(|steps| format!("train.steps={steps}")));
            Some(Scenario::load(name, &settings)?)
        }
        None => None,
    };
    let gpu = common.gpu()?;
    let mut run = match (&scenario, &args.resume) {
        (Some(scenario), _) => {
            let dir = match &args.out {
                Some(dir) => dir.clone(),
                None => free_directory(&scenario.name),
            };
            Run::create(&gpu, scenario, &dir, args.init.as_deref())?
        }
        (None, Some(dir)) => Run::resume(&gpu, dir, args.steps)?,
        (None, None) => {
            let names: Vec<_> = BUILT_IN.iter().map(|scenario| scenario.name).collect();
            return Err(Error::usage(
                "train",
                "no scenario given",
                format!("name a TOML file or one of: {}", names.join(", ")),
            ));
        }
    };
    let skipped = run.trainer().skipped();
    if !skipped.is_empty() {
        common.note(&format!(
            "skipped {} files that cannot be read:",
            skipped.len()
        ));
        for file in skipped.iter().take(NAMED_FILES) {
            common.note(&format!("  {file}"));
        }
    }
    let steps = run.trainer().scenario().train.steps;
    let first = run.trainer().steps_done();
    let bar = progress::bar(steps);
    bar.set_position(first);
    let mut first_step_seconds = None;
    let mut each = |record: &StepRecord| {
        first_step_seconds.get_or_insert_with(|| started.elapsed().as_secs_f64());
        bar.set_position(record.step + 1);
        bar.set_message(format!("loss {:.2}", record.scalars[0]));
    };
    while !interrupted.load(Ordering::Relaxed) && run.advance(&mut each)? {}
    let was_interrupted = interrupted.load(Ordering::Relaxed);
    if let Some(range) = run.unrecorded_failure_range().filter(|_| !was_interrupted) {
        common.note(&format!(
            "a value became non-finite in the steps {} to {}: replaying them to find the unit",
            range.start,
            range.end - 1
        ));
    }
    let finished = run.finish(was_interrupted, &mut each)?;
    let trained = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    conclude(common, &finished, trained, first_step_seconds)
}

/// Writes the report and prints what the run noticed.
fn conclude(
    common: &Common,
    finished: &Finished,
    trained: f64,
    first_step_seconds: Option<f64>,
) -> Result<()> {
    let report = trainscope::report::write_report_of(&finished.trainer, &finished.dir)?;
    let lines = trainscope::diagnose::summary(&RunView::open(&finished.dir)?);
    let steps = finished.trainer.steps_done();
    let status = finished.status.to_string();
    let first = first_step_seconds.map_or(String::new(), |s| format!(", the first after {s:.1} s"));
    common.note(&format!("{steps} steps in {trained:.1} s{first}: {status}"));
    common.note(&format!("run:    {}", finished.dir.display()));
    common.note(&format!("report: {}", report.display()));
    for line in &lines {
        common.note(&format!("  {line}"));
    }
    common.print_json(&json!({
        "run": finished.dir,
        "report": report,
        "status": status,
        "steps": steps,
        "seconds": trained,
        "first_step_seconds": first_step_seconds,
        "findings": lines,
        "adapter": finished.trainer.gpu().describe(),
    }));
    match &finished.status {
        Status::Failed(reason) => Err(Error::input(
            finished.dir.display().to_string(),
            format!("the run failed: {reason}"),
            advice(&finished.trainer.scenario().model()),
        )),
        _ => Ok(()),
    }
}

/// What to look at, and what often helps, after a run of `model` has become non-finite.
fn advice(model: &ModelConfig) -> &'static str {
    match model {
        ModelConfig::Vae(vae) if vae.variance == Variance::Exp => {
            "see events.jsonl and the report there; a smaller learning rate or --set model.variance=bounded often helps"
        }
        _ => "see events.jsonl and the report there; a smaller learning rate often helps",
    }
}

fn list(common: &Common) -> Result<()> {
    for BuiltIn { name, about, .. } in BUILT_IN {
        common.note(&format!("{name:24} {about}"));
    }
    let rows: Vec<_> = BUILT_IN
        .iter()
        .map(|BuiltIn { name, about, .. }| json!({ "name": name, "about": about }))
        .collect();
    common.print_json(&json!({ "scenarios": rows }));
    Ok(())
}

/// `runs/NAME`, or `runs/NAME-2` and so on where that is taken.
pub fn free_directory(name: &str) -> PathBuf {
    let base = Path::new("runs");
    (1u32..)
        .map(|number| match number {
            1 => base.join(name),
            _ => base.join(format!("{name}-{number}")),
        })
        .find(|dir| !dir.exists())
        .expect("some number is free")
}
