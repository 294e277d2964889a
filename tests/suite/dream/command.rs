//! `trainscope dream`, as a user starts it.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use trainscope::dream::DreamsRecord;

use crate::commands::{self, fails, run};
use crate::support::SMALL;

const CLIPS: &str = r#"name = "clips"
seed = 3
[data]
source = "clips"
task = "motion"
size = 24
count = 48
[model]
kind = "two_stream"
widths = [4, 6]
fusion_width = 8
[train]
batch = 16
steps = 6
[record]
every = 2
checkpoint_every = 3
probe_batch = 8
"#;

/// The JSON object of a command that is to succeed.
fn object(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    commands::object(&output)
}

fn trained(scenario: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    let train = ["train", "scenario.toml", "--out", "run", "--no-report"];
    object(&folder, &train);
    folder
}

fn begins(path: &Path, magic: &[u8]) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(magic))
}

#[test]
fn images_are_dreamt_at_several_snapshots() {
    let folder = trained(SMALL);
    let quick = ["--steps", "20", "--real", "64", "--steps-of", "0,20,33"];
    let dream = [&["dream", "run", "--unit", "mu:2"], &quick[..]].concat();
    let found = object(&folder, &dream);
    assert_eq!(
        (&found["unit"], &found["step"]),
        (&"mu:2".into(), &0.into())
    );
    for key in ["chi", "activation", "real_maximum", "seconds"] {
        assert!(found[key].is_number(), "{key}");
    }
    assert!(found["energies"]["spatial"].is_number());
    assert_eq!(found["energies"]["temporal"], 0.0);
    let dreams = found["dreams"].as_array().unwrap();
    let steps: Vec<u64> = dreams
        .iter()
        .filter_map(|dream| dream["step"].as_u64())
        .collect();
    assert_eq!(steps, [0, 20, 33]);
    // Without --out there is a picture and a record in the run, which reports find again.
    let records = DreamsRecord::all(&folder.path().join("run"));
    let [(at, record)] = &records[..] else {
        panic!("one record: {records:?}");
    };
    assert_eq!(record.dreams.len(), 3);
    assert!(begins(&at.join(&record.files[0]), b"\x89PNG"));
    // The same again gives the same bits.
    let again = object(&folder, &dream);
    assert_eq!(again["dreams"], found["dreams"]);

    let out = [
        "--out", "mu.npy", "--out", "mu.gif", "--out", "mu.apng", "--out", "mu.png",
    ];
    let written = object(&folder, &[&dream[..], &out].concat());
    assert_eq!(written["files"].as_array().unwrap().len(), 4);
    assert!(begins(&folder.path().join("mu.gif"), b"GIF89a"));
    assert!(begins(&folder.path().join("mu.apng"), b"\x89PNG"));
    let array = std::fs::read(folder.path().join("mu.npy")).unwrap();
    assert_eq!(&array[1..6], b"NUMPY");
    assert_eq!(array.len() % 64, (3 * 784 * 4) % 64);
}

#[test]
fn clips_are_dreamt_as_a_strip_and_a_loop() {
    let folder = trained(CLIPS);
    let quick = ["--steps", "10", "--real", "48", "--chi", "0,5"];
    let dream = [&["dream", "run", "--unit", "fusion_relu:1"], &quick[..]].concat();
    let found = object(&folder, &dream);
    let dreams = found["dreams"].as_array().unwrap();
    assert_eq!(
        (&dreams[0]["chi"], &dreams[1]["chi"]),
        (&0.0.into(), &5.0.into())
    );
    let temporal = |dream: &Value| dream["energies"]["temporal"].as_f64().unwrap();
    assert!(temporal(&dreams[1]) < temporal(&dreams[0]));
    let files: Vec<&str> = found["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        files[0].ends_with(".png") && files[1].ends_with(".gif"),
        "{files:?}"
    );
    for (file, magic) in [(files[0], &b"\x89PNG"[..]), (files[1], b"GIF89a")] {
        assert!(begins(&folder.path().join(file), magic), "{file}");
    }
}

/// Without a unit, what went wrong is dreamt of: the dead units of the run's explanation, before and after.
#[test]
fn a_failed_run_is_dreamt_where_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--set",
        "data.limit=2000",
        "--set",
        "train.batch=32",
        "--steps",
        "60",
    ];
    let train = ["train", "mlp-dead-relu", "--out", "run", "--no-report"];
    object(&folder, &[&train[..], &small].concat());
    let found = object(&folder, &["dream", "run", "--steps", "20", "--real", "64"]);
    let why = found["why"].as_str().unwrap();
    assert!(why.contains("is dreamt of because"), "{why}");
    let count = |key: &str| found[key].as_array().unwrap().len();
    assert!(
        count("dreams") >= 1 && count("dreams") + count("left_out") >= 2,
        "{found}"
    );
}

#[test]
fn wrong_use_is_answered_in_a_sentence() {
    let folder = trained(SMALL);
    let refused = |arguments: &[&str], code: i32, part: &str| {
        let all = [&["dream", "run"], arguments].concat();
        let said = fails(&folder, &all, code);
        assert!(said.contains(part), "{said}");
    };
    refused(&["--unit", "mu:9"], 2, "mu has 4 units; choose from 0 to 3");
    refused(&["--unit", "nu:0"], 2, "choose one of: encoder.0");
    refused(
        &["--unit", "mu:0", "--steps-of", "41"],
        2,
        "the run has 40 steps; choose up to 40",
    );
    refused(
        &["--unit", "mu:0", "--out", "mu.jpg"],
        2,
        "end it in .png, .apng, .gif or .npy",
    );
    refused(
        &["--unit", "mu:0", "--out", "mu.gif", "--steps", "1"],
        2,
        "do not move",
    );
    refused(&["--unit", "class:0"], 2, "no logits of classes");
}
