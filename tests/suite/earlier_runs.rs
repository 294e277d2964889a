//! Run directories that the version before plan requests wrote (476fe55, llvmpipe of Mesa 22.3.6) open, replay to the same
//! bits and resume.

use std::fs;
use std::path::{Path, PathBuf};

use trainscope::trace::{RunReader, Status};
use trainscope::train::{Run, Scenario, Trainer};

use crate::support::{gpu, verify_replay};

const RUNS: [&str; 4] = ["vae", "gan", "classifier", "two_stream"];

/// A copy of a fixture, since opening a run for writing takes its lock.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    fn copy_folder(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a fixture") {
            let entry = entry.expect("readable");
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy_folder(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).expect("copied");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier");
    copy_folder(&fixtures.join(name), &dir);
    (folder, dir)
}

/// Whether this adapter and driver are those of the fixtures: only then are bits promised.
fn is_adapter_of(reader: &RunReader) -> bool {
    let info = reader.info();
    let gpu = gpu();
    let driver = format!("{} {}", gpu.info().driver, gpu.info().driver_info);
    let same = info.adapter == gpu.info().name && info.driver == driver.trim();
    if !same {
        println!(
            "not verified: the run was made on '{}' {}",
            info.adapter, info.driver
        );
    }
    same
}

#[test]
fn earlier_runs_replay_bit_for_bit() {
    for name in RUNS {
        let (_folder, dir) = copy(name);
        let reader = RunReader::open(&dir).expect("it opens");
        let done = reader.info().steps_done;
        assert_eq!(reader.info().status, Status::Done, "{name}");
        if !is_adapter_of(&reader) {
            continue;
        }
        let recorded = reader.layout().expect("whole");
        let scenario = Scenario::of_run(&reader).expect("it is valid");
        let trainer = Trainer::new(gpu(), &scenario).expect("a trainer");
        assert_eq!(*trainer.layout(), recorded, "{name}: names and rows");
        let found = verify_replay(&dir, 0..done).expect("it replays");
        assert_eq!(found.differences, Vec::<String>::new(), "{name}");
        assert_eq!(found.checkpoints, 2, "{name}");
        assert!(found.records > 0 && found.scalars as u64 > done, "{name}");
    }
}

#[test]
fn earlier_runs_resume() {
    for name in RUNS {
        let (_folder, dir) = copy(name);
        let reader = RunReader::open(&dir).expect("it opens");
        let done = reader.info().steps_done;
        let mut run = Run::resume(gpu(), &dir, Some(done + 4)).expect("it resumes");
        while run.advance(&mut |_| ()).expect("it runs") {}
        let finished = run.finish(false, &mut |_| ()).expect("it closes");
        assert_eq!(finished.trainer.steps_done(), done + 4, "{name}");
        // Old and new segments read as one run.
        let reader = RunReader::open(&dir).expect("it opens");
        let losses = &reader.scalars().expect("whole")["loss"];
        assert_eq!(losses.len() as u64, done + 4, "{name}");
        let scenario = Scenario::of_run(&reader).expect("it is valid");
        let every = scenario.record.every;
        let recorded = reader.statistics(0, done + 4).expect("whole").into_iter();
        // What is recorded around an event comes on top.
        let recorded = recorded.filter(|(step, _)| step.is_multiple_of(every));
        assert_eq!(
            recorded.count() as u64,
            (done + 4).div_ceil(every),
            "{name}"
        );
    }
}
