//! The window on a display, from the outside: `trainscope watch` under Xvfb, with the keyboard, the pointer and signals of
//! a person. Where Xvfb or xdotool is missing, as on machines without X, there is nothing to test.

use std::io::Read as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use trainscope::trace::{RunView, Status};

use crate::support::SMALL;

const PATIENCE: Duration = Duration::from_secs(180);

/// A display of its own, which ends with the test.
struct Display {
    server: Child,
    name: String,
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn display() -> Option<Display> {
    if !exists("Xvfb") || !exists("xdotool") {
        return None;
    }
    let number = 200 + std::process::id() % 20_000;
    let name = format!(":{number}");
    let server = Command::new("Xvfb")
        .args([&name, "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let display = Display { server, name };
    // Its socket is there before it answers.
    wait("the display", || {
        display.xdotool(&["getdisplaygeometry"]).status.success()
    });
    Some(display)
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Display {
    fn xdotool(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("xdotool");
        command.args(arguments).env("DISPLAY", &self.name);
        command.output().unwrap()
    }

    fn key(&self, key: &str) {
        assert!(self.xdotool(&["key", key]).status.success(), "{key}");
    }
}

/// What a program that has ended wrote to stderr.
fn said(program: &mut Child) -> String {
    let mut text = String::new();
    let stderr = program.stderr.take();
    stderr.map(|mut stderr| stderr.read_to_string(&mut text));
    text
}

#[test]
fn a_person_trains_looks_exports_and_closes() {
    let Some(display) = display() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("small.toml");
    std::fs::write(&scenario, SMALL).unwrap();
    let dir = folder.path().join("run");
    let mut program = Command::new(env!("CARGO_BIN_EXE_trainscope"))
        .arg("watch")
        .arg(&scenario)
        .arg("--out")
        .arg(&dir)
        .env("DISPLAY", &display.name)
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_CONFIG_HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait("the window", || {
        assert!(
            program.try_wait().unwrap().is_none(),
            "{}",
            said(&mut program)
        );
        let found = display.xdotool(&["search", "--name", "trainscope"]);
        !found.stdout.is_empty()
    });
    let found = display.xdotool(&["search", "--name", "trainscope"]);
    let text = String::from_utf8(found.stdout).unwrap();
    let window = text.lines().next().unwrap().to_owned();
    display.xdotool(&["windowfocus", &window]);
    // The run trains to its end in the window, which stays open.
    wait("the end of the run", || {
        assert!(program.try_wait().unwrap().is_none(), "the window closed");
        let view = RunView::open(&dir);
        view.is_ok_and(|run| run.info().is_some_and(|info| info.status == Status::Done))
    });
    // Point, click, drag and turn the wheel everywhere; then ask for the data.
    for at in [
        ["300", "100"],
        ["640", "250"],
        ["640", "500"],
        ["900", "650"],
        ["100", "400"],
    ] {
        display.xdotool(&["mousemove", at[0], at[1]]);
        display.xdotool(&["click", "1"]);
        display.xdotool(&["click", "4"]);
    }
    for key in [
        "Left", "Left", "t", "t", "t", "d", "question", "question", "a", "Escape",
    ] {
        display.key(key);
    }
    let exported = dir
        .join("analysis")
        .join("window")
        .join("run-snapshots-step-39.csv");
    wait("the export", || {
        display.key("x");
        std::thread::sleep(Duration::from_millis(300));
        exported.is_file()
    });
    display.xdotool(&["windowsize", &window, "400", "300"]);
    display.key("3");
    // Closed as a window manager closes it: by a signal to the program, which saves and ends well.
    let id = program.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    let ended = program.wait().unwrap();
    assert!(ended.success(), "{ended}");
    let run = RunView::open(&dir).unwrap();
    assert_eq!(
        (run.problems(), run.info().unwrap().steps_done),
        (&[][..], 40)
    );
    let losses = &run.scalars()["loss"];
    let mut reader = csv::Reader::from_path(exported).unwrap();
    let column = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name.starts_with("loss"));
    let column = column.unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        let (first, last) = (
            row[0].parse::<u64>().unwrap(),
            row[1].parse::<u64>().unwrap(),
        );
        let within = losses
            .iter()
            .filter(|(step, _)| (first..=last).contains(step));
        let highest = within
            .map(|(_, loss)| *loss as f32)
            .fold(f32::MIN, f32::max);
        assert_eq!(row[column].parse::<f32>().unwrap(), highest, "step {first}");
    }
    assert!(
        folder
            .path()
            .join("trainscope")
            .join("window.json")
            .is_file()
    );
}
