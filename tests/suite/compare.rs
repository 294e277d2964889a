//! Runs side by side: the first difference is the one that was made, whatever else differs later.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use trainscope::compare::{Comparison, Difference, DifferingKind, compare};
use trainscope::tensor::{NamedTensor, TensorKind};
use trainscope::trace::{
    Checkpoint, ModelDescription, RunInfo, RunView, RunWriter, Statistic, Status, TraceLayout,
    UnitStatistics,
};

use crate::support::gpu;

/// Rows of a record: 3 units of a layer, its gradient, a weight, its update, a state.
const ROWS: usize = 3 + 3 + 2 + 2 + 1;

fn layout(activation: &str) -> TraceLayout {
    let mut layout = TraceLayout::new();
    layout.push(activation, TensorKind::Activation, 3);
    layout.push("layer", TensorKind::Gradient, 3);
    layout.push("weight", TensorKind::Weight, 2);
    layout.push("running_mean", TensorKind::Weight, 1);
    layout.push("weight", TensorKind::Update, 2);
    layout
}

/// A run that is made up, all of its values functions of where they are.
#[derive(Debug, Clone)]
struct MadeUp {
    steps: u64,
    every: u64,
    /// Segments end after so many steps.
    segment: u64,
    /// Rows, statistics and the step from which on they have another value.
    changed: Vec<(usize, Statistic, u64)>,
    /// The step from which on the loss is another one.
    loss: Option<u64>,
    scenario: &'static str,
    activation: &'static str,
}

const RUN: MadeUp = MadeUp {
    steps: 40,
    every: 4,
    segment: 16,
    changed: Vec::new(),
    loss: None,
    scenario: "seed = 1\n[train]\nsteps = 40\noptimizer = { adam = { lr = 1e-3 } }\n",
    activation: "layer",
};

impl MadeUp {
    fn value(&self, step: u64, row: usize, statistic: Statistic) -> f32 {
        let place = ROWS * step as usize + row;
        let is_changed = self
            .changed
            .iter()
            .any(|&(r, s, from)| r == row && s == statistic && step >= from);
        let value = (place as f32 * 0.37).sin();
        match statistic {
            Statistic::Nonfinite => f32::from(u8::from(is_changed)),
            _ if is_changed => value + 1e-6 + value.abs() * 1e-6,
            _ => value,
        }
    }

    fn write(&self, folder: &TempDir, name: &str) -> PathBuf {
        let dir = folder.path().join(name);
        let info = RunInfo::new(name, gpu().info(), self.steps, 1);
        let model = ModelDescription::default();
        let layout = layout(self.activation);
        let mut writer = RunWriter::create(&dir, self.scenario, info, &model, layout).unwrap();
        for step in 0..self.steps {
            let loss = f64::from(u8::from(self.loss.is_some_and(|from| step >= from)));
            writer
                .scalar(step, "loss", 100.0 - step as f64 + loss)
                .unwrap();
            if step.is_multiple_of(self.every) {
                let unit = |row: usize| {
                    UnitStatistics::from(Statistic::ALL.map(|s| self.value(step, row, s)))
                };
                writer
                    .record(step, &(0..ROWS).map(unit).collect::<Vec<_>>())
                    .unwrap();
            }
            if (step + 1).is_multiple_of(self.segment) {
                writer.close_segment(step + 1).unwrap();
            }
        }
        writer.finish(Status::Done, self.steps).unwrap();
        dir
    }
}

fn of(dirs: &[PathBuf]) -> Comparison {
    let runs: Vec<RunView> = dirs.iter().map(|dir| RunView::open(dir).unwrap()).collect();
    compare(&runs).unwrap()
}

/// The first difference of [`RUN`] from another run.
fn first(other: &MadeUp) -> Option<Difference> {
    let folder = tempfile::tempdir().unwrap();
    let found = of(&[RUN.write(&folder, "a"), other.write(&folder, "b")]);
    assert_eq!(found.problems, []);
    found.pairs[0].first_difference.clone()
}

#[test]
fn equal_runs_have_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let found = of(&[RUN.write(&folder, "a"), RUN.write(&folder, "b")]);
    let pair = &found.pairs[0];
    assert_eq!(pair.first_difference, None);
    assert_eq!(pair.equal_through, Some(39));
    assert_eq!((pair.compared.records, pair.compared.tensors), (10, 5));
    assert_eq!(pair.compared.scalars, 40);
    assert!(found.settings.is_empty() && found.problems.is_empty());
}

/// Weights are recorded after activations and gradients, but a step that starts from other weights differs there first.
#[test]
fn within_a_step_the_first_is_what_is_computed_first() {
    let rows = |rows: &[usize]| MadeUp {
        changed: rows.iter().map(|&row| (row, Statistic::Std, 20)).collect(),
        ..RUN
    };
    let kind_of = |changed: &[usize]| {
        let found = first(&rows(changed)).unwrap();
        (found.step, found.tensor, found.kind, found.unit.unwrap())
    };
    let all: Vec<usize> = (0..ROWS).collect();
    let weight = |unit| (20, "weight".to_owned(), DifferingKind::Weight, unit);
    assert_eq!(kind_of(&all), weight(0));
    assert_eq!(kind_of(&[1, 7]), weight(1));
    let layer = |kind, unit| (20, "layer".to_owned(), kind, unit);
    assert_eq!(kind_of(&[2, 4, 8, 9]), layer(DifferingKind::Activation, 2));
    let state = (20, "running_mean".to_owned(), DifferingKind::Weight, 0);
    assert_eq!(kind_of(&[4, 8, 9]), state);
    assert_eq!(kind_of(&[4, 9]), layer(DifferingKind::Gradient, 1));
    let update = (20, "weight".to_owned(), DifferingKind::Update, 1);
    assert_eq!(kind_of(&[10]), update);
    assert_eq!(first(&rows(&[1, 2])).unwrap().units, 2);
}

#[test]
fn a_scalar_between_two_records_is_found() {
    let found = first(&MadeUp {
        loss: Some(22),
        changed: vec![(0, Statistic::Mean, 23)],
        ..RUN
    });
    let found = found.unwrap();
    assert_eq!((found.step, found.kind), (22, DifferingKind::Scalar));
    assert_eq!((found.unit, found.values), (None, [78.0, 79.0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Runs of other lengths, other segments and sparser records are compared over what both have.
    #[test]
    fn the_first_difference_is_the_one_that_was_made(
        steps in 10u64..60, every in 1u64..7, segment in 3u64..30,
        row in 0..ROWS, statistic in 0..6usize, from in 0u64..70,
    ) {
        let statistic = Statistic::ALL[statistic];
        let other = MadeUp { steps, every, segment, changed: vec![(row, statistic, from)], ..RUN };
        let in_both = (0..steps.min(RUN.steps)).filter(|step| step.is_multiple_of(every) && step.is_multiple_of(RUN.every));
        let want = in_both.clone().find(|&step| step >= from);
        let found = first(&other);
        prop_assert_eq!(found.as_ref().map(|found| found.step), want);
        if let Some(found) = found {
            prop_assert_eq!(found.statistic, Some(statistic));
            let step = found.step;
            let values = [RUN.value(step, row, statistic), other.value(step, row, statistic)];
            prop_assert_eq!(found.values, values.map(f64::from));
        }
    }
}

#[test]
fn checkpoints_say_what_records_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let dirs = [RUN.write(&folder, "a"), RUN.write(&folder, "b")];
    let write = |dir: &Path, step: u64, last: f32| {
        let tensor = |name: &str, last| {
            NamedTensor::new(name, vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, last])
        };
        let checkpoint = Checkpoint {
            step,
            parameters: vec![tensor("weight", 5.0)],
            optimizer: vec![tensor("weight.exp_avg", last)],
        };
        checkpoint.write(dir).unwrap();
    };
    for (dir, last) in dirs.iter().zip([7.0, 8.0]) {
        write(dir, 8, 7.0);
        write(dir, 17, last);
        write(dir, 30, last);
    }
    let found = of(&dirs);
    let first = found.pairs[0].first_difference.clone().unwrap();
    assert_eq!((first.step, first.tensor.as_str()), (17, "weight.exp_avg"));
    assert_eq!(
        (first.kind, first.unit),
        (DifferingKind::Optimizer, Some(1))
    );
    assert_eq!(first.values, [7.0, 8.0]);
    assert_eq!(found.pairs[0].equal_through, Some(16));

    // A damaged one is named; what else there is still tells the runs apart.
    std::fs::write(dirs[1].join("checkpoints/000017/digest"), "0").unwrap();
    let found = of(&dirs);
    let first = found.pairs[0].first_difference.clone().unwrap();
    assert_eq!(first.step, 30);
    assert_eq!(found.problems.len(), 1);
    assert!(
        found.problems[0].1.contains("damaged"),
        "{:?}",
        found.problems
    );
}

#[test]
fn settings_scalars_and_damage_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = MadeUp {
        steps: 20,
        loss: Some(30),
        scenario: "seed = 1\n[train]\nsteps = 20\noptimizer = { sgd = { lr = 1e-3 } }\n",
        activation: "renamed",
        ..RUN
    };
    let dirs = [
        RUN.write(&folder, "a"),
        other.write(&folder, "b"),
        RUN.write(&folder, "c"),
    ];
    std::fs::remove_file(dirs[2].join("scenario.toml")).unwrap();
    let segment = dirs[2].join("trace/000000-000016.parquet");
    std::fs::write(&segment, "no table").unwrap();
    let found = of(&dirs);
    let keys: Vec<_> = found
        .settings
        .iter()
        .map(|s| (s.key.as_str(), s.values.clone()))
        .collect();
    assert_eq!(
        keys,
        [
            ("train.steps", vec![json!(40), json!(20), json!(null)]),
            (
                "train.optimizer.adam.lr",
                vec![json!(1e-3), json!(null), json!(null)]
            ),
            (
                "train.optimizer.sgd.lr",
                vec![json!(null), json!(1e-3), json!(null)]
            ),
        ]
    );
    assert_eq!(
        found.pairs[0].only_in,
        [vec!["layer".to_owned()], vec!["renamed".to_owned()]]
    );
    assert_eq!(found.pairs[0].first_difference, None);
    // The first segment of the third run is lost, and what is left is compared.
    assert_eq!(found.pairs[1].compared.records, 6);
    let problems: Vec<&str> = found
        .problems
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("000000-000016.parquet")));
    assert!(problems.iter().any(|p| p.contains("no scenario")));
    let loss = &found.scalars[0];
    assert_eq!(loss.name, "loss");
    let last: Vec<_> = loss
        .runs
        .iter()
        .flatten()
        .map(|run| (run.final_step, run.last))
        .collect();
    assert_eq!(last, [(39, 61.0), (19, 81.0), (39, 61.0)]);
    assert_eq!(loss.common.last(), Some(&(19, vec![81.0; 3])));
    assert!(compare(&[RunView::open(&dirs[0]).unwrap()]).is_err());
}

/// A NaN is equal to a NaN, and a difference to anything else.
#[test]
fn what_is_not_a_number_is_equal_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, last: f64| {
        let dir = folder.path().join(name);
        let info = RunInfo::new(name, gpu().info(), 2, 1);
        let model = ModelDescription::default();
        let mut writer = RunWriter::create(&dir, "", info, &model, TraceLayout::new()).unwrap();
        writer.scalar(0, "loss", f64::NAN).unwrap();
        writer.scalar(1, "loss", last).unwrap();
        writer.finish(Status::Done, 2).unwrap();
        dir
    };
    let found = of(&[write("a", f64::NAN), write("b", f64::NAN), write("c", 1.0)]);
    assert_eq!(found.pairs[0].first_difference, None);
    let (other, first) = found.first_difference().unwrap();
    assert_eq!((other, first.step), (2, 1));
    let text = serde_json::to_value(first).unwrap();
    assert_eq!(text["values"], json!(["NaN", 1.0]));
    assert_eq!(text["kind"], "scalar");
    let scalars = serde_json::to_value(&found.scalars[0]).unwrap();
    assert_eq!(scalars["runs"][0]["final"], "NaN");
    assert_eq!(scalars["runs"][0]["first_nonfinite"], 0);
}
