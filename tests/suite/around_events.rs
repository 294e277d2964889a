//! What a run keeps around its events: every step, also where it records few, and the state before.

use std::path::Path;
use std::time::Duration;

use trainscope::diagnose::explain;
use trainscope::trace::{Checkpoint, Event, EventKind, RunReader, RunView};
use trainscope::train::{Run, Scenario};

use crate::support::{SMALL, end, gpu, verify_replay};

/// Steps up to an event that are recorded, and the steps after it.
const BEFORE: u64 = 24;
const AFTER: u64 = 6;

/// A sample that is far too bright comes once in 64 steps: each time the loss spikes.
fn scenario(settings: &[&str]) -> Scenario {
    let spiking = [
        "data.limit=2048",
        "data.corrupt={ samples = [77], scale = 255.0 }",
        "model.variance=\"bounded\"",
        "model.reconstruction=\"squared_error\"",
        "train.optimizer.adam.lr=1e-3",
        "train.clip={ norm = 10.0 }",
        "train.steps=200",
        "record.every=20",
        "record.checkpoint_every=90",
        "record.around_events=24",
    ];
    let all = spiking.iter().chain(settings).map(|s| (*s).to_owned());
    Scenario::parse(SMALL, "small", &all.collect::<Vec<_>>()).unwrap()
}

fn train(settings: &[&str], dir: &Path) -> Vec<Event> {
    end(Run::create(gpu(), &scenario(settings), dir, None).unwrap()).events
}

fn spikes(events: &[Event]) -> Vec<u64> {
    let spikes = events.iter().filter(|event| event.kind == EventKind::Spike);
    spikes.map(|event| event.step).collect()
}

/// Everything that is recorded, floats by their bits.
fn contents(dir: &Path) -> String {
    let run = RunReader::open(dir).unwrap();
    let mut text = format!("{:?}\n", run.events().unwrap());
    for (name, series) in run.scalars().unwrap() {
        let bits: Vec<_> = series.iter().map(|(s, v)| (s, v.to_bits())).collect();
        text += &format!("{name} {bits:?}\n");
    }
    for (step, values) in run.statistics(0, u64::MAX).unwrap() {
        let bits: Vec<_> = values.iter().map(|unit| unit.to_bits()).collect();
        text += &format!("{step} {bits:?}\n");
    }
    for step in run.checkpoints().unwrap() {
        text += &format!("{step} {}\n", Checkpoint::read(dir, step).unwrap().digest());
    }
    text
}

#[test]
fn every_step_around_an_event_is_recorded_and_no_bit_changes() {
    let scratch = tempfile::tempdir().unwrap();
    let [kept, plain, dense] = ["kept", "plain", "dense"].map(|name| scratch.path().join(name));
    let events = train(&[], &kept);
    let without = train(&["record.around_events=0"], &plain);
    train(&["record.around_events=0", "record.every=1"], &dense);
    assert_eq!(events, without, "what is kept changes no event");
    let spikes = spikes(&events);
    assert!(spikes.len() >= 3, "{events:?}");

    let [of_kept, of_plain, of_dense] = [&kept, &plain, &dense].map(|dir| {
        let run = RunReader::open(dir).unwrap();
        (
            run.statistics(0, 200).unwrap(),
            run.scalars().unwrap(),
            run.checkpoints().unwrap(),
        )
    });
    let is_around = |step: u64| {
        let around = |&spike: &u64| (spike + 1).saturating_sub(BEFORE)..spike + 1 + AFTER;
        spikes.iter().any(|spike| around(spike).contains(&step))
    };
    let wanted = |step: u64| step.is_multiple_of(20) || is_around(step);
    let expected: Vec<_> = of_dense
        .0
        .iter()
        .filter(|record| wanted(record.0))
        .collect();
    assert!(
        of_kept.0.iter().collect::<Vec<_>>() == expected,
        "statistics of {spikes:?}"
    );
    assert!(of_kept.0.len() > 2 * of_plain.0.len());
    for (name, series) in &of_dense.1 {
        let of_every_step = of_plain.1[name].len() == 200;
        let expected = series
            .iter()
            .filter(|(step, _)| of_every_step || wanted(*step));
        assert_eq!(
            of_kept.1[name],
            expected.copied().collect::<Vec<_>>(),
            "{name}"
        );
    }
    // The states of the run are those that it has without, and there is one shortly before each spike.
    for &step in &of_plain.2 {
        let digest = |dir: &Path| Checkpoint::read(dir, step).unwrap().digest();
        assert_eq!(digest(&kept), digest(&plain));
    }
    for spike in spikes {
        let before = spike.saturating_sub(2 * BEFORE)..(spike + 2).saturating_sub(BEFORE).max(1);
        assert!(
            of_kept.2.iter().any(|step| before.contains(step)),
            "{:?}",
            of_kept.2
        );
    }
    let found = verify_replay(&kept, 0..200).unwrap();
    assert_eq!(found.differences, Vec::<String>::new());
    assert_eq!(found.records, of_kept.0.len());
    assert_eq!(found.checkpoints, of_kept.2.len() - 1);
}

#[test]
fn a_run_that_is_killed_around_an_event_ends_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let first = spikes(&train(&[], &path("whole")))[0];
    let expected = contents(&path("whole"));
    // In the window, behind it, and after a save that is taken back.
    for (name, steps, saves) in [
        ("before", first - 3, Duration::ZERO),
        ("noticed", first + 3, Duration::MAX),
        ("inside", first + AFTER - 1, Duration::ZERO),
        ("behind", first + 40, Duration::MAX),
    ] {
        let run = Run::create(gpu(), &scenario(&[]), &path(name), None).unwrap();
        let mut run = run.with_save_interval(saves);
        for _ in 0..steps {
            run.advance(&mut |_| {}).unwrap();
        }
        drop(run);
        end(Run::resume(gpu(), &path(name), None).unwrap());
        assert!(contents(&path(name)) == expected, "{name}");
    }
}

#[test]
fn a_budget_leaves_the_steps_around_events_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let [plain, held] = ["plain", "held"].map(|name| scratch.path().join(name));
    let settings = [
        "record.every=1",
        "record.checkpoint_every=20",
        "record.around_events=40",
    ];
    train(&settings, &plain);
    let bytes = std::fs::read_dir(plain.join("trace")).unwrap();
    let bytes: u64 = bytes
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    let budget = format!("record.budget={}", bytes / 2);
    let settings: Vec<&str> = settings.iter().copied().chain([budget.as_str()]).collect();
    let first = spikes(&train(&settings, &held))[0];
    let records = RunReader::open(&held).unwrap().statistics(0, 200).unwrap();
    assert!(records.len() < 200, "{}", records.len());
    let kept = |step: &u64| records.iter().any(|record| record.0 == *step);
    let around = (first + 1).saturating_sub(40)..first + 11;
    assert!(around.clone().all(|step| kept(&step)), "{around:?}");
    assert_eq!(verify_replay(&held, 0..200).unwrap().differences.len(), 0);
}

/// The cause of a failure does not depend on how much of a run is recorded.
#[test]
fn a_failure_is_explained_from_what_is_kept_around_it() {
    let scratch = tempfile::tempdir().unwrap();
    let [few, all] = [25, 1].map(|every: u64| {
        let dir = scratch.path().join(format!("every-{every}"));
        let settings = [
            format!("record.every={every}"),
            "train.steps=400".to_owned(),
        ];
        let scenario = Scenario::load("vae-logvar-explodes", &settings).unwrap();
        end(Run::create(gpu(), &scenario, &dir, None).unwrap());
        let explanation = explain(&RunView::open(&dir).unwrap());
        let first = explanation.findings.into_iter().next().expect("it fails");
        (first.cause, first.severity)
    });
    assert_eq!(few, all);
}
