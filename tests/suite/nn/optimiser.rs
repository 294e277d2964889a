//! Optimisers against their float64 twins, and their memories to and from named tensors.

use trainscope::nn::ops::Dense;
use trainscope::nn::{Adam, Graph, Optimiser, Parameters, RmsProp, Sgd};

use super::harness::{Numbers, distance, split, variants, wide};
use crate::support;

type Tensor = (String, Vec<usize>, Vec<f32>);

pub fn graph() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", &[13]);
    let h = graph.add("h", Dense::new(7), &[x]).expect("it fits");
    graph.add("y", Dense::new(1), &[h]).expect("it fits");
    graph
}

const OPTIMISERS: [Optimiser; 10] = [
    Optimiser::Sgd(Sgd::new(0.1)),
    Optimiser::Sgd(Sgd {
        momentum: 0.9,
        weight_decay: 0.1,
        ..Sgd::new(0.01)
    }),
    Optimiser::Adam(Adam::new(0.01)),
    Optimiser::Adam(Adam {
        beta1: 0.5,
        beta2: 0.9,
        eps: 1e-3,
        weight_decay: Some(0.1),
        ..Adam::new(0.01)
    }),
    Optimiser::Adam(Adam {
        beta2: 0.99999,
        ..Adam::new(0.01)
    }),
    Optimiser::AdamW(Adam {
        weight_decay: Some(0.1),
        ..Adam::new(0.01)
    }),
    Optimiser::RmsProp(RmsProp::new(0.01)),
    Optimiser::RmsProp(RmsProp {
        alpha: 0.9,
        eps: 1e-6,
        momentum: 0.9,
        weight_decay: 0.1,
        ..RmsProp::new(0.01)
    }),
    Optimiser::RmsProp(CENTERED),
    Optimiser::RmsProp(RmsProp {
        momentum: 0.5,
        ..CENTERED
    }),
];

const CENTERED: RmsProp = RmsProp {
    alpha: 0.9,
    eps: 1e-4,
    centered: true,
    ..RmsProp::new(0.001)
};

#[test]
fn steps_agree_with_float64() {
    let graph = graph();
    for (variant, gpu) in &variants() {
        for optimiser in &OPTIMISERS {
            // Late steps too, where the bias correction is all but gone.
            for first_step in [0u32, 5000] {
                let parameters = Parameters::new(gpu, &graph, 3).expect("parameters");
                let clock = gpu.upload("clock", &[0u32]).expect("small");
                let state = optimiser.state(gpu, &parameters).expect("state");
                let update = optimiser.dispatch(gpu, &parameters, &state, &clock);
                let initial = gpu.read(&parameters.values).expect("values");
                let mut weights: Vec<Vec<f64>> = split(&parameters, &initial)
                    .iter()
                    .map(|values| wide(values))
                    .collect();
                let mut moments: Vec<Vec<Vec<f64>>> = weights
                    .iter()
                    .map(|w| vec![vec![0.0; w.len()]; state.moments.len()])
                    .collect();
                let mut numbers = Numbers::new(4);
                for step in first_step..first_step + 20 {
                    let before = weights.clone();
                    let all = numbers.many(initial.len(), -0.1, 0.1);
                    gpu.write(&parameters.gradients, 0, &all);
                    gpu.write(&clock, 0, &[step]);
                    gpu.run("update", [&update]);
                    for (p, gradients) in split(&parameters, &all).iter().enumerate() {
                        let gradients = wide(gradients);
                        optimiser.reference_step(
                            &mut weights[p],
                            &gradients,
                            &mut moments[p],
                            step,
                        );
                    }
                    let place = format!("{optimiser:?}, step {step}, {variant}");
                    let got = split(&parameters, &gpu.read(&parameters.values).expect("values"));
                    let updates = split(
                        &parameters,
                        &gpu.read(&parameters.gradients).expect("updates"),
                    );
                    let off = distance(&got.concat(), &weights.concat());
                    assert!(off < 1e-6, "{place}: weights off by {off}");
                    let changes = weights.concat().into_iter().zip(before.concat());
                    let exact: Vec<f64> = changes.map(|(after, before)| after - before).collect();
                    let off = distance(&updates.concat(), &exact);
                    assert!(off < 1e-6, "{place}: updates off by {off}");
                }
                for (m, (name, buffer)) in state.moments.iter().enumerate() {
                    let got = split(&parameters, &gpu.read(buffer).expect("moments"));
                    let exact: Vec<f64> = moments.iter().flat_map(|of| of[m].clone()).collect();
                    let off = distance(&got.concat(), &exact);
                    assert!(off < 1e-6, "{optimiser:?}: {name} off by {off}");
                }
            }
        }
    }
}

#[test]
fn memories_go_to_tensors_and_back() {
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph(), 3).expect("parameters");
    let adam = Optimiser::default();
    let state = adam.state(gpu, &parameters).expect("state");
    for (i, (_, buffer)) in state.moments.iter().enumerate() {
        let values = Numbers::new(30 + i as u64).many(buffer.len(), -1.0, 1.0);
        gpu.write(buffer, 0, &values);
    }
    let mut tensors = state.read(gpu, &parameters).expect("tensors");
    let names: Vec<&str> = tensors.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names[0], "h.weight.exp_avg");
    assert_eq!(names.len(), 8);
    assert_eq!(tensors[0].1, [7, 13]);

    let other = adam.state(gpu, &parameters).expect("state");
    tensors.reverse();
    other
        .write(gpu, &parameters, &tensors, "file")
        .expect("the same model");
    tensors.reverse();
    assert_eq!(other.read(gpu, &parameters).expect("tensors"), tensors);
    other
        .write(gpu, &parameters, &[], "file")
        .expect("nothing stands for zeros");
    let zeros = other.read(gpu, &parameters).expect("tensors");
    assert!(
        zeros
            .iter()
            .all(|(_, _, values)| values.iter().all(|&v| v == 0.0))
    );

    let refused = |tensors: &[Tensor], problem: &str| {
        let error = other
            .write(gpu, &parameters, tensors, "o.safetensors")
            .expect_err("it does not fit")
            .to_string();
        assert!(error.starts_with("o.safetensors: "), "{error}");
        assert!(error.contains(problem), "{error}");
        let after = other.read(gpu, &parameters).expect("tensors");
        assert_eq!(after, zeros, "refused tensors must change nothing");
    };
    let last = tensors.pop().expect("eight");
    refused(&tensors, "missing");
    let mut unknown = tensors.clone();
    unknown.push(last.clone());
    unknown.push((
        "h.weight.momentum_buffer".into(),
        vec![7, 13],
        vec![0.0; 91],
    ));
    refused(&unknown, "h.weight.momentum_buffer");
    let mut shape = tensors.clone();
    shape.push((last.0, vec![2], vec![0.0; 2]));
    refused(&shape, "shape [2]");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let adam = |lr, beta1, beta2, eps, weight_decay| {
        Optimiser::Adam(Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay: Some(weight_decay),
        })
    };
    let sgd = |lr, momentum, weight_decay| {
        Optimiser::Sgd(Sgd {
            lr,
            momentum,
            weight_decay,
        })
    };
    for (optimiser, key) in [
        (adam(1e-3, 0.9, 0.999, 1e-8, 0.0), None),
        (adam(f64::NAN, 0.9, 0.999, 1e-8, 0.0), Some("lr")),
        (adam(1e-3, 1.0, 0.999, 1e-8, 0.0), Some("beta1")),
        (adam(1e-3, 0.9, f64::NAN, 1e-8, 0.0), Some("beta2")),
        (adam(1e-3, 0.9, 0.999, 0.0, 0.0), Some("eps")),
        (adam(1e-3, 0.9, 0.999, 1e-8, -1.0), Some("weight_decay")),
        (sgd(0.1, 0.9, 0.0), None),
        (sgd(0.0, 0.9, 0.0), Some("lr")),
        (sgd(0.1, 1.0, 0.0), Some("momentum")),
        (sgd(0.1, 0.0, f64::INFINITY), Some("weight_decay")),
        (Optimiser::RmsProp(RmsProp::new(0.01)), None),
    ] {
        assert_eq!(optimiser.misfit().map(|(key, _)| key), key, "{optimiser:?}");
    }
}
