//! What smaller recordings still show: planted outliers, events and motifs are lost where they must be.

use std::path::PathBuf;

use tempfile::TempDir;
use trainscope::budget::{BudgetReport, budget};
use trainscope::nn::ops::{Activation, Dense};
use trainscope::nn::{Graph, Loss};
use trainscope::tensor::{NamedTensor, TensorKind};
use trainscope::trace::{
    Checkpoint, ModelDescription, RunInfo, RunView, RunWriter, Status, TraceLayout, UnitStatistics,
};

use crate::support::gpu;

const STEPS: u64 = 480;
const UNITS: usize = 40;

/// Units of a rectifier that go along with each other, but for unit 5, which has a spike of one step, and unit 8, which
/// goes a way of its own.
fn value(step: u64, unit: usize) -> f32 {
    let t = step as f32 / STEPS as f32;
    let along = (6.0 * t).sin() + 2.0 + 0.01 * unit as f32;
    match unit {
        5 if step == 101 => along + 3.0,
        8 => along + 4.0 * t,
        _ => along,
    }
}

fn write(folder: &TempDir, every: u64) -> PathBuf {
    let dir = folder.path().join("run");
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
    let mut writer = RunWriter::create(&dir, "", info, &model, layout).unwrap();
    for step in 0..STEPS {
        writer
            .scalar(step, "loss", 100.0 / (1.0 + step as f64))
            .unwrap();
        if step.is_multiple_of(every) {
            let unit = |unit: usize| {
                let mean = value(step, unit);
                // Most units are dead from step 200 on.
                let zero_fraction = f32::from(u8::from(step >= 200 && unit >= 10));
                let (min, max) = (mean - 0.5, mean + 0.5);
                UnitStatistics {
                    mean,
                    std: 0.3,
                    min,
                    max,
                    zero_fraction,
                    nonfinite: 0.0,
                }
            };
            writer
                .record(step, &(0..UNITS).map(unit).collect::<Vec<_>>())
                .unwrap();
        }
        if (step + 1).is_multiple_of(120) {
            writer.close_segment(step + 1).unwrap();
        }
    }
    writer.finish(Status::Done, STEPS).unwrap();
    for step in (0..=STEPS).step_by(60) {
        let values = (0..5000)
            .map(|i| (i as f32 * 0.7 + step as f32).sin())
            .collect();
        let parameters = vec![NamedTensor::new("weight", vec![50, 100], values)];
        let checkpoint = Checkpoint {
            step,
            parameters,
            optimizer: Vec::new(),
        };
        checkpoint.write(&dir).unwrap();
    }
    dir
}

fn report(every: u64) -> BudgetReport {
    let folder = tempfile::tempdir().unwrap();
    let dir = write(&folder, every);
    budget(&RunView::open(&dir).unwrap()).unwrap()
}

#[test]
fn what_is_planted_is_lost_where_it_must_be() {
    let found = report(1);
    assert_eq!((found.lines, found.records), (UNITS, STEPS as usize));
    assert_eq!(found.outliers, 2, "units 5 and 8");
    let of = |recording: &str| {
        let mut points = found.curve.iter();
        points
            .find(|point| point.recording == recording)
            .unwrap_or_else(|| panic!("no {recording} in {found:?}"))
    };
    let whole = of("as recorded");
    assert_eq!(whole.recall_outliers, Some(1.0));
    assert_eq!(
        (whole.recall_events, whole.recall_motifs),
        (Some(1.0), Some(1.0))
    );
    // Unit 8 is apart from all others.
    assert!(found.clusters >= 2, "{found:?}");
    assert_eq!(whole.recall_clusters, Some(1.0));
    assert_eq!(of("every 2 steps").recall_clusters, Some(1.0));
    // Of half of the units a quarter of the pairs is left.
    let half = of("half of the units").recall_clusters.unwrap();
    assert!((0.2..0.26).contains(&half), "{half}");
    // Step 101 is in no recording of even steps.
    assert_eq!(of("every 2 steps").recall_outliers, Some(0.5));
    // Units that died at step 200 are found within a tenth of the run after 5 records at zero, up to every 8 steps.
    assert_eq!(of("every 8 steps").recall_events, Some(1.0));
    assert_eq!(of("every 16 steps").recall_events, Some(0.0));
    // Unit 5 is not among every second unit.
    assert_eq!(of("half of the units").recall_outliers, Some(0.5));
    assert_eq!(of("16 bits a value").recall_outliers, Some(1.0));
    let bytes: Vec<u64> = [
        "as recorded",
        "every 2 steps",
        "every 4 steps",
        "every 8 steps",
    ]
    .map(|r| of(r).bytes)
    .to_vec();
    assert!(bytes.is_sorted_by(|a, b| a > b), "{bytes:?}");
    assert!(of("16 bits a value").bytes < whole.bytes);
    let checkpoints = of("every second checkpoint");
    assert!(
        checkpoints.bytes < whole.bytes - 4 * 20_000,
        "{checkpoints:?}"
    );
    assert_eq!(checkpoints.set, ["record.checkpoint_every=120"]);
    assert_eq!(
        (whole.replay_steps, checkpoints.replay_steps),
        (Some(29.5), Some(59.5))
    );
    assert_eq!(of("no checkpoint").replay_steps, None);
    assert_eq!(checkpoints.recall_outliers, whole.recall_outliers);
    // Half of the steps lose an outlier, so no fewer are recommended; checkpoints 60 steps apart are more than a replay needs.
    assert!(
        found
            .recommendation
            .text
            .starts_with("Record no fewer steps"),
        "{found:?}"
    );
    assert!(
        found.recommendation.text.contains("50 % of the outliers"),
        "{found:?}"
    );
}

#[test]
fn a_sparse_run_says_what_it_cannot_know() {
    let found = report(4);
    assert_eq!(found.outliers, 1, "the spike is in no record");
    let text = &found.recommendation.text;
    assert!(
        text.contains("The run itself recorded every 4 steps"),
        "{text}"
    );
    assert!(
        found
            .recommendation
            .set
            .contains(&"record.every=8".to_owned()),
        "{found:?}"
    );
    assert!(found.recommendation.bytes < found.curve[0].bytes);
}

#[test]
fn a_run_without_records_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let info = RunInfo::new("empty", gpu().info(), 1, 1);
    let model = ModelDescription::default();
    let mut writer = RunWriter::create(&dir, "", info, &model, TraceLayout::new()).unwrap();
    writer.finish(Status::Stopped, 0).unwrap();
    let error = budget(&RunView::open(&dir).unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("it has 0 records, too few to leave some out"),
        "{error}"
    );
}
