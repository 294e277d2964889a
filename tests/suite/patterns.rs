//! Patterns in series: self-joins and queries against the float64 reference and stumpy.

use std::path::Path;

use proptest::prelude::*;
#[cfg(feature = "cli")]
use serde_json::{Value, json};
use trainscope::nn::ops::{Activation, Dense};
use trainscope::nn::{Graph, Loss};
use trainscope::patterns::{
    Expression, LineOptions, RunLines, RunWords, TOLERANCE, WindowClass, Windows, Word, discords,
    distances_to, exclusion_zone, motifs, nearest_matches, profiles, reference, shapes, spelled,
    words_of,
};
use trainscope::tensor::TensorKind;
use trainscope::trace::{
    ModelDescription, RunInfo, RunView, RunWriter, Status, TraceLayout, UnitStatistics,
};

use crate::nn::fixture::Fixture;
use crate::nn::harness::variants;
use crate::sample::series::noise;
use crate::support::gpu;

/// Series of several sorts, all of the same length.
fn series(sort: usize, steps: usize, seed: u32) -> Vec<f32> {
    let noise = noise(steps, seed);
    let t = |i: usize| i as f32 / steps as f32;
    let value = |i: usize| match sort {
        // Noise; a walk on a large base; a decay; waves that repeat exactly; few levels; spikes.
        0 => noise[i],
        1 => 1e4 + noise[..=i].iter().sum::<f32>(),
        2 => (-9.0 * t(i)).exp() * 300.0 + 0.1 * noise[i],
        3 => ((i % 12) as f32).sin() * 1e-12,
        4 => (noise[i] * 1.5).round(),
        _ if i % 37 == 5 => 1e6 * (1.0 + noise[i]),
        _ => noise[i],
    };
    (0..steps).map(value).collect()
}

/// Compares self-joins with the reference: the distance is that of the neighbor that is named, and no other is nearer by
/// more than the tolerance, in which squares of distances are 2 m (1 - correlation).
fn check(lines: &[Vec<f32>], length: usize) -> Result<(), TestCaseError> {
    let windows: Vec<Windows> = lines
        .iter()
        .map(|line| Windows::new(line, length))
        .collect();
    for (_, gpu) in variants() {
        let found = profiles(&gpu, &windows).unwrap();
        for (line, profile) in lines.iter().zip(&found) {
            let wanted = reference::profile(line, length);
            prop_assert_eq!(profile.distances.len(), wanted.len());
            for (start, &(nearest, _)) in wanted.iter().enumerate() {
                let distance = profile.distances[start];
                let Some(neighbor) = profile.neighbors[start] else {
                    prop_assert!(nearest.is_infinite() && distance.is_infinite());
                    continue;
                };
                prop_assert!(start.abs_diff(neighbor) > exclusion_zone(length));
                let exact =
                    reference::distance(&line[start..][..length], &line[neighbor..][..length]);
                prop_assert!(
                    (distance - exact).abs() <= 1e-6 * (1.0 + exact),
                    "{distance} {exact}"
                );
                let excess = distance * distance - nearest * nearest;
                let most = 2.0 * length as f64 * TOLERANCE;
                prop_assert!(
                    excess <= most,
                    "{start}: {distance} and {nearest}, {excess}"
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn self_joins_equal_their_reference(
        steps in 24usize..140,
        length in 4usize..40,
        seed in any::<u32>(),
        broken in prop::collection::vec((0usize..6, 0usize..140, 0usize..4), 0..6),
        flat in 0usize..100,
    ) {
        let length = length.min(steps / 3);
        let mut lines: Vec<Vec<f32>> = (0..6).map(|sort| series(sort, steps, seed)).collect();
        for (line, at, what) in broken {
            let value = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e30][what];
            lines[line][at % steps] = value;
        }
        let end = steps.min(flat + 2 * length);
        if flat < end {
            lines[0][flat..end].fill(0.5);
        }
        check(&lines, length)?;
    }

    #[test]
    fn queries_equal_their_reference(steps in 24usize..140, length in 4usize..40, seed in any::<u32>()) {
        let length = length.min(steps / 3);
        let mut lines: Vec<Vec<f32>> = (0..6).map(|sort| series(sort, steps, seed)).collect();
        lines[3][7] = f32::NAN;
        lines[4][..length].fill(1.0);
        let windows: Vec<Windows> = lines.iter().map(|line| Windows::new(line, length)).collect();
        for (line, start) in [(0, 3), (1, 5), (2, 0), (4, 0), (5, 2)] {
            let query = &lines[line][start..][..length];
            for (_, gpu) in variants() {
                let found = distances_to(&gpu, (&windows[line], start), &windows).unwrap();
                for (distances, values) in found.iter().zip(&lines) {
                    for (distance, window) in distances.iter().zip(values.windows(length)) {
                        let exact = reference::distance(query, window);
                        let most = 2.0 * length as f64 * TOLERANCE;
                        let is_same = exact.is_infinite() && distance.is_infinite();
                        let difference = distance * distance - exact * exact;
                        prop_assert!(is_same || difference.abs() <= most, "{distance} {exact}");
                    }
                }
            }
        }
    }
}

#[test]
fn many_windows_are_in_several_lanes_and_groups() {
    let lines: Vec<Vec<f32>> = (0..6).map(|sort| series(sort, 611, 5)).collect();
    check(&lines, 50).unwrap();
    check(&lines[..2], 7).unwrap();
}

#[test]
fn constant_and_nonfinite_windows_follow_the_rules() {
    let mut line = series(0, 60, 1);
    line[10..24].fill(2.0);
    line[30..44].fill(-1.0);
    line[50] = f32::NAN;
    let windows = Windows::new(&line, 6);
    let found = profiles(gpu(), std::slice::from_ref(&windows))
        .unwrap()
        .remove(0);
    assert_eq!(windows.classes[12], WindowClass::Constant);
    assert_eq!((found.distances[12], found.neighbors[12]), (0.0, Some(15)));
    assert_eq!((found.distances[31], found.neighbors[31]), (0.0, Some(10)));
    assert!(
        found.distances[45..51]
            .iter()
            .all(|distance| distance.is_infinite())
    );
    let to = distances_to(gpu(), (&windows, 12), std::slice::from_ref(&windows)).unwrap();
    assert_eq!(
        (to[0][12], to[0][0], to[0][50]),
        (0.0, 6f64.sqrt(), f64::INFINITY)
    );
    let short = Windows::new(&line[..8], 6);
    let error = profiles(gpu(), &[short]).unwrap_err().to_string();
    assert!(error.contains("too few to compare"), "{error}");
}

/// What stumpy computes in float64, on a large base, with constant stretches, spikes, and values that are not finite.
#[test]
fn self_joins_and_queries_equal_stumpy() {
    let fixture = Fixture::open("patterns");
    for name in ["noise", "walk", "flat", "spikes", "broken"] {
        let line = fixture.narrow(&format!("series.{name}"));
        for length in [8, 30] {
            let windows = [Windows::new(&line, length)];
            let found = profiles(gpu(), &windows).unwrap().remove(0);
            let wanted = fixture.get(&format!("distances.{name}.{length}"));
            let most = 2.0 * length as f64 * TOLERANCE;
            for (distance, wanted) in found.distances.iter().zip(wanted) {
                let is_same = distance.is_infinite() && wanted.is_infinite();
                let difference = distance * distance - wanted * wanted;
                assert!(
                    is_same || difference.abs() <= most,
                    "{name} {length}: {distance} {wanted}"
                );
            }
            // Several windows may be as near, as among constant ones: the one that is named has the distance.
            for (start, (neighbor, wanted)) in found.neighbors.iter().zip(wanted).enumerate() {
                let Some(neighbor) = *neighbor else {
                    assert!(wanted.is_infinite(), "{name} {length} {start}");
                    continue;
                };
                let distance = windows[0].distance(start, &windows[0], neighbor);
                let difference = distance * distance - wanted * wanted;
                assert!(
                    difference.abs() <= most,
                    "{name} {length} {start}: {neighbor}"
                );
            }
            let found = distances_to(gpu(), (&windows[0], 0), &windows)
                .unwrap()
                .remove(0);
            let wanted = fixture.get(&format!("query.{name}.{length}"));
            for (distance, wanted) in found.iter().zip(wanted) {
                let is_same = distance.is_infinite() && wanted.is_infinite();
                let difference = distance * distance - wanted * wanted;
                assert!(
                    is_same || difference.abs() <= most,
                    "{name} {length}: {distance} {wanted}"
                );
            }
        }
    }
}

const STEPS: u64 = 480;
const UNITS: usize = 40;

/// Noise around one level, with a shape that comes twice in unit 3, one that no other window is like in unit 7, a unit that is
/// dead from step 200 on, and one that spikes at step 440 and is not finite from 444 on.
fn statistics(noise: &[f32], step: u64, unit: usize) -> UnitStatistics {
    let at = step as usize;
    let own = noise[unit * STEPS as usize + at];
    let shape = |start: usize| 4.0 * ((at - start) as f32 * 0.8).sin() * (at - start) as f32;
    let mean = match unit {
        3 if (100..124).contains(&at) => shape(100),
        3 if (300..324).contains(&at) => 2.0 * shape(300) + 9.0,
        7 => (at as f32 * 0.5).sin() + if (250..260).contains(&at) { 2.0 } else { 0.0 },
        9 if at >= 200 => 0.0,
        12 if at == 440 => 500.0,
        _ => 1.0 + 0.1 * own,
    };
    let nonfinite = f32::from(u8::from(unit == 12 && at >= 444));
    UnitStatistics {
        mean,
        std: 0.3,
        min: mean - 0.5,
        max: mean + 0.5,
        zero_fraction: f32::from(u8::from(unit == 9 && at >= 200)),
        nonfinite,
    }
}

/// A run of these units, recorded every `every` steps.
fn write_run(dir: &Path, every: u64) {
    let noise = noise(UNITS * STEPS as usize, 4);
    let mut graph = Graph::new();
    let x = graph.input("x", &[4]);
    let dense = graph.add("dense", Dense::new(UNITS), &[x]).unwrap();
    graph.add("relu", Activation::Relu, &[dense]).unwrap();
    let model = ModelDescription {
        graphs: vec![graph.describe("model", &Loss::new())],
    };
    let mut layout = TraceLayout::new();
    layout.push("relu", TensorKind::Activation, UNITS);
    let info = RunInfo::new("made-up", gpu().info(), STEPS, 1);
    let mut writer = RunWriter::create(dir, "", info, &model, layout).unwrap();
    for step in (0..STEPS).step_by(every as usize) {
        let units = (0..UNITS).map(|unit| statistics(&noise, step, unit));
        writer.record(step, &units.collect::<Vec<_>>()).unwrap();
    }
    writer.finish(Status::Done, STEPS).unwrap();
}

#[test]
fn planted_patterns_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    write_run(&dir, 1);
    let run = RunView::open(&dir).unwrap();
    let lines = RunLines::read(&run, &LineOptions::default()).unwrap();
    assert_eq!(
        (lines.count(), lines.steps.len(), lines.stride),
        (UNITS, 480, 1)
    );
    let windows: Vec<Windows> = (0..UNITS)
        .map(|line| Windows::new(lines.line(line), 24))
        .collect();
    let found = profiles(gpu(), &windows).unwrap();
    let pairs = motifs(&lines, &windows, &found, 3);
    // The sine of unit 7 comes again and again; the planted shape of unit 3 twice.
    assert!(pairs.iter().any(|motif| motif.line == 7), "{pairs:?}");
    let planted = motifs(&lines, &windows, &found, 12);
    let planted = planted.iter().find(|motif| motif.line == 3).unwrap();
    assert_eq!(planted.starts, [100, 300]);
    assert!(
        planted.distance < 1e-3 && planted.typical > 1.0,
        "{planted:?}"
    );
    let far = discords(&lines, &windows, &found, 1);
    assert!(
        far[0].line == 7 && (226..260).contains(&far[0].start),
        "{far:?}"
    );
    let to = distances_to(gpu(), (&windows[3], 100), &windows).unwrap();
    let nearest = nearest_matches(&to, 24, (3, 100), 2);
    assert_eq!((nearest[0].line, nearest[0].start), (3, 300));
    assert!(
        nearest[0].distance < 0.05 && nearest[1].distance > 1.0,
        "{nearest:?}"
    );
    // Sampled lines in clusters: every line is in one.
    let shapes = shapes(gpu(), &lines, 16).unwrap();
    let represented: usize = shapes.shapes.iter().map(|shape| shape.represented).sum();
    assert_eq!((represented, shapes.sampled), (UNITS, 16));
}

#[test]
fn words_of_planted_units_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    write_run(&dir, 1);
    let run = RunView::open(&dir).unwrap();
    let lines = RunLines::read(&run, &LineOptions::default()).unwrap();
    let words = RunWords::read(&run, &lines).unwrap();
    let find = |text: &str| {
        let found = Expression::parse(text).unwrap().find_all(&words);
        found
            .into_iter()
            .map(|found| (found.line, found.columns))
            .collect::<Vec<_>>()
    };
    assert_eq!(find("spike flat{3} nonfinite{30,}"), [(12, 440..480)]);
    assert_eq!(find("nonfinite+"), [(12, 444..480)]);
    assert_eq!(find("dead+"), [(9, 200..480)]);
    // Noise is flat, but for the few records in which it happens to drift or to stand out.
    let flat = words
        .line(20)
        .iter()
        .filter(|word| **word == Word::Flat)
        .count();
    assert!(flat > 440, "{}", spelled(words.line(20)));
    let counts = words.counts(&words.groups[0]);
    assert_eq!(counts.iter().sum::<usize>(), UNITS * 480);
    assert_eq!(counts[Word::Dead as usize], 280);
}

#[test]
fn trends_spikes_and_gaps_have_their_words() {
    let unit = |mean: f32| {
        Some(UnitStatistics {
            mean,
            ..UnitStatistics::default()
        })
    };
    let noise = noise(60, 3);
    let mut records: Vec<_> = (0..60)
        .map(|i| match i {
            0..20 => unit(i as f32 + 0.1 * noise[i]),
            20..40 => unit(20.0),
            _ => unit(20.0 - 0.5 * (i as f32 - 40.0)),
        })
        .collect();
    records[30] = unit(35.0);
    records[55] = None;
    records[56] = unit(f32::NAN);
    let text = spelled(&words_of(&records, None));
    let parts: Vec<&str> = text.split(' ').collect();
    let names: Vec<&str> = parts
        .iter()
        .map(|part| part.split('{').next().unwrap())
        .collect();
    let wanted = [
        "rise",
        "flat",
        "spike",
        "flat",
        "fall",
        "missing",
        "nonfinite",
        "fall",
    ];
    assert_eq!(names[..7], wanted[..7], "{text}");
}

#[cfg(feature = "cli")]
#[test]
fn command_answers_as_people_and_programs_ask() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    write_run(&dir, 2);
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_trainscope"))
            .args(["patterns", "run"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), object, said)
    };
    let (code, object, said) = run(&["--json", "--plot", "all.png"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (&object["records"], &object["stride"]),
        (&240.into(), &2.into())
    );
    for (key, count) in [("motifs", 5), ("discords", 5), ("matches", 0)] {
        assert_eq!(
            object[key].as_array().unwrap().len(),
            count,
            "{key}: {object}"
        );
    }
    for key in ["tensor", "kind", "unit", "from", "to", "distance"] {
        assert!(!object["discords"][0][key].is_null(), "{key}");
        assert!(!object["motifs"][0][key].is_null(), "{key}");
    }
    assert!(object["words"][0]["text"].is_string() && object["shapes"]["clusters"].is_array());
    assert!(folder.path().join("all.png").exists());
    let (code, object, _) = run(&[
        "--find",
        "spike flat* nonfinite+ $",
        "--json",
        "--plot",
        "f.png",
    ]);
    assert_eq!(code, Some(0));
    let only = json!([{
        "tensor": "relu", "kind": "activation", "unit": 12, "from": 440, "to": 479, "distance": null,
    }]);
    assert_eq!(object["matches"], only);
    let (code, _, said) = run(&["--find", "nonfinite"]);
    assert!(
        code == Some(0) && said.contains("relu: 1 of 40 units; the first is unit 12"),
        "{said}"
    );
    let (code, object, said) = run(&["--like", "relu:3:100:124", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let first = &object["matches"][0];
    assert_eq!(
        (&first["unit"], &first["from"], &first["to"]),
        (&3.into(), &300.into(), &323.into())
    );
    // What was asked is kept for the report, each over the series that it is in.
    let page = trainscope::report::write_report(crate::support::gpu(), &dir).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("Patterns in what units do").count(), 4);
    assert!(page.contains("<h4>Most like relu:3:100:124</h4>"));
    assert!(page.contains("relu unit 3, steps 300 to 322; distance "));
    assert!(page.contains("Matches of the words “spike flat* nonfinite+ $”"));
    assert!(page.matches("<rect class=\"mark\"").count() > 10);
    for (arguments, part) in [
        (
            ["--find", "flat+ (spike"],
            "--find 'flat+ (spike', character 7: unclosed group",
        ),
        (
            ["--like", "relu:3:100"],
            "write a tensor, a unit, the first step",
        ),
        (["--like", "relu:90:100:124"], "relu has 40 units"),
        (["--like", "none:3:100:124"], "choose one of: relu"),
        (["--like", "relu:12:440:470"], "not finite or not recorded"),
        (["--like", "relu:3:100:104"], "2 records are in it, of 4"),
        (["--window", "150"], "use a window of 4 to 120 records"),
        (["--tensor", "mu"], "choose one of: relu"),
        (["--kind", "gradient"], "no gradient is recorded yet"),
    ] {
        let (code, _, said) = run(&arguments);
        assert!(
            code == Some(1) || code == Some(2),
            "{arguments:?}: {code:?}"
        );
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}
