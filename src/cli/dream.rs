//! `trainscope dream`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use trainscope::diagnose::explain;
use trainscope::dream::{
    self, DreamOptions, DreamTarget, Dreams, DreamsRecord, InputKind, LeftOut, Regularizer, dream,
};
use trainscope::formats::write_values;
use trainscope::gpu::Gpu;
use trainscope::trace::{RunReader, RunView};
use trainscope::train::{Replay, Trainer};
use trainscope::view::{DreamSheet, Painter, Theme};
use trainscope::{Error, ErrorKind, Result};

use super::{Common, interrupt, outputs};

/// Pixels a point of pictures, and of loops.
const PICTURE_SCALE_FACTOR: f32 = 2.0;
const LOOP_SCALE_FACTOR: f32 = 1.0;
/// Dreams that the text names.
const NAMED: usize = 30;

#[derive(Debug, clap::Args)]
pub struct DreamArgs {
    /// The run directory
    dir: PathBuf,
    /// LAYER:CHANNEL; also LAYER:0-3,7, LAYER:all, LAYER:3=1,5=-0.5 (a weighted direction), LAYER:cluster=2,
    /// LAYER:sample=17, class:3, class:all [default: the unit that `explain` names, before, at and after the event]
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Weight of differences in time: large is slow motion, 0 leaves it free; several give a strip
    #[arg(long, value_name = "X", value_delimiter = ',', default_value = "1")]
    chi: Vec<f64>,
    /// The states after so many steps [default: the last]
    #[arg(long, value_name = "T", value_delimiter = ',')]
    steps_of: Vec<u64>,
    /// Seed of the start and of the shifts
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Write the dreams to this file: .png, .apng or .gif (a loop), .npy; may be given several times
    /// [default: into analysis/dreams of the run]
    #[arg(long, value_name = "FILE")]
    out: Vec<PathBuf>,
    /// Steps of gradient ascent
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
    /// Learning rate, as a share of the bound on pixels
    #[arg(long, value_name = "R", default_value_t = 0.05)]
    lr: f64,
    /// Weight of the unit against everything that holds the dream smooth
    #[arg(long, value_name = "G", default_value_t = 50.0)]
    gain: f64,
    /// Weight of the norms of pixels
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    range: f64,
    /// Weight of differences between neighbors, in space and time
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    smoothness: f64,
    /// The image is rolled by up to so many pixels in each step [default: an eighth of its shorter side where the network
    /// begins with convolutions, else 0]
    #[arg(long, value_name = "PIXELS")]
    jitter: Option<usize>,
    /// Move the amplitudes of waves instead of pixels
    #[arg(long)]
    fourier: bool,
    /// Move colors that vary independently in the data
    #[arg(long)]
    decorrelate: bool,
    /// The class that a conditional model is told
    #[arg(long, value_name = "CLASS", default_value_t = 0)]
    label: u32,
    /// So many samples of the data say what real inputs are like
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    real: u32,
}

/// What is dreamt, of which states, and why.
struct Plan {
    target: DreamTarget,
    steps: Vec<u64>,
    why: Option<String>,
}

pub fn run(common: &Common, args: &DreamArgs) -> Result<()> {
    check_outputs(args)?;
    let target = args.unit.as_deref().map(DreamTarget::parse).transpose()?;
    let reader = RunReader::open(&args.dir)?;
    let view = RunView::open(&args.dir)?;
    expect_steps(args, &reader)?;
    let gpu = common.gpu()?;
    let started = Instant::now();
    let first = args.steps_of.first().copied();
    let mut trainer =
        Replay::open(&gpu, &args.dir)?.state_after(first.unwrap_or(reader.last_checkpoint()?))?;
    let plan = plan(common, args, &reader, &view, &trainer, target)?;
    expect_motion(args, &trainer, &plan)?;
    let interrupted = interrupt();
    let mut snapshots = Vec::new();
    let mut left_out = Vec::new();
    for &step in &plan.steps {
        match at(
            common,
            args,
            &interrupted,
            &reader,
            &mut trainer,
            &plan.target,
            step,
        ) {
            Ok(dreams) => snapshots.push(dreams),
            // One of several snapshots may be broken, as those after a failure often are.
            Err(error) if plan.steps.len() > 1 && error.kind() == ErrorKind::InvalidArgument => {
                left_out.push((step, error));
            }
            Err(error) => return Err(error),
        }
    }
    if let (true, Some((_, error))) = (snapshots.is_empty(), left_out.first()) {
        return Err(error.clone());
    }
    let left_out = left_out.into_iter().map(|(step, error)| LeftOut {
        step,
        why: error.to_string(),
    });
    let mut record = DreamsRecord::new(&view, &snapshots, left_out.collect(), plan.why, args.seed)?;
    snapshots.retain(|dreams| !dreams.dreams.is_empty());
    let written = write(&gpu, args, &view, &snapshots, &mut record)?;
    let seconds = started.elapsed().as_secs_f64();
    say(common, &record, &written, seconds);
    common.print_json(&as_json(&record, &written, seconds, &gpu.describe()));
    Ok(())
}

fn check_outputs(args: &DreamArgs) -> Result<()> {
    let outputs: Vec<(&str, Option<PathBuf>)> = args
        .out
        .iter()
        .map(|path| ("--out", Some(path.clone())))
        .collect();
    let borrowed: Vec<(&str, &Option<PathBuf>)> = outputs
        .iter()
        .map(|(option, path)| (*option, path))
        .collect();
    outputs::check(&args.dir, &borrowed)?;
    for path in &args.out {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let known = ["png", "apng", "gif", "npy"];
        if !known.iter().any(|known| extension == *known) {
            return Err(Error::usage(
                format!("--out {}", path.display()),
                "its ending says no format that dreams are written in",
                "end it in .png, .apng, .gif or .npy",
            ));
        }
    }
    Ok(())
}

/// A snapshot that is not there is refused before anything is built.
fn expect_steps(args: &DreamArgs, reader: &RunReader) -> Result<()> {
    let done = reader.info().steps_done;
    match args.steps_of.iter().find(|step| **step > done) {
        None => Ok(()),
        Some(step) => {
            let known: Vec<String> = reader.checkpoints()?.iter().map(u64::to_string).collect();
            Err(Error::usage(
                format!("--steps-of {step}"),
                format!("the run has {done} steps"),
                format!(
                    "choose up to {done}; these have a checkpoint and need no replay: {}",
                    known.join(", ")
                ),
            ))
        }
    }
}

/// A loop in which nothing moves is refused before anything is dreamt.
fn expect_motion(args: &DreamArgs, trainer: &Trainer, plan: &Plan) -> Result<()> {
    let is_loop = |path: &&PathBuf| {
        path.extension().is_some_and(|ending| {
            ending.eq_ignore_ascii_case("gif") || ending.eq_ignore_ascii_case("apng")
        })
    };
    let Some(path) = args.out.iter().find(is_loop) else {
        return Ok(());
    };
    if plan.steps.len() > 1 || dream::kind_of_input(trainer, &plan.target)? == InputKind::Clip {
        return Ok(());
    }
    Err(Error::usage(
        format!("--out {}", path.display()),
        "dreams of images at one snapshot do not move",
        "name a .png file, or several snapshots with --steps-of",
    ))
}

fn plan(
    common: &Common,
    args: &DreamArgs,
    reader: &RunReader,
    view: &RunView,
    trainer: &Trainer,
    target: Option<DreamTarget>,
) -> Result<Plan> {
    let given = args.steps_of.clone();
    if let Some(target) = target {
        return Ok(Plan {
            target,
            steps: if given.is_empty() {
                vec![reader.info().steps_done]
            } else {
                given
            },
            why: None,
        });
    }
    let aim = dream::aim(trainer, view, &explain(view))?;
    common.note(&aim.why);
    Ok(Plan {
        target: aim.target,
        steps: if given.is_empty() { aim.steps } else { given },
        why: Some(aim.why),
    })
}

/// The dreams at one state.
fn at(
    common: &Common,
    args: &DreamArgs,
    interrupted: &AtomicBool,
    reader: &RunReader,
    trainer: &mut Trainer,
    target: &DreamTarget,
    step: u64,
) -> Result<Dreams> {
    if trainer.steps_done() != step {
        trainer.go_to(reader, step)?;
    }
    let options = DreamOptions {
        steps: args.steps as usize,
        lr: args.lr,
        gain: args.gain,
        regularizer: Regularizer {
            range: args.range,
            smoothness: args.smoothness,
            ..Regularizer::default()
        },
        chi: args.chi.clone(),
        jitter: args.jitter,
        fourier: args.fourier,
        decorrelate: args.decorrelate,
        seed: args.seed,
        label: args.label,
        real: args.real as usize,
        ..DreamOptions::default()
    };
    let bar = common.bar(options.steps as u64);
    bar.say(&format!("looking at real inputs after {step} steps"));
    let found = dream(trainer, target, &options, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        !interrupted.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    found
}

/// Writes what was asked for, or a picture and its record into the run directory; a loop too, where there is time.
fn write(
    gpu: &Gpu,
    args: &DreamArgs,
    view: &RunView,
    snapshots: &[Dreams],
    record: &mut DreamsRecord,
) -> Result<Vec<PathBuf>> {
    let name = view.name();
    let sheet = DreamSheet {
        run: &name,
        snapshots,
    };
    if !args.out.is_empty() {
        for path in &args.out {
            write_one(gpu, &sheet, path)?;
        }
        record.files = args.out.clone();
        return Ok(args.out.clone());
    }
    dream::make_folder(&args.dir)?;
    let stem = record.stem(&args.dir);
    let kind = snapshots.first().map(|dreams| dreams.space.kind);
    let has_pictures = snapshots
        .iter()
        .all(|dreams| dreams.space.kind != InputKind::Vector || dreams.image_shape.is_some());
    let endings: &[&str] = match kind {
        _ if !has_pictures => &["npy"],
        Some(InputKind::Clip) => &["png", "gif"],
        _ => &["png"],
    };
    let mut written = Vec::new();
    for ending in endings {
        let mut path = stem.clone().into_os_string();
        path.push(".");
        path.push(ending);
        let path = PathBuf::from(path);
        write_one(gpu, &sheet, &path)?;
        record.files.extend(path.file_name().map(PathBuf::from));
        written.push(path);
    }
    written.push(record.save(&stem)?);
    Ok(written)
}

fn write_one(gpu: &Gpu, sheet: &DreamSheet<'_>, path: &Path) -> Result<()> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "npy" {
        let dreams = || sheet.snapshots.iter().flat_map(|dreams| &dreams.dreams);
        let values: Vec<f32> = dreams()
            .flat_map(|dream| dream.input.iter().copied())
            .collect();
        let mut shape = vec![dreams().count()];
        shape.extend(
            sheet
                .snapshots
                .first()
                .iter()
                .flat_map(|dreams| &dreams.space.shape),
        );
        return write_values(path, &shape, &values);
    }
    let painter = Painter::new(gpu);
    if extension == "png" {
        let theme = Theme::light().scaled(PICTURE_SCALE_FACTOR);
        return sheet.picture(&painter, &theme)?.write_png(gpu, path);
    }
    let theme = Theme::light().scaled(LOOP_SCALE_FACTOR);
    sheet.animation(&painter, &theme)?.write(path)
}

fn say(common: &Common, record: &DreamsRecord, written: &[PathBuf], seconds: f64) {
    for dream in record.dreams.iter().take(NAMED) {
        let chi = match record.dreams.iter().any(|other| other.chi != dream.chi) {
            true => format!(", chi {}", dream.chi),
            false => String::new(),
        };
        let times = match dream.real_maximum > 0.0 {
            true => format!(", {:.2} times that", dream.activation / dream.real_maximum),
            false => String::new(),
        };
        let most = dream.most.first();
        let most = most.map_or_else(String::new, |real| format!(" (sample {})", real.sample));
        common.answer(&format!(
            "{} after {} steps{chi}: at most {:.4} on {} real inputs{most}, {:.4} on the dream{times}",
            dream.unit, dream.step, dream.real_maximum, record.real_inputs, dream.activation,
        ));
    }
    if let Some(more @ 1..) = record.dreams.len().checked_sub(NAMED) {
        common.answer(&format!("and {more} more"));
    }
    for left in &record.left_out {
        common.answer(&format!("not dreamt: {}", left.why));
    }
    for path in written {
        common.answer(&format!("written: {}", path.display()));
    }
    common.note(&format!("{seconds:.1} s"));
}

/// The first dream is the object itself; all of them are in `dreams`.
fn as_json(record: &DreamsRecord, written: &[PathBuf], seconds: f64, adapter: &str) -> Value {
    let mut object = match record.dreams.first() {
        Some(first) => json!(first),
        None => json!({}),
    };
    let all = json!(record);
    if let (Some(object), Some(all)) = (object.as_object_mut(), all.as_object()) {
        for (key, value) in all {
            object.insert(key.clone(), value.clone());
        }
    }
    object["files"] = json!(written);
    object["seconds"] = json!(seconds);
    object["adapter"] = json!(adapter);
    object
}
