//! `trainscope replay`

use std::path::{Path, PathBuf};

use serde_json::json;
use trainscope::tensor::NamedTensor;
use trainscope::trace::{RunInfo, RunReader, RunWriter, Status, write_safetensors_with_integers};
use trainscope::train::{
    Deviation, Replay, StepRecord, TensorCapture, TensorRequest, Trainer, Verification,
};
use trainscope::{ByteSize, Error, Result};

use super::Common;
use super::tolerance::{self, ToleranceArgs};

/// Bytes of captured tensors that are kept in memory until the file is written.
const MAX_CAPTURED: u64 = 2 << 30;

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
    /// Keep this tensor of every step and sample: its activation, gradient, weight or update
    #[arg(long, value_name = "TENSOR[:KIND]", requires = "out")]
    probe: Vec<String>,
    /// Write the probed tensors to this file, named STEP/TENSOR/KIND, with the samples of each batch as STEP/samples
    #[arg(long, value_name = "FILE.safetensors", requires = "probe")]
    out: Option<PathBuf>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
}

pub fn run(common: &Common, args: &ReplayArgs) -> Result<()> {
    let requests = args.probe.iter().map(|text| TensorRequest::parse(text));
    let requests = requests.collect::<Result<Vec<_>>>()?;
    let gpu = common.gpu()?;
    let mut replay = Replay::open(&gpu, &args.dir)?
        .range(args.from..args.to)
        .verify(args.verify)
        .tolerance(args.tolerance.tolerance);
    if !requests.is_empty() {
        replay = replay.probe(TensorCapture::new(requests));
    }
    let mut replay = replay.start()?;
    let mut directory = ReplayDirectory::create(&args.dir, &replay)?;
    let mut captured = Captured::default();
    let bar = common.bar(args.to - args.from);
    let replayed = (|| {
        while let Some(record) = replay.step()? {
            directory.record(&record, replay.trainer())?;
            captured.keep(record, replay.trainer())?;
            bar.inc(1);
        }
        directory.finish(replay.trainer())?;
        args.out
            .as_ref()
            .map_or(Ok(()), |path| captured.write(path))
    })();
    bar.finish_and_clear();
    if let Err(error) = replayed {
        directory.discard();
        return Err(error);
    }
    let deviation = replay.trainer().deviation();
    tolerance::say(common, deviation);
    report(
        common,
        args,
        &directory.path,
        &replay.verification(),
        deviation,
        &gpu.describe(),
    )
}

/// Says what was replayed and found.
fn report(
    common: &Common,
    args: &ReplayArgs,
    directory: &Path,
    found: &Verification,
    deviation: Option<&Deviation>,
    adapter: &str,
) -> Result<()> {
    common.answer(&format!(
        "steps {} to {}, every unit at every step: {}",
        args.from,
        args.to,
        directory.display()
    ));
    if let Some(out) = &args.out {
        common.answer(&format!("probed tensors: {}", out.display()));
    }
    if args.verify {
        common.answer(&format!(
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
        "replay": directory,
        "out": args.out,
        "verified": args.verify,
        "identical": args.verify.then_some(found.differences.is_empty()),
        "checkpoints": found.checkpoints,
        "records": found.records,
        "scalars": found.scalars,
        "differences": found.differences,
        "deviation": deviation,
        "adapter": adapter,
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

/// The run directory that a replay writes, `replay/FROM-TO` below the run's, so that every command that reads one reads
/// this too. It has another name until it is whole.
struct ReplayDirectory {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<RunWriter>,
    to: u64,
}

impl ReplayDirectory {
    fn create(run: &Path, replay: &Replay) -> Result<Self> {
        let range = replay.range();
        let name = format!("{:06}-{:06}", range.start, range.end);
        let replays = run.join("replay");
        let temporary = replays.join(format!("{name}.tmp"));
        remove(&temporary)?;
        let reader: &RunReader = replay.reader();
        let info = RunInfo {
            steps_done: range.start,
            ..reader.info().clone()
        };
        let layout = replay.trainer().layout().clone();
        let (scenario, model) = (reader.scenario()?, reader.model()?);
        let writer = RunWriter::create(&temporary, &scenario, info, &model, layout)?;
        Ok(Self {
            path: replays.join(name),
            temporary,
            writer: Some(writer),
            to: range.end,
        })
    }

    fn record(&mut self, record: &StepRecord, trainer: &Trainer) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        for (name, value) in trainer.scalar_names().iter().zip(&record.scalars) {
            writer.scalar(record.step, name, f64::from(*value))?;
        }
        match &record.statistics {
            Some(statistics) => writer.record(record.step, statistics),
            None => Ok(()),
        }
    }

    fn finish(&mut self, trainer: &Trainer) -> Result<()> {
        trainer.checkpoint()?.write(&self.temporary)?;
        if let Some(mut writer) = self.writer.take() {
            writer.finish(Status::Done, self.to)?;
        }
        remove(&self.path)?;
        std::fs::rename(&self.temporary, &self.path)
            .map_err(|error| Error::io(&self.path, "write it", &error))
    }

    /// Removes only what this command has made: the folder of replays goes where it is empty.
    fn discard(&mut self) {
        self.writer = None;
        let _ = remove(&self.temporary);
        if let Some(replays) = self.temporary.parent() {
            let _ = std::fs::remove_dir(replays);
        }
    }
}

/// The probed tensors of all steps so far.
#[derive(Default)]
struct Captured {
    tensors: Vec<NamedTensor>,
    samples: Vec<(String, Vec<u32>)>,
    bytes: u64,
}

impl Captured {
    fn keep(&mut self, record: StepRecord, trainer: &Trainer) -> Result<()> {
        let step = record.step;
        if record.outputs.is_empty() {
            return Ok(());
        }
        let samples = trainer.batch_samples(step);
        let values: usize = record
            .outputs
            .iter()
            .map(|tensor| tensor.values.len())
            .sum();
        self.bytes += 4 * (values + samples.len()) as u64;
        if self.bytes > MAX_CAPTURED {
            return Err(Error::input(
                "replay",
                format!(
                    "the probed tensors of the steps up to {step} take {} of memory",
                    ByteSize(self.bytes)
                ),
                "probe fewer tensors or fewer steps at once",
            ));
        }
        self.samples.push((format!("{step}/samples"), samples));
        self.tensors
            .extend(record.outputs.into_iter().map(|tensor| NamedTensor {
                name: format!("{step}/{}", tensor.name),
                ..tensor
            }));
        Ok(())
    }

    fn write(&self, path: &Path) -> Result<()> {
        write_safetensors_with_integers(path, &self.tensors, &self.samples)
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
