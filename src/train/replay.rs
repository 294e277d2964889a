//! Replay: any steps of a run once more, bit for bit, with every unit recorded at every step.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Scenario, StepRecord, Trainer};
use crate::gpu::Gpu;
use crate::trace::{Checkpoint, RunReader, UnitStatistics};
use crate::{Error, Result};

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Checkpoints whose digest was compared.
    pub checkpoints: usize,
    /// Recorded steps whose statistics were compared.
    pub records: usize,
    /// Scalars that were compared.
    pub scalars: usize,
    /// What differs from the run, in order of steps; empty when the replay is bit-identical.
    pub differences: Vec<String>,
}

/// Replays the steps `from..to` of the run in `dir`, starting at the checkpoint at or before `from`. `each` gets every
/// replayed record of the range, all with statistics. With `verify` every step from that checkpoint on is compared
/// with what the run kept: scalars, statistics and the digests of checkpoints.
///
/// # Errors
/// No run, a range that it does not have, or broken files.
pub fn replay(
    gpu: &Gpu,
    dir: &Path,
    from: u64,
    to: u64,
    verify: bool,
    each: &mut dyn FnMut(&StepRecord, &Trainer) -> Result<()>,
) -> Result<Verification> {
    let reader = RunReader::open(dir)?;
    let place = format!("replay of {}", dir.display());
    let done = reader.info().steps_done;
    if from >= to || to > done {
        return Err(Error::usage(
            place,
            format!("steps {from} to {to} are not in the run, which has {done} steps"),
            format!("use --from below --to, and --to at most {done}"),
        ));
    }
    let checkpoints = reader.checkpoints()?;
    let Some(&start) = checkpoints.iter().rev().find(|&&step| step <= from) else {
        return Err(Error::input(
            place,
            format!("there is no checkpoint at or before step {from}"),
            "restore the run's checkpoints folder",
        ));
    };
    if verify && reader.info().adapter != gpu.info().name {
        return Err(Error::input(
            place,
            format!(
                "the run was made on '{}', this is '{}'",
                reader.info().adapter,
                gpu.info().name
            ),
            "choose the same adapter with --adapter, or leave out --verify",
        ));
    }
    let scenario = Scenario::of_run(&reader)?;
    let mut trainer = Trainer::restored(gpu, &scenario, &reader, start)?;

    let mut verification = Verification::default();
    let kept_scalars = if verify {
        reader.scalars()?
    } else {
        Default::default()
    };
    let kept_statistics: BTreeMap<u64, Vec<UnitStatistics>> = if verify {
        reader.statistics(start, to)?.into_iter().collect()
    } else {
        BTreeMap::new()
    };
    let names = trainer.scalar_names();
    let of_every_step = trainer.scalars_of_every_step();
    let every = scenario.record.every;
    let mut compare = |record: &StepRecord| {
        // A replay records more steps than the run has.
        let known = if record.step.is_multiple_of(every) {
            names.len()
        } else {
            of_every_step
        };
        for (name, value) in names.iter().zip(&record.scalars).take(known) {
            let series = kept_scalars
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let Ok(at) = series.binary_search_by_key(&record.step, |(step, _)| *step) else {
                let text = format!("step {}: the run has lost its {name}", record.step);
                verification.differences.push(text);
                continue;
            };
            verification.scalars += 1;
            if f64::from(*value).to_bits() != series[at].1.to_bits()
                && !(value.is_nan() && series[at].1.is_nan())
            {
                let text = format!(
                    "step {}: {name} is {value}, the run has {}",
                    record.step, series[at].1
                );
                verification.differences.push(text);
            }
        }
        let then = kept_statistics.get(&record.step);
        if then.is_none() && record.step.is_multiple_of(every) {
            let text = format!("step {}: the run has lost its statistics", record.step);
            verification.differences.push(text);
        }
        if let (Some(now), Some(then)) = (&record.statistics, then) {
            verification.records += 1;
            let same =
                |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            let [now, then] = [now, then].map(|units| bytemuck::cast_slice::<_, f32>(units));
            let same = now.len() == then.len() && now.iter().zip(then).all(same);
            if !same {
                verification
                    .differences
                    .push(format!("step {}: statistics differ", record.step));
            }
        }
    };
    let mut digests = Vec::new();
    while trainer.steps_done() < to {
        let step = trainer.steps_done();
        trainer.step(step >= from || (verify && step.is_multiple_of(every)))?;
        let at_checkpoint = verify && checkpoints.contains(&(step + 1));
        while let Some(record) =
            trainer.take(trainer.is_full() || at_checkpoint || step + 1 == to)?
        {
            if verify {
                compare(&record);
            }
            if record.step >= from {
                each(&record, &trainer)?;
            }
        }
        if at_checkpoint {
            let same = trainer.checkpoint()?.digest() == Checkpoint::read(dir, step + 1)?.digest();
            digests.push((step + 1, same));
        }
    }
    verification.checkpoints = digests.len();
    for (step, _) in digests.iter().filter(|(_, same)| !same) {
        let text = format!("checkpoint {step}: its digest differs");
        verification.differences.push(text);
    }
    Ok(verification)
}
