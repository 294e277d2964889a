//! Run directories looked at without their model and data: of earlier versions, damaged, and recorded elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use trainscope::diagnose::summary;
use trainscope::nn::ops::Dense;
use trainscope::nn::{Graph, Loss, Role};
use trainscope::report::write_report;
use trainscope::tensor::TensorKind;
use trainscope::trace::{
    Event, EventKind, ModelDescription, RunInfo, RunReader, RunView, RunWriter, Statistic, Subject,
    TraceLayout, UnitStatistics,
};
use trainscope::train::{Scenario, Trainer};

use crate::support::gpu;

/// A run directory that the version before roles and typed events has written.
fn earlier(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier");
    fixtures.join(name)
}

/// A copy of such a directory that a test may change.
pub(crate) fn copy_of(name: &str, scratch: &Path) -> PathBuf {
    let to = scratch.join(name);
    copy(&earlier(name), &to);
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What a run of an earlier version holds.
struct Expected {
    name: &'static str,
    steps: u64,
    checkpoints: &'static [u64],
    events: usize,
    /// A recorded tensor of activations, and how many units it has.
    tensor: (&'static str, usize),
    scalars: &'static [&'static str],
}

const EARLIER: [Expected; 3] = [
    Expected {
        name: "vae",
        steps: 24,
        checkpoints: &[0, 12, 24],
        events: 1,
        tensor: ("encoder.5", 12),
        scalars: &["loss", "reconstruction", "kl_divergence"],
    },
    Expected {
        name: "gan",
        steps: 20,
        checkpoints: &[0, 10, 20],
        events: 0,
        tensor: ("discriminator.0@generated", 8),
        scalars: &["loss", "generator_loss", "diversity"],
    },
    Expected {
        name: "classifier",
        steps: 24,
        checkpoints: &[0, 12, 24],
        events: 18,
        tensor: ("layers.3", 8),
        scalars: &["loss", "cross_entropy", "accuracy"],
    },
];

#[test]
fn runs_of_earlier_versions_open_as_they_are() {
    for expected in EARLIER {
        let name = expected.name;
        let run = RunView::open(&earlier(name)).unwrap();
        assert!(run.problems().is_empty(), "{name}: {:?}", run.problems());
        let info = run.info().expect("it is whole");
        assert_eq!(info.steps_done, expected.steps, "{name}");
        assert_eq!(run.checkpoints(), expected.checkpoints, "{name}");
        assert!(run.scenario().expect("it has one").contains("[model]"));
        assert_eq!(run.events().len(), expected.events, "{name}");
        for scalar in expected.scalars {
            let values = &run.scalars()[*scalar];
            assert!(values.iter().all(|(step, _)| *step < expected.steps));
            assert!(!values.is_empty(), "{name}: {scalar}");
        }
        let (tensor, units) = expected.tensor;
        let series = run
            .series(tensor, TensorKind::Activation, Statistic::Mean)
            .unwrap();
        assert_eq!(
            (series.units, series.rows().len()),
            (units, units),
            "{name}"
        );
        assert!(series.steps.len() > 1 && series.stride().is_some());

        // It is what the exact reader gives.
        let reader = RunReader::open(&earlier(name)).unwrap();
        assert_eq!(*run.layout(), reader.layout().unwrap());
        assert_eq!(run.events(), reader.events().unwrap());
        let bits = |statistics: Vec<(u64, Vec<UnitStatistics>)>| -> Vec<_> {
            let record = |(step, units): (u64, Vec<UnitStatistics>)| {
                (
                    step,
                    units.iter().map(|unit| unit.to_bits()).collect::<Vec<_>>(),
                )
            };
            statistics.into_iter().map(record).collect()
        };
        assert_eq!(
            bits(run.statistics(0, u64::MAX).unwrap()),
            bits(reader.statistics(0, u64::MAX).unwrap())
        );
    }
}

/// The model that is built from an earlier run's scenario describes itself as the run's `graph.json` is read: with the
/// same layers, kinds, parameters, losses and roles.
#[test]
fn graphs_of_earlier_versions_get_their_roles() {
    for Expected { name, .. } in EARLIER {
        let run = RunView::open(&earlier(name)).unwrap();
        let [read] = &run.model().graphs[..] else {
            panic!("{name}: the first version had one graph");
        };
        let reader = RunReader::open(run.folder()).unwrap();
        let scenario = Scenario::of_run(&reader).unwrap();
        let built = Trainer::new(gpu(), &scenario).unwrap().describe();
        let built = &built.graphs[0];
        assert_eq!(read.layers, built.layers, "{name}");
        assert_eq!(read.losses, built.losses, "{name}");
        assert!(read.layers.iter().any(|layer| layer.role.is_some()));
    }
}

#[test]
fn events_of_earlier_versions_are_typed() {
    let run = RunView::open(&earlier("vae")).unwrap();
    let subject = Subject::unit("encoder.5", TensorKind::Activation, 11);
    let dead = Event::new(21, EventKind::DeadUnit, subject).with("records_at_zero", 5);
    assert_eq!(run.events(), [dead]);
    let lines = summary(&run);
    let told = lines
        .iter()
        .any(|line| line.contains("of 3 latent units vary"));
    assert!(told, "{lines:?}");
}

/// Every file of a run is damaged in turn: the rest opens, and the damaged one is named.
#[test]
fn a_damaged_part_is_named_and_costs_only_itself() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = copy_of("vae", scratch.path());
    let whole = RunView::open(&dir).unwrap();
    let steps = |run: &RunView| {
        let series = run.series("mu", TensorKind::Activation, Statistic::Std);
        series.map_or(0, |series| series.steps.len())
    };
    let all_steps = steps(&whole);
    let losses = |run: &RunView| run.scalars().get("loss").map_or(0, Vec::len);
    for (file, cost) in [
        ("run.json", "info"),
        ("graph.json", "model"),
        ("scenario.toml", "scenario"),
        ("events.jsonl", "events"),
        ("trace/000012-000024.parquet", "trace"),
        ("trace/000000-000012.parquet", "trace"),
        ("scalars/000000-000012.parquet", "scalars"),
    ] {
        let path = dir.join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 0x80;
        fs::write(&path, &bad).unwrap();
        let run = RunView::open(&dir).unwrap();
        let problems: Vec<String> = run.problems().iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{file}: {problems:?}");
        assert!(problems[0].contains(file), "{file}: {problems:?}");
        assert_eq!(run.info().is_none(), cost == "info", "{file}");
        assert_eq!(run.model() != whole.model(), cost == "model", "{file}");
        assert_eq!(run.scenario().is_none(), cost == "scenario", "{file}");
        assert_eq!(run.events().is_empty(), cost == "events", "{file}");
        let lost = |part: usize, all: usize| 0 < part && part < all;
        assert_eq!(lost(steps(&run), all_steps), cost == "trace", "{file}");
        assert_eq!(
            lost(losses(&run), losses(&whole)),
            cost == "scalars",
            "{file}"
        );
        assert_eq!(run.checkpoints(), whole.checkpoints(), "{file}");
        assert_eq!(
            run.name(),
            if cost == "info" {
                "vae".into()
            } else {
                whole.name()
            }
        );
        fs::write(&path, &good).unwrap();
    }
    assert!(RunView::open(&dir).unwrap().problems().is_empty());
}

#[test]
fn a_report_needs_the_run_directory_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = copy_of("classifier", scratch.path());
    // As a run that was recorded elsewhere: no scenario, no checkpoints; and a part of it is damaged.
    fs::remove_file(dir.join("scenario.toml")).unwrap();
    fs::remove_dir_all(dir.join("checkpoints")).unwrap();
    let segment = dir.join("trace/000012-000024.parquet");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
    let html = fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(html.contains("<picture>"));
    assert!(!html.contains("No images: "), "a classifier makes none");
    assert!(html.contains("Damaged parts") && html.contains("000012-000024.parquet"));
    assert!(html.contains("layers.3 activation"), "events are listed");
    let run = RunView::open(&dir).unwrap();
    assert_eq!((run.scenario(), run.checkpoints()), (None, &[][..]));
    let dir = copy_of("vae", scratch.path());
    fs::remove_file(dir.join("scenario.toml")).unwrap();
    let html = fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(html.contains("No images: ") && html.contains("no readable scenario.toml"));
}

#[test]
fn a_report_names_a_run_file_that_is_damaged() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = copy_of("gan", scratch.path());
    fs::write(dir.join("run.json"), "{").unwrap();
    let html = fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(html.contains("<h1>gan</h1>") && html.contains("run.json is damaged"));
    assert!(html.contains("<picture>"));
}

#[test]
fn graph_json_has_every_graph_and_the_first_as_the_first_version_had_it() {
    let graph = |name: &str, units: usize| {
        let mut graph = Graph::new();
        let x = graph.input("x", &[4]);
        let layer = graph.add("score", Dense::new(units), &[x]).unwrap();
        graph.set_role(layer, Role::Score);
        let mut loss = Loss::new();
        if units == 1 {
            loss.add(&graph, "score", layer, 0.1).unwrap();
        }
        graph.describe(name, &loss)
    };
    let model = ModelDescription {
        graphs: vec![graph("generator_pass", 1), graph("real_pass", 2)],
    };
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let info = RunInfo::new("two", gpu().info(), 1, 1);
    RunWriter::create(&dir, "", info, &model, TraceLayout::new()).unwrap();
    let text = fs::read_to_string(dir.join("graph.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["layers"], json["graphs"][0]["layers"]);
    assert_eq!(json["losses"], json["graphs"][0]["losses"]);
    assert_eq!(json["graphs"][1]["name"], "real_pass");
    assert_eq!(json["layers"][1]["role"], "score");
    // The number that the first version wrote for this weight.
    assert_eq!(json["losses"][0]["weight"], f64::from(0.1f32));
    let run = RunView::open(&dir).unwrap();
    assert_eq!(*run.model(), model);
    let score = run.model().with_role(Role::Score).unwrap();
    assert_eq!(score.shape, [1]);
    let readers: Vec<_> = run.model().graphs[0].consumers("x").collect();
    assert_eq!(readers, [score]);
}
