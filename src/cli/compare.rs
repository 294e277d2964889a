//! `trainscope compare`

use std::path::PathBuf;

use serde_json::{Value, json};
use trainscope::Result;
use trainscope::compare::{Comparison, Difference, Pair, ScalarRow, compare};
use trainscope::report::write_comparison;
use trainscope::trace::RunView;

use super::{Common, check_writable};

/// Names of tensors in a sentence.
const NAMED: usize = 6;

#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Run directories; the first one is compared with each of the others
    #[arg(value_name = "DIR", num_args = 2.., required = true)]
    dirs: Vec<PathBuf>,
    /// Write a page with the scalars of all runs over each other
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

pub fn run(common: &Common, args: &CompareArgs) -> Result<()> {
    if let Some(path) = &args.report {
        check_writable(path)?;
    }
    let runs = args.dirs.iter().map(|dir| RunView::open(dir));
    let runs: Vec<RunView> = runs.collect::<Result<_>>()?;
    let comparison = compare(&runs)?;
    say(common, &runs, &comparison);
    if let Some(path) = &args.report {
        write_comparison(&runs, &comparison, path)?;
        common.answer(&format!("report: {}", path.display()));
    }
    common.print_json(&json!({
        "runs": runs.iter().map(run_object).collect::<Vec<_>>(),
        "first_difference": comparison.first_difference().map(|(other, difference)| {
            with_runs(difference, other)
        }),
        "pairs": comparison.pairs.iter().map(pair_object).collect::<Vec<_>>(),
        "scenario": comparison.settings,
        "scalars": comparison.scalars,
        "problems": comparison.problems.iter()
            .map(|(run, problem)| json!({ "run": run, "problem": problem }))
            .collect::<Vec<_>>(),
        "report": args.report,
    }));
    Ok(())
}

fn run_object(run: &RunView) -> Value {
    json!({
        "dir": run.folder(),
        "name": run.name(),
        "steps": run.info().map(|info| info.steps_done),
        "status": run.info().map(|info| info.status.to_string()),
        "adapter": run.info().map(|info| &info.adapter),
        "version": run.info().map(|info| &info.version),
    })
}

fn with_runs(difference: &Difference, other: usize) -> Value {
    let mut object = json!(difference);
    object["runs"] = json!([0, other]);
    object
}

fn pair_object(pair: &Pair) -> Value {
    json!({
        "runs": [0, pair.other],
        "first_difference": pair.first_difference,
        "equal_through": pair.equal_through,
        "compared": pair.compared,
        "only_in": pair.only_in,
    })
}

fn say(common: &Common, runs: &[RunView], comparison: &Comparison) {
    for (number, run) in runs.iter().enumerate() {
        let state = run.info().map_or_else(
            || "its run.json cannot be read".to_owned(),
            |info| {
                format!(
                    "{} of {} steps, {}",
                    info.steps_done, info.steps, info.status
                )
            },
        );
        let name = run.name();
        common.answer(&format!(
            "{number}  {}: {name}, {state}",
            run.folder().display()
        ));
    }
    let adapters: Vec<&String> = runs
        .iter()
        .filter_map(|run| Some(&run.info()?.adapter))
        .collect();
    if adapters.windows(2).any(|pair| pair[0] != pair[1]) {
        common.answer("the runs were made on different adapters, whose results differ by rounding");
    }
    for (run, problem) in &comparison.problems {
        common.answer(&format!("left out of {run}: {problem}"));
    }
    for pair in &comparison.pairs {
        common.answer(&format!("0 and {}: {}", pair.other, pair.sentence()));
        for (side, names) in pair
            .only_in
            .iter()
            .enumerate()
            .filter(|(_, n)| !n.is_empty())
        {
            let run = [0, pair.other][side];
            let shown = names
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let more = match names.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            common.answer(&format!(
                "  only run {run} has {shown}{more}, or with other units"
            ));
        }
    }
    if !comparison.settings.is_empty() {
        common.answer("settings that differ:");
    }
    for setting in &comparison.settings {
        let values: Vec<String> = setting.values.iter().map(setting_text).collect();
        common.answer(&format!("  {}: {}", setting.key, values.join(" | ")));
    }
    for row in &comparison.scalars {
        // Norms of gradients, one for each parameter, are in the JSON.
        if !row.name.starts_with("gradient_norm/") {
            say_scalar(common, row);
        }
    }
}

fn setting_text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn say_scalar(common: &Common, row: &ScalarRow) {
    common.answer(&format!("{}:", row.name));
    for (number, run) in row.runs.iter().enumerate() {
        let Some(run) = run else {
            common.answer(&format!("  {number}  not recorded"));
            continue;
        };
        let extreme = |word: &str, value: Option<f64>, step: Option<u64>| match (value, step) {
            (Some(value), Some(step)) => format!(", {word} {value:.6} at step {step}"),
            _ => String::new(),
        };
        let broken = match run.first_nonfinite {
            Some(step) => format!(", {} values not finite since step {step}", run.nonfinite),
            None => String::new(),
        };
        let (min, max) = (
            extreme("least", run.min, run.min_step),
            extreme("greatest", run.max, run.max_step),
        );
        common.answer(&format!(
            "  {number}  {:.6} at the last step {}{min}{max}{broken}",
            run.last, run.final_step
        ));
    }
    if let Some((step, values)) = row.common.last().filter(|_| row.common.len() > 1) {
        let values: Vec<String> = values.iter().map(|value| format!("{value:.6}")).collect();
        common.answer(&format!(
            "  at step {step}, the last of all: {}",
            values.join(" | ")
        ));
    }
}
