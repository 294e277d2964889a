//! Optimizers against their float64 references, and their memories to and from named tensors.

use trainscope::nn::ops::Dense;
use trainscope::nn::{
    Adam, Graph, Loss, Mode, OptimizedTensor, Optimizer, Parameters, Plan, RmsProp, Sgd,
    StepCounter,
};
use trainscope::tensor::NamedTensor;

use super::harness::{Numbers, distance, split, variants, wide};
use crate::support;

pub fn graph() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", &[13]);
    let h = graph.add("h", Dense::new(7), &[x]).expect("it fits");
    graph.add("y", Dense::new(1), &[h]).expect("it fits");
    graph
}

const OPTIMIZERS: [Optimizer; 10] = [
    Optimizer::Sgd(Sgd::new(0.1)),
    Optimizer::Sgd(Sgd {
        momentum: 0.9,
        weight_decay: 0.1,
        ..Sgd::new(0.01)
    }),
    Optimizer::Adam(Adam::new(0.01)),
    Optimizer::Adam(Adam {
        beta1: 0.5,
        beta2: 0.9,
        eps: 1e-3,
        weight_decay: Some(0.1),
        ..Adam::new(0.01)
    }),
    Optimizer::Adam(Adam {
        beta2: 0.99999,
        ..Adam::new(0.01)
    }),
    Optimizer::AdamW(Adam {
        weight_decay: Some(0.1),
        ..Adam::new(0.01)
    }),
    Optimizer::RmsProp(RmsProp::new(0.01)),
    Optimizer::RmsProp(RmsProp {
        alpha: 0.9,
        eps: 1e-6,
        momentum: 0.9,
        weight_decay: 0.1,
        ..RmsProp::new(0.01)
    }),
    Optimizer::RmsProp(CENTERED),
    Optimizer::RmsProp(RmsProp {
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
        for optimizer in &OPTIMIZERS {
            // Late steps too, where the bias correction is all but gone.
            for first_step in [0u32, 5000] {
                let parameters = Parameters::new(gpu, &graph, 3).expect("parameters");
                let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
                let state = optimizer.state(gpu, &parameters).expect("state");
                let update = optimizer.dispatch(gpu, &parameters, &state, &step_counter);
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
                    gpu.write(&step_counter, 0, &[step]);
                    gpu.run("update", [&update]);
                    for (p, gradients) in split(&parameters, &all).iter().enumerate() {
                        let gradients = wide(gradients);
                        optimizer.reference_step(
                            &mut weights[p],
                            &gradients,
                            &mut moments[p],
                            step,
                        );
                    }
                    let what = format!("{optimizer:?}, step {step}, {variant}");
                    let got = split(&parameters, &gpu.read(&parameters.values).expect("values"));
                    let updates = split(
                        &parameters,
                        &gpu.read(&parameters.gradients).expect("updates"),
                    );
                    let off = distance(&got.concat(), &weights.concat());
                    assert!(off < 1e-6, "{what}: weights off by {off}");
                    let changes = weights.concat().into_iter().zip(before.concat());
                    let exact: Vec<f64> = changes.map(|(after, before)| after - before).collect();
                    let off = distance(&updates.concat(), &exact);
                    assert!(off < 1e-6, "{what}: updates off by {off}");
                }
                for (m, (name, buffer)) in state.moments.iter().enumerate() {
                    let got = split(&parameters, &gpu.read(buffer).expect("moments"));
                    let exact: Vec<f64> = moments.iter().flat_map(|of| of[m].clone()).collect();
                    let off = distance(&got.concat(), &exact);
                    assert!(off < 1e-6, "{optimizer:?}: {name} off by {off}");
                }
            }
        }
    }
}

/// Activation maximization: what is optimized is the input of a graph, by the gradients that a plan gives it, and the
/// parameters stay.
#[test]
fn an_input_can_be_optimized() {
    let gpu = support::gpu();
    let graph = graph();
    let [x, y] = ["x", "y"].map(|name| graph.find(name).expect("its own node"));
    let mut loss = Loss::new();
    loss.add(&graph, "minus y", y, -1.0).expect("a scalar");
    let parameters = Parameters::new(gpu, &graph, 5).expect("parameters");
    let before = gpu.read(&parameters.values).expect("values");
    // 3 * 13 elements are no multiple of four.
    let start = Numbers::new(8).many(3 * 13, -1.0, 1.0);
    let input = gpu.upload("x", &start).expect("a buffer");
    let plan = Plan::request(&graph, 3).mode(Mode::Eval).loss(&loss);
    let plan = plan.wrt(x).keep_gradient(x).parameter_gradients(false);
    let plan = plan.input(x, &input).build(gpu, &parameters).expect("plan");
    let gradients = plan.gradient(x).expect("asked for");
    let step_counter = StepCounter::new(gpu).expect("a counter");
    for optimizer in OPTIMIZERS {
        gpu.write(&input, 0, &start);
        let tensor = OptimizedTensor {
            values: &input,
            gradients,
            len: input.len(),
            memory: input.len(),
        };
        let state = optimizer.state(gpu, tensor).expect("state");
        let update = optimizer.dispatch(gpu, tensor, &state, step_counter.buffer());
        let mut exact = wide(&start);
        let mut moments = vec![vec![0.0; exact.len()]; state.moments.len()];
        let mut scores = Vec::new();
        for step in 0..3 {
            step_counter.set(gpu, step);
            gpu.run("gradients", plan.dispatches(false));
            let gradient = wide(&gpu.read(gradients).expect("gradients"));
            scores.push(gpu.read(plan.scalars()).expect("scalars")[0]);
            gpu.run("update", [&update]);
            optimizer.reference_step(&mut exact, &gradient, &mut moments, step);
        }
        let off = distance(&gpu.read(&input).expect("values"), &exact);
        assert!(off < 1e-6, "{optimizer:?}: the input is off by {off}");
        assert!(scores[2] < scores[0], "{optimizer:?}: {scores:?}");
    }
    assert_eq!(gpu.read(&parameters.values).expect("values"), before);
}

#[test]
fn memories_go_to_tensors_and_back() {
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph(), 3).expect("parameters");
    let adam = Optimizer::default();
    let state = adam.state(gpu, &parameters).expect("state");
    for (i, (_, buffer)) in state.moments.iter().enumerate() {
        let values = Numbers::new(30 + i as u64).many(buffer.len(), -1.0, 1.0);
        gpu.write(buffer, 0, &values);
    }
    let mut tensors = state.read(gpu, &parameters).expect("tensors");
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names[0], "h.weight.exp_avg");
    assert_eq!(names.len(), 8);
    assert_eq!(tensors[0].shape, [7, 13]);

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
            .all(|tensor| tensor.values.iter().all(|&v| v == 0.0))
    );

    let refused = |tensors: &[NamedTensor], problem: &str| {
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
    unknown.push(NamedTensor::new(
        "h.weight.momentum_buffer",
        vec![7, 13],
        vec![0.0; 91],
    ));
    refused(&unknown, "h.weight.momentum_buffer");
    let mut shape = tensors.clone();
    shape.push(NamedTensor::new(last.name, vec![2], vec![0.0; 2]));
    refused(&shape, "shape [2]");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let adam = |lr, beta1, beta2, eps, weight_decay| {
        Optimizer::Adam(Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay: Some(weight_decay),
        })
    };
    let sgd = |lr, momentum, weight_decay| {
        Optimizer::Sgd(Sgd {
            lr,
            momentum,
            weight_decay,
        })
    };
    for (optimizer, key) in [
        (adam(1e-3, 0.9, 0.999, 1e-8, 0.0), None),
        (adam(f64::NAN, 0.9, 0.999, 1e-8, 0.0), Some("adam.lr")),
        (adam(1e-3, 1.0, 0.999, 1e-8, 0.0), Some("adam.beta1")),
        (adam(1e-3, 0.9, f64::NAN, 1e-8, 0.0), Some("adam.beta2")),
        (adam(1e-3, 0.9, 0.999, 0.0, 0.0), Some("adam.eps")),
        (
            adam(1e-3, 0.9, 0.999, 1e-8, -1.0),
            Some("adam.weight_decay"),
        ),
        (sgd(0.1, 0.9, 0.0), None),
        (sgd(0.0, 0.9, 0.0), Some("sgd.lr")),
        (sgd(0.1, 1.0, 0.0), Some("sgd.momentum")),
        (sgd(0.1, 0.0, f64::INFINITY), Some("sgd.weight_decay")),
        (Optimizer::RmsProp(RmsProp::new(0.01)), None),
    ] {
        let invalid = optimizer.validate().err().map(|error| error.key);
        assert_eq!(invalid.as_deref(), key, "{optimizer:?}");
    }
}
