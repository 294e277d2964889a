//! The static plan: who adds to which gradient, what memory is shared, and that the same is computed every time.

use trainscope::nn::losses::{ElementwiseLoss, GaussianKl};
use trainscope::nn::ops::{Activation, Dense, Reparameterize, Reshape};
use trainscope::nn::{Graph, NodeId, Optimizer, Parameters, Plan, PlanRequest, Sgd};

use super::harness::{Input, Network, Numbers, Probed, check, distance, variants};
use crate::support;

fn inputs(graph: &Network, batch: usize) -> Vec<Input> {
    let mut numbers = Numbers::new(21);
    let inputs = graph.nodes().iter().filter(|node| node.operation.is_none());
    inputs
        .map(|node| Input::Numbers(numbers.many(batch * node.size(), -1.0, 1.0)))
        .collect()
}

fn dense(graph: &mut Network, name: &str, units: usize, input: NodeId) -> NodeId {
    graph
        .add(name, Dense::new(units), &[input])
        .expect("it fits")
}

fn act(graph: &mut Network, name: &str, input: NodeId) -> NodeId {
    graph
        .add(name, Activation::Tanh, &[input])
        .expect("it fits")
}

fn view(graph: &mut Network, name: &str, shape: &[usize], input: NodeId) -> NodeId {
    let shape = shape.to_vec();
    graph
        .add(name, Reshape { shape }, &[input])
        .expect("it fits")
}

fn squared(graph: &mut Network, name: &str, node: NodeId, target: NodeId, weight: f32) -> NodeId {
    let error = graph
        .add(name, ElementwiseLoss::SquaredError, &[node, target])
        .expect("it fits");
    graph.loss(name, error, weight).expect("a scalar");
    error
}

#[test]
fn gradients_of_several_consumers_add_up() {
    for consumer in ["activation", "dense", "loss"] {
        let mut graph = Network::new();
        let x = graph.input("x", &[6]);
        let target = graph.input("target", &[6]);
        let h = dense(&mut graph, "h", 6, x);
        for i in 0..3 {
            let y = match consumer {
                "activation" => act(&mut graph, &format!("y{i}"), h),
                "dense" => dense(&mut graph, &format!("y{i}"), 6, h),
                _ => h,
            };
            squared(&mut graph, &format!("error{i}"), y, target, 0.5 + i as f32);
        }
        for batch in [1, 9] {
            check(consumer, &graph, batch, &inputs(&graph, batch), 1);
        }
    }
}

/// A view and what it views are consumed both, before and after one another: their gradients are one memory.
#[test]
fn a_view_beside_what_it_views() {
    let mut graph = Network::new();
    let x = graph.input("x", &[6]);
    let target = graph.input("target", &[6]);
    let h = dense(&mut graph, "h", 6, x);
    let early = act(&mut graph, "early", h);
    let v = view(&mut graph, "v", &[3, 2], h);
    let w = view(&mut graph, "w", &[2, 3], v);
    let between = act(&mut graph, "between", h);
    let on_view = act(&mut graph, "on view", w);
    let flat = view(&mut graph, "flat", &[6], on_view);
    for (name, node) in [("a", early), ("b", between), ("c", flat)] {
        let node = dense(&mut graph, &format!("{name} dense"), 6, node);
        squared(&mut graph, name, node, target, 1.0);
    }
    check("views", &graph, 5, &inputs(&graph, 5), 2);
}

/// The mean of a layer as a loss term, and the layer consumed by another loss as well.
#[test]
fn a_loss_term_that_is_also_consumed() {
    let mut graph = Network::new();
    let x = graph.input("x", &[5]);
    let target = graph.input("target", &[1]);
    let critic = dense(&mut graph, "critic", 1, x);
    squared(&mut graph, "error", critic, target, 2.0);
    graph.loss("mean", critic, -0.5).expect("a scalar");
    check("consumed term", &graph, 7, &inputs(&graph, 7), 3);

    // Run twice: nothing may be left over from the first time.
    let gpu = support::gpu();
    let probed = Probed::new(gpu, &graph, 7, 3);
    let inputs = inputs(&graph, 7);
    let first = probed.run(&inputs, 0);
    assert_eq!(first.bits(), probed.run(&inputs, 0).bits());
}

#[test]
fn two_loss_terms_on_one_node() {
    let mut graph = Network::new();
    let x = graph.input("x", &[5]);
    let y = dense(&mut graph, "y", 1, x);
    graph.loss("once", y, 1.0).expect("a scalar");
    graph.loss("again", y, 0.25).expect("a scalar");
    check("two terms", &graph, 6, &inputs(&graph, 6), 4);
}

#[test]
fn a_loss_term_on_a_view() {
    let mut graph = Network::new();
    let x = graph.input("x", &[5]);
    let y = dense(&mut graph, "y", 1, x);
    let y = view(&mut graph, "scalar", &[], y);
    graph.loss("mean", y, 1.5).expect("a scalar");
    check("term on a view", &graph, 6, &inputs(&graph, 6), 5);
}

/// Gaussian heads of which only one learns, or both of which are one node.
#[test]
fn heads_that_do_not_learn_and_heads_that_are_one() {
    for case in ["fixed variance", "fixed mean", "one head", "two views"] {
        let mut graph = Network::new();
        let x = graph.input("x", &[6]);
        let target = graph.input("target", &[6]);
        let fixed = graph.input("fixed", &[6]);
        let h = dense(&mut graph, "h", 6, x);
        let [mu, log_variance] = match case {
            "fixed variance" => [h, fixed],
            "fixed mean" => [fixed, h],
            "one head" => [h, h],
            _ => ["v", "w"].map(|name| view(&mut graph, name, &[6], h)),
        };
        let z = graph
            .add("z", Reparameterize::new(1.0), &[mu, log_variance])
            .expect("it fits");
        let kl = graph
            .add("kl", GaussianKl, &[mu, log_variance])
            .expect("it fits");
        squared(&mut graph, "error", z, target, 1.0);
        graph.loss("kl", kl, 0.5).expect("a scalar");
        for batch in [1, 7] {
            check(case, &graph, batch, &inputs(&graph, batch), 6);
        }
    }
}

fn tangled() -> (Network, [NodeId; 2]) {
    let mut graph = Network::new();
    let x = graph.input("x", &[9]);
    let target = graph.input("target", &[4]);
    let a = dense(&mut graph, "a", 12, x);
    let b = act(&mut graph, "b", a);
    let v = view(&mut graph, "v", &[3, 4], b);
    let dangling = dense(&mut graph, "dangling", 40, v);
    act(&mut graph, "dangling too", dangling);
    let c = dense(&mut graph, "c", 12, v);
    let d = act(&mut graph, "d", c);
    let e = dense(&mut graph, "e", 4, d);
    let f = dense(&mut graph, "f", 4, b);
    squared(&mut graph, "first", e, target, 1.0);
    squared(&mut graph, "second", f, target, 0.5);
    (graph, [v, d])
}

#[test]
fn dangling_nodes_learn_nothing() {
    let (graph, _) = tangled();
    check("tangled", &graph, 10, &inputs(&graph, 10), 7);
}

/// An optimizer leaves its updates where the gradients were: a parameter that no loss reaches must not take them for
/// gradients in the next step.
#[test]
fn what_no_loss_reaches_has_no_gradient_in_any_step() {
    let (graph, _) = tangled();
    let gpu = support::gpu();
    let probed = Probed::new(gpu, &graph, 10, 7);
    let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
    let optimizer = Optimizer::Sgd(Sgd {
        lr: 0.1,
        momentum: 0.0,
        weight_decay: 0.5,
    });
    let state = optimizer.state(gpu, &probed.parameters).expect("state");
    let update = optimizer.dispatch(gpu, &probed.parameters, &state, &step_counter);
    let inputs = inputs(&graph, 10);
    for step in 0..2 {
        let got = probed.run(&inputs, step);
        for (parameter, gradient) in graph.parameters().iter().zip(&got.parameter_gradients) {
            if parameter.name.starts_with("dangling") {
                let nonzero = gradient.iter().filter(|&&value| value != 0.0).count();
                assert_eq!(nonzero, 0, "{} in step {step}", parameter.name);
            }
        }
        gpu.run("update", [&update]);
    }
}

/// Keeping nodes changes where tensors lie, not what is computed.
#[test]
fn kept_nodes_hold_their_values_after_the_step() {
    let (graph, keep) = tangled();
    let (gpu, batch) = (support::gpu(), 10);
    let probed = Probed::new(gpu, &graph, batch, 7);
    let inputs = inputs(&graph, batch);
    let expected = probed.run(&inputs, 0);
    let parameters = Parameters::new(gpu, &graph, 7).expect("parameters");
    let plan = |keep: &[NodeId], differentiated| {
        let request = Plan::request(&graph, batch).seed(7);
        let request = if differentiated {
            request.loss(&graph.loss)
        } else {
            request.evaluate(&graph.loss)
        };
        let request = keep.iter().copied().fold(request, PlanRequest::keep_value);
        request.build(gpu, &parameters).expect("a plan")
    };
    for differentiated in [true, false] {
        let kept = plan(&keep, differentiated);
        for (name, values) in ["x", "target"].iter().zip(&inputs) {
            let Input::Numbers(values) = values else {
                unreachable!("no labels here")
            };
            let buffer = kept
                .value(graph.find(name).expect("an input"))
                .expect("kept");
            gpu.write(buffer, 0, values);
        }
        gpu.run("kept", kept.dispatches(false));
        for name in ["v", "d"] {
            let node = graph.find(name).expect("a node");
            let index = graph
                .nodes()
                .iter()
                .position(|n| n.name == name)
                .expect("it is there");
            let values = gpu.read(kept.value(node).expect("kept")).expect("values");
            assert_eq!(values, expected.values[index], "{name}");
        }
        assert_eq!(gpu.read(kept.scalars()).expect("scalars"), expected.scalars);
        assert!(kept.value(graph.find("e").expect("a node")).is_none());
        assert!(kept.bytes() >= plan(&[], differentiated).bytes());
    }
}

#[test]
fn the_same_step_gives_the_same_bits() {
    let mut graph = Network::new();
    let x = graph.input("x", &[50]);
    let target = graph.input("target", &[50]);
    let h = dense(&mut graph, "h", 70, x);
    let h = act(&mut graph, "act", h);
    let mu = dense(&mut graph, "mu", 7, h);
    let log_variance = dense(&mut graph, "logvar", 7, h);
    let z = graph
        .add("z", Reparameterize::new(1.0), &[mu, log_variance])
        .expect("it fits");
    let y = dense(&mut graph, "y", 50, z);
    squared(&mut graph, "error", y, target, 1.0);
    let inputs = inputs(&graph, 66);
    for (variant, gpu) in &variants() {
        let probed = Probed::new(gpu, &graph, 66, 8);
        let first = probed.run(&inputs, 4).bits();
        let other_step = probed.run(&inputs, 5).bits();
        assert_ne!(first, other_step, "{variant}: noise of another step");
        assert_eq!(first, probed.run(&inputs, 4).bits(), "{variant}: run again");
        let again = Probed::new(gpu, &graph, 66, 8);
        assert_eq!(
            first,
            again.run(&inputs, 4).bits(),
            "{variant}: another plan"
        );
    }
}

/// The gradient of a view, whose memory two consumers of what it views write as well, is complete when a probe sees it.
#[test]
fn gradients_of_views_are_complete_when_probes_see_them() {
    let mut graph = Network::new();
    let x = graph.input("x", &[6]);
    let target = graph.input("target", &[6]);
    let h = dense(&mut graph, "h", 6, x);
    let early = act(&mut graph, "early", h);
    let v = view(&mut graph, "v", &[2, 3], h);
    let late = act(&mut graph, "late", h);
    let on_view = act(&mut graph, "on view", v);
    let flat = view(&mut graph, "flat", &[6], on_view);
    for (name, node) in [("a", early), ("b", late), ("c", flat)] {
        squared(&mut graph, name, node, target, 1.0);
    }
    let gpu = support::gpu();
    let probed = Probed::new(gpu, &graph, 5, 2);
    let inputs = inputs(&graph, 5);
    let want = probed.reference(&inputs, 2, 0);
    let got = probed.run(&inputs, 0);
    let whole = want.gradients[h.index()].as_ref().expect("a gradient");
    for node in [h, v] {
        let seen = got.gradients[node.index()].as_ref().expect("a gradient");
        let off = distance(seen, whole);
        assert!(off < 2e-5, "{}: off by {off}", graph.node(node).name);
    }
}

/// Values and gradients of a graph that is nothing but inputs of the caller's.
#[test]
fn a_graph_of_given_inputs_alone_is_a_plan() {
    let mut graph = Graph::new();
    let [x, y] = ["x", "y"].map(|name| graph.input(name, &[2]));
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph, 0).expect("none");
    let buffers = [3.0f32, 5.0].map(|value| gpu.upload("given", &[value; 6]).expect("small"));
    let request = Plan::request(&graph, 3)
        .input(x, &buffers[0])
        .external_input(y);
    let error = request
        .build(gpu, &parameters)
        .expect_err("a buffer is missing");
    assert!(error.to_string().contains("input y"), "{error}");
    let request = request.input(y, &buffers[1]);
    let plan = request.build(gpu, &parameters).expect("a plan");
    gpu.run("nothing", plan.dispatches(false));
    assert_eq!(plan.bytes(), 0);
    let value = |node| gpu.read(plan.value(node).expect("kept")).expect("values");
    assert_eq!((value(x), value(y)), (vec![3.0; 6], vec![5.0; 6]));
    // A cotangent of an input is its gradient.
    let plan = Plan::request(&graph, 3)
        .input(x, &buffers[0])
        .cotangent(x, &buffers[1])
        .cotangent(x, &buffers[0])
        .wrt(x)
        .build(gpu, &parameters)
        .expect("a plan");
    gpu.run("gradient", plan.dispatches(false));
    let gradient = gpu.read(plan.gradient(x).expect("asked for"));
    assert_eq!(gradient.expect("values"), [8.0; 6]);
}

#[test]
fn gradients_that_do_not_exist_are_refused() {
    let (graph, [v, _]) = tangled();
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph, 7).expect("parameters");
    let target = graph.find("target").expect("an input");
    let request = Plan::request(&graph, 4).loss(&graph.loss);
    let error = request.clone().wrt(target).build(gpu, &parameters);
    let error = error.expect_err("targets have none").to_string();
    assert!(error.starts_with("gradient of target: nothing"), "{error}");
    let forward = Plan::request(&graph, 4).evaluate(&graph.loss);
    assert!(forward.keep_gradient(v).build(gpu, &parameters).is_err());
    assert!(request.keep_gradient(v).build(gpu, &parameters).is_ok());
}
