//! `trainscope report`

use std::path::PathBuf;

use serde_json::json;
use trainscope::Result;
use trainscope::trace::RunView;
use trainscope::{diagnose, report};

use super::Common;

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The run directory
    dir: PathBuf,
}

pub fn run(common: &Common, args: &ReportArgs) -> Result<()> {
    let gpu = common.gpu()?;
    let path = report::write_report(&gpu, &args.dir)?;
    let run = RunView::open(&args.dir)?;
    let explanation = diagnose::explain_with_trials(&run);
    let lines = diagnose::summary_of(&run, &explanation);
    let problems: Vec<String> = run.problems().iter().map(ToString::to_string).collect();
    common.answer(&format!("report: {}", path.display()));
    for problem in &problems {
        common.answer(&format!("left out: {problem}"));
    }
    for line in &lines {
        common.answer(&format!("  {line}"));
    }
    common.print_json(&json!({
        "report": path,
        "verdict": explanation.verdict,
        "findings": lines,
        "problems": problems,
        "adapter": gpu.describe(),
    }));
    Ok(())
}
