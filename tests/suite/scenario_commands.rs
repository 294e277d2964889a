//! Commands about scenarios: listing, showing, checking without a device, completions and the manual page.

use std::process::{Command, Output};

use serde_json::Value;
use trainscope::train::{BUILT_IN, Scenario};

use crate::support::SMALL;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainscope"));
    command.args(arguments).output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn object(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn scenarios_are_listed_and_shown() {
    let listed = object(&["scenarios"]);
    assert_eq!(
        listed["scenarios"].as_array().unwrap().len(),
        BUILT_IN.len()
    );
    let shown = stdout(&["scenarios", "show", "vae-mnist"]);
    assert_eq!(
        Scenario::parse(&shown, "shown", &[]).unwrap().name,
        "vae-mnist"
    );
    let wrong = run(&["scenarios", "show", "vae-mnst"]);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("did you mean vae-mnist?"), "{said}");
    let schema: Value = serde_json::from_str(&stdout(&["scenarios", "schema"])).unwrap();
    assert_eq!(schema, Scenario::json_schema());
}

/// Shapes, parameters, memory and warnings, and no adapter is asked for: one that does not exist is no hindrance.
#[test]
fn a_check_shows_what_will_be_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    std::fs::write(
        &path,
        SMALL.replace(
            "{ dense = { units = 784 } } ]",
            "{ dense = 784 }, \"sigmoid\" ]",
        ),
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let checked = object(&["scenarios", "check", path, "--adapter", "none"]);
    let encoder = 784 * 16 + 16 + 2 * (16 * 4 + 4);
    let decoder = 4 * 16 + 16 + 16 * 784 + 784;
    assert_eq!(checked["parameters"], encoder + decoder);
    assert_eq!(checked["samples"], 10_000);
    let layers = checked["graphs"][0]["layers"].as_array().unwrap();
    let layer = layers
        .iter()
        .find(|layer| layer["name"] == "encoder.0")
        .unwrap();
    assert_eq!(layer["shape"], serde_json::json!([16]));
    assert_eq!(layer["parameters"], 784 * 16 + 16);
    assert!(checked["memory"].as_u64().unwrap() > 10_000 * 784);
    let warnings = checked["warnings"].as_array().unwrap();
    assert_eq!(warnings[0]["cause"], "output_activation");
    let text = stdout(&["scenarios", "check", path]);
    assert!(
        text.contains("encoder.0") && text.contains("warning (output_activation)"),
        "{text}"
    );
    // Removing what is warned about is a setting.
    let set = warnings[0]["set"][0].as_str().unwrap();
    let mended = object(&["scenarios", "check", path, "--set", set]);
    assert_eq!(mended["warnings"], serde_json::json!([]));
    assert!(stdout(&["scenarios", "check", path, "--set", set, "--quiet"]).contains("no warnings"));
}

#[test]
fn a_check_says_every_fault_on_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    let text = SMALL
        .replace("batch = 32", "batch_size = 32")
        .replace("latent = 4", "latnet = 4");
    std::fs::write(&path, text).unwrap();
    let output = run(&["scenarios", "check", path.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("trainscope: ") && line.contains("did you mean"))
    );
    let faults: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(faults["faults"].as_array().unwrap().len(), 2);
}

#[test]
fn shells_and_man_learn_about_the_commands() {
    assert!(stdout(&["completions", "bash"]).contains("trainscope"));
    let page = stdout(&["man"]);
    assert!(
        page.contains(".TH") && page.contains("no\\-report"),
        "{page}"
    );
}

#[test]
fn options_are_named_as_they_were_typed() {
    for (arguments, part) in [
        (&["train", "vae-mnist", "--steps", "0"][..], "--steps 0: "),
        (
            &["train", "vae-mnist", "--seed", "9223372036854775808"],
            "--seed 9223372036854775808: ",
        ),
        (&["train"], "no scenario given"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(part), "{said}");
    }
}
