//! Trains a scenario for long, watches the memory that the process and the adapter hold, then trains it once more in two
//! halves, the second by another device from what the first saved, and compares all bits:
//! `cargo run --release --example soak -- SCENARIO STEPS FOLDER [whole|halves|compare] [KEY=VALUE]...`. Prints a table in Markdown; exits
//! with 1 where memory grew or bits differ. The three parts, named, can be run apart: `whole` and `halves` side by side in two processes
//! take half the time of one after the other.

use std::path::Path;
use std::time::Instant;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Run, Scenario};
use trainscope::{Error, Result};

/// What is done, in this order.
const PARTS: [&str; 3] = ["whole", "halves", "compare"];
/// Rows of the table.
const LOOKS: u64 = 10;
/// Growth that counts: less comes and goes with the open segment of the trace.
const ALLOWED: u64 = 32 << 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, steps, folder, rest @ ..] = arguments.as_slice() else {
        return Err(Error::usage(
            "soak",
            "arguments are missing",
            "give SCENARIO STEPS FOLDER, and settings after them",
        ));
    };
    let (part, settings) = match rest {
        [part, settings @ ..] if PARTS.contains(&part.as_str()) => (Some(part.as_str()), settings),
        settings => (None, settings),
    };
    let settings = [&[format!("train.steps={steps}")], settings].concat();
    let scenario = Scenario::load(scenario, &settings)?;
    let [whole, halves] = ["whole", "halves"].map(|name| Path::new(folder).join(name));

    let mut good = true;
    for part in PARTS
        .iter()
        .filter(|&&name| part.is_none_or(|part| part == name))
    {
        good &= match *part {
            "whole" => train_whole(&scenario, &whole)?,
            "halves" => train_halves(&scenario, &halves)?,
            _ => compare(&whole, &halves, scenario.train.steps)?,
        };
    }
    if !good {
        std::process::exit(1);
    }
    Ok(())
}

/// Trains in one go. Whether memory was flat.
fn train_whole(scenario: &Scenario, folder: &Path) -> Result<bool> {
    let gpu = device()?;
    let steps = scenario.train.steps;
    println!("{}: {steps} steps on {}\n", scenario.name, gpu.describe());
    println!("| steps | minutes | resident memory, MiB | buffers on the adapter, MiB |");
    println!("| --- | --- | --- | --- |");
    let run = Run::create(&gpu, scenario, folder, None)?;
    let looks = train(run, &gpu, steps, true)?;
    // The first tenth fills rings and caches.
    let grew = |of: fn(&Look) -> u64| {
        let most = looks[1..].iter().map(of).max().unwrap_or(0);
        most.saturating_sub(of(&looks[0])) > ALLOWED
    };
    Ok(!grew(|look| look.resident) && !grew(|look| look.buffers))
}

/// Trains to the middle, and on from what was saved there, with another device.
fn train_halves(scenario: &Scenario, folder: &Path) -> Result<bool> {
    let steps = scenario.train.steps;
    let gpu = device()?;
    let run = Run::create(&gpu, scenario, folder, None)?;
    train(run, &gpu, steps / 2, false)?;
    drop(gpu);
    let gpu = device()?;
    train(Run::resume(&gpu, folder, None)?, &gpu, steps, false)?;
    Ok(true)
}

/// Whether both runs ended in the same bits and recorded the same scalars.
fn compare(whole: &Path, halves: &Path, steps: u64) -> Result<bool> {
    let same_scalars = RunReader::open(whole)?.scalars()? == RunReader::open(halves)?.scalars()?;
    let digest = |folder| Checkpoint::read(folder, steps).map(|checkpoint| checkpoint.digest());
    let same_state = digest(whole)? == digest(halves)?;
    let same = |same| if same { "the same" } else { "NOT the same" };
    println!(
        "\nin two halves: parameters and moments {}, bit for bit; scalars {}",
        same(same_state),
        same(same_scalars),
    );
    Ok(same_state && same_scalars)
}

fn device() -> Result<Gpu> {
    Gpu::new(&AdapterChoice::default())
}

/// Bytes that were held at some step.
struct Look {
    resident: u64,
    buffers: u64,
}

/// Trains to step `end` and saves. Looks at the memory on the way, and prints what it sees.
fn train(mut run: Run, gpu: &Gpu, end: u64, print: bool) -> Result<Vec<Look>> {
    let started = Instant::now();
    let mut looks = Vec::new();
    let every = (end / LOOKS).max(1);
    let mut training = true;
    while training && run.trainer().steps_done() < end {
        training = run.advance(&mut |_| ())?;
        let step = run.trainer().steps_done();
        if !step.is_multiple_of(every) {
            continue;
        }
        let look = Look {
            resident: resident(),
            buffers: gpu.total_allocated_bytes(),
        };
        if print {
            let minutes = started.elapsed().as_secs_f64() / 60.0;
            let [resident, buffers] =
                [look.resident, look.buffers].map(|bytes| bytes as f64 / f64::from(1 << 20));
            println!("| {step} | {minutes:.1} | {resident:.1} | {buffers:.1} |");
        }
        looks.push(look);
    }
    run.finish(true, &mut |_| ())?;
    Ok(looks)
}

/// Bytes of main memory that the process holds; 0 where Linux does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
