//! The built-in scenarios that fail do so for the reason they name, whatever the seed, and with their fixes they do not.

use trainscope::tensor::TensorKind;
use trainscope::trace::{Event, EventKind, Subject, TraceLayout, UnitStatistics};
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

/// The statistics of each unit of a tensor's activations.
fn units<'r>(layout: &TraceLayout, record: &'r StepRecord, tensor: &str) -> &'r [UnitStatistics] {
    rows(layout, record, tensor, TensorKind::Activation)
}

/// The same of any kind.
fn rows<'r>(
    layout: &TraceLayout,
    record: &'r StepRecord,
    tensor: &str,
    kind: TensorKind,
) -> &'r [UnitStatistics] {
    let entry = layout.find(tensor, kind).expect("recorded");
    &record.statistics.as_ref().expect("recorded")[entry.rows()]
}

fn is_finite(record: &StepRecord) -> bool {
    let rows = record.statistics.as_ref().expect("recorded");
    let no_bad_value = |unit: &UnitStatistics| unit.nonfinite == 0.0;
    record.scalars.iter().all(|scalar| scalar.is_finite()) && rows.iter().all(no_bad_value)
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
                assert_eq!(unit.nonfinite, 0.0, "{seed}: {tensor} is finite");
            }
        }
        let largest = units(&layout, first, "logvar")
            .iter()
            .fold(f32::MIN, |largest, unit| largest.max(unit.max));
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

/// The least log-variance of a pixel in a record.
fn least_log_variance(layout: &TraceLayout, record: &StepRecord, tensor: &str) -> f32 {
    let units = units(layout, record, tensor).iter();
    units.fold(f32::INFINITY, |least, unit| least.min(unit.min))
}

/// Where images are flat the log-variance drifts down, in every seed; with grain everywhere it stays at that of the grain.
#[test]
fn the_log_variance_drifts_where_images_are_flat() {
    let name = "vae-flat-background";
    let least = |records: &[StepRecord], layout: &TraceLayout| {
        let values = records.iter();
        let values = values.map(|record| least_log_variance(layout, record, "image_log_variance"));
        values.fold(f32::INFINITY, f32::min)
    };
    for seed in 1..=5 {
        let seed = format!("seed={seed}");
        let (layout, records) = run(name, 210, std::slice::from_ref(&seed));
        let flat = least(&records, &layout);
        assert!(flat < -3.3, "{seed}: {flat}");
        let (layout, records) = run(name, 210, &[seed.clone(), "data.flat=0.0".to_owned()]);
        let grainy = least(&records, &layout);
        assert!(grainy > -2.9, "{seed}: {grainy} with grain everywhere");
    }
}

/// The drift ends in an overshoot that is not finite within twenty steps; a floor keeps the same run from both.
#[test]
fn the_drift_of_the_log_variance_overshoots() {
    let name = "vae-flat-background";
    let (_, records) = run(name, 720, &[]);
    let first = records.iter().position(|record| !is_finite(record));
    let first = first.expect("the run does not stay finite");
    assert!(first > 400, "it trains for a while, but failed at {first}");
    let greatest = |from: usize, to: usize| {
        let losses = records[from..to].iter().map(|record| record.scalars[0]);
        losses.fold(f32::MIN, f32::max)
    };
    let (quiet, overshoot) = (
        greatest(first - 120, first - 20),
        greatest(first - 20, first),
    );
    assert!(overshoot > 2.0 * quiet, "{overshoot} after {quiet}");

    let floor = -4.0;
    let (layout, records) = run(name, 720, &[format!("model.log_variance_floor={floor:?}")]);
    for record in &records {
        assert!(is_finite(record), "step {} with a floor", record.step);
        let least = least_log_variance(&layout, record, "image_log_variance.bounded");
        assert!(least >= floor - 1e-5, "step {}: {least}", record.step);
    }
}

/// A latent unit whose mean hardly varies over the batch carries nothing.
fn used(layout: &TraceLayout, record: &StepRecord) -> usize {
    let mu = units(layout, record, "mu").iter();
    mu.filter(|unit| unit.std > 0.1).count()
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
        let (layout, records) = run("vae-collapses", 60, &settings("1.0"));
        let last = &records[records.len() - 1];
        let used = used(&layout, last);
        assert!(used > 10, "seed {seed}: fixed, {used} of 20 are used");
        assert!(last.scalars[2] > 2.0, "seed {seed}: {}", last.scalars[2]);
    }
}

#[test]
fn hidden_layers_die_under_a_high_rate() {
    let dead = |layout: &TraceLayout, record: &StepRecord, tensor: &str| {
        let units = units(layout, record, tensor);
        let dead = units
            .iter()
            .filter(|unit| unit.zero_fraction >= 1.0)
            .count();
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
        let fixed = [seed.clone(), "train.optimizer.adam.lr=1e-3".to_owned()];
        let (layout, records) = run("mlp-dead-relu", 60, &fixed);
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
    events
        .filter(|event| event.kind == EventKind::Spike)
        .collect()
}

#[test]
fn spikes_name_the_corrupt_samples() {
    let corrupt = [1234, 4321, 7777];
    let text = BUILT_IN
        .iter()
        .find(|scenario| scenario.name == "vae-corrupt-batch")
        .expect("it is built in")
        .text;
    let fixed: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("corrupt"))
        .collect();
    assert!(fixed.len() < text.len());
    for seed in 1..=5 {
        let found = spikes(text, seed);
        assert!(!found.is_empty(), "seed {seed}: there is a spike");
        for spike in &found {
            let named = spike.samples.iter().any(|sample| corrupt.contains(sample));
            assert!(named, "seed {seed}: {spike:?}");
            assert_eq!(spike.samples.len(), 64);
        }
        assert!(spikes(&fixed, seed).is_empty(), "seed {seed}: fixed");
    }
}

/// A run of a GAN's scenario with all that it would tell a user.
struct Game {
    layout: TraceLayout,
    scalar_names: Vec<String>,
    /// Every step; every tenth with its statistics.
    records: Vec<StepRecord>,
    events: Vec<Event>,
}

impl Game {
    fn new(name: &str, steps: u64, settings: &[&str]) -> Self {
        let steps = format!("train.steps={steps}");
        let settings = settings.iter().copied();
        let settings: Vec<String> = settings
            .chain([steps.as_str(), "record.every=10"])
            .map(str::to_owned)
            .collect();
        let scenario = Scenario::load(name, &settings).expect("a built-in scenario");
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("run");
        let mut run = Run::create(gpu(), &scenario, &dir, None).expect("a run");
        let layout = run.trainer().layout().clone();
        let scalar_names = run.trainer().scalar_names();
        let mut records = Vec::new();
        let mut keep = |record: &StepRecord| records.push(record.clone());
        while run.advance(&mut keep).expect("it runs") {}
        let events = run.finish(false, &mut keep).expect("it ends").events;
        Self {
            layout,
            scalar_names,
            records,
            events,
        }
    }

    /// A scalar of every step.
    fn scalar(&self, name: &str) -> Vec<f64> {
        let index = self.scalar_names.iter().position(|other| other == name);
        let index = index.expect("it has that scalar");
        let records = self.records.iter();
        records
            .map(|record| f64::from(record.scalars[index]))
            .collect()
    }

    /// The records with statistics from step `from` on.
    fn recorded(&self, from: u64) -> impl Iterator<Item = &StepRecord> {
        let records = self.records.iter();
        records.filter(move |record| record.step >= from && record.statistics.is_some())
    }

    fn events(&self, kind: EventKind) -> Vec<&Event> {
        let events = self.events.iter();
        events.filter(|event| event.kind == kind).collect()
    }

    /// The only event of a kind, and the step since when it has held, as it says itself.
    fn event(&self, kind: EventKind) -> (&Event, usize) {
        let events = self.events(kind);
        assert_eq!(events.len(), 1, "{:?}", self.events);
        (events[0], events[0].since as usize)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Root of the sum of squares, per sample, of what reaches the generator's first layer: over units, the mean square
/// of the gradient in a batch.
fn gradient_size(layout: &TraceLayout, record: &StepRecord) -> f64 {
    let units = rows(layout, record, "generator.0", TensorKind::Gradient).iter();
    let square = |value: f32| f64::from(value).powi(2);
    let squares = units.map(|unit| square(unit.mean) + square(unit.std));
    squares.sum::<f64>().sqrt()
}

#[test]
fn a_generator_stands_still_before_a_certain_discriminator() {
    let guessing = 2.0 * 2f64.ln();
    for seed in 1..=5 {
        let seed = format!("seed={seed}");
        let name = "gan-strong-discriminator";
        // A smaller batch fails just as well.
        let batch = "train.batch=16";
        let failing = Game::new(name, 91, &[&seed, batch]);
        let objective = "model.objective=cross_entropy";
        let fixed = Game::new(name, 91, &[&seed, batch, objective]);

        // The event names the first of the steps in which the discriminator's loss is below a hundredth of guessing.
        let (_, since) = failing.event(EventKind::DiscriminatorSaturated);
        let losses = failing.scalar("loss");
        assert!(since > 0 && losses[since - 1] >= 0.01 * guessing, "{seed}");
        let largest = losses[since..since + 20]
            .iter()
            .copied()
            .fold(0.0, f64::max);
        assert!(largest < 0.01 * guessing, "{seed}: {largest}");
        let late = mean(&losses[60..]);
        assert!(late < 0.01 * guessing, "{seed}: {late}");
        let late = mean(&fixed.scalar("loss")[60..]);
        assert!(late > 0.1 * guessing, "{seed}: fixed, {late}");
        assert!(fixed.events(EventKind::DiscriminatorSaturated).is_empty());

        for (failing_step, fixed_step) in failing.recorded(80).zip(fixed.recorded(80)) {
            // The surest that it is of a generated image being real: a sigmoid below 1/400.
            let score = units(&failing.layout, failing_step, "discriminator.2@generated")[0];
            assert!(score.max < -6.0, "{seed}: {}", score.max);
            let size = gradient_size(&failing.layout, failing_step);
            let other = gradient_size(&fixed.layout, fixed_step);
            assert!(size < 1e-3 * other, "{seed}: {size:e} and {other:e}");
        }
    }
}

/// The mean squared difference of two images of MNIST, per pixel: twice the pixels' variances.
fn real_diversity() -> f64 {
    let scenario = Scenario::load("gan-mode-collapse", &[]).expect("a built-in scenario");
    let images = scenario.images().expect("they are part of the program");
    let size = images.pixels.len() / images.count;
    let (mut sums, mut squares) = (vec![0.0; size], vec![0.0; size]);
    for image in images.pixels.chunks_exact(size) {
        for (index, &pixel) in image.iter().enumerate() {
            let value = f64::from(pixel) / 255.0;
            sums[index] += value;
            squares[index] += value * value;
        }
    }
    let count = images.count as f64;
    let variance = |(sum, square): (&f64, &f64)| square / count - (sum / count).powi(2);
    2.0 * sums.iter().zip(&squares).map(variance).sum::<f64>() / size as f64
}

#[test]
fn samples_repeat_where_the_discriminator_hardly_learns() {
    let real = real_diversity();
    for seed in 1..=5 {
        let seed = format!("seed={seed}");
        let name = "gan-mode-collapse";
        let failing = Game::new(name, 151, &[&seed]);
        let rate = "train.discriminator_optimizer.adam.lr=2e-3";
        let fixed = Game::new(name, 151, &[&seed, rate]);

        // Two images have something in common from the first, but not all.
        let all = failing.scalar("diversity");
        assert!(all[0] > 0.05 * real, "{seed}: {}", all[0] / real);
        let late = all[60..].iter().copied().fold(0.0, f64::max);
        assert!(late < 0.01 * real, "{seed}: {}", late / real);
        let late = mean(&fixed.scalar("diversity")[100..]);
        assert!(late > 0.1 * real, "{seed}: fixed, {}", late / real);
        assert!(fixed.events(EventKind::DiversityCollapse).is_empty());

        // The event names a layer and the first record since which its units hardly vary any more.
        let (event, since) = failing.event(EventKind::DiversityCollapse);
        let layer = "discriminator.0";
        assert_eq!(
            event.subject,
            Subject::tensor(layer, TensorKind::Activation)
        );
        for record in failing.recorded(0) {
            let variance = |tensor: &str| {
                let units = units(&failing.layout, record, tensor).iter();
                units.map(|unit| f64::from(unit.std).powi(2)).sum::<f64>()
            };
            let share = variance(&format!("{layer}@generated")) / variance(layer);
            let step = record.step as usize;
            if step >= since {
                assert!(share < 0.005, "{seed}, step {step}: {share}");
            } else if step + 10 == since {
                assert!(share >= 0.005, "{seed}, step {step}: {share}");
            }
        }
        assert!(since > 0, "{seed}: from the first step on");
    }
}
