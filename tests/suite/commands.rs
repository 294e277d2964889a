//! The program as a user runs it: exit codes, what goes to stdout and stderr, signals, and what is left on the disk.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use trainscope::trace::{Checkpoint, EventKind, RunReader, Status};

use crate::support::SMALL;

/// A folder with a small scenario, in which commands run.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    folder
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainscope"));
    command.args(arguments).current_dir(folder.path());
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Runs a command that is to succeed; returns its stdout.
pub(crate) fn done(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that is to fail with this code and nothing on stdout; returns the sentence.
pub(crate) fn fails(folder: &TempDir, arguments: &[&str], code: i32) -> String {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {output:?}"
    );
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    sentence(&output)
}

fn sentence(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("trainscope: "), "{said}");
    assert!(last.contains("; "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    last.to_owned()
}

/// The one JSON object on stdout.
pub(crate) fn object(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value.is_object());
    value
}

fn digest(run: &Path) -> String {
    let last = RunReader::open(run).unwrap().last_checkpoint().unwrap();
    Checkpoint::read(run, last).unwrap().digest()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits for something that a process does, at most a minute.
fn wait_for(mut what: impl FnMut() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it never comes"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a run too long to end by itself, and waits until it has a checkpoint after `step` steps.
fn long_run(folder: &TempDir, step: u64) -> Child {
    let arguments = ["train", "small.toml", "--out", "long", "--steps", "200000"];
    let child = command(folder, &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let digest = format!("long/checkpoints/{step:06}/digest");
    wait_for(|| folder.path().join(&digest).is_file());
    child
}

#[test]
fn train_replay_and_report_say_one_object() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let output = run(&folder, &["train", "small.toml", "--out", "run", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = object(&output);
    assert_eq!(
        (&said["run"], &said["status"]),
        (&"run".into(), &"done".into())
    );
    assert_eq!(said["steps"], 40);
    // The report of the trainer at hand is the one of the directory that it left.
    let of_trainer = std::fs::read(at(said["report"].as_str().unwrap())).unwrap();
    assert!(said["findings"].as_array().unwrap().len() >= 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("adapter: "));
    assert!(RunReader::open(&at("run")).unwrap().info().seconds > 0.0);

    let replay = ["replay", "run", "--from", "13", "--to", "27"];
    let output = run(&folder, &[&replay[..], &["--verify", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = object(&output);
    assert_eq!(
        (&said["verified"], &said["identical"]),
        (&true.into(), &true.into())
    );
    assert_eq!(said["checkpoints"], 1);
    let replayed = RunReader::open(&at("run/replay/000013-000027")).unwrap();
    assert_eq!(replayed.statistics(0, 40).unwrap().len(), 14);
    assert_eq!(names(&at("run/replay")), ["000013-000027"]);
    assert!(done(&folder, &replay).contains("run/replay/000013-000027"));

    let output = run(&folder, &["report", "run", "--json"]);
    let of_directory = std::fs::read(at(object(&output)["report"].as_str().unwrap())).unwrap();
    assert!(of_trainer == of_directory);
    assert!(object(&run(&folder, &["adapters", "--json"]))["adapters"].is_array());
    let scenarios = object(&run(&folder, &["train", "--list", "--json"]));
    assert_eq!(scenarios["scenarios"][0]["name"], "vae-mnist");
    assert!(done(&folder, &["train", "--list"]).contains("vae-mnist"));
    assert!(done(&folder, &["adapters"]).starts_with("* "));

    // A run that was bent: the sentence and the object both say where; a replay that is not whole is not kept.
    let checkpoint = Checkpoint::read(&at("run"), 20).unwrap();
    let mut other = checkpoint.clone();
    other.parameters[0].values[3] += 1.0;
    other.write(&at("run")).unwrap();
    let output = run(&folder, &[&replay[..], &["--verify", "--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(object(&output)["identical"], false);
    assert!(sentence(&output).contains("checkpoint 20: its digest differs"));
    let broken = at("run/checkpoints/000020/parameters.safetensors");
    std::fs::write(&broken, b"short").unwrap();
    let before = std::fs::read(at("run/replay/000013-000027/run.json")).unwrap();
    let text = fails(&folder, &[&replay[..], &["--verify"]].concat(), 1);
    assert!(text.contains("000020"), "{text}");
    assert_eq!(names(&at("run/replay")), ["000013-000027"]);
    assert_eq!(
        std::fs::read(at("run/replay/000013-000027/run.json")).unwrap(),
        before
    );
    let text = fails(&folder, &["replay", "run", "--from", "5", "--to", "99"], 2);
    assert!(text.contains("40 steps"), "{text}");
    let text = fails(&folder, &["train", "--resume", "run", "--steps", "4"], 2);
    assert!(
        text.contains("--steps 4") && text.contains("40 steps already"),
        "{text}"
    );
}

/// A run directory without its scenario and checkpoints, of which a segment is damaged as well.
#[test]
fn report_and_sample_need_the_run_directory_alone() {
    let folder = folder();
    done(&folder, &["train", "small.toml", "--out", "run"]);
    let run_dir = folder.path().join("run");
    std::fs::remove_file(run_dir.join("scenario.toml")).unwrap();
    std::fs::remove_dir_all(run_dir.join("checkpoints")).unwrap();
    let segment = names(&run_dir.join("scalars")).remove(0);
    std::fs::write(run_dir.join("scalars").join(&segment), b"PAR1").unwrap();

    let said = object(&run(&folder, &["report", "run", "--json"]));
    let problems = said["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].as_str().unwrap().contains(&segment));
    assert!(said["findings"].as_array().unwrap().len() >= 3);
    let sample = ["sample", "run", "--keep", "3", "--json"];
    let said = object(&run(&folder, &sample));
    assert!(said["lines"].as_u64().unwrap() > 3, "{said}");
}

#[test]
fn a_failed_run_says_so_and_is_kept() {
    let folder = folder();
    let arguments = [
        "train",
        "small.toml",
        "--out",
        "run",
        "--json",
        "--set",
        "train.optimizer={sgd={lr=1e5}}",
        "--set",
        "record.every=1",
    ];
    let output = run(&folder, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = object(&output);
    assert!(said["status"].as_str().unwrap().starts_with("failed: "));
    assert!(
        folder
            .path()
            .join(said["report"].as_str().unwrap())
            .is_file()
    );
    assert!(sentence(&output).contains("the run failed: non-finite values since step"));
    let run = RunReader::open(&folder.path().join("run")).unwrap();
    assert!(matches!(run.info().status, Status::Failed(_)));
    assert!(
        run.events()
            .unwrap()
            .iter()
            .any(|event| event.kind == EventKind::Nonfinite && event.subject.unit_index().is_some())
    );
}

#[test]
fn a_killed_run_opens_and_goes_on_as_if_nothing_had_been() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let mut child = long_run(&folder, 20);
    // While it goes on it can be read, and nobody else may write to it.
    assert_eq!(
        RunReader::open(&at("long")).unwrap().info().status,
        Status::Running
    );
    let text = fails(&folder, &["train", "--resume", "long"], 1);
    assert!(text.contains("another process"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
    let reader = RunReader::open(&at("long")).unwrap();
    assert_eq!(reader.info().status, Status::Running);
    let last = reader.last_checkpoint().unwrap();
    let end = (last + 7).to_string();
    done(&folder, &["train", "--resume", "long", "--steps", &end]);
    done(
        &folder,
        &["train", "small.toml", "--out", "whole", "--steps", &end],
    );
    assert_eq!(digest(&at("long")), digest(&at("whole")));
    let scalars = |name: &str| format!("{:?}", RunReader::open(&at(name)).unwrap().scalars());
    assert!(scalars("long") == scalars("whole"));
    let from = last.to_string();
    let replay = ["replay", "long", "--from", &from, "--to", &end, "--verify"];
    done(&folder, &replay);
}

/// Ctrl-C ends a run in good order: exit code 0, status `stopped`, a checkpoint at the step it came to.
#[cfg(unix)]
#[test]
fn an_interrupted_run_stops_in_good_order() {
    let folder = folder();
    let run = folder.path().join("long");
    let mut child = long_run(&folder, 10);
    let id = child.id().to_string();
    let sent = Command::new("sh")
        // Twice, as `timeout` does: the second one is no reason to lose the run.
        .args([
            "-c",
            &format!("kill -INT {id}; sleep 0.05; kill -TERM {id}"),
        ])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let reader = RunReader::open(&run).unwrap();
    assert_eq!(reader.info().status, Status::Stopped);
    let steps = reader.info().steps_done;
    assert_eq!(reader.last_checkpoint().unwrap(), steps);
    assert_eq!(reader.scalars().unwrap()["loss"].len() as u64, steps);
    assert!(run.join("report/index.html").is_file());
    let end = (steps + 3).to_string();
    done(&folder, &["train", "--resume", "long", "--steps", &end]);
    done(
        &folder,
        &["train", "small.toml", "--out", "whole", "--steps", &end],
    );
    assert_eq!(digest(&run), digest(&folder.path().join("whole")));
}

/// A log says what is done, and nothing that the driver has to say about a missing desktop session.
#[test]
fn without_a_terminal_progress_is_lines() {
    let folder = folder();
    let train = |out: &str, more: &[&str]| {
        let arguments = [&["train", "small.toml", "--no-report", "--out", out], more].concat();
        let output = command(&folder, &arguments)
            .env_remove("NODEVICE_SELECT")
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let log = train("said", &[]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.first(), Some(&"building kernels"), "{log}");
    assert!(lines.contains(&"saving"), "{log}");
    let words = ["building kernels", "training", "saving"];
    assert!(lines.contains(&"training"), "{log}");
    let is_known = |line: &&str| words.contains(line) || line.starts_with("step ");
    assert!(lines.iter().all(is_known), "{log}");
    assert_eq!(train("unsaid", &["--quiet"]), "");
}

/// Without a display there is one sentence, without a path of the machine that the program was built on.
#[cfg(all(target_os = "linux", feature = "window"))]
#[test]
fn watch_without_a_display_says_what_to_use_instead() {
    let folder = folder();
    let output = command(&folder, &["watch", "small.toml"])
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = sentence(&output);
    assert!(
        text.contains("no display can be opened: neither WAYLAND_DISPLAY"),
        "{text}"
    );
    assert!(
        text.contains("trainscope train") && !text.contains(".rs"),
        "{text}"
    );
    assert!(!folder.path().join("runs").exists());
}

/// A run is only looked at: what would train it is refused, with the option that trains on.
#[cfg(feature = "window")]
#[test]
fn watch_of_a_run_refuses_the_options_of_training() {
    let folder = folder();
    run(
        &folder,
        &["train", "small.toml", "--out", "run", "--no-report"],
    );
    for options in [
        &["--seed", "3"][..],
        &["--steps", "90"],
        &["--init", "a.safetensors"],
        &["--no-report"],
    ] {
        let output = run(&folder, &[&["watch", "run"], options].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = sentence(&output);
        assert!(
            text.contains(options[0]) && text.contains("--resume run"),
            "{text}"
        );
    }
    let output = run(&folder, &["watch", "small.toml", "--resume", "run"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn of_two_processes_one_gets_the_directory() {
    let folder = folder();
    let start = || {
        command(
            &folder,
            &["train", "small.toml", "--out", "new/run", "--json"],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let both: Vec<Output> = [start(), start()]
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let codes = |code: i32| {
        both.iter()
            .filter(move |output| output.status.code() == Some(code))
    };
    assert_eq!((codes(0).count(), codes(1).count()), (1, 1), "{both:?}");
    for loser in codes(1) {
        assert!(loser.stdout.is_empty());
        assert!(sentence(loser).contains("not empty"), "{loser:?}");
    }
    done(&folder, &["train", "small.toml", "--out", "alone"]);
    assert_eq!(
        digest(&folder.path().join("new/run")),
        digest(&folder.path().join("alone"))
    );
    done(
        &folder,
        &["replay", "new/run", "--from", "0", "--to", "40", "--verify"],
    );
}

#[test]
fn refusals_name_the_place_and_leave_nothing() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "mine").unwrap();
    std::fs::write(at("bad.toml"), SMALL.replace("batch = 32", "bach = 32")).unwrap();
    std::fs::write(at("half.safetensors"), [9; 40]).unwrap();
    std::fs::create_dir(at("data")).unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    let idx = SMALL.replace("source = \"mnist\"", "source = \"idx\"\npath = \"data\"");
    std::fs::write(at("idx.toml"), idx).unwrap();
    // The first bytes of a gzip file, and no more.
    let whole = include_bytes!("../../assets/mnist/t10k-images-idx3-ubyte.gz");
    std::fs::write(at("data/train-images-idx3-ubyte.gz"), &whole[..5000]).unwrap();
    let before = names(folder.path());
    let train = |more: &[&'static str]| [&["train", "small.toml", "--out", "x/run"], more].concat();
    for (arguments, code, part) in [
        (vec!["train", "bad.toml"], 1, "bad.toml, line"),
        (vec!["train", "none.toml"], 1, "none.toml"),
        (vec!["train", "vae-mnits"], 1, "vae-mnist"),
        (vec!["train", "idx.toml"], 1, "train-images-idx3-ubyte.gz"),
        (
            vec!["train", "small.toml", "--out", "file"],
            1,
            "file: not a directory",
        ),
        (
            vec!["train", "small.toml", "--out", "file/run"],
            1,
            "file/run: file is not",
        ),
        (vec!["train", "small.toml", "--out", "data"], 1, "not empty"),
        (train(&["--set", "train.batch=0"]), 2, "--set train.batch=0"),
        (train(&["--set", "junk"]), 2, "--set junk"),
        (train(&["--steps", "0"]), 2, "from 1"),
        (
            train(&["--init", "none.safetensors"]),
            1,
            "none.safetensors",
        ),
        (
            train(&["--init", "half.safetensors"]),
            1,
            "half.safetensors",
        ),
        (train(&["--adapter", "nonsense"]), 1, "'nonsense'"),
        (
            vec!["train", "--resume", "none"],
            1,
            "none: not a run directory",
        ),
        (vec!["train", "--resume", "empty"], 1, "not a run directory"),
        (
            vec!["replay", "file", "--from", "0", "--to", "1"],
            1,
            "not a run directory",
        ),
        (
            vec!["replay", "empty", "--from", "0", "--to", "1", "--verify"],
            1,
            "not a run directory",
        ),
        (vec!["report", "none"], 1, "not a run directory"),
        (vec!["adapters", "--adapter", "nonsense"], 1, "'nonsense'"),
    ] {
        let text = fails(&folder, &arguments, code);
        assert!(text.contains(part), "{arguments:?}: {text}");
        assert_eq!(names(folder.path()), before, "{arguments:?}");
    }
    assert_eq!(std::fs::read(at("file")).unwrap(), b"mine");
    // The names that are there are named.
    let said = object(&run(&folder, &["adapters", "--json"]));
    let name = said["adapters"][0]["name"].as_str().unwrap();
    assert!(fails(&folder, &["report", "x", "--adapter", "nonsense"], 1).contains(name));
}

/// What the argument parser itself refuses.
#[test]
fn bench_measures_ceilings_products_and_steps() {
    let folder = folder();
    let bench = ["bench", "small.toml", "--seconds", "0.05", "--matmul", "64"];
    let output = run(
        &folder,
        &[&bench[..], &["--out", "b.md", "--json"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = object(&output);
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(number(&said["flops_per_second"]) > 0.0);
    assert!(number(&said["bytes_per_second"]) > 0.0);
    assert_eq!(number(&said["matmul"][0]["flops"]), 2.0 * 64f64.powi(3));
    let step = &said["steps"][0];
    assert!(number(&step["seconds"]) > 0.0 && number(&step["memory"]) > 0.0);
    let kernels = step["kernels"].as_array().expect("a list");
    let of_all = |name: &str| {
        kernels
            .iter()
            .map(|kernel| number(&kernel[name]))
            .sum::<f64>()
    };
    for name in ["dispatches", "flops", "bytes"] {
        assert_eq!(number(&step["total"][name]), of_all(name), "{name}");
    }
    let tables = std::fs::read_to_string(folder.path().join("b.md")).unwrap();
    assert!(tables.contains("| matmul 64 |") && tables.contains("nn/optimizer/adam.wgsl"));
}

#[test]
fn wrong_usage_is_code_2() {
    let folder = folder();
    for arguments in [
        &[][..],
        &["trian"],
        &["train"],
        &["train", "small.toml", "--bach", "3"],
        &["train", "small.toml", "--steps", "many"],
        &["train", "small.toml", "--steps", "-1"],
        &["train", "small.toml", "--resume", "run"],
        &["train", "--resume", "run", "--set", "seed=1"],
        &["replay", "run"],
        &["replay", "run", "--from", "x", "--to", "3"],
        &["report"],
        &["bench", "--seconds", "0"],
        &["bench", "--matmul", "0"],
    ] {
        let output = run(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    assert!(done(&folder, &["--help"]).contains("replay"));
    assert!(done(&folder, &["--version"]).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(names(folder.path()), ["small.toml"]);
}

/// Nobody reads stdout (or stderr) to its end: the work is done all the same, without a word about a panic.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_does_no_harm() {
    let folder = folder();
    let mut child = command(&folder, &["train", "small.toml", "--out", "run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let run = RunReader::open(&folder.path().join("run")).unwrap();
    assert_eq!(run.info().status, Status::Done);
    // Closed from the start, and stderr gone as well.
    let program = env!("CARGO_BIN_EXE_trainscope");
    for line in [
        "adapters >&-",
        "adapters --json >&-",
        "train --list | true",
        "adapters 2>&1 | true",
        "report none --json 2>&1 >&- | true",
    ] {
        let shell = format!("\"$0\" {line}; echo done");
        let output = Command::new("sh")
            .args(["-c", &shell, program])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
    let mut child = command(&folder, &["report", "none"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
