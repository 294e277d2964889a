//! `trainscope sample` as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use npyz::WriterBuilder as _;
use serde_json::Value;
use tempfile::TempDir;
use trainscope::sample::{Budget, SampleOptions};

use super::series::{families, plant_spikes};

fn trainscope(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainscope"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn save(path: &Path, values: &[f32], steps: usize) {
    let mut bytes = Vec::new();
    let shape = [(values.len() / steps) as u64, steps as u64];
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn ids(path: &Path) -> Vec<i64> {
    let bytes = std::fs::read(path).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!(array.shape().len(), 1);
    array.into_vec::<i64>().unwrap()
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_come_out_as_the_library_gives_them() {
    let folder = TempDir::new().unwrap();
    let mut values = families(300, 48, 3);
    let planted = plant_spikes(&mut values, 48, 5, 4, 0.4);
    values[48 * 7 + 20] = f32::NAN;
    save(&folder.path().join("lines.npy"), &values, 48);
    let output = trainscope(
        &folder,
        &[
            "sample",
            "lines.npy",
            "--radius",
            "0.05",
            "--columns",
            "32",
            "--seed",
            "4",
            "--out",
            "kept.npy",
            "--assign",
            "assign.npy",
            "--plot",
            "plot.png",
            "--json",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let options = SampleOptions {
        budget: Budget::Radius(0.05),
        columns: 32,
        seed: 4,
    };
    let sample = super::sample_values(&values, 48, &options);
    for (key, number) in [
        ("lines", 300),
        ("steps", 48),
        ("kept", sample.kept.len()),
        ("rounds", sample.rounds),
        ("nonfinite", 1),
    ] {
        assert_eq!(said[key], number, "{key}");
    }
    assert!((said["radius"].as_f64().unwrap() - 0.05).abs() < 1e-6);
    assert!(said["seconds"].as_f64().unwrap() > 0.0);
    assert!(!said["adapter"].as_str().unwrap().is_empty());
    let kept = ids(&folder.path().join("kept.npy"));
    assert!(
        kept.iter().eq(sample
            .kept
            .iter()
            .map(|&id| i64::from(id))
            .collect::<Vec<_>>()
            .iter())
    );
    assert_eq!(kept[0], 7, "the line that is not finite comes first");
    assert!(planted.iter().all(|&line| kept.contains(&i64::from(line))));
    let assign = ids(&folder.path().join("assign.npy"));
    assert_eq!(assign.len(), 300);
    assert!(assign.iter().all(|id| kept.contains(id)));
    assert!(kept.iter().all(|&id| assign[id as usize] == id));
    let plot = std::fs::read(folder.path().join("plot.png")).unwrap();
    assert!(plot.starts_with(b"\x89PNG"));
    assert_eq!(
        names(&folder),
        ["assign.npy", "kept.npy", "lines.npy", "plot.png"]
    );
}

#[test]
fn tables_and_symlog_and_ids_on_stdout() {
    let folder = TempDir::new().unwrap();
    let text = "a,b,c\n1,2,3\n1,2,3\n100,2000,30000\n";
    std::fs::write(folder.path().join("t.csv"), text).unwrap();
    let arguments = ["sample", "t.csv", "--keep", "2", "--scale", "symlog"];
    let output = trainscope(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("kept 2 of 3 lines of 3 steps"), "{text}");
    let last: Vec<usize> = text
        .lines()
        .last()
        .unwrap()
        .split(' ')
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(last.contains(&2) && last.len() == 2, "{text}");
}

/// A run's lines have the names of their units, on the terminal and in JSON; a segment of its trace is read like a run.
#[test]
fn lines_of_a_run_are_named() {
    let folder = TempDir::new().unwrap();
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier");
    let run = std::fs::read_dir(earlier).unwrap();
    let run = run.map(|entry| entry.unwrap().path());
    let run = run
        .filter(|path| path.join("trace").is_dir())
        .min()
        .unwrap();
    let run = run.to_str().unwrap();
    let output = trainscope(&folder, &["sample", run, "--keep", "3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let named = text
        .lines()
        .filter(|line| line.contains(", activation of unit "));
    assert_eq!(named.count(), 3, "{text}");
    let output = trainscope(&folder, &["sample", run, "--keep", "3", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept = said["kept_lines"].as_array().unwrap();
    assert_eq!(
        (kept.len(), &kept[0]["kind"]),
        (3, &Value::from("activation"))
    );
    assert!(
        kept.iter()
            .all(|line| line["tensor"].is_string() && line["unit"].is_u64())
    );
}

#[test]
fn no_output_overwrites_the_input_or_another() {
    let folder = TempDir::new().unwrap();
    save(&folder.path().join("lines.npy"), &families(20, 8, 1), 8);
    let before = std::fs::read(folder.path().join("lines.npy")).unwrap();
    for (outputs, part) in [
        (
            &["--out", "lines.npy"][..],
            "--out: lines.npy would overwrite",
        ),
        (
            &["--assign", "./lines.npy"],
            "--assign: ./lines.npy would overwrite",
        ),
        (
            &["--out", "k.npy", "--assign", "k.npy"],
            "also what --out writes",
        ),
        (&["--plot", "p.jpg"], "name it p.png"),
    ] {
        let all = [&["sample", "lines.npy", "--keep", "3"], outputs].concat();
        let output = trainscope(&folder, &all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
        assert_eq!(names(&folder), ["lines.npy"]);
    }
    assert_eq!(
        std::fs::read(folder.path().join("lines.npy")).unwrap(),
        before
    );
}

/// Long lines are drawn thinned, and more lines than asked for are explained.
#[test]
fn long_lines_and_lines_without_values() {
    let folder = TempDir::new().unwrap();
    let mut values = families(6, 40_000, 1);
    values[..2 * 40_000].fill(f32::NAN);
    save(&folder.path().join("long.npy"), &values, 40_000);
    let arguments = [
        "sample", "long.npy", "--keep", "1", "--plot", "p.png", "--json",
    ];
    let output = trainscope(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&said["kept"], &said["kept_for_gaps"]),
        (&Value::from(3), &Value::from(2))
    );
    assert!(
        said["why_not"]
            .as_str()
            .unwrap()
            .starts_with("kept 3 instead of 1")
    );
    assert!(said["radius"].as_f64().unwrap() <= 1.0);
    assert!(
        said["kept_lines"]
            .as_array()
            .unwrap()
            .iter()
            .all(Value::is_u64)
    );
    assert_eq!(names(&folder), ["long.npy", "p.png"]);
}

#[test]
fn what_cannot_be_done_is_one_sentence_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    save(&folder.path().join("lines.npy"), &families(20, 8, 1), 8);
    std::fs::write(
        folder.path().join("cut.npy"),
        &std::fs::read(folder.path().join("lines.npy")).unwrap()[..300],
    )
    .unwrap();
    std::fs::write(folder.path().join("kept.npy"), "mine").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let before = names(&folder);
    for (arguments, code, part) in [
        (&["lines.npy"][..], 2, "--keep"),
        (&["lines.npy", "--keep", "0"], 2, "0"),
        (&["lines.npy", "--radius", "nan"], 2, "radius"),
        (
            &["lines.npy", "--keep", "3", "--radius", "0.1"],
            2,
            "--radius",
        ),
        (&["lines.npy", "--keep", "3", "--scale", "log"], 2, "symlog"),
        (
            &["lines.npy", "--keep", "3", "--tensor", "mu"],
            2,
            "run directory",
        ),
        (&["none.npy", "--keep", "3"], 1, "none.npy"),
        (
            &["cut.npy", "--keep", "3", "--out", "kept.npy"],
            1,
            "cut short",
        ),
        (&["empty", "--keep", "3"], 1, "empty"),
        (
            &["lines.npy", "--keep", "3", "--out", "no/kept.npy"],
            1,
            "no/kept.npy",
        ),
        (
            &["lines.npy", "--keep", "3", "--plot", "lines.npy/p.png"],
            1,
            "lines.npy/p.png",
        ),
        (&["lines.npy", "--keep", "3", "--out", "empty"], 1, "empty"),
        (
            &["lines.npy", "--keep", "3", "--adapter", "no such"],
            1,
            "no such",
        ),
    ] {
        let all: Vec<&str> = ["sample"].iter().chain(arguments).copied().collect();
        let output = trainscope(&folder, &all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        if code == 1 {
            let sentence = said.lines().last().unwrap();
            assert!(sentence.starts_with("trainscope: "), "{said}");
        }
        assert_eq!(names(&folder), before, "{arguments:?}");
    }
    assert_eq!(
        std::fs::read(folder.path().join("kept.npy")).unwrap(),
        b"mine"
    );
}
