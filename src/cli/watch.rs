//! `trainscope watch`

use std::path::Path;

use serde_json::json;
use trainscope::app::{self, Source, Stop};
use trainscope::diagnose;
use trainscope::trace::{RunView, Status};
use trainscope::{Error, Result};

use super::run_options::RunOptions;
use super::{Common, on_interrupt};

#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// A scenario to train live, or the directory of a run to look at
    #[arg(value_name = "SCENARIO|DIR", default_value = "vae-mnist")]
    what: String,
    #[command(flatten)]
    options: RunOptions,
}

pub fn run(common: &Common, args: &WatchArgs) -> Result<()> {
    let path = Path::new(&args.what);
    let source = if path.join("run.json").is_file() {
        Source::Run(path.to_owned())
    } else if path.is_dir() {
        return Err(Error::input(
            args.what.clone(),
            "no run.json found",
            "name a run directory or a scenario",
        ));
    } else {
        let scenario = args.options.scenario(&args.what)?;
        let dir = args.options.directory(&scenario);
        Source::Scenario(Box::new(scenario), dir)
    };
    let is_live = matches!(source, Source::Scenario(..));
    let stop = Stop::default();
    let of_signals = stop.clone();
    on_interrupt(move || of_signals.request());
    let dir = app::show(&common.choice(), &|gpu| common.prepared(gpu), source, &stop)?;
    let run = RunView::open(&dir)?;
    let lines = diagnose::summary(&run);
    common.note(&format!("run: {}", dir.display()));
    for line in &lines {
        common.note(&format!("  {line}"));
    }
    let status = run.info().map(|info| info.status.clone());
    common.print_json(&json!({
        "run": dir,
        "status": status.as_ref().map(ToString::to_string),
        "steps": run.info().map(|info| info.steps_done),
        "findings": lines,
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
