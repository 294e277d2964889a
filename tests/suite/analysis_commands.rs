//! The commands that ask about runs, as a user starts them.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::commands::{self, done as said, fails, run};
use crate::support::SMALL;

/// The JSON object of a command that is to succeed.
fn object(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    commands::object(&output)
}

/// A folder with the runs `a`, and `b` with another learning rate.
fn two_runs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    for (dir, rate) in [("a", "1e-2"), ("b", "2e-2")] {
        let set = format!("train.optimizer.adam.lr={rate}");
        object(
            &folder,
            &["train", "small.toml", "--out", dir, "--set", &set],
        );
    }
    folder
}

fn is_png(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"))
}

#[test]
fn attribute_compare_and_budget_say_one_object() {
    let folder = two_runs();
    let attribute = ["attribute", "a", "--layer", "mu", "--unit", "2"];
    let deeplift = ["--method", "deeplift", "--step", "13", "--plot", "mu.png"];
    let found = object(&folder, &[&attribute[..], &deeplift].concat());
    for key in [
        "layer",
        "unit",
        "step",
        "method",
        "output",
        "baseline",
        "contributions",
        "completeness_error",
    ] {
        assert!(!found[key].is_null(), "{key}");
    }
    assert_eq!(found["step"], 13);
    let contributions = found["contributions"].as_array().unwrap();
    assert_eq!(contributions.len(), 784);
    assert_eq!(
        (&contributions[5]["layer"], &contributions[5]["unit"]),
        (&"x".into(), &5.into())
    );
    let number = |value: &Value| value.as_f64().unwrap();
    let sum: f64 = contributions
        .iter()
        .map(|entry| number(&entry["value"]))
        .sum();
    let error = number(&found["output"]) - number(&found["baseline"]) - sum;
    assert!((error.abs() - number(&found["completeness_error"])).abs() < 1e-9);
    assert!(error.abs() < 1e-5, "{error}");
    assert!(is_png(&folder.path().join("mu.png")));
    let text = said(&folder, &[&attribute[..], &["--method", "lrp"]].concat());
    assert!(text.contains("unit 2 of mu after 40 steps is "), "{text}");
    let error = fails(
        &folder,
        &["attribute", "a", "--layer", "nu", "--unit", "0"],
        2,
    );
    assert!(
        error.contains("the model has no such layer; choose one of: encoder.0, "),
        "{error}"
    );
    let lrp = ["--method", "lrp", "--baseline", "zero"];
    let error = fails(&folder, &[&attribute[..], &lrp].concat(), 2);
    assert!(error.contains("compares with nothing"), "{error}");

    let found = object(&folder, &["compare", "a", "b"]);
    // The first updates differ at step 0, whose forward pass is the same.
    let first = &found["first_difference"];
    assert_eq!(
        (&first["step"], &first["kind"]),
        (&0.into(), &"update".into())
    );
    assert_eq!(found["scenario"][0]["key"], "train.optimizer.adam.lr");
    assert_eq!(found["scalars"][0]["name"], "loss");
    let same = object(&folder, &["compare", "a", "a"]);
    assert_eq!(same["first_difference"], Value::Null);
    let text = said(&folder, &["compare", "a", "b"]);
    assert!(
        text.contains("the first difference is at step 0, update "),
        "{text}"
    );
    assert!(fails(&folder, &["compare", "a", "c"], 1).contains("not a run directory"));

    let found = object(&folder, &["budget", "a"]);
    assert_eq!(found["curve"][0]["recording"], "as recorded");
    assert!(
        found["recommendation"]["text"]
            .as_str()
            .unwrap()
            .ends_with('.')
    );
    let text = said(&folder, &["budget", "a"]);
    assert!(text.contains("every 8 steps"), "{text}");
}

#[test]
fn lines_of_the_probe_batch_are_sampled_by_name() {
    let folder = two_runs();
    let sample = [
        "sample", "a", "--keep", "5", "--tensor", "logvar", "--per", "sample",
    ];
    let range = ["--from", "10", "--to", "26", "--plot", "lines.png"];
    let found = object(&folder, &[&sample[..], &range].concat());
    assert_eq!((&found["lines"], &found["steps"]), (&32.into(), &16.into()));
    let kept = found["kept_lines"].as_array().unwrap();
    assert_eq!(kept.len(), 5);
    for line in kept {
        assert_eq!(
            (&line["tensor"], &line["kind"]),
            (&"logvar".into(), &"activation".into())
        );
        assert!(line["sample"].as_u64().unwrap() < 8 && line["unit"].as_u64().unwrap() < 4);
    }
    assert!(is_png(&folder.path().join("lines.png")));
    let text = said(&folder, &[&sample[..], &["--from", "38"]].concat());
    assert!(text.contains(": logvar, activation of sample "), "{text}");
    let error = fails(
        &folder,
        &[
            "sample",
            "small.toml",
            "--keep",
            "5",
            "--tensor",
            "logvar",
            "--per",
            "sample",
        ],
        2,
    );
    assert!(error.contains("only a run can be run again"), "{error}");
    let error = fails(
        &folder,
        &[&sample[..], &["--from", "9", "--to", "41"]].concat(),
        2,
    );
    assert!(error.contains("which has 40 steps"), "{error}");
}

/// What ran away, who pushed it, and that the command which is named says the same.
fn assert_who_pushed(folder: &TempDir, explained: &Value) {
    let findings = explained["findings"].as_array().unwrap();
    let pushes = findings
        .iter()
        .flat_map(|f| f["pushes"].as_array().unwrap());
    let pushes: Vec<&Value> = pushes.collect();
    let [push] = pushes[..] else {
        panic!("one finding is looked at: {explained}");
    };
    assert_eq!(push["layer"], "logvar");
    let number = |key: &str| push[key].as_f64().unwrap();
    let parts = ["by_gradients", "by_inputs", "by_other", "residual"].map(number);
    let (sum, change) = (parts.iter().sum::<f64>(), number("change"));
    assert!((sum - change).abs() < 1e-6 * change.abs(), "{push}");
    assert!(number("last").abs() > number("baseline").abs(), "{push}");
    assert!(!push["hops"].as_array().unwrap().is_empty(), "{push}");
    let command = push["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let credit = object(folder, &words);
    assert_eq!(credit["change"], push["change"], "{command}");
    assert_eq!(credit["residual"], push["residual"], "{command}");
}

/// The log-variance overflows under a learning rate that is far too high: a bound keeps the values finite, and only
/// the rate makes the run healthy. The sentence in front is about what the trials left in front.
#[test]
fn an_explanation_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let train = [
        "train",
        "vae-logvar-explodes",
        "--out",
        "run",
        "--no-report",
    ];
    let output = run(
        &folder,
        &[&train[..], &["--set", "train.batch=32"]].concat(),
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let explain = ["explain", "run", "--verify", "--seconds", "120"];
    let explained = object(&folder, &explain);
    assert_eq!(explained["verdict"], "failed");
    let findings = explained["findings"].as_array().unwrap();
    let fix = |cause: &str| {
        let found = findings.iter().find(|finding| finding["cause"] == cause);
        found.unwrap_or_else(|| panic!("{cause}: {explained}"))["fixes"][0].clone()
    };
    assert_who_pushed(&folder, &explained);
    let (rate, bound) = (fix("learning_rate_too_high"), fix("log_variance_overflow"));
    assert_eq!(rate["verified"], true, "{rate}");
    assert_eq!(bound["verified"], false, "{bound}");
    assert!(bound["result"].as_str().unwrap().contains("learning rate"));
    let (first, headline) = (&findings[0], explained["headline"].as_str().unwrap());
    assert_eq!(first["cause"], "learning_rate_too_high");
    assert!(
        headline.contains(first["title"].as_str().unwrap()),
        "{headline}"
    );
    let kept = folder.path().join("run/analysis/explain/explanation.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept["findings"], explained["findings"]);
    // What the trials showed stays when it is explained once more without them.
    assert!(said(&folder, &["explain", "run"]).contains("Unit "));
    let again = std::fs::read(folder.path().join("run/analysis/explain/explanation.json")).unwrap();
    assert_eq!(kept, serde_json::from_slice::<Value>(&again).unwrap());
    // What was asked for is no note.
    let quiet = said(&folder, &["explain", "run", "--quiet"]);
    assert!(quiet.starts_with("Failed since step "), "{quiet}");
}
