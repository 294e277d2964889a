//! `trainscope report`

use std::path::PathBuf;

use serde_json::json;
use trainscope::Result;
use trainscope::report;

use super::Common;

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The run directory
    dir: PathBuf,
}

pub fn run(common: &Common, args: &ReportArgs) -> Result<()> {
    let gpu = common.gpu()?;
    let path = report::write_report(&gpu, &args.dir)?;
    let lines = report::findings(&args.dir)?;
    common.note(&format!("report: {}", path.display()));
    for line in &lines {
        common.note(&format!("  {line}"));
    }
    common.print_json(&json!({ "report": path, "findings": lines, "adapter": gpu.describe() }));
    Ok(())
}
