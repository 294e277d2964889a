//! Whole updates: schedules, clipping and averages around an optimizer, against float64 and PyTorch.

use trainscope::nn::ops::Dense;
use trainscope::nn::{
    Adam, Clip, Graph, Optimizer, OptimizerState, Parameters, RmsProp, Schedule, Sgd, UpdateRule,
};
use trainscope::tensor::NamedTensor;

use super::fixture::Fixture;
use super::harness::{Numbers, distance, split, wide};
use super::optimizer::graph;
use crate::support;

const MOMENTUM: Optimizer = Optimizer::Sgd(Sgd {
    momentum: 0.9,
    ..Sgd::new(0.1)
});

fn cosine(steps: u32, warmup: u32, floor: f64) -> Schedule {
    Schedule::Cosine {
        steps,
        warmup,
        floor,
    }
}

fn step(every: u32, factor: f64, warmup: u32) -> Schedule {
    Schedule::Step {
        every,
        factor,
        warmup,
    }
}

fn update(optimizer: Optimizer, schedule: Schedule, clip: Option<Clip>) -> UpdateRule {
    UpdateRule {
        optimizer,
        schedule,
        clip,
        ema: None,
    }
}

/// Parameters, their memory and what updates them, on the GPU and in float64.
struct Compared<'a> {
    gpu: &'a trainscope::gpu::Gpu,
    update: UpdateRule,
    parameters: Parameters,
    state: OptimizerState,
    step_counter: trainscope::gpu::Buffer<u32>,
    dispatches: Vec<trainscope::gpu::Dispatch>,
    weights: Vec<Vec<f64>>,
    moments: Vec<Vec<Vec<f64>>>,
}

impl<'a> Compared<'a> {
    fn new(gpu: &'a trainscope::gpu::Gpu, graph: &Graph, update: UpdateRule) -> Self {
        let parameters = Parameters::new(gpu, graph, 3).expect("parameters");
        let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
        let state = update.state(gpu, &parameters).expect("state");
        let dispatches = update
            .dispatches(gpu, &parameters, &state, &step_counter, true)
            .expect("dispatches");
        let values = gpu.read(&parameters.values).expect("values");
        let weights: Vec<Vec<f64>> = split(&parameters, &values)
            .iter()
            .map(|v| wide(v))
            .collect();
        let moments = weights
            .iter()
            .map(|w| vec![vec![0.0; w.len()]; state.moments.len()])
            .collect();
        Self {
            gpu,
            update,
            parameters,
            state,
            step_counter,
            dispatches,
            weights,
            moments,
        }
    }

    /// One step on both sides, of gradients in the buffers' layout; returns the weights of the GPU.
    fn step(&mut self, gradients: &[f32], step: u32) -> Vec<Vec<f32>> {
        self.gpu.write(&self.parameters.gradients, 0, gradients);
        self.gpu.write(&self.step_counter, 0, &[step]);
        self.gpu.run("update", &self.dispatches);
        let named = split(&self.parameters, gradients);
        let mut gradients: Vec<Vec<f64>> = named.iter().map(|v| wide(v)).collect();
        self.update
            .reference_step(&mut self.weights, &mut gradients, &mut self.moments, step);
        let values = self.gpu.read(&self.parameters.values).expect("values");
        split(&self.parameters, &values)
    }
}

#[test]
fn schedules_clips_and_averages_agree_with_float64() {
    // Enough gradients for every lane of the norm's first pass, and some more.
    let mut large = Graph::new();
    let x = large.input("x", &[131]);
    large.add("h", Dense::new(137), &[x]).expect("it fits");
    let schedules = [
        Schedule::Constant { warmup: 0 },
        Schedule::Constant { warmup: 3 },
        step(2, 0.5, 0),
        step(3, 0.9, 2),
        cosine(9, 0, 0.0),
        cosine(14, 3, 0.1),
    ];
    let clips = [None, Some(Clip::Value(0.05)), Some(Clip::Norm(2.0))];
    for graph in [graph(), large] {
        for (i, schedule) in schedules.into_iter().enumerate() {
            for (j, clip) in clips.into_iter().enumerate() {
                let adamw = Optimizer::AdamW(Adam::new(0.01));
                let rmsprop = Optimizer::RmsProp(RmsProp::new(0.01));
                let optimizers = [MOMENTUM, adamw, rmsprop];
                let mut update = update(optimizers[(i + j) % 3], schedule, clip);
                update.ema = Some(0.7);
                let mut compared = Compared::new(support::gpu(), &graph, update);
                let mut numbers = Numbers::new(4);
                for step in 0..12 {
                    let size = if step % 3 == 0 { 0.3 } else { 0.001 };
                    let gradients = numbers.many(compared.parameters.values.len(), -size, size);
                    // The gaps between parameters hold zeros, as they do in training.
                    let named = compared.parameters.unpack(&gradients);
                    let gradients = compared.parameters.pack(&named, "test").expect("its own");
                    let got = compared.step(&gradients, step);
                    let off = distance(&got.concat(), &compared.weights.concat());
                    assert!(off < 2e-6, "{update:?}, step {step}: off by {off}");
                }
                let average = compared.state.memory("ema").expect("kept");
                let got = compared.gpu.read(average).expect("averages");
                let got = split(&compared.parameters, &got).concat();
                let want = compared
                    .moments
                    .iter()
                    .map(|m| m.last().expect("kept").clone());
                let off = distance(&got, &want.collect::<Vec<_>>().concat());
                assert!(off < 2e-6, "{update:?}: average off by {off}");
            }
        }
    }
}

/// At late steps too, the share of the rate is a function of the step alone.
#[test]
fn schedules_hold_at_any_step() {
    let graph = graph();
    let sgd = Optimizer::Sgd(Sgd::new(1.0));
    for schedule in [
        cosine(100_000, 1000, 0.0),
        cosine(70_001, 0, 0.25),
        step(1000, 0.9, 10),
        step(1, 0.9999, 0),
        Schedule::Constant { warmup: 50_000 },
    ] {
        let mut compared = Compared::new(support::gpu(), &graph, update(sgd, schedule, None));
        for step in [
            0, 1, 9, 10, 999, 1000, 33_333, 69_999, 99_000, 99_999, 100_000, 200_000,
        ] {
            let ones = vec![1.0; compared.parameters.values.len()];
            compared.step(&ones, step);
            let updates = compared
                .gpu
                .read(&compared.parameters.gradients)
                .expect("updates");
            let (got, want) = (-f64::from(updates[0]), schedule.share(step));
            // Each change rounds.
            let changes = match schedule {
                Schedule::Step { every, .. } => f64::from(step / every),
                _ => 0.0,
            };
            assert!(
                (got - want).abs() <= (1e-6 + 1.2e-7 * changes) * want.max(1e-9),
                "{schedule:?}, step {step}: {got}, not {want}"
            );
        }
    }
}

#[test]
fn updates_agree_with_pytorch() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[3]);
    graph.add("h", Dense::new(5), &[x]).expect("it fits");
    let fixture = Fixture::open("optimizers");
    let sgd = |weight_decay| {
        Optimizer::Sgd(Sgd {
            lr: 0.1,
            momentum: 0.9,
            weight_decay,
        })
    };
    let adamw = |lr, weight_decay| {
        Optimizer::AdamW(Adam {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: Some(weight_decay),
        })
    };
    let rmsprop = |alpha, eps, momentum, centered, weight_decay| {
        Optimizer::RmsProp(RmsProp {
            lr: 0.01,
            alpha,
            eps,
            momentum,
            centered,
            weight_decay,
        })
    };
    let adam = Optimizer::Adam(Adam {
        lr: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: Some(0.1),
    });
    let always = Schedule::default();
    let cases = [
        ("sgd", update(sgd(0.1), always, None)),
        ("adam", adam.into()),
        ("adamw", adamw(0.01, 0.1).into()),
        ("rmsprop", rmsprop(0.99, 1e-8, 0.0, false, 0.1).into()),
        (
            "rmsprop_momentum",
            rmsprop(0.9, 1e-8, 0.9, false, 0.0).into(),
        ),
        (
            "rmsprop_centered",
            rmsprop(0.9, 1e-8, 0.0, true, 0.0).into(),
        ),
        ("rmsprop_both", rmsprop(0.99, 1e-6, 0.5, true, 0.0).into()),
        (
            "warmup",
            update(sgd(0.0), Schedule::Constant { warmup: 8 }, None),
        ),
        ("step", update(sgd(0.0), step(3, 0.5, 0), None)),
        ("step_warmup", update(sgd(0.0), step(5, 0.3, 4), None)),
        ("cosine", update(sgd(0.0), cosine(20, 0, 0.0), None)),
        (
            "cosine_warmup",
            update(adamw(0.1, 0.01), cosine(20, 5, 0.1), None),
        ),
        (
            "clip_value",
            update(sgd(0.0), always, Some(Clip::Value(0.5))),
        ),
        ("clip_norm", update(sgd(0.0), always, Some(Clip::Norm(2.0)))),
        (
            "ema",
            UpdateRule {
                ema: Some(0.9),
                ..sgd(0.0).into()
            },
        ),
    ];
    let names = ["h.weight", "h.bias"];
    for (case, update) in cases {
        let mut compared = Compared::new(support::gpu(), &graph, update);
        let initial = fixture.named("param.");
        let values = compared
            .parameters
            .pack(&initial, "fixture")
            .expect("the same");
        compared.gpu.write(&compared.parameters.values, 0, &values);
        compared.weights = names
            .map(|name| fixture.get(&format!("param.{name}")).to_vec())
            .into();
        for step in 0..20 {
            let part = |prefix: &str, name: &str| {
                let all = fixture.get(&format!("{prefix}.{name}"));
                let size = all.len() / 20;
                all[step * size..][..size].to_vec()
            };
            let gradients: Vec<NamedTensor> = initial
                .iter()
                .map(|NamedTensor { name, shape, .. }| {
                    let values = part("grad", name).iter().map(|&v| v as f32).collect();
                    NamedTensor::new(name, shape.clone(), values)
                })
                .collect();
            let gradients = compared
                .parameters
                .pack(&gradients, "fixture")
                .expect("the same");
            let mut got = compared.step(&gradients, step as u32);
            let mut exact = compared.weights.clone();
            if let Some(average) = compared.state.memory("ema") {
                got = split(
                    &compared.parameters,
                    &compared.gpu.read(average).expect("averages"),
                );
                exact = compared
                    .moments
                    .iter()
                    .map(|m| m.last().expect("kept").clone())
                    .collect();
            }
            for (p, name) in names.iter().enumerate() {
                let want = part(case, name);
                let twin_off = exact[p].iter().zip(&want).map(|(a, b)| (a - b).abs());
                assert!(
                    twin_off.fold(0.0, f64::max) < 1e-12,
                    "{case}: the reference's {name}"
                );
                let off = distance(&got[p], &want);
                // Centered, the first steps divide by the root of a difference of nearly equal numbers.
                assert!(off < 3e-6, "{case}, step {step}: {name} off by {off}");
            }
        }
    }
}

/// As `clip_grad_norm_` does by default: an infinite norm makes finite gradients 0, a NaN makes all NaN.
#[test]
fn a_norm_that_is_not_finite() {
    let graph = graph();
    let sgd = Optimizer::Sgd(Sgd::new(0.5));
    for (clip, bad) in [Clip::Norm(1.0), Clip::Value(1.0)]
        .into_iter()
        .flat_map(|clip| [f32::INFINITY, f32::NAN, 1e30].map(|bad| (clip, bad)))
    {
        let update = update(sgd, Schedule::default(), Some(clip));
        let mut compared = Compared::new(support::gpu(), &graph, update);
        let mut gradients = vec![0.25; compared.parameters.values.len()];
        gradients[5] = bad;
        compared.step(&gradients, 0);
        let updates = compared
            .gpu
            .read(&compared.parameters.gradients)
            .expect("updates");
        let [at, other] = [updates[5], updates[0]];
        match clip {
            Clip::Norm(_) if bad.is_nan() => assert!(at.is_nan() && other.is_nan()),
            Clip::Norm(_) if bad.is_infinite() => assert!(at.is_nan() && other == 0.0),
            // Its square is beyond float32, as in PyTorch.
            Clip::Norm(_) => assert!(at == 0.0 && other == 0.0),
            Clip::Value(_) if bad.is_nan() => assert!(at.is_nan() && other == -0.125),
            Clip::Value(_) => assert!(at == -0.5 && other == -0.125),
        }
    }
}

#[test]
fn invalid_schedules_and_clips_are_refused_by_key() {
    for (schedule, key) in [
        (Schedule::default(), None),
        (step(0, 0.5, 0), Some("step.every")),
        (step(1, 0.0, 0), Some("step.factor")),
        (step(1, f64::NAN, 0), Some("step.factor")),
        (cosine(10, 10, 0.0), Some("cosine.steps")),
        (cosine(10, 9, -0.1), Some("cosine.floor")),
        (cosine(10, 9, 1.0), None),
    ] {
        let invalid = schedule.validate().err().map(|error| error.key);
        assert_eq!(invalid.as_deref(), key, "{schedule:?}");
    }
    for (clip, key) in [
        (Clip::Norm(1.0), None),
        (Clip::Norm(0.0), Some("norm")),
        (Clip::Value(f64::INFINITY), Some("value")),
    ] {
        let invalid = clip.validate().err().map(|error| error.key);
        assert_eq!(invalid.as_deref(), key, "{clip:?}");
    }
}

#[test]
fn updates_that_nobody_reads_are_not_kept() {
    let gpu = support::gpu();
    let graph = graph();
    for optimizer in [
        Optimizer::Sgd(Sgd::new(0.1)),
        Optimizer::Adam(Adam::new(0.1)),
        Optimizer::AdamW(Adam::new(0.1)),
        Optimizer::RmsProp(RmsProp::new(0.1)),
    ] {
        let update = UpdateRule::from(optimizer);
        let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
        let after = |keep_updates| {
            let parameters = Parameters::new(gpu, &graph, 3).expect("parameters");
            let state = update.state(gpu, &parameters).expect("state");
            let dispatches = update
                .dispatches(gpu, &parameters, &state, &step_counter, keep_updates)
                .expect("dispatches");
            let gradients = Numbers::new(5).many(parameters.gradients.len(), 0.1, 0.2);
            gpu.write(&parameters.gradients, 0, &gradients);
            gpu.run("update", &dispatches);
            let left = gpu.read(&parameters.gradients).expect("gradients");
            let weights = gpu.read(&parameters.values).expect("values");
            (weights, left == gradients)
        };
        let (kept, dropped) = (after(true), after(false));
        assert_eq!(kept.0, dropped.0, "{optimizer:?}: weights");
        assert!(!kept.1 && dropped.1, "{optimizer:?}: gradients");
    }
}
