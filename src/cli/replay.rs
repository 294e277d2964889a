//! `trainscope replay`

use std::path::PathBuf;

use serde_json::json;
use trainscope::trace::SegmentWriter;
use trainscope::train;
use trainscope::{Error, Result};

use super::{Common, progress};

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The run directory
    dir: PathBuf,
    /// First step to replay
    #[arg(long, value_name = "T0")]
    from: u64,
    /// The step after the last
    #[arg(long, value_name = "T1")]
    to: u64,
    /// Compare every step with what the run kept; fail on the first bit that differs
    #[arg(long)]
    verify: bool,
}

pub fn run(common: &Common, args: &ReplayArgs) -> Result<()> {
    let gpu = common.gpu()?;
    let out = args.dir.join("replay");
    let bar = progress::bar(args.to.saturating_sub(args.from));
    let mut segment: Option<SegmentWriter> = None;
    let mut files = Vec::new();
    let found = train::replay(&gpu, &args.dir, args.from, args.to, args.verify, &mut |record, trainer| {
        let writer = segment.get_or_insert_with(|| SegmentWriter::new(&out, trainer.layout()));
        for (name, value) in trainer.model().graph().scalar_names().iter().zip(&record.scalars) {
            writer.scalar(record.step, name, f64::from(*value));
        }
        if let Some(statistics) = &record.statistics {
            writer.record(record.step, statistics)?;
        }
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    if let Some(mut writer) = segment {
        files = writer.close(args.from, args.to)?;
    }
    common.note(&format!("steps {} to {}, every unit at every step:", args.from, args.to));
    for file in &files {
        common.note(&format!("  {}", file.display()));
    }
    if args.verify {
        common.note(&format!(
            "compared with the run: {} checkpoints by digest, {} recorded steps and {} scalars bit for bit, {} differences",
            found.checkpoints,
            found.records,
            found.scalars,
            found.differences.len()
        ));
    }
    common.print_json(&json!({
        "from": args.from,
        "to": args.to,
        "files": files,
        "verified": args.verify,
        "identical": args.verify.then_some(found.differences.is_empty()),
        "checkpoints": found.checkpoints,
        "records": found.records,
        "scalars": found.scalars,
        "differences": found.differences,
        "adapter": gpu.describe(),
    }));
    match found.differences.first() {
        Some(first) => Err(Error::input(
            args.dir.display().to_string(),
            format!("the replay is not the run: {first}"),
            "replay on the same adapter, driver and version as run.json names",
        )),
        None => Ok(()),
    }
}
