//! What does not fit is answered with a sentence; what fits is described, and its parameters start as they should.

use trainscope::nn::losses::{ElementwiseLoss, GaussianKl, GaussianPairKl, SoftmaxCrossEntropy};
use trainscope::nn::ops::{Activation, Dense, Reparameterize, Reshape};
use trainscope::nn::{Graph, Initialization, Loss, NodeId, Operation, Parameters, Plan, Property};

use super::harness::Network;
use crate::support;

/// The sentence for `operation` on inputs of these shapes, in a graph of its own.
fn refusal(operation: impl Operation + 'static, shapes: &[&[usize]]) -> String {
    let mut graph = Network::new();
    let inputs: Vec<NodeId> = shapes
        .iter()
        .enumerate()
        .map(|(i, shape)| graph.input(&format!("x{i}"), shape))
        .collect();
    let error = graph
        .add("layer", operation, &inputs)
        .expect_err("it does not fit");
    assert_eq!(graph.nodes().len(), inputs.len(), "nothing was added");
    assert!(graph.parameters().is_empty(), "nothing was added");
    error.to_string()
}

#[test]
fn misfits_name_the_layer_what_came_in_and_what_it_needs() {
    let reshape = |shape: &[usize]| Reshape {
        shape: shape.to_vec(),
    };
    let leaky = |slope| Activation::LeakyRelu { slope };
    let error = ElementwiseLoss::SquaredError;
    for (sentence, parts) in [
        (
            refusal(Dense::new(0), &[&[6]]),
            ["(dense)", "units = 0", "at least one unit"],
        ),
        (
            refusal(Dense::new(1 << 20), &[&[1 << 20]]),
            ["(dense)", "1048576 units", "weights"],
        ),
        (
            refusal(GaussianKl, &[&[6], &[5]]),
            ["(gaussian_kl)", "log_variance [5]", "one shape"],
        ),
        (
            refusal(GaussianKl, &[&[6]]),
            ["(gaussian_kl)", "1 inputs", "2: mu, log_variance"],
        ),
        (
            refusal(GaussianPairKl, &[&[6], &[6], &[5], &[6]]),
            ["(gaussian_pair_kl)", "mu_p [5]", "four inputs of one shape"],
        ),
        (
            refusal(Reparameterize::new(1.0), &[&[6], &[5]]),
            ["(reparameterize)", "mu [6]", "one shape"],
        ),
        (
            refusal(reshape(&[2, 2]), &[&[6]]),
            ["(reshape)", "[6], 6 elements", "[2, 2]"],
        ),
        (
            refusal(reshape(&[usize::MAX, 2]), &[&[6]]),
            ["(reshape)", "6 elements", "as many"],
        ),
        (
            refusal(leaky(0.0), &[&[6]]),
            ["(leaky_relu)", "a slope of 0", "positive"],
        ),
        (
            refusal(leaky(f32::NAN), &[&[6]]),
            ["(leaky_relu)", "a slope of NaN", "positive"],
        ),
        (
            refusal(error, &[&[6], &[5]]),
            ["(squared_error)", "a target [5]", "as many"],
        ),
        (
            refusal(SoftmaxCrossEntropy::default(), &[&[6], &[5]]),
            ["(softmax_cross_entropy)", "labels [5]", "one label"],
        ),
    ] {
        assert!(sentence.starts_with("layer layer ("), "{sentence}");
        for part in parts {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    let mut graph = Network::new();
    let x = graph.input("x", &[6]);
    let taken = graph
        .add("x", Dense::new(2), &[x])
        .expect_err("taken")
        .to_string();
    assert_eq!(taken, "layer x (dense): the name is taken; choose another");
    let loss = graph
        .loss("sum", x, 1.0)
        .expect_err("six numbers")
        .to_string();
    assert_eq!(
        loss,
        "loss sum: expected one number per sample, got shape [6]; reduce each sample to one number first"
    );
}

#[test]
fn plans_that_cannot_be_built_say_why() {
    let gpu = support::gpu();
    let mut graph = Network::new();
    let x = graph.input("x", &[6]);
    let without = Parameters::new(gpu, &graph, 0).expect("none");
    graph.add("y", Dense::new(3), &[x]).expect("it fits");
    let with = Parameters::new(gpu, &graph, 0).expect("two");
    let refusal = |graph: &Network, parameters, batch| {
        let plan = Plan::request(graph, batch).build(gpu, parameters);
        plan.expect_err("it cannot be built").to_string()
    };
    assert!(refusal(&graph, &with, 0).starts_with("batch: expected at least one sample, got 0; "));
    assert!(refusal(&Network::new(), &with, 1).starts_with("graph: the graph is empty; "));
    assert!(refusal(&graph, &without, 1).starts_with("parameter y.weight: "));
    let large = refusal(&graph, &with, 1 << 50);
    assert!(large.contains("the adapter"), "{large}");
    gpu.check().expect("nothing reached the device");
}

#[test]
fn a_sequence_is_numbered_as_in_pytorch() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4]);
    let layers: [Box<dyn Operation>; 3] = [
        Box::new(Dense::new(3)),
        Box::new(Activation::Relu),
        Box::new(Dense::new(2)),
    ];
    let last = graph.sequential("layers", layers, x).expect("it fits");
    assert_eq!(graph.node(last).name, "layers.2");
    assert_eq!(graph.node(last).shape, [2]);
    assert_eq!(graph.parameters()[2].name, "layers.2.weight");
    assert_eq!(
        graph
            .sequential::<Dense>("none", [], last)
            .expect("it fits"),
        last
    );
    let again: [Box<dyn Operation>; 1] = [Box::new(Activation::Relu)];
    let error = graph.sequential("layers", again, x).expect_err("taken");
    assert!(error.to_string().contains("layer layers.0"), "{error}");

    let description = graph.describe("made-up", &Loss::new());
    let properties = |name: &str| description.layer(name).expect("its own").properties.clone();
    assert_eq!(properties("layers.0"), [Property::WeightedSum]);
    assert_eq!(properties("layers.1"), [Property::Rectifier]);
    assert_eq!(properties("x"), []);
}

#[test]
fn description_has_layers_edges_shapes_and_parameters() {
    let mut graph = Network::new();
    let x = graph.input("x", &[2, 3]);
    let y = graph
        .add("encoder.0", Dense::new(1), &[x])
        .expect("it fits");
    graph.loss("mean", y, 0.5).expect("a scalar");
    assert_eq!(graph.loss.scalar_names(), ["loss", "mean"]);
    let description = graph.describe("made-up", &graph.loss);
    let json = serde_json::to_value(description).expect("plain data");
    assert_eq!(json["name"], "made-up");
    assert_eq!(json["layers"][0]["kind"], "input");
    assert_eq!(json["layers"][1]["inputs"][0], "x");
    assert_eq!(json["layers"][1]["shape"], serde_json::json!([1]));
    let weight = serde_json::json!({ "name": "encoder.0.weight", "shape": [1, 6] });
    assert_eq!(json["layers"][1]["parameters"][0], weight);
    let loss = serde_json::json!({ "name": "mean", "layer": "encoder.0", "weight": 0.5 });
    assert_eq!(json["losses"][0], loss);
}

#[test]
fn initial_values_have_the_spread_of_their_distribution() {
    let (fan_in, fan_out) = (300, 200);
    let draw =
        |how: Initialization, shape: &[usize], seed| how.values(shape, fan_in, fan_out, seed, 4);
    let variance = |values: &[f32]| {
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        squares.sum::<f64>() / values.len() as f64
    };
    let weight = [fan_out, fan_in];
    for (how, expected, bias_is_zero) in [
        (Initialization::PyTorch, 1.0 / 300.0 / 3.0, false),
        (Initialization::He, 2.0 / 300.0, true),
        (Initialization::Xavier, 2.0 / 500.0, true),
    ] {
        let values = draw(how, &weight, 7);
        assert_eq!(values.len(), fan_in * fan_out);
        let ratio = variance(&values) / expected;
        assert!((ratio - 1.0).abs() < 0.03, "{how:?}: {ratio}");
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 * expected.sqrt(), "{how:?}: mean {mean}");
        assert_eq!(values, draw(how, &weight, 7), "a seed gives one network");
        assert_ne!(values, draw(how, &weight, 8));
        assert_ne!(values[..9], how.values(&weight, fan_in, fan_out, 7, 5)[..9]);
        let bias = draw(how, &[fan_out - 1], 7);
        assert_eq!(bias.len(), fan_out - 1);
        assert_eq!(
            bias.iter().all(|&value| value == 0.0),
            bias_is_zero,
            "{how:?}"
        );
    }
    assert!(
        draw(Initialization::Zeros, &weight, 7)
            .iter()
            .all(|&value| value == 0.0)
    );
}
