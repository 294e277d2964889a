//! `trainscope explain`

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::json;
use trainscope::Result;
use trainscope::diagnose::{self, Explanation, Finding};
use trainscope::trace::{RunView, Severity};

use super::{Common, credit, interrupt};

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The run directory
    dir: PathBuf,
    /// Test the leading fixes: train the run again with each alone, and see whether it is cured
    #[arg(long)]
    verify: bool,
    /// Seconds that the tests may take
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds, requires = "verify")]
    seconds: f64,
}

/// A positive number of seconds.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s < 1e7);
    seconds.ok_or_else(|| "use a positive number of seconds".to_owned())
}

pub fn run(common: &Common, args: &ExplainArgs) -> Result<()> {
    let run = RunView::open(&args.dir)?;
    let mut explanation = diagnose::explain(&run);
    look_closer(common, &run, &mut explanation);
    if args.verify {
        verify(common, &run, &mut explanation, args.seconds)?;
    } else if let Err(error) = diagnose::keep(&run, &explanation) {
        common.note(&format!(
            "the explanation is not kept for the report: {error}"
        ));
    }
    let problems: Vec<String> = run.problems().iter().map(ToString::to_string).collect();
    print(common, &explanation, &problems);
    let mut object = json!(explanation);
    object["run"] = json!(args.dir);
    object["problems"] = json!(problems);
    common.print_json(&object);
    Ok(())
}

/// Replays the steps of a failure for the samples that it is about, and for who pushed the unit that ran away. What stands in
/// the way is no error: the explanation says what it could not look at.
fn look_closer(common: &Common, run: &RunView, explanation: &mut Explanation) {
    let is_failure = |finding: &Finding| finding.severity >= Severity::Serious;
    if !explanation.findings.first().is_some_and(is_failure) {
        return;
    }
    let gpu = match common.gpu() {
        Ok(gpu) => gpu,
        Err(error) => {
            let reason = format!("who pushed the units that failed takes a replay: {error}");
            explanation.unknown.push(reason);
            return;
        }
    };
    if let Err(error) = diagnose::look_closer(&gpu, run, explanation) {
        let reason = format!("which samples the failure is about takes a replay: {error}");
        explanation.unknown.push(reason);
    }
    let bar = common.bar(0);
    let pushed = diagnose::who_pushed(&gpu, run, explanation, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let kept = match pushed {
        Ok(Some(found)) => credit::keep(run.folder(), &found, &gpu.describe()),
        Ok(None) => Ok(()),
        Err(error) => {
            let reason = format!("who pushed the units that failed takes a replay: {error}");
            explanation.unknown.push(reason);
            Ok(())
        }
    };
    if let Err(error) = kept {
        common.note(&format!("the answer is not kept for the report: {error}"));
    }
}

/// Tries the fixes; Ctrl-C keeps what was found by then.
fn verify(
    common: &Common,
    run: &RunView,
    explanation: &mut Explanation,
    seconds: f64,
) -> Result<()> {
    let gpu = common.gpu()?;
    let interrupted = interrupt();
    let bar = common.bar(0);
    let mut change = String::new();
    let verified = diagnose::verify(&gpu, run, explanation, seconds, &mut |progress| {
        if change != progress.change {
            change = progress.change.to_owned();
            bar.suspend(|| common.note(&format!("trying: {change}")));
        }
        bar.set_length(progress.steps);
        bar.set_position(progress.step);
        !interrupted.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    verified
}

fn print(common: &Common, explanation: &Explanation, problems: &[String]) {
    common.answer(&explanation.headline);
    for (number, finding) in (1..).zip(&explanation.findings) {
        common.answer("");
        print_finding(common, number, finding);
    }
    for unknown in explanation.unknown.iter().chain(problems) {
        common.answer(&format!("not known: {unknown}"));
    }
}

fn print_finding(common: &Common, number: usize, finding: &Finding) {
    let word = json!(finding.cause);
    let word = word.as_str().unwrap_or_default();
    common.answer(&format!(
        "{number}. {} ({word}, {}, confidence {:.0} %)",
        finding.title,
        finding.severity.name(),
        100.0 * finding.confidence
    ));
    for evidence in &finding.evidence {
        common.answer(&format!("   {}", evidence.text));
        if let Some(command) = &evidence.command {
            common.answer(&format!("     $ {command}"));
        }
    }
    for fix in &finding.fixes {
        common.answer(&format!("   fix: {}", fix.text));
        for set in &fix.set {
            common.answer(&format!("     --set '{set}'"));
        }
        if let Some(result) = &fix.result {
            common.answer(&format!("     {result}"));
        }
    }
}
