//! `trainscope train`

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;
use trainscope::diagnose::{Explanation, check_scenario_of};
use trainscope::trace::{RunView, Severity, Status};
use trainscope::train::{Finished, Run, StepRecord, ValidationResult};
use trainscope::{Error, Result};

use super::run_options::{RunOptions, no_scenario};
use super::{Common, interrupt, scenarios};

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// A TOML file or the name of a built-in scenario
    #[arg(conflicts_with = "resume")]
    scenario: Option<String>,
    #[command(flatten)]
    options: RunOptions,
    /// List the built-in scenarios
    #[arg(long)]
    list: bool,
}

pub fn run(common: &Common, args: &TrainArgs) -> Result<()> {
    let started = Instant::now();
    if args.list {
        return scenarios::list(common);
    }
    let interrupted = interrupt();
    let scenario = args
        .scenario
        .as_deref()
        .map(|name| args.options.scenario(name));
    let scenario = scenario.transpose()?;
    let options = &args.options;
    if scenario.is_none() && options.resume.is_none() {
        return Err(no_scenario());
    }
    let gpu = common.gpu()?;
    let mut run = match (&scenario, &options.resume) {
        (Some(scenario), _) => {
            let dir = options.directory(scenario);
            Run::create(&gpu, scenario, &dir, options.init.as_deref())?
        }
        (None, Some(dir)) => Run::resume(&gpu, dir, options.steps)?,
        (None, None) => return Err(no_scenario()),
    };
    common.note(&format!("data: {}", run.trainer().data()));
    if scenario.is_some() {
        let warnings = check_scenario_of(&mut run)?;
        scenarios::print_warnings(common, &warnings);
    }
    if let Some(prefix) = run.init_prefix() {
        common.note(&format!(
            "init: every name begins with '{prefix}', which was taken off"
        ));
    }
    let steps = run.trainer().scenario().train.steps;
    let first = run.trainer().steps_done();
    let bar = common.bar(steps);
    bar.say("building kernels");
    let mut first_step_seconds = None;
    let mut each = |record: &StepRecord| {
        if first_step_seconds.is_none() {
            first_step_seconds = Some(started.elapsed().as_secs_f64());
            bar.set_position(first);
        }
        bar.set_message(format!("loss {:.2}", record.scalars[0]));
        bar.set_position(record.step + 1);
    };
    let mut events_told = 0;
    while !interrupted.load(Ordering::Relaxed) && run.advance(&mut each)? {
        if run.trainer().steps_done() == first + 1 {
            // The first step is on its way, and of a large batch it takes a while.
            bar.say("training");
        }
        let news = &run.events()[events_told..];
        events_told = run.events().len();
        for event in news.iter().filter(|event| event.severity > Severity::Note) {
            bar.suspend(|| {
                common.note(&format!("{}: {}", event.severity.name(), event.sentence()))
            });
        }
        if let Some(stop_on) = options.stop_on
            && news.iter().any(|event| event.severity >= stop_on)
        {
            let name = stop_on.name();
            common.note(&format!("stopped at an event, as --stop-on {name} asks"));
            break;
        }
    }
    let was_interrupted = interrupted.load(Ordering::Relaxed);
    bar.say(match was_interrupted {
        true => "stopping: saving the checkpoint and the report",
        false => "saving",
    });
    if let Some(range) = run.unrecorded_failure_range().filter(|_| !was_interrupted) {
        common.note(&format!(
            "a value became non-finite in the steps {} to {}: replaying them to find the unit",
            range.start,
            range.end - 1
        ));
    }
    let mut finished = run.finish(was_interrupted, &mut each)?;
    let trained = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    conclude(
        common,
        &mut finished,
        options.no_report,
        trained,
        first_step_seconds,
    )
}

/// Writes the report and prints what the run noticed.
fn conclude(
    common: &Common,
    finished: &mut Finished,
    no_report: bool,
    trained: f64,
    first_step_seconds: Option<f64>,
) -> Result<()> {
    let report = match no_report {
        true => None,
        false => Some(trainscope::report::write_report_of(
            &mut finished.trainer,
            &finished.dir,
        )?),
    };
    let view = RunView::open(&finished.dir)?;
    let explanation = trainscope::diagnose::explain(&view);
    let lines = trainscope::diagnose::summary_of(&view, &explanation);
    let steps = finished.trainer.steps_done();
    let status = finished.status.to_string();
    let first = first_step_seconds.map_or(String::new(), |s| format!(", the first after {s:.1} s"));
    common.note(&format!("{steps} steps in {trained:.1} s{first}: {status}"));
    common.note(&format!("run:    {}", finished.dir.display()));
    if let Some(report) = &report {
        common.note(&format!("report: {}", report.display()));
    }
    if let Some(validation) = &finished.validation {
        common.note(&validation_line(validation));
    }
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
        "verdict": explanation.verdict,
        "findings": lines,
        "warnings": finished.warnings,
        "validation": finished.validation.as_ref().map(validation_json),
        "data": finished.trainer.data(),
        "adapter": finished.trainer.gpu().describe(),
    }));
    match &finished.status {
        Status::Failed(reason) => Err(Error::input(
            finished.dir.display().to_string(),
            format!("the run failed: {reason}"),
            advice(&explanation, &finished.dir),
        )),
        _ => Ok(()),
    }
}

/// What a model reached on the validation data, its scalars by name.
fn validation_json(validation: &ValidationResult) -> serde_json::Value {
    let scalars: serde_json::Map<_, _> = validation
        .scalars
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let confusion = validation.confusion.as_ref();
    json!({
        "step": validation.step,
        "samples": validation.samples,
        "scalars": scalars,
        "confusion": confusion.map(|confusion| &confusion.counts),
        "class_accuracy": confusion.map(trainscope::train::Confusion::accuracies),
    })
}

/// One line about the validation data.
fn validation_line(validation: &ValidationResult) -> String {
    let scalars: Vec<String> = validation
        .scalars
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    format!(
        "validation, {} samples: {}",
        validation.samples,
        scalars.join(", ")
    )
}

/// What to change, where the run shows it, and what tells more.
fn advice(explanation: &Explanation, dir: &Path) -> String {
    let fix = explanation
        .findings
        .first()
        .and_then(|finding| finding.fixes.first());
    let fix = fix.map_or(String::new(), |fix| format!("{}; ", fix.text));
    format!("{fix}trainscope explain {} says why", dir.display())
}
