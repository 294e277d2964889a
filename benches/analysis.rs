//! Rates of the analyses of a run, beside the same algorithms in float64 on all CPU cores: credit of units, integrated
//! gradients, clusters of units, and the sample of probe lines.
//!
//! A ratio is the CPU's time over the adapter's. Credit in float64 takes minutes on the layers of the default run, so that
//! its ratio is that of a smaller network, and the default run's is timed alone.

use std::path::Path;
use std::time::Instant;

use trainscope::attribute::{AttributeOptions, Attribution, attribute};
use trainscope::cluster::{ClusterOptions, UnitFeatures, cluster, reference as kmeans};
use trainscope::credit::reference::{ReferenceBatch, ReferenceTraining};
use trainscope::credit::{Chosen, Credit, CreditRequest, credit};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::nn::reference::Reference;
use trainscope::nn::{BackwardRule, Graph, Mode, Pass, Role, UpdateRule};
use trainscope::random::{Stream, standard_normal, words};
use trainscope::sample::{Budget, SampleOptions, order, reference, sample};
use trainscope::series::{Scale, SeriesBuffer, ValueScale};
use trainscope::tensor::TensorKind;
use trainscope::train::{ProbeLines, ProbeLinesRequest, Replay, Run, Scenario, Trainer};

/// The median of so many calls counts.
const CALLS: usize = 3;
/// How often `trainscope cluster` begins anew for each count, and the most clusters that it tries.
const STARTS: u32 = 4;
const MOST_CLUSTERS: usize = 12;

/// What a call returned last, and the median of the seconds that calls took.
fn timed<T>(mut call: impl FnMut() -> T) -> (T, f64) {
    let mut last = None;
    let mut seconds: Vec<f64> = (0..CALLS)
        .map(|_| {
            let start = Instant::now();
            last = Some(call());
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (last.expect("it was called"), seconds[CALLS / 2])
}

/// The results for all items in order, computed on all cores; each takes the next item when it is done with one.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match items.get(index) {
                Some(item) => done.push((index, work(item))),
                None => return done,
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        let done = workers.into_iter();
        done.flat_map(|worker| worker.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

fn said(what: &str, seconds: f64, cpu: f64) {
    let ratio = cpu / seconds;
    println!("{what}: {seconds:.3} s; CPU {cpu:.3} s, ratio {ratio:.2}");
}

/// A run of a scenario.
fn trained(gpu: &Gpu, dir: &Path, name: &str, settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.into()).collect();
    let scenario = Scenario::load(name, &settings).expect("a scenario");
    let mut run = Run::create(gpu, &scenario, dir, None).expect("a run");
    while run.advance(&mut |_| ()).expect("it runs") {}
    run.finish(false, &mut |_| ()).expect("it closes");
    scenario
}

/// The initial values of a graph's parameters.
fn parameters(trainer: &Trainer, graph: &Graph) -> Vec<Vec<f64>> {
    let tensors = trainer.checkpoint().expect("it is read").parameters;
    let of = |name: &String| {
        let tensor = tensors.iter().find(|tensor| tensor.name == *name);
        let values = &tensor.expect("a parameter").values;
        values.iter().map(|&value| value.into()).collect()
    };
    graph.parameters().iter().map(|p| of(&p.name)).collect()
}

/// The beginning of a VAE's training, for float64.
struct Beginning<'a> {
    pass: Pass<'a>,
    rule: UpdateRule,
    parameters: Vec<Vec<f64>>,
    /// Memories of the optimizer for each parameter.
    memories: usize,
    batch: usize,
    seed: u64,
    probe: Vec<Vec<f64>>,
    probe_samples: usize,
    batches: Vec<ReferenceBatch>,
}

impl<'a> Beginning<'a> {
    fn new(gpu: &Gpu, trainer: &'a Trainer, scenario: &Scenario, steps: u64) -> Self {
        let images = scenario.images().expect("images");
        let size = images.sample_size();
        let batch = |samples: &[u32]| -> Vec<Vec<f64>> {
            let samples = samples.iter().map(|&sample| sample as usize);
            let pixels = samples.flat_map(|sample| &images.pixels[sample * size..][..size]);
            let pixels = pixels.map(|&byte| f64::from(f32::from(byte) / 255.0));
            vec![pixels.collect()]
        };
        let pass = trainer.model().passes()[0];
        let rule = scenario.train_config().update_rule;
        let state = rule.state(gpu, trainer.parameters()).expect("a state");
        let samples: Vec<u32> = (0..scenario.record.probe_batch as u32).collect();
        let batches = (0..steps).map(|step| batch(&trainer.batch_samples(step)).into());
        Self {
            parameters: parameters(trainer, pass.graph),
            memories: state.moments.len(),
            batch: scenario.train.batch,
            seed: scenario.seed,
            probe: batch(&samples),
            probe_samples: samples.len(),
            batches: batches.collect(),
            pass,
            rule,
        }
    }

    /// The decomposition of a unit's change over all batches.
    fn credit(&self, layer: &str, unit: usize) -> Credit {
        let all = self.pass.graph.parameters();
        let learned = all.iter().filter(|parameter| parameter.trainable);
        let zeros = |shape: &[usize]| vec![vec![0.0; shape.iter().product()]; self.memories];
        let mut training = ReferenceTraining {
            passes: vec![self.pass],
            own: 0..all.len(),
            weight_clip: None,
            rule: self.rule,
            batch: self.batch,
            seed: self.seed,
            parameters: self.parameters.clone(),
            moments: learned.map(|parameter| zeros(&parameter.shape)).collect(),
            step: 0,
            updates: 0,
            probe: self.probe.clone(),
            probe_samples: self.probe_samples,
            chosen: Chosen::default(),
        };
        training.credit((layer, unit), 1, &self.batches)
    }
}

fn credits(gpu: &Gpu, dir: &Path, layer: &str, units: &[usize], steps: u64) -> Vec<Credit> {
    let replay = Replay::open(gpu, dir).expect("a run");
    let request = CreditRequest::new(layer, units, 0..steps);
    credit(replay, &request, &mut |_, _| ()).expect("a decomposition")
}

fn credit_of_units(gpu: &Gpu, folder: &Path) {
    let steps = 10;
    let small = [
        "data.source=\"shapes\"",
        "data.size=12",
        "data.count=200",
        "model.latent=4",
        "model.encoder=[{ dense = { units = 64 } }, \"relu\"]",
        "model.decoder=[{ dense = { units = 64 } }, \"relu\", { dense = { units = 432 } }]",
        "train.batch=32",
        "train.steps=10",
    ];
    let dir = folder.join("small");
    let scenario = trained(gpu, &dir, "vae-mnist", &small);
    let trainer = Trainer::new(gpu, &scenario).expect("a trainer");
    let beginning = Beginning::new(gpu, &trainer, &scenario, steps);
    let (units, layer): (Vec<usize>, _) = ((0..4).collect(), "logvar");
    let (found, seconds) = timed(|| credits(gpu, &dir, layer, &units, steps));
    let exact = |unit: &usize| beginning.credit(layer, *unit);
    let (exact, cpu) = timed(|| on_all_cores(&units, exact));
    for (found, exact) in found.iter().zip(&exact) {
        let difference = (found.change - exact.change).abs();
        assert!(difference < 1e-3 * exact.magnitude(), "another change");
    }
    said(
        &format!("credit of 4 units of {layer}, {steps} steps of a small VAE"),
        seconds,
        cpu,
    );
    let steps = 50;
    let dir = folder.join("vae-mnist");
    trained(
        gpu,
        &dir,
        "vae-mnist",
        &["train.steps=50", "record.every=10"],
    );
    let (_, seconds) = timed(|| credits(gpu, &dir, "encoder.0", &[0], steps));
    println!("credit of 1 unit of encoder.0, {steps} steps of vae-mnist: {seconds:.3} s");
}

/// Integrated gradients from a zero input of some samples in float64.
fn path_gradients(
    graph: &Graph,
    parameters: &[Vec<f64>],
    options: &AttributeOptions,
    samples: &[f64],
) -> Vec<f64> {
    let input = graph.with_role(Role::Input).expect("an input");
    let layer = graph.find(&options.layer).expect("a layer");
    let batch = samples.len() / graph.node(input).size();
    let reference = Reference {
        graph,
        batch,
        mode: Mode::Eval,
        parameters,
        noise: (0, 0),
        rule: BackwardRule::Gradient,
    };
    let mut sums = vec![0.0; samples.len()];
    for point in 0..options.path_steps {
        let t = (point as f64 + 0.5) / options.path_steps as f64;
        let rows = samples.iter().map(|x| t * x).collect();
        let values = reference.forward(&[rows]).values;
        let size = graph.node(layer).size();
        let mut cotangents = vec![None; values.len()];
        let unit = |at: usize| f64::from(u8::from(at % size == options.unit));
        cotangents[layer.index()] = Some((0..batch * size).map(unit).collect());
        let gradients = reference.backward(&values, cotangents).nodes;
        let gradients = gradients[input.index()].iter().flatten();
        sums.iter_mut()
            .zip(gradients)
            .for_each(|(sum, g)| *sum += g);
    }
    let path = options.path_steps as f64;
    sums.iter()
        .zip(samples)
        .map(|(sum, x)| sum / path * x)
        .collect()
}

fn integrated_gradients(gpu: &Gpu) {
    let scenario = Scenario::load("vae-mnist", &["record.probe_batch=64".into()]);
    let trainer = Trainer::new(gpu, &scenario.expect("a scenario")).expect("a trainer");
    let options = AttributeOptions::new("mu", 3);
    let (found, seconds): (Attribution, _) =
        timed(|| attribute(&trainer, &options).expect("an attribution"));
    let graph = trainer.graph();
    let parameters = parameters(&trainer, graph);
    let samples: Vec<f64> = found.inputs.iter().map(|&value| value.into()).collect();
    let size = samples.len() / found.samples.len();
    let parts: Vec<&[f64]> = samples.chunks(8 * size).collect();
    let (exact, cpu) = timed(|| {
        on_all_cores(&parts, |part| {
            path_gradients(graph, &parameters, &options, part)
        })
    });
    let of_samples = found.samples.iter().flat_map(|sample| &sample.values);
    let values: Vec<f64> = of_samples.copied().collect();
    let largest = values.iter().map(|value| value.abs()).fold(0.0, f64::max);
    for (value, exact) in values.iter().zip(exact.concat()) {
        assert!((value - exact).abs() < 1e-3 * largest, "another value");
    }
    said(
        &format!(
            "integrated gradients of {} samples, {} steps, vae-mnist",
            found.samples.len(),
            options.path_steps
        ),
        seconds,
        cpu,
    );
}

/// Units in eight groups, each with noise of its own.
fn features(units: usize, len: usize) -> UnitFeatures {
    let value = |at: usize| {
        let (unit, sample) = ((at / len) as u32, (at % len) as u32);
        let [of_group, ..] = standard_normal(words(1, Stream::Synthetic, sample, unit % 8));
        let [noise, ..] = standard_normal(words(2, Stream::Synthetic, sample, unit));
        (of_group + 0.3 * noise) as f32
    };
    UnitFeatures {
        units,
        len,
        positions: 1,
        values: (0..units * len).map(value).collect(),
        of: "the benchmark",
    }
}

fn clusters(gpu: &Gpu) {
    let (units, len) = (400, 64);
    let features = features(units, len);
    let options = ClusterOptions::default();
    let (found, seconds) = timed(|| cluster(gpu, &features, &options).expect("clusters"));
    let rows = features.values.chunks_exact(len);
    let points: Vec<Vec<f64>> = rows
        .map(|row| row.iter().map(|&value| value.into()).collect())
        .collect();
    let instances: Vec<(usize, u32)> = (1..=MOST_CLUSTERS)
        .flat_map(|count| (0..STARTS).map(move |start| (count, start)))
        .collect();
    let settled = |&(count, start): &(usize, u32)| {
        let seeds = kmeans::seeds(&points, count, options.seed, start);
        let centers = seeds.iter().map(|&seed| points[seed].clone()).collect();
        let (labels, error) = kmeans::settle(&points, centers);
        let silhouettes = kmeans::silhouettes(&points, &labels);
        (count, error, silhouettes.iter().sum::<f64>())
    };
    let (exact, cpu) = timed(|| on_all_cores(&instances, settled));
    let best = exact.iter().max_by(|a, b| a.2.total_cmp(&b.2));
    assert_eq!(found.clusters.len(), best.expect("some").0, "another count");
    said(
        &format!("clusters of {units} units x {len} samples"),
        seconds,
        cpu,
    );
}

/// Probe lines of a layer of the default run, and a sample of them.
fn probe_lines(gpu: &Gpu, folder: &Path) {
    let (steps, samples) = (256, 25);
    let dir = folder.join("lines");
    let settings = [
        "train.steps=256",
        "record.every=32",
        "record.probe_batch=25",
    ];
    trained(gpu, &dir, "vae-mnist", &settings);
    let request = ProbeLinesRequest {
        tensor: "encoder.0".into(),
        kind: TensorKind::Activation,
        steps: 0..steps,
    };
    let start = Instant::now();
    let replay = Replay::open(gpu, &dir).expect("a run");
    let lines = ProbeLines::record(replay, request, &mut |_| ()).expect("probe lines");
    let count = lines.len();
    println!(
        "probe lines of {samples} samples of encoder.0, {steps} steps run again: {:.3} s for {count} lines",
        start.elapsed().as_secs_f64()
    );
    let (values, steps) = (&lines.values, steps as usize);
    let scale = ValueScale::fit(Scale::Linear, values);
    let radius = 0.05;
    let on_gpu = || {
        let series = SeriesBuffer::upload_with(gpu, values, steps, scale).expect("room");
        let options = SampleOptions {
            budget: Budget::Radius(radius),
            ..SampleOptions::default()
        };
        sample(gpu, &series, &options).expect("a sample")
    };
    let (found, seconds) = timed(on_gpu);
    let parts: Vec<&[f32]> = values.chunks(64 * steps).collect();
    let on_cpu = || {
        let envelopes = |part: &&[f32]| reference::envelopes(part, steps, 256, scale);
        let rows = on_all_cores(&parts, envelopes).concat();
        let tiers = reference::priority_tiers(&rows, values);
        let order = order(&tiers, 0);
        let len = rows[0].len();
        let heights: Vec<f32> = rows.concat().iter().map(|&height| height as f32).collect();
        let rows = reference::Row::all(&heights, len, &tiers);
        let kept = reference::greedy(&rows, &order, radius);
        let parts: Vec<std::ops::Range<usize>> = (0..rows.len())
            .step_by(64)
            .map(|from| from..(from + 64).min(rows.len()))
            .collect();
        let nearest = |part: &std::ops::Range<usize>| {
            let distance =
                |row: usize, &kept: &u32| reference::distance(rows[row], rows[kept as usize]);
            let of = |row| {
                kept.iter()
                    .map(|one| distance(row, one))
                    .fold(f32::INFINITY, f32::min)
            };
            part.clone().map(of).collect::<Vec<f32>>()
        };
        (kept.len(), on_all_cores(&parts, nearest))
    };
    let ((kept, _), cpu) = timed(on_cpu);
    said(
        &format!(
            "a sample of {count} lines x {steps} steps, radius {radius}, {} and {kept} kept",
            found.kept.len()
        ),
        seconds,
        cpu,
    );
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let folder = tempfile::tempdir().expect("a folder");
    credit_of_units(&gpu, folder.path());
    integrated_gradients(&gpu);
    clusters(&gpu);
    probe_lines(&gpu, folder.path());
}
