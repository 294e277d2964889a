//! Runs as the library makes them: in one go, resumed, replayed, started from given parameters, gone wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trainscope::tensor::NamedTensor;

use trainscope::Result;
use trainscope::trace::{
    Checkpoint, EventKind, RunReader, RunView, Status, read_safetensors, write_safetensors,
};
use trainscope::train::{Finished, Run, Scenario, Verification};

use trainscope::gpu::{AdapterChoice, Gpu};

use crate::support::{SMALL, end, gpu, verify_replay};

fn scenario(settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::parse(SMALL, "small", &settings).unwrap()
}

fn train(settings: &[&str], dir: &Path) -> Finished {
    end(Run::create(gpu(), &scenario(settings), dir, None).unwrap())
}

fn refused(result: Result<Run>) -> String {
    let error = result.map(|_| ()).expect_err("it is refused").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn resume_refused(dir: &Path) -> String {
    refused(Run::resume(gpu(), dir, None))
}

fn verify(dir: &Path, from: u64, to: u64) -> Result<Verification> {
    verify_replay(dir, from..to)
}

/// All that a run has recorded, floats by their bits.
fn contents(dir: &Path) -> String {
    let run = RunReader::open(dir).unwrap();
    let mut text = format!("{:?}\n{:?}\n", run.info().status, run.events().unwrap());
    for (name, series) in run.scalars().unwrap() {
        let bits: Vec<_> = series.iter().map(|(s, v)| (s, v.to_bits())).collect();
        text += &format!("{name} {bits:?}\n");
    }
    for (step, values) in run.statistics(0, u64::MAX).unwrap() {
        let bits: Vec<_> = values.iter().map(|unit| unit.to_bits()).collect();
        text += &format!("{step} {bits:?}\n");
    }
    for step in run.checkpoints().unwrap() {
        text += &format!("{step} {}\n", Checkpoint::read(dir, step).unwrap().digest());
    }
    text
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn one_go_and_two_halves_are_the_same_run() {
    let scratch = tempfile::tempdir().unwrap();
    let [straight, halves, stopped] =
        ["straight", "halves", "stopped"].map(|name| scratch.path().join(name));
    // A rate at which units die, so that there are events to compare.
    let [rate, around] = ["train.optimizer.adam.lr=0.1", "record.around_events=0"];
    train(&[rate, around], &straight);
    let run = RunReader::open(&straight).unwrap();
    assert_eq!(run.checkpoints().unwrap(), [0, 10, 20, 30, 40]);
    assert_eq!(run.scalars().unwrap()["loss"].len(), 40);
    assert_eq!(run.statistics(0, 40).unwrap().len(), 10);
    assert!(
        run.events()
            .unwrap()
            .iter()
            .any(|event| event.kind == EventKind::DeadUnit)
    );

    train(&[rate, around, "train.steps=17"], &halves);
    end(Run::resume(gpu(), &halves, Some(40)).unwrap());
    // Stopped by the user in the middle, at a step that is no checkpoint's.
    let mut run = Run::create(gpu(), &scenario(&[rate, around]), &stopped, None).unwrap();
    for _ in 0..23 {
        run.advance(&mut |_| {}).unwrap();
    }
    let finished = run.finish(true, &mut |_| {}).unwrap();
    assert_eq!(finished.status, Status::Stopped);
    let info = RunReader::open(&stopped).unwrap().info().clone();
    assert_eq!((info.steps_done, info.status), (23, Status::Stopped));
    let first_seconds = info.seconds;
    assert!(first_seconds > 0.0);
    end(Run::resume(gpu(), &stopped, None).unwrap());
    let seconds = RunReader::open(&stopped).unwrap().info().seconds;
    assert!(seconds > first_seconds, "{seconds} after {first_seconds}");

    let expected = contents(&straight);
    for (dir, extra) in [(&halves, 17), (&stopped, 23)] {
        // The half-way checkpoint is all that the resumed run has more.
        fs::remove_dir_all(dir.join(format!("checkpoints/{extra:06}"))).unwrap();
        assert!(contents(dir) == expected, "{}", dir.display());
        let found = verify(dir, 0, 40).unwrap();
        assert_eq!(found.differences, Vec::<String>::new());
        assert_eq!(
            (found.checkpoints, found.records, found.scalars),
            (4, 10, 40 * 4 + 10 * 10)
        );
    }
    assert_eq!(verify(&straight, 13, 27).unwrap().differences.len(), 0);
}

/// A run holds its budget by leaving out older records: what is left is as it was, and everything else of the run too.
#[test]
fn a_budget_leaves_out_older_records_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let [plain, held, halves] = ["plain", "held", "halves"].map(|name| scratch.path().join(name));
    let settings = [
        "train.steps=260",
        "record.every=1",
        "record.checkpoint_every=20",
    ];
    train(&settings, &plain);
    let trace_bytes = |dir: &Path| -> u64 {
        let all = files(&dir.join("trace"));
        all.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    };
    let most = 7 * trace_bytes(&plain) / 10;
    let budget = format!("record.budget={most}");
    let with_budget: Vec<&str> = settings.into_iter().chain([budget.as_str()]).collect();
    train(&with_budget, &held);
    assert!(
        trace_bytes(&held) <= most,
        "{} of {most}",
        trace_bytes(&held)
    );
    let statistics = |dir: &Path| RunReader::open(dir).unwrap().statistics(0, 260).unwrap();
    let (all, left) = (statistics(&plain), statistics(&held));
    assert!(all.len() == 260 && left.len() < 260, "{}", left.len());
    assert!(left.iter().all(|record| all.contains(record)));
    // The last records are all there; what is missing is of the first half.
    let is_late = |record: &&(u64, _)| record.0 >= 160;
    assert_eq!(left.iter().filter(is_late).count(), 100);
    let (whole, thinned) = (
        RunReader::open(&plain).unwrap(),
        RunReader::open(&held).unwrap(),
    );
    assert_eq!(whole.scalars().unwrap(), thinned.scalars().unwrap());
    for step in whole.checkpoints().unwrap() {
        let digest = |dir: &Path| Checkpoint::read(dir, step).unwrap().digest();
        assert_eq!(digest(&plain), digest(&held));
    }
    let found = verify(&held, 0, 260).unwrap();
    assert_eq!(
        (found.differences, found.records),
        (Vec::<String>::new(), left.len())
    );
    let first_half: Vec<&str> = with_budget
        .iter()
        .copied()
        .chain(["train.steps=140"])
        .collect();
    train(&first_half, &halves);
    end(Run::resume(gpu(), &halves, Some(260)).unwrap());
    assert!(contents(&halves) == contents(&held));
}

/// A run is saved between its checkpoints as often as one likes: it leaves the same files, and one that is killed resumes
/// from there.
#[test]
fn saves_between_checkpoints_change_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let [plain, saved, killed] = ["plain", "saved", "killed"].map(|name| scratch.path().join(name));
    let settings = ["record.checkpoint_every=15"];
    train(&settings, &plain);
    let start = |dir: &Path| {
        let run = Run::create(gpu(), &scenario(&settings), dir, None).unwrap();
        run.with_save_interval(Duration::ZERO)
    };
    end(start(&saved));
    let recorded = |dir: &Path| {
        // run.json and the scalars have the time of day.
        let all = files(dir).into_iter().map(|(path, bytes)| {
            let path = path.strip_prefix(dir).unwrap().to_owned();
            (path, bytes)
        });
        let same =
            all.filter(|(path, _)| path != Path::new("run.json") && !path.starts_with("scalars"));
        same.collect::<Vec<_>>()
    };
    let names = |dir: &Path| {
        recorded(dir)
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&saved), names(&plain));
    assert!(recorded(&saved) == recorded(&plain));
    assert!(contents(&saved) == contents(&plain));

    let mut run = start(&killed);
    for _ in 0..23 {
        run.advance(&mut |_| {}).unwrap();
    }
    drop(run);
    let reader = RunReader::open(&killed).unwrap();
    // The last step may be on its way when its turn to be saved comes, but no checkpoint is so near.
    let last = reader.last_checkpoint().unwrap();
    assert!((20..=23).contains(&last), "{last}");
    assert_eq!(reader.checkpoints().unwrap(), [0, 15]);
    assert_eq!(reader.info().steps_done, last);
    end(Run::resume(gpu(), &killed, None).unwrap());
    assert!(contents(&killed) == contents(&plain));
    assert!(!killed.join(format!("checkpoints/{last:06}")).exists());
}

#[test]
fn replay_finds_what_was_tampered_with() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    train(&[], &dir);
    let differences = || match verify(&dir, 0, 40) {
        Ok(found) => found.differences,
        Err(error) => vec![error.to_string()],
    };
    assert_eq!(differences(), Vec::<String>::new());

    // A checkpoint that is sound in itself but not this run's: in the middle and at the start.
    for step in [20, 0] {
        let good = Checkpoint::read(&dir, step).unwrap();
        let mut other = good.clone();
        other.parameters[0].values[0] += 1e-3;
        other.write(&dir).unwrap();
        assert!(!differences().is_empty(), "checkpoint {step}");
        good.write(&dir).unwrap();
    }
    // Single bits of every sort of file.
    for name in [
        "checkpoints/000000/parameters.safetensors",
        "checkpoints/000030/optimizer.safetensors",
        "checkpoints/000030/digest",
        "scalars/000010-000020.parquet",
        "trace/000020-000030.parquet",
    ] {
        let path = dir.join(name);
        let good = fs::read(&path).unwrap();
        let mut bent = good.clone();
        bent[good.len() / 2] ^= 4;
        fs::write(&path, &bent).unwrap();
        let found = differences();
        assert_eq!(found.len(), 1, "{name}");
        assert!(!found[0].contains('\n'), "{found:?}");
        fs::remove_file(&path).unwrap();
        let is_state = name.ends_with("digest");
        assert_eq!(differences().is_empty(), is_state, "{name} removed");
        fs::write(&path, &good).unwrap();
    }
    assert!(differences().is_empty());
    // A segment of another run.
    let other = scratch.path().join("other");
    train(&["seed=4"], &other);
    for name in [
        "scalars/000010-000020.parquet",
        "trace/000010-000020.parquet",
    ] {
        let good = fs::read(dir.join(name)).unwrap();
        fs::copy(other.join(name), dir.join(name)).unwrap();
        assert!(!differences().is_empty(), "{name} of another run");
        fs::write(dir.join(name), good).unwrap();
    }
    for (from, to) in [(0, 41), (5, 5), (7, 3), (u64::MAX, u64::MAX), (0, u64::MAX)] {
        let error = verify(&dir, from, to).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[test]
fn given_parameters_are_taken_or_refused_by_name() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    train(&["train.steps=10"], &path("first"));
    let parameters = path("first/checkpoints/000010/parameters.safetensors");
    let good = read_safetensors(&parameters).unwrap();
    let short = scenario(&["train.steps=1", "seed=99"]);
    let start = |init: &Path, dir: &str| Run::create(gpu(), &short, &path(dir), Some(init));

    end(start(&parameters, "second").unwrap());
    let taken = Checkpoint::read(&path("second"), 0).unwrap();
    assert_eq!(taken.parameters, good);
    assert!(
        verify(&path("second"), 0, 1)
            .unwrap()
            .differences
            .is_empty()
    );

    let file = path("corrupt.safetensors");
    let bend = |change: &dyn Fn(&mut Vec<NamedTensor>)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        write_safetensors(&file, &tensors).unwrap();
        let error = refused(start(&file, "third"));
        assert!(error.contains("corrupt.safetensors"), "{error}");
        assert!(!path("third").exists());
        error
    };
    let at = |name: &str| good.iter().position(|tensor| tensor.name == name).unwrap();
    let weight = at("encoder.0.weight");
    let error = bend(&|tensors| drop(tensors.remove(weight)));
    assert!(error.contains("'encoder.0.weight' is missing"), "{error}");
    let error = bend(&|tensors| tensors.push(NamedTensor::new("more", vec![1], vec![0.0])));
    assert!(error.contains("'more'"), "{error}");
    let error = bend(&|tensors| tensors[weight].shape.reverse());
    assert!(
        error.contains("'encoder.0.weight'")
            && error.contains("[784, 16]")
            && error.contains("[16, 784]"),
        "{error}"
    );
    let error = bend(&|tensors| tensors.clear());
    assert!(error.contains("10 parameters are missing"), "{error}");

    let bytes = fs::read(&parameters).unwrap();
    for length in [0, 5, 8, 60, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&file, &bytes[..length]).unwrap();
        let error = refused(start(&file, "third"));
        assert!(error.contains("corrupt.safetensors"), "{error}");
    }
    let error = refused(start(&path("none.safetensors"), "third"));
    assert!(error.contains("none.safetensors") && error.contains("does not exist"));
    assert!(!path("third").exists());
}

#[test]
fn a_run_that_is_no_longer_finite_ends_with_what_it_saw() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let settings = [
        "model.variance=exp",
        "train.optimizer={sgd={lr=1e5}}",
        "record.every=1",
        "train.steps=200",
        "train.stop_after_nonfinite=10",
    ];
    let finished = train(&settings, &dir);
    let Status::Failed(reason) = &finished.status else {
        panic!("{}", finished.status);
    };
    let run = RunReader::open(&dir).unwrap();
    let events = run.events().unwrap();
    let first = events
        .iter()
        .find(|event| event.kind == EventKind::Nonfinite)
        .unwrap();
    assert!(reason.contains(&format!("step {}", first.step)), "{reason}");
    assert!(first.subject.unit_index().is_some(), "{first:?}");
    assert!(first.step < 20);
    assert_eq!(run.info().status, finished.status);
    // Both sides of the event are there, and not much more.
    let done = run.info().steps_done;
    assert!((first.step + 10..first.step + 20).contains(&done), "{done}");
    assert_eq!(run.scalars().unwrap()["loss"].len() as u64, done);
    assert_eq!(run.checkpoints().unwrap().last(), Some(&done));
    let page = trainscope::report::write_report(gpu(), &dir).unwrap();
    assert!(page.is_file());
    assert!(verify(&dir, 0, done).unwrap().differences.is_empty());

    // Going on does not make it well.
    let again = end(Run::resume(gpu(), &dir, None).unwrap());
    assert_eq!(again.status, finished.status);
    assert_eq!(again.trainer.steps_done(), done);
    assert_eq!(RunReader::open(&dir).unwrap().events().unwrap(), events);
}

#[test]
fn the_unit_is_found_also_between_two_records() {
    let scratch = tempfile::tempdir().unwrap();
    let first_nonfinite = |name: &str, every: &str| {
        let settings = [
            "model.variance=exp",
            "train.optimizer={sgd={lr=1e5}}",
            "train.steps=200",
            "train.stop_after_nonfinite=10",
            every,
        ];
        let dir = scratch.path().join(name);
        let finished = train(&settings, &dir);
        let run = RunReader::open(&dir).unwrap();
        let mut events = run.events().unwrap();
        assert_eq!(events, finished.events);
        events.retain(|event| event.kind == EventKind::Nonfinite);
        // The trainer is where the run has ended.
        let done = run.info().steps_done;
        assert_eq!(finished.trainer.steps_done(), done);
        let last = finished.trainer.checkpoint().unwrap().digest();
        assert_eq!(last, Checkpoint::read(&dir, done).unwrap().digest());
        let findings = trainscope::diagnose::summary(&RunView::open(&dir).unwrap());
        assert!(findings[2].contains("in unit"), "{findings:?}");
        events
    };
    let seen = first_nonfinite("seen", "record.every=1");
    let between = first_nonfinite("between", "record.every=50");
    assert_eq!((seen.len(), between.len()), (1, 2));
    assert_eq!(between[0].subject.unit_index(), None);
    assert_eq!(between[1], seen[0]);
}

#[test]
fn a_finished_run_has_nothing_to_resume() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    train(&["train.steps=10"], &dir);
    let before = contents(&dir);
    let again = end(Run::resume(gpu(), &dir, None).unwrap());
    assert_eq!(
        (again.status, again.trainer.steps_done()),
        (Status::Done, 10)
    );
    assert_eq!(contents(&dir), before);
    // Fewer steps than there are cannot be asked for; more are remembered.
    let error = refused(Run::resume(gpu(), &dir, Some(5)));
    assert!(error.contains("10 steps already"), "{error}");
    assert_eq!(contents(&dir), before);
    let mut run = Run::resume(gpu(), &dir, Some(30)).unwrap();
    run.advance(&mut |_| {}).unwrap();
    run.finish(true, &mut |_| {}).unwrap();
    let finished = end(Run::resume(gpu(), &dir, None).unwrap());
    assert_eq!(
        (finished.status, finished.trainer.steps_done()),
        (Status::Done, 30)
    );
}

#[test]
fn runs_that_cannot_be_resumed_are_left_as_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    assert!(resume_refused(&dir).contains("not a run directory"));
    fs::create_dir(scratch.path().join("empty")).unwrap();
    assert!(resume_refused(&scratch.path().join("empty")).contains("not a run directory"));
    train(&["train.steps=20"], &dir);
    // The lock is made where it is not there; all else is compared.
    let whole = files(&dir);
    for (name, from, to, part) in [
        ("run.json", "\"format\": 1", "\"format\": 99", "format 99"),
        ("run.json", "\"steps\": 20", "\"steps\": -1", "run.json"),
        ("run.json", "{", "", "run.json"),
        ("scenario.toml", "latent = 4", "latent = 5", "5]"),
        (
            "scenario.toml",
            "latent = 4",
            "latent = \"x\"",
            "scenario.toml, line",
        ),
        ("scenario.toml", "kind = ", "kond = ", "scenario.toml, line"),
    ] {
        let path = dir.join(name);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let error = resume_refused(&dir);
        assert!(error.contains(part), "{name} {to}: {error}");
        fs::write(&path, good).unwrap();
        assert!(files(&dir) == whole, "{name} {to}");
    }
    let last = dir.join("checkpoints/000020/parameters.safetensors");
    let good = fs::read(&last).unwrap();
    let mut bent = good.clone();
    *bent.last_mut().unwrap() ^= 1;
    fs::write(&last, bent).unwrap();
    assert!(resume_refused(&dir).contains("damaged"));
    fs::write(&last, good).unwrap();
    assert!(files(&dir) == whole);
}

#[test]
fn one_writer_at_a_time() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let mut run = Run::create(gpu(), &scenario(&[]), &dir, None).unwrap();
    for _ in 0..15 {
        run.advance(&mut |_| {}).unwrap();
    }
    let before = files(&dir);
    assert!(resume_refused(&dir).contains("another process"));
    let second = Run::create(gpu(), &scenario(&[]), &dir, None);
    assert!(refused(second).contains("not empty"));
    assert!(files(&dir) == before);
    assert_eq!(end(run).status, Status::Done);
    assert!(verify(&dir, 0, 40).unwrap().differences.is_empty());
}

#[test]
fn refused_runs_leave_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "mine").unwrap();
    let create = |scenario: &Scenario, dir: &Path| refused(Run::create(gpu(), scenario, dir, None));
    let plain = scenario(&[]);
    assert!(create(&plain, &file).contains("not a directory"));
    assert!(create(&plain, &file.join("below/it")).contains("file is not a directory"));
    // A name that no file system takes: the folders above it go again.
    create(
        &plain,
        &scratch.path().join("new/deep").join("x".repeat(300)),
    );
    let data = scratch.path().join("data");
    fs::create_dir(&data).unwrap();
    let path = format!("data.path={:?}", data.display().to_string());
    let idx = scenario(&[]).to_toml();
    let idx = idx.replace("source = \"mnist\"", "source = \"idx\"\npath = \"\"");
    let idx = Scenario::parse(&idx, "small", &[path]).unwrap();
    let out = scratch.path().join("new/run");
    assert!(create(&idx, &out).contains("train-images-idx3-ubyte"));
    let images = data.join("train-images-idx3-ubyte");
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 28, 0, 0, 0, 28];
    bytes.resize(16 + 40 * 784, 7);
    for length in [0, 3, 15, 16, bytes.len() - 1] {
        fs::write(&images, &bytes[..length]).unwrap();
        let error = create(&idx, &out);
        assert!(
            error.contains("train-images-idx3-ubyte") && error.contains(&format!("byte {length}")),
            "{error}"
        );
    }
    let mut left: Vec<_> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["data", "file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::write(&images, &bytes).unwrap();
    end(Run::create(gpu(), &idx, &out, None).unwrap());
}

/// The device fails in mid-run; another one goes on, and nothing shows afterwards.
#[test]
fn a_run_survives_its_device() {
    let scratch = tempfile::tempdir().unwrap();
    let [whole, broken] = ["whole", "broken"].map(|name| scratch.path().join(name));
    train(&[], &whole);
    let fragile = Gpu::new(&AdapterChoice::default()).unwrap();
    let mut run = Run::create(&fragile, &scenario(&[]), &broken, None).unwrap();
    for _ in 0..23 {
        run.advance(&mut |_| {}).unwrap();
    }
    fragile.device.destroy();
    let until_it_fails = |mut run: Run| {
        loop {
            if let Err(error) = run.advance(&mut |_| {}) {
                break error.to_string();
            }
        }
    };
    let said = until_it_fails(run);
    assert!(
        said.contains("device was lost") && said.contains("--resume"),
        "{said}"
    );
    let reader = RunReader::open(&broken).unwrap();
    let status = &reader.info().status;
    assert!(
        matches!(status, Status::Failed(reason) if reason.contains("lost")),
        "{status}"
    );
    assert_eq!(reader.last_checkpoint().unwrap(), 20);
    assert!(reader.scalars().unwrap()["loss"].len() >= 19);
    let resumed = end(Run::resume(gpu(), &broken, None).unwrap());
    assert_eq!(resumed.status, Status::Done);
    assert!(contents(&broken) == contents(&whole));
}

/// A decoder that learns its variance: the loss is that of a Gaussian, the decoder's means are the images, and the run
/// replays bit for bit.
#[test]
fn a_decoder_learns_its_variance() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let settings = [
        "model.reconstruction=gaussian",
        "model.decoder=[{ dense = 16 }, \"relu\", { dense = 1568 }]",
        "train.steps=20",
        "train.optimizer.adam.lr=1e-3",
    ];
    let finished = train(&settings, &dir);
    let graph = finished.trainer.graph();
    let log_variance = graph.with_role(trainscope::nn::Role::ImageLogVariance);
    let node = graph.node(log_variance.expect("the decoder has one"));
    assert_eq!(
        (node.name.as_str(), &node.shape[..]),
        ("image_log_variance", &[784][..])
    );
    let loss = &RunReader::open(&dir).unwrap().scalars().unwrap()["reconstruction"];
    // It begins near 784 (log(2 pi) + E x^2) / 2 and falls.
    assert!((600.0..1000.0).contains(&loss[0].1), "{}", loss[0].1);
    assert!(
        loss[19].1 < loss[0].1 - 20.0,
        "{} {}",
        loss[0].1,
        loss[19].1
    );
    assert!(verify(&dir, 5, 15).unwrap().differences.is_empty());
    let preview = trainscope::train::ModelPreview::new(&finished.trainer, 4).unwrap();
    assert_eq!(preview.expect("it makes images").samples.len(), 4 * 784);
    let odd = scenario(&["model.reconstruction=gaussian"]);
    let error = trainscope::train::Trainer::new(gpu(), &odd)
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("1568"), "{error}");
}
