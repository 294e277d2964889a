//! The built-in scenarios that fail do so for the reason they name, whatever the seed, and their mended twins do not.

use trainscope::trace::{Event, Kind, TraceLayout};
use trainscope::train::{BUILT_IN, Run, Scenario, StepRecord, Trainer};

use crate::support::gpu;

/// The largest value whose exponential float32 holds.
const LARGEST_EXPONENT: f32 = 88.722_84;

/// Every step of a built-in scenario, each with its statistics.
fn run(name: &str, steps: u64, settings: &[String]) -> (TraceLayout, Vec<StepRecord>) {
    // A smaller batch fails just as well, and sooner.
    let settings = [settings, &["train.batch=32".to_owned()]].concat();
    let scenario = Scenario::load(name, &settings).expect("a built-in scenario");
    let mut trainer = Trainer::new(gpu(), &scenario).expect("a trainer");
    let mut records = Vec::new();
    while (records.len() as u64) < steps {
        if trainer.steps_done() < steps && !trainer.is_full() {
            trainer.step(true).expect("it runs");
        }
        let wait = trainer.is_full() || trainer.steps_done() == steps;
        records.extend(trainer.take(wait).expect("it runs"));
    }
    (trainer.layout().clone(), records)
}

/// Six figures of each unit of a tensor's activations.
fn units<'r>(layout: &TraceLayout, record: &'r StepRecord, tensor: &str) -> &'r [[f32; 6]] {
    let wanted = |entry: &&trainscope::trace::TraceEntry| {
        entry.tensor == tensor && entry.kind == Kind::Activation
    };
    let entry = layout.entries().iter().find(wanted).expect("recorded");
    let rows = record.statistics.as_ref().expect("recorded");
    &rows.as_chunks().0[entry.first_row..entry.first_row + entry.units]
}

fn is_finite(record: &StepRecord) -> bool {
    let rows = record.statistics.as_ref().expect("recorded");
    let no_bad_value = |row: &[f32; 6]| row[5] == 0.0;
    record.scalars.iter().all(|scalar| scalar.is_finite())
        && rows.as_chunks().0.iter().all(no_bad_value)
}

#[test]
fn the_log_variance_overflows_first() {
    for seed in 1..=5 {
        let seed = format!("seed={seed}");
        let (layout, records) = run("vae-logvar-explodes", 8, std::slice::from_ref(&seed));
        let first = records.iter().find(|record| !is_finite(record));
        let first = first.unwrap_or_else(|| panic!("{seed}: the run stays finite"));
        // Up to the head all is finite, and the head is beyond what the exponential in the divergence can bear.
        for tensor in ["encoder.0", "encoder.1", "mu", "logvar"] {
            for unit in units(&layout, first, tensor) {
                assert_eq!(unit[5], 0.0, "{seed}: {tensor} is finite");
            }
        }
        let largest = units(&layout, first, "logvar")
            .iter()
            .fold(f32::MIN, |largest, unit| largest.max(unit[3]));
        assert!(
            largest > LARGEST_EXPONENT,
            "{seed}: logvar reaches {largest}"
        );

        for variance in ["bounded", "softplus"] {
            let settings = [seed.clone(), format!("model.variance={variance}")];
            let (_, records) = run("vae-logvar-explodes", 30, &settings);
            let bad = records.iter().find(|record| !is_finite(record));
            assert!(bad.is_none(), "{seed}: {variance} stays finite");
        }
    }
}

/// A latent unit whose mean hardly varies over the batch carries nothing.
fn used(layout: &TraceLayout, record: &StepRecord) -> usize {
    let mu = units(layout, record, "mu").iter();
    mu.filter(|unit| unit[1] > 0.1).count()
}

#[test]
fn the_posterior_collapses_under_a_heavy_divergence() {
    for seed in 1..=5 {
        let settings = |beta: &str| [format!("seed={seed}"), format!("model.beta={beta}")];
        let (layout, records) = run("vae-collapses", 60, &settings("40.0"));
        let last = &records[records.len() - 1];
        assert_eq!(used(&layout, last), 0, "seed {seed}");
        // The divergence itself is what is left of it: next to nothing.
        assert!(last.scalars[2] < 1.0, "seed {seed}: {}", last.scalars[2]);
        if seed == 1 {
            let (layout, records) = run("vae-collapses", 60, &settings("1.0"));
            let last = &records[records.len() - 1];
            assert!(used(&layout, last) > 0 && last.scalars[2] > 2.0);
        }
    }
}

#[test]
fn hidden_layers_die_under_a_high_rate() {
    let dead = |layout: &TraceLayout, record: &StepRecord, tensor: &str| {
        let units = units(layout, record, tensor);
        let dead = units.iter().filter(|unit| unit[4] >= 1.0).count();
        dead as f64 / units.len() as f64
    };
    for seed in 1..=5 {
        let seed = format!("seed={seed}");
        let (layout, records) = run("mlp-dead-relu", 60, std::slice::from_ref(&seed));
        let last = &records[records.len() - 1];
        for tensor in ["layers.1", "layers.5"] {
            let share = dead(&layout, last, tensor);
            assert!(share > 0.9, "{seed}: {share} of {tensor} is dead");
        }
        assert!(
            (last.scalars[0] - 10f32.ln()).abs() < 0.5,
            "{seed}: a guess"
        );
        let mended = [seed.clone(), "train.optimizer.adam.lr=1e-3".to_owned()];
        let (layout, records) = run("mlp-dead-relu", 60, &mended);
        let last = &records[records.len() - 1];
        assert!(dead(&layout, last, "layers.5") < 0.5, "{seed}");
        assert!(last.scalars[0] < 1.5, "{seed}: {}", last.scalars[0]);
    }
}

/// The spikes that a run notes in its first 120 steps.
fn spikes(text: &str, seed: u64) -> Vec<Event> {
    let seed = [format!("seed={seed}")];
    let scenario = Scenario::parse(text, "vae-corrupt-batch", &seed).expect("a scenario");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, None).expect("a run");
    for _ in 0..120 {
        run.advance(&mut |_| {}).expect("it runs");
    }
    let finished = run.finish(true, &mut |_| {}).expect("it ends");
    let events = finished.events.into_iter();
    events.filter(|event| event.kind == "spike").collect()
}

#[test]
fn spikes_name_the_corrupt_samples() {
    let corrupt = [1234, 4321, 7777];
    let (.., text) = BUILT_IN
        .iter()
        .find(|(name, ..)| *name == "vae-corrupt-batch")
        .expect("it is built in");
    let mended: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("corrupt"))
        .collect();
    assert!(mended.len() < text.len());
    for seed in 1..=5 {
        let found = spikes(text, seed);
        assert!(!found.is_empty(), "seed {seed}: there is a spike");
        for spike in &found {
            let named = spike.samples.iter().any(|sample| corrupt.contains(sample));
            assert!(named, "seed {seed}: {spike:?}");
            assert_eq!(spike.samples.len(), 64);
        }
        assert!(spikes(&mended, seed).is_empty(), "seed {seed}: mended");
    }
}
