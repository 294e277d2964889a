//! Layer norm, batch norm with its running statistics, dropout and embeddings.

use trainscope::nn::Operation;
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::{
    Activation, BatchNorm, Dense, Dropout, Embedding, LayerNorm, Lookup, Reshape,
};
use trainscope::nn::reference::Reference;
use trainscope::nn::{
    Mode, NodeId, Optimizer, Parameters, Plan, ReferenceBackward, ReferenceForward,
    ReferenceOperation, Sgd,
};
use trainscope::tensor::NamedTensor;

use super::fixture::Fixture;
use super::harness::{Input, Network, Numbers, Probed, check, distance, split, variants, wide};
use super::operations::{SHAPES, front, numbers_for, squared};

/// Values of `shape` that follow a learnable layer and no bias alone: behind a norm the gradient of a shift is 0.
fn values(graph: &mut Network, shape: &[usize]) -> NodeId {
    let front = front(graph, shape.iter().product());
    let act = graph.add("act", Activation::Tanh, &[front]);
    let shape = shape.to_vec();
    let act = act.expect("it fits");
    graph
        .add("shaped", Reshape { shape }, &[act])
        .expect("it fits")
}

/// A norm, what reads it, and a second consumer of its input, so that gradients add up.
fn around(shape: &[usize], norm: impl Operation + Copy + 'static) -> Network {
    let mut graph = Network::new();
    let x = values(&mut graph, shape);
    let y = graph.add("norm", norm, &[x]).expect("it fits");
    let z = graph.add("z", Activation::Tanh, &[y]).expect("it fits");
    squared(&mut graph, z);
    let target = graph.input("second target", shape);
    let error = graph.add("second", ElementwiseLoss::SquaredError, &[x, target]);
    graph
        .loss("second", error.expect("it fits"), 0.2)
        .expect("a scalar");
    graph
}

#[test]
fn layer_norms() {
    let rows = SHAPES.iter().filter(|[_, size]| *size > 2);
    for &[batch, size] in rows {
        let graph = around(&[size], LayerNorm::default());
        let inputs = numbers_for(&graph, batch, 31, -1.0, 1.0);
        check(&format!("layer norm of {size}"), &graph, batch, &inputs, 1);
    }
    for (dimensions, batch) in [(1, 67), (2, 5), (3, 66)] {
        let norm = LayerNorm {
            dimensions: Some(dimensions),
            eps: 1e-3,
        };
        let graph = around(&[2, 3, 5], norm);
        let inputs = numbers_for(&graph, batch, 32, -1.0, 1.0);
        check(&format!("{norm:?}"), &graph, batch, &inputs, 1);
    }
}

/// Of shapes [channels, ...positions], small and large, fewer and more than a workgroup has lanes.
const CHANNELLED: [(usize, &[usize]); 13] = [
    (7, &[1]),
    (7, &[4]),
    (65, &[3]),
    (64, &[17]),
    (131, &[2]),
    (67, &[130]),
    (1, &[2, 31]),
    (5, &[3, 2]),
    (9, &[2, 3, 5]),
    (2, &[1, 20, 20]),
    (67, &[2, 1, 7]),
    (130, &[3, 3, 1]),
    (6, &[66, 2, 2]),
];

#[test]
fn batch_norms() {
    for (batch, shape) in CHANNELLED {
        let graph = around(shape, BatchNorm::default());
        let inputs = numbers_for(&graph, batch, 33, -1.0, 1.0);
        check(
            &format!("batch norm of {shape:?}"),
            &graph,
            batch,
            &inputs,
            1,
        );
    }
    let norm = BatchNorm {
        eps: 0.1,
        momentum: 0.75,
    };
    let graph = around(&[3, 4], norm);
    let inputs = numbers_for(&graph, 10, 34, -1.0, 1.0);
    check("another momentum", &graph, 10, &inputs, 1);
}

/// A plan that infers, with the state that training has left, gives what the reference infers.
#[test]
fn inference_uses_the_running_statistics() {
    for (batch, shape) in CHANNELLED {
        let mut graph = Network::new();
        let x = values(&mut graph, shape);
        let y = graph
            .add("norm", BatchNorm::default(), &[x])
            .expect("it fits");
        let dropout = Dropout { probability: 0.5 };
        let last = graph.add("dropout", dropout, &[y]).expect("it fits");
        squared(&mut graph, last);
        let inputs = numbers_for(&graph, batch, 35, -1.0, 1.0);
        for (variant, gpu) in &variants() {
            let probed = Probed::new(gpu, &graph, batch, 2);
            for step in 0..3 {
                probed.run(&inputs, step);
            }
            // One sample alone can be inferred, too.
            for batch in [batch, 1] {
                let parameters = &probed.parameters;
                let plan = Plan::request(&graph, batch)
                    .mode(Mode::Eval)
                    .evaluate(&graph.loss)
                    .keep_value(last)
                    .build(gpu, parameters)
                    .expect("a plan");
                let mut exact = Vec::new();
                for (name, values) in ["x", "target"].iter().zip(&inputs) {
                    let Input::Numbers(values) = values else {
                        unreachable!("no labels here")
                    };
                    let buffer = plan.value(graph.find(name).expect("an input"));
                    let buffer = buffer.expect("inputs are kept");
                    gpu.write(buffer, 0, &values[..buffer.len()]);
                    exact.push(wide(&values[..buffer.len()]));
                }
                let before = gpu.read(&parameters.values).expect("values");
                gpu.run("inference", plan.dispatches(false));
                let after = gpu.read(&parameters.values).expect("values");
                assert_eq!(before, after, "inference keeps no statistics");
                let all: Vec<_> = split(parameters, &after).iter().map(|v| wide(v)).collect();
                let reference = Reference {
                    graph: &graph,
                    batch,
                    mode: Mode::Eval,
                    parameters: &all,
                    noise: (0, 0),
                    rule: trainscope::nn::BackwardRule::Gradient,
                };
                let want = reference.forward(&exact).values;
                let index = graph.nodes().iter().position(|n| n.name == "dropout");
                let got = gpu.read(plan.value(last).expect("kept")).expect("values");
                let off = distance(&got, &want[index.expect("it is there")]);
                assert!(
                    off < 2e-5,
                    "{shape:?}, batch {batch}, {variant}: off by {off}"
                );
            }
        }
    }
}

#[test]
fn a_large_mean_does_not_hide_a_small_variance() {
    for (batch, shape) in [(64usize, &[5usize] as &[usize]), (5, &[2, 20, 20])] {
        let size: usize = shape.iter().product();
        let mut numbers = Numbers::new(36);
        let x: Vec<f32> = numbers.many(batch * size, 999.0, 1001.0);
        let exact = wide(&x);
        let parameters: Vec<Vec<f64>> = vec![vec![1.0; shape[0]], vec![0.0; shape[0]]];
        let io = ReferenceForward {
            batch,
            inputs: vec![&exact],
            input_shapes: vec![shape],
            parameters: parameters.iter().map(Vec::as_slice).collect(),
            output_shape: shape,
            noise_key: (0, 0, 0),
            mode: Mode::Train,
        };
        let want = BatchNorm::default().reference_forward(&io);
        let mut graph = Network::new();
        let input = graph.input("x", shape);
        graph
            .add("norm", BatchNorm::default(), &[input])
            .expect("it fits");
        for (variant, gpu) in &variants() {
            let probed = Probed::new(gpu, &graph, batch, 1);
            let got = probed.run(&[Input::Numbers(x.clone())], 0);
            let off = distance(&got.values[1], &want);
            // The mean itself is rounded by 3e-5; E[x^2] - E[x]^2 would leave nothing at all.
            assert!(off < 1e-4, "{variant}: off by {off}");
        }
    }
}

#[test]
fn dropouts() {
    for [batch, size] in SHAPES {
        for probability in [0.0, 0.3, 0.9] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let y = graph.add("y", Dropout { probability }, &[front]);
            squared(&mut graph, y.expect("it fits"));
            let inputs = numbers_for(&graph, batch, 37, -1.0, 1.0);
            let what = format!("dropout {probability} of {size}");
            check(&what, &graph, batch, &inputs, 5);
        }
    }
}

#[test]
fn dropout_keeps_the_mean_and_draws_anew_in_each_step() {
    let mut graph = Network::new();
    let x = graph.input("x", &[100]);
    graph
        .add("y", Dropout { probability: 0.25 }, &[x])
        .expect("it fits");
    let (_, gpu) = &variants()[0];
    let probed = Probed::new(gpu, &graph, 100, 1);
    let ones = [Input::Numbers(vec![1.0; 10_000])];
    let masks = [0, 0, 1].map(|step| probed.run(&ones, step).values[1].clone());
    assert_eq!(masks[0], masks[1]);
    assert_ne!(masks[0], masks[2]);
    for mask in masks {
        let kept = mask.iter().filter(|&&value| value != 0.0).count();
        assert!((7200..7800).contains(&kept), "{kept} of 10,000");
        assert!(
            mask.iter()
                .all(|&value| value == 0.0 || value == 1.0 / 0.75)
        );
    }
}

#[test]
fn embeddings() {
    for [batch, width] in SHAPES {
        for classes in [1, 3, 70] {
            let mut graph = Network::new();
            let label = graph.input("label", &[]);
            let y = graph.add("y", Embedding { classes, width }, &[label]);
            squared(&mut graph, y.expect("it fits"));
            let mut numbers = Numbers::new(38);
            let labels = (0..batch).map(|_| numbers.below(classes + 1) as u32);
            let inputs = [
                Input::Labels(labels.collect()),
                Input::Numbers(numbers.many(batch * width, -1.0, 1.0)),
            ];
            let what = format!("{classes} classes of width {width}");
            check(&what, &graph, batch, &inputs, 6);
            // The same rows from a fixed table, as targets of a layer.
            let table = numbers.many(classes * width, 0.0, 1.0);
            let mut graph = Network::new();
            let label = graph.input("label", &[]);
            let x = graph.input("x", &[3]);
            let y = graph.add("y", Dense::new(width), &[x]).expect("it fits");
            let targets = graph.add("targets", Lookup { table, width }, &[label]);
            let loss = ElementwiseLoss::BceWithLogits;
            let loss = graph.add("loss", loss, &[y, targets.expect("it fits")]);
            let loss = loss.expect("it fits");
            graph.loss("loss", loss, 1.0).expect("one number");
            let x = Input::Numbers(numbers.many(batch * 3, -1.0, 1.0));
            let [labels, _] = inputs;
            check(&what, &graph, batch, &[labels, x], 6);
        }
    }
}

/// The model of `normalization.safetensors`.
fn normalized() -> (Network, NodeId) {
    let mut graph = Network::new();
    let mut build = || -> trainscope::Result<NodeId> {
        let x = graph.input("x", &[24]);
        let target = graph.input("target", &[2]);
        let reshape = |shape: &[usize]| Reshape {
            shape: shape.to_vec(),
        };
        let h = graph.add("layers.0", Dense::new(24), &[x])?;
        let h = graph.add("layers.1", reshape(&[2, 4, 3]), &[h])?;
        let h = graph.add("layers.2", BatchNorm::default(), &[h])?;
        let h = graph.add("layers.3", Activation::Relu, &[h])?;
        let h = graph.add("layers.4", reshape(&[24]), &[h])?;
        let h = graph.add("layers.5", Dense::new(5), &[h])?;
        let h = graph.add("layers.6", BatchNorm::default(), &[h])?;
        let h = graph.add("layers.7", Activation::Tanh, &[h])?;
        let y = graph.add("layers.8", Dense::new(2), &[h])?;
        let error = graph.add("error", ElementwiseLoss::SquaredError, &[y, target])?;
        graph.loss("error", error, 1.0)?;
        Ok(y)
    };
    let y = build().expect("it fits");
    (graph, y)
}

/// The model of `spectral.safetensors`.
fn spectral() -> (Network, NodeId) {
    let mut graph = Network::new();
    let mut build = || -> trainscope::Result<NodeId> {
        let x = graph.input("x", &[7]);
        let target = graph.input("target", &[1]);
        let dense = |units| Dense {
            spectral_norm: true,
            ..Dense::new(units)
        };
        let h = graph.add("layers.0", dense(13), &[x])?;
        let h = graph.add("layers.1", Activation::Tanh, &[h])?;
        let y = graph.add("layers.2", dense(1), &[h])?;
        let error = graph.add("error", ElementwiseLoss::SquaredError, &[y, target])?;
        graph.loss("error", error, 1.0)?;
        Ok(y)
    };
    let y = build().expect("it fits");
    (graph, y)
}

/// Three steps of a model that keeps state, and inference with what they leave; `trainable` tensors have memories.
fn check_against_pytorch(
    name: &str,
    (graph, y): &(Network, NodeId),
    batch: usize,
    trainable: usize,
) {
    let fixture = Fixture::open(name);
    let sgd = Optimizer::Sgd(Sgd {
        lr: 0.05,
        momentum: 0.9,
        weight_decay: 0.0,
    });
    for (variant, gpu) in &variants() {
        let parameters = Parameters::new(gpu, graph, 0).expect("parameters");
        let all = parameters.pack(&fixture.named("param."), "fixture");
        gpu.write(&parameters.values, 0, &all.expect("PyTorch's own names"));
        let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
        let state = sgd.state(gpu, &parameters).expect("state");
        let update = sgd.dispatch(gpu, &parameters, &state, &step_counter);
        let request = || Plan::request(graph, batch).keep_value(*y);
        let input = |plan: &Plan, name: &str, step: usize| {
            let all = fixture.narrow(name);
            let buffer = plan.value(graph.find(name).expect("an input"));
            let buffer = buffer.expect("inputs are kept");
            gpu.write(buffer, 0, &all[step * buffer.len()..][..buffer.len()]);
        };
        let training = request()
            .step_counter(&step_counter)
            .loss(&graph.loss)
            .build(gpu, &parameters)
            .expect("a plan");
        for step in 0..3 {
            input(&training, "x", step);
            input(&training, "target", step);
            gpu.run("step", training.dispatches(false).chain([&update]));
            let loss = gpu.read(training.scalars()).expect("scalars")[0];
            let off = distance(&[loss], &fixture.get("loss")[step..=step]);
            assert!(off < 1e-5, "{variant}, step {step}: loss off by {off}");
            let values = gpu.read(&parameters.values).expect("values");
            for NamedTensor {
                name,
                shape,
                values: got,
            } in parameters.unpack(&values)
            {
                let want = fixture.get(&format!("step{step}.{name}"));
                assert_eq!(shape.iter().product::<usize>(), want.len());
                let off = distance(&got, want);
                assert!(off < 1e-5, "{variant}, step {step}: {name} off by {off}");
            }
        }
        let inference = request()
            .mode(Mode::Eval)
            .build(gpu, &parameters)
            .expect("a plan");
        input(&inference, "x", 0);
        gpu.run("inference", inference.dispatches(false));
        let got = gpu
            .read(inference.value(*y).expect("kept"))
            .expect("values");
        let off = distance(&got, fixture.get("eval"));
        assert!(off < 1e-5, "{variant}: inference off by {off}");
        // What an optimizer remembers, it remembers of what is trainable.
        let memories = state.read(gpu, &parameters).expect("memories");
        assert_eq!(memories.len(), trainable);
    }
}

#[test]
fn batch_norm_trains_and_infers_as_pytorch_does() {
    check_against_pytorch("normalization", &normalized(), 8, 10);
}

#[test]
fn spectral_norm_trains_and_infers_as_pytorch_does() {
    check_against_pytorch("spectral", &spectral(), 16, 4);
}

#[test]
fn layer_norm_agrees_with_pytorch() {
    let fixture = Fixture::open("normalization");
    for dimensions in 1..=3 {
        let norm = LayerNorm {
            dimensions: Some(dimensions),
            eps: 1e-5,
        };
        let get = |key: &str| fixture.get(&format!("layer{dimensions}.{key}")).to_vec();
        let (x, weight, bias, upstream) = (get("x"), get("weight"), get("bias"), get("upstream"));
        let shape: &[usize] = &[2, 3, 4];
        let io = || ReferenceForward {
            batch: 6,
            inputs: vec![&x],
            input_shapes: vec![shape],
            parameters: vec![&weight, &bias],
            output_shape: shape,
            noise_key: (0, 0, 0),
            mode: Mode::Train,
        };
        let output = norm.reference_forward(&io());
        let scaled: Vec<f64> = output.iter().zip(&upstream).map(|(y, u)| y * u).collect();
        let gradients = norm.reference_backward(&ReferenceBackward {
            forward: io(),
            output: &output,
            output_gradient: &upstream,
            rule: trainscope::nn::BackwardRule::Gradient,
        });
        for (got, want) in [
            (&scaled, "forward"),
            (&gradients.inputs[0], "d_x"),
            (&gradients.parameters[0], "d_weight"),
            (&gradients.parameters[1], "d_bias"),
        ] {
            for (got, want) in got.iter().zip(get(want)) {
                assert!((got - want).abs() < 1e-10, "{got} {want}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let mut graph = Network::new();
    let x = graph.input("x", &[3]);
    let said = |result: trainscope::Result<NodeId>, text: &str| {
        let error = result.expect_err("it does not fit").to_string();
        assert!(error.contains(text), "{error}");
    };
    let dropout = graph.add("d", Dropout { probability: 1.0 }, &[x]);
    said(dropout, "probability of 1");
    let norm = LayerNorm {
        dimensions: Some(2),
        eps: 1e-5,
    };
    said(graph.add("n", norm, &[x]), "last 2 dimensions");
    let embedding = Embedding {
        classes: 0,
        width: 3,
    };
    let label = graph.input("label", &[]);
    said(graph.add("e", embedding, &[label]), "0 classes");
    let y = graph
        .add("norm", BatchNorm::default(), &[x])
        .expect("it fits");
    let z = graph.add("z", Dense::new(1), &[y]).expect("it fits");
    graph.loss("mean", z, 1.0).expect("a scalar");
    let (_, gpu) = &variants()[0];
    let parameters = Parameters::new(gpu, &graph, 0).expect("parameters");
    let plan = Plan::request(&graph, 1)
        .loss(&graph.loss)
        .build(gpu, &parameters);
    let error = plan.expect_err("one value per channel").to_string();
    assert!(error.contains("larger batch"), "{error}");
}
