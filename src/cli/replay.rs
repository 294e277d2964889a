//! `trainscope replay`

use std::path::{Path, PathBuf};

use serde_json::json;
use trainscope::trace::{RunInfo, RunReader, RunWriter, Status};
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
    let reader = RunReader::open(&args.dir)?;
    // A run directory of its own, so that every command that reads one reads this too; under another name until it
    // is whole.
    let name = format!("{:06}-{:06}", args.from, args.to);
    let replays = args.dir.join("replay");
    let out = replays.join(&name);
    let unfinished = replays.join(format!("{name}.tmp"));
    let bar = progress::bar(args.to.saturating_sub(args.from));
    let mut writer: Option<RunWriter> = None;
    let replayed = train::replay(
        &gpu,
        &args.dir,
        args.from,
        args.to,
        args.verify,
        &mut |record, trainer| {
            if writer.is_none() {
                remove(&unfinished)?;
                let info = RunInfo {
                    steps_done: args.from,
                    ..reader.info().clone()
                };
                let layout = trainer.layout().clone();
                let model = reader.model()?;
                writer = Some(RunWriter::create(
                    &unfinished,
                    &reader.scenario()?,
                    info,
                    &model,
                    layout,
                )?);
            }
            if let Some(writer) = &mut writer {
                for (name, value) in trainer.scalar_names().iter().zip(&record.scalars) {
                    writer.scalar(record.step, name, f64::from(*value))?;
                }
                if let Some(statistics) = &record.statistics {
                    writer.record(record.step, statistics)?;
                }
            }
            bar.inc(1);
            if record.step + 1 == args.to {
                trainer.checkpoint()?.write(&unfinished)?;
            }
            Ok(())
        },
    );
    bar.finish_and_clear();
    let found = replayed.and_then(|found| {
        if let Some(mut writer) = writer.take() {
            writer.finish(Status::Done, args.to)?;
            remove(&out)?;
            std::fs::rename(&unfinished, &out)
                .map_err(|error| Error::io(&out, "write it", &error))?;
        }
        Ok(found)
    });
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            // Only what this command has made: the folder of replays goes where it is empty.
            drop(writer);
            let _ = remove(&unfinished);
            let _ = std::fs::remove_dir(&replays);
            return Err(error);
        }
    };
    common.note(&format!(
        "steps {} to {}, every unit at every step: {}",
        args.from,
        args.to,
        out.display()
    ));
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
        "replay": out,
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

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(folder, "replace it", &error))
        }
        _ => Ok(()),
    }
}
