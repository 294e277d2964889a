//! Trains a scenario for long, watches the memory that the process and the adapter hold, then trains it once more in two
//! halves, the second by another device from what the first saved, and compares all bits:
//! `cargo run --release --example soak -- SCENARIO STEPS FOLDER [KEY=VALUE]...`. Prints a table in Markdown; exits with 1 where memory
//! grew or bits differ.

use std::path::Path;
use std::time::Instant;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Run, Scenario};
use trainscope::{Error, Result};

/// Rows of the table.
const LOOKS: u64 = 10;
/// Growth that counts: less comes and goes with the open segment of the trace.
const ALLOWED: u64 = 32 << 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, steps, folder, settings @ ..] = arguments.as_slice() else {
        return Err(Error::usage(
            "soak",
            "arguments are missing",
            "give SCENARIO STEPS FOLDER, and settings after them",
        ));
    };
    let settings = [&[format!("train.steps={steps}")], settings].concat();
    let scenario = Scenario::load(scenario, &settings)?;
    let steps = scenario.train.steps;
    let [whole, halves] = ["whole", "halves"].map(|name| Path::new(folder).join(name));

    let gpu = device()?;
    println!("{}: {steps} steps on {}\n", scenario.name, gpu.describe());
    println!("| steps | minutes | resident memory, MiB | buffers on the adapter, MiB |");
    println!("| --- | --- | --- | --- |");
    let looks = train(
        Run::create(&gpu, &scenario, &whole, None)?,
        &gpu,
        steps,
        true,
    )?;
    drop(gpu);

    let half = steps / 2;
    let gpu = device()?;
    train(
        Run::create(&gpu, &scenario, &halves, None)?,
        &gpu,
        half,
        false,
    )?;
    drop(gpu);
    let gpu = device()?;
    train(Run::resume(&gpu, &halves, None)?, &gpu, steps, false)?;

    let same_scalars =
        RunReader::open(&whole)?.scalars()? == RunReader::open(&halves)?.scalars()?;
    let digest = |folder| Checkpoint::read(folder, steps).map(|checkpoint| checkpoint.digest());
    let same_state = digest(&whole)? == digest(&halves)?;
    let same = |same| if same { "the same" } else { "NOT the same" };
    println!(
        "\nin two halves: parameters and moments {}, bit for bit; scalars {}",
        same(same_state),
        same(same_scalars),
    );
    // The first tenth fills rings and caches.
    let grew = |of: fn(&Look) -> u64| {
        let most = looks[1..].iter().map(of).max().unwrap_or(0);
        most.saturating_sub(of(&looks[0])) > ALLOWED
    };
    if !same_state || !same_scalars || grew(|look| look.resident) || grew(|look| look.buffers) {
        std::process::exit(1);
    }
    Ok(())
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
            buffers: gpu.allocated(),
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
