//! A writer that dies at any change of the disk leaves a directory that says what it has, and that resumes.

use std::path::Path;

use super::*;
use crate::files::deaths;
use crate::tensor::{NamedTensor, TensorKind};
use crate::trace::{Checkpoint, EventKind, RunReader, Subject};

/// Checkpoint, interim checkpoint and interim segment of the run that dies.
const CHECKPOINT: u64 = 20;
const INTERIM: u64 = 30;
const LAST: u64 = 35;

fn layout() -> TraceLayout {
    let mut layout = TraceLayout::new();
    layout.push("encoder.0".to_owned(), TensorKind::Activation, 2);
    layout
}

fn info() -> RunInfo {
    let text = r#"{"format": 1, "name": "deaths", "adapter": "none", "driver": "", "backend": "", "version": "",
        "status": "running", "steps_done": 0, "steps": 100, "seed": 1, "seconds": 0.0}"#;
    serde_json::from_str(text).expect("as the first version wrote it")
}

fn checkpoint(step: u64) -> Checkpoint {
    Checkpoint {
        step,
        parameters: vec![NamedTensor {
            name: "w".to_owned(),
            shape: vec![2],
            values: vec![step as f32, 0.5],
        }],
        optimizer: Vec::new(),
    }
}

fn write_steps(writer: &mut RunWriter, steps: std::ops::Range<u64>) -> Result<()> {
    for step in steps {
        writer.scalar(step, "loss", step as f64)?;
        writer.record(step, &[UnitStatistics::default(); 2])?;
    }
    Ok(())
}

/// A run up to its last interim segment, whose interim checkpoint was not written any more.
fn write_run(folder: &Path) -> Result<()> {
    let mut writer = RunWriter::create(folder, "", info(), &ModelDescription::default(), layout())?;
    checkpoint(0).write(folder)?;
    write_steps(&mut writer, 0..CHECKPOINT)?;
    writer.close_segment(CHECKPOINT)?;
    checkpoint(CHECKPOINT).write(folder)?;
    write_steps(&mut writer, CHECKPOINT..INTERIM)?;
    writer.write_interim_segment(INTERIM)?;
    checkpoint(INTERIM).write_interim(folder)?;
    write_steps(&mut writer, INTERIM..LAST)?;
    writer.write_interim_segment(LAST)
}

/// Opens what a death has left: all steps that run.json calls done are there, and so is the last checkpoint.
fn check(folder: &Path, moment: usize) -> u64 {
    let run = RunReader::open(folder).expect("opens");
    let done = run.info().steps_done;
    let steps: Vec<u64> = (0..done).collect();
    let statistics = run.statistics(0, done).expect("segments are whole");
    let recorded: Vec<u64> = statistics.iter().map(|(step, _)| *step).collect();
    assert_eq!(recorded, steps, "statistics after death {moment}");
    let scalars = run.scalars().expect("segments are whole");
    let loss = scalars.get("loss").map_or(&[][..], Vec::as_slice);
    let losses = loss.iter().map(|(step, _)| *step);
    let losses: Vec<u64> = losses.take_while(|step| *step < done).collect();
    assert_eq!(losses, steps, "scalars after death {moment}");
    let last = run.last_checkpoint().expect("has a checkpoint");
    let state = Checkpoint::read(folder, last).expect("the checkpoint is whole");
    assert_eq!(state, checkpoint(last), "checkpoint after death {moment}");
    assert!(
        last <= done,
        "death {moment}: checkpoint {last} of {done} steps"
    );
    last
}

/// Resumes, trains to the end and closes: the contents do not depend on what came before.
fn finish(folder: &Path, from: u64) {
    let mut writer = RunWriter::resume(folder, from, layout()).expect("resumes");
    write_steps(&mut writer, from..40).expect("written");
    writer.finish(Status::Done, 40).expect("written");
    checkpoint(40).write(folder).expect("written");
    drop(writer);
    let run = RunReader::open(folder).expect("opens");
    assert_eq!(check(folder, 0), 40);
    // The first checkpoint may have been the last one before the death.
    let kept = run.checkpoints().expect("listed");
    assert!(
        [0, CHECKPOINT, 40].ends_with(&kept) || kept == [0, 40],
        "{kept:?}"
    );
    let unfinished = |path: &Path| {
        let names = files::names(path).expect("listed");
        names.iter().any(|name| name.ends_with(".tmp"))
    };
    for name in ["", TRACE, SCALARS, CHECKPOINTS] {
        assert!(
            !unfinished(&folder.join(name)),
            "{name} has unfinished files"
        );
    }
}

/// Lets `work` die at each of its changes in turn, in the folders that `prepare` fills.
fn die_everywhere(prepare: impl Fn(&Path), work: impl Fn(&Path)) -> usize {
    for moment in 0.. {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let folder = scratch.path().join("run");
        prepare(&folder);
        let ((), died) = deaths::after(moment, || work(&folder));
        // Before it has a checkpoint, a run cannot go on.
        let can_resume = RunReader::open(&folder).is_ok_and(|run| run.last_checkpoint().is_ok());
        if can_resume {
            // No file stands unfinished where others read.
            for name in [TRACE, SCALARS, CHECKPOINTS] {
                let names = files::names(&folder.join(name)).expect("listed");
                assert!(
                    !names.iter().any(|name| name.ends_with(".tmp")),
                    "{names:?}"
                );
            }
            let last = check(&folder, moment);
            finish(&folder, last);
        }
        if !died {
            assert!(can_resume);
            return moment;
        }
    }
    0
}

#[test]
fn every_death_while_training_leaves_a_run_that_resumes() {
    let moments = die_everywhere(
        |_| {},
        |folder| {
            let _ = write_run(folder);
        },
    );
    assert!(moments > 40, "{moments} changes of the disk");
}

#[test]
fn every_death_while_resuming_leaves_a_run_that_resumes() {
    for from in [0, CHECKPOINT, INTERIM] {
        let moments = die_everywhere(
            |folder| {
                write_run(folder).expect("written");
                for step in [CHECKPOINT, INTERIM]
                    .into_iter()
                    .filter(|step| *step > from)
                {
                    checkpoint::remove(folder, step).expect("removed");
                }
            },
            |folder| {
                let _ = RunWriter::resume(folder, from, layout());
            },
        );
        assert!(moments > 8, "{moments} changes of the disk");
    }
}

/// Segments of ten steps each with noise in them, which a budget of a few of them thins after each.
fn write_thinned(folder: &Path, budget: &TraceBudget) -> Result<()> {
    let layout = layout();
    let mut writer = match RunWriter::create(
        folder,
        "",
        info(),
        &ModelDescription::default(),
        layout.clone(),
    ) {
        Ok(writer) => {
            checkpoint(0).write(folder)?;
            writer
        }
        Err(_) => {
            let last = RunReader::open(folder)?.last_checkpoint()?;
            let writer = RunWriter::resume(folder, last, layout)?;
            writer.hold_budget(budget)?;
            writer
        }
    };
    let first = writer.from;
    for end in (first / 10 + 1..=40).map(|segment| 10 * segment) {
        for step in end - 10..end {
            if step == 112 {
                let subject = Subject::Scalar("loss".to_owned());
                writer.event(&Event::new(step, EventKind::Spike, subject))?;
            }
            let mean = ((step as f32 * 12.9898).sin() * 43_758.547).fract();
            let unit = UnitStatistics {
                mean,
                std: mean * mean,
                min: -mean,
                max: 2.0 * mean,
                ..UnitStatistics::default()
            };
            writer.record(step, &[unit; 2])?;
        }
        writer.close_segment(end)?;
        checkpoint(end).write(folder)?;
        writer.hold_budget(budget)?;
    }
    writer.finish(Status::Done, 400)
}

fn kept_steps(folder: &Path) -> Result<Vec<u64>> {
    let records = RunReader::open(folder)?.statistics(0, u64::MAX)?;
    Ok(records.into_iter().map(|(step, _)| step).collect())
}

fn trace_bytes(folder: &Path) -> Result<(usize, u64)> {
    let segments = SegmentFile::list(&folder.join(TRACE))?;
    let sizes = segments
        .iter()
        .map(|segment| std::fs::metadata(&segment.path).map_or(0, |of| of.len()));
    Ok((segments.len(), sizes.sum()))
}

/// A budget of about five segments of ten steps, measured, because small files are mostly what describes them.
fn few_segments(folder: &Path) -> Result<TraceBudget> {
    let plain = folder.join("plain");
    write_thinned(
        &plain,
        &TraceBudget {
            bytes: u64::MAX,
            recent: 0,
            around: 0,
            whole: Vec::new(),
        },
    )?;
    let (count, bytes) = trace_bytes(&plain)?;
    assert_eq!((count, kept_steps(&plain)?.len()), (40, 400));
    Ok(TraceBudget {
        bytes: bytes / 8,
        recent: 20,
        around: 3,
        whole: Vec::new(),
    })
}

#[test]
fn a_budget_is_held_and_old_records_are_sparse() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let budget = few_segments(folder.path())?;
    let run = folder.path().join("run");
    write_thinned(&run, &budget)?;
    let (count, bytes) = trace_bytes(&run)?;
    assert!(
        bytes <= budget.bytes && count <= 6,
        "{count} segments, {bytes} of {budget:?}"
    );
    let steps = kept_steps(&run)?;
    // What is recent and what is around the event is all there.
    assert!(
        steps.ends_with(&(380..400).collect::<Vec<_>>()),
        "{steps:?}"
    );
    assert!((109..=115).all(|step| steps.contains(&step)), "{steps:?}");
    let is_free = |step: &&u64| !(109..=115).contains(*step);
    let free: Vec<u64> = steps.iter().filter(is_free).copied().collect();
    let distances: Vec<u64> = free.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (first, last) = (distances[0], distances[distances.len() - 1]);
    assert!(first >= 4 && last == 1, "{distances:?}");
    Ok(())
}

#[test]
fn a_run_that_is_killed_while_it_is_thinned_ends_the_same() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let budget = few_segments(folder.path())?;
    let whole = folder.path().join("whole");
    write_thinned(&whole, &budget)?;
    let wanted = kept_steps(&whole)?;
    let mut is_dead = true;
    let mut at = 40;
    while is_dead {
        let run = folder.path().join(format!("killed-{at}"));
        (_, is_dead) = deaths::after(at, || write_thinned(&run, &budget));
        // What is left opens, and the run goes on from its last checkpoint.
        if is_dead
            && RunReader::open(&run)
                .and_then(|run| run.last_checkpoint())
                .is_ok()
        {
            let steps = kept_steps(&run)?;
            assert!(steps.is_sorted_by(|a, b| a < b));
            write_thinned(&run, &budget)?;
            assert_eq!(kept_steps(&run)?, wanted, "killed at change {at}");
        }
        at += 29;
    }
    Ok(())
}
