//! `trainscope explain`

use std::path::PathBuf;

use serde_json::json;
use trainscope::Result;
use trainscope::diagnose::{self, Explanation, Finding};
use trainscope::trace::RunView;

use super::Common;

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The run directory
    dir: PathBuf,
}

pub fn run(common: &Common, args: &ExplainArgs) -> Result<()> {
    let run = RunView::open(&args.dir)?;
    let explanation = diagnose::explain(&run);
    let problems: Vec<String> = run.problems().iter().map(ToString::to_string).collect();
    print(common, &explanation, &problems);
    let mut object = json!(explanation);
    object["run"] = json!(args.dir);
    object["problems"] = json!(problems);
    common.print_json(&object);
    Ok(())
}

fn print(common: &Common, explanation: &Explanation, problems: &[String]) {
    common.note(&explanation.headline);
    for (number, finding) in (1..).zip(&explanation.findings) {
        common.note("");
        print_finding(common, number, finding);
    }
    for unknown in explanation.unknown.iter().chain(problems) {
        common.note(&format!("not known: {unknown}"));
    }
}

fn print_finding(common: &Common, number: usize, finding: &Finding) {
    let word = json!(finding.cause);
    let word = word.as_str().unwrap_or_default();
    common.note(&format!(
        "{number}. {} ({word}, {}, confidence {:.0} %)",
        finding.title,
        finding.severity.name(),
        100.0 * finding.confidence
    ));
    for evidence in &finding.evidence {
        common.note(&format!("   {}", evidence.text));
        if let Some(command) = &evidence.command {
            common.note(&format!("     $ {command}"));
        }
    }
    for fix in &finding.fixes {
        common.note(&format!("   fix: {}", fix.text));
        for set in &fix.set {
            common.note(&format!("     --set '{set}'"));
        }
        if let Some(result) = &fix.result {
            common.note(&format!("     {result}"));
        }
    }
}
