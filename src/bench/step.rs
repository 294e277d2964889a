//! A scenario's training step, as a whole and kernel by kernel.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::{GpuTimer, Measured};
use crate::Result;
use crate::gpu::{Dispatch, Gpu};
use crate::train::{Scenario, Trainer};

/// Rounds of unrecorded and recorded steps in turn, because the machine's speed changes from second to second.
const ROUNDS: u32 = 15;

/// What a scenario's step costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepBench {
    /// The scenario.
    pub scenario: String,
    /// Samples in a batch.
    pub batch: usize,
    /// Seconds from nothing to the end of the first step, data included.
    pub first_step_seconds: f64,
    /// Seconds of a step in a run: several are on their way at once.
    pub seconds: f64,
    /// What recording every unit adds, as a share of a step: the median over rounds of both in turn.
    pub recording: f64,
    /// Bytes on the adapter, small things apart.
    pub memory: u64,
    /// All kernels of a step that is not recorded, one after the other.
    pub total: Measured,
    /// The same by kernel, the longest first.
    pub kernels: Vec<Measured>,
}

/// Runs a scenario's steps for about `seconds` and measures its kernels.
///
/// # Errors
/// As [`Trainer::new`], or the device was lost.
pub fn step(gpu: &Gpu, timer: &GpuTimer, scenario: &Scenario, seconds: f64) -> Result<StepBench> {
    let started = Instant::now();
    let mut trainer = Trainer::new(gpu, scenario)?;
    run(&mut trainer, 1, false)?;
    let first_step_seconds = started.elapsed().as_secs_f64();
    // Every procedure of a GAN, and the probes, have then been compiled.
    let warm = Instant::now();
    run(&mut trainer, 8, false)?;
    let steps = (seconds / f64::from(2 * ROUNDS) / (warm.elapsed().as_secs_f64() / 8.0)).ceil();
    let steps = (steps as u64).clamp(1, 1 << 20);
    run(&mut trainer, 8, true)?;
    let mut time = |watched| -> Result<f64> {
        let start = Instant::now();
        run(&mut trainer, steps, watched)?;
        Ok(start.elapsed().as_secs_f64() / steps as f64)
    };
    let mut best = f64::INFINITY;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let plain = time(false)?;
        ratios.push(time(true)? / plain);
        best = plain.min(best);
    }
    ratios.sort_by(f64::total_cmp);
    // Of a GAN with several steps of the critic, those of whichever step comes next.
    let dispatches: Vec<Dispatch> = trainer.dispatches(false).cloned().collect();
    let kernels = by_kernel(timer, &dispatches)?;
    let all: Vec<&Dispatch> = dispatches.iter().collect();
    Ok(StepBench {
        scenario: scenario.name.clone(),
        batch: scenario.train.batch,
        first_step_seconds,
        seconds: best,
        recording: ratios[ratios.len() / 2] - 1.0,
        memory: Trainer::estimate_memory(gpu, scenario)?,
        total: measured("all kernels", timer.seconds(&all)?, &all),
        kernels,
    })
}

/// Runs so many steps to their end, as a run does: the CPU only waits where it is a whole ring ahead.
fn run(trainer: &mut Trainer, steps: u64, watched: bool) -> Result<()> {
    for _ in 0..steps {
        trainer.step(watched)?;
        while trainer.take(trainer.is_full())?.is_some() {}
    }
    while trainer.take(true)?.is_some() {}
    Ok(())
}

fn by_kernel(timer: &GpuTimer, dispatches: &[Dispatch]) -> Result<Vec<Measured>> {
    let mut kernels: BTreeMap<&str, Vec<&Dispatch>> = BTreeMap::new();
    for dispatch in dispatches {
        kernels.entry(dispatch.label()).or_default().push(dispatch);
    }
    let kernels = kernels.into_iter();
    let measure = |(label, group): (&str, Vec<&Dispatch>)| {
        Ok(measured(label, timer.seconds(&group)?, &group))
    };
    let mut kernels: Vec<Measured> = kernels.map(measure).collect::<Result<_>>()?;
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(kernels)
}

fn measured(name: &str, seconds: f64, dispatches: &[&Dispatch]) -> Measured {
    Measured {
        name: name.to_owned(),
        dispatches: dispatches.len(),
        seconds,
        flops: dispatches.iter().map(|dispatch| dispatch.flops()).sum(),
        bytes: dispatches
            .iter()
            .map(|dispatch| dispatch.bytes() as f64)
            .sum(),
    }
}
