//! `trainscope budget`

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use trainscope::budget::{BudgetPoint, budget};
use trainscope::trace::RunView;
use trainscope::{ByteSize, Result};

use super::Common;

#[derive(Debug, clap::Args)]
pub struct BudgetArgs {
    /// The run directory
    dir: PathBuf,
}

pub fn run(common: &Common, args: &BudgetArgs) -> Result<()> {
    let run = RunView::open(&args.dir)?;
    let problems: Vec<String> = run.problems().iter().map(ToString::to_string).collect();
    for problem in &problems {
        common.answer(&format!("left out: {problem}"));
    }
    let started = Instant::now();
    let found = budget(&run)?;
    let seconds = started.elapsed().as_secs_f64();
    common.answer(&format!(
        "{} records of {} lines: {} outliers, {} clusters, {} events, {} motifs ({seconds:.1} s)",
        found.records, found.lines, found.outliers, found.clusters, found.events, found.motifs
    ));
    common.answer(&format!(
        "{:26} {:>10}  {:>8} {:>8} {:>8} {:>8}  {:>12}",
        "recording", "bytes", "outliers", "clusters", "events", "motifs", "replay steps"
    ));
    for point in &found.curve {
        common.answer(&row(point));
    }
    common.answer(&found.recommendation.text);
    if !found.recommendation.set.is_empty() {
        let settings = found.recommendation.set.iter();
        let settings: Vec<String> = settings.map(|setting| format!("--set {setting}")).collect();
        common.answer(&format!("settings: {}", settings.join(" ")));
    }
    let mut object = json!(found);
    object["seconds"] = json!(seconds);
    object["problems"] = json!(problems);
    common.print_json(&object);
    Ok(())
}

fn row(point: &BudgetPoint) -> String {
    let share = |recall: Option<f64>| match recall {
        Some(recall) => format!("{:.0} %", (100.0 * recall).floor()),
        None => "–".to_owned(),
    };
    let replay = match point.replay_steps {
        Some(steps) => format!("{steps:.0}"),
        None => "–".to_owned(),
    };
    format!(
        "{:26} {:>10}  {:>8} {:>8} {:>8} {:>8}  {replay:>12}",
        point.recording,
        ByteSize(point.bytes).to_string(),
        share(point.recall_outliers),
        share(point.recall_clusters),
        share(point.recall_events),
        share(point.recall_motifs),
    )
}
