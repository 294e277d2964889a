//! Rules of attribution: against float64, and the sums that they promise.

use trainscope::models::Layer;
use trainscope::nn::ops::{Activation, Dense};
use trainscope::nn::{
    BackwardRule, Conv2dGeometry, Graph, Initialization, Mode, NodeId, Parameters, Plan,
};

use super::harness::{Numbers, split, variants, wide};
use super::passes::{Case, case};
use super::references::ACTIVATIONS;
use crate::support;

const EPSILON: f32 = 1e-3;

/// Every operation that can be attributed through, ending in three units.
fn network() -> (Graph, NodeId) {
    let window = |kernel: usize, stride: usize, padding: usize| {
        Conv2dGeometry::new(kernel).stride(stride).padding(padding)
    };
    let conv = |channels| Layer::Conv2d {
        channels,
        kernel: 3.into(),
        stride: 1.into(),
        padding: 1.into(),
        dilation: 1.into(),
        initialization: Initialization::PyTorch,
        spectral_norm: false,
    };
    let transposed = Layer::ConvTranspose2d {
        channels: 3,
        kernel: 2.into(),
        stride: 2.into(),
        padding: 0.into(),
        output_padding: 0.into(),
        dilation: 1.into(),
        initialization: Initialization::PyTorch,
    };
    let dense = |units| Layer::Dense {
        units,
        initialization: Initialization::PyTorch,
        spectral_norm: false,
    };
    let max = window(3, 2, 1);
    let layers = [
        conv(4),
        Layer::batch_norm(),
        Layer::Relu,
        Layer::MaxPool2d {
            kernel: max.kernel,
            stride: Some(max.stride),
            padding: max.padding,
        },
        Layer::Residual(vec![conv(4), Layer::Tanh]),
        Layer::Upsample { factor: 2.into() },
        Layer::AvgPool2d {
            kernel: 2.into(),
            stride: None,
            padding: 0.into(),
        },
        transposed,
        Layer::Gelu,
        Layer::Dropout(0.5),
        Layer::Flatten,
        Layer::LayerNorm,
        Layer::Affine {
            scale: 0.7,
            shift: 0.1,
        },
        dense(9),
        Layer::Softplus,
        dense(3),
    ];
    let mut graph = Graph::new();
    let x = graph.input("x", &[2, 6, 6]);
    let y = graph.sequential("layers", &layers, x).expect("it fits");
    (graph, y)
}

/// The value of the last node of a case in float64.
fn output(case: &Case<'_>, values: &[Vec<f64>]) -> Vec<f64> {
    let reference = trainscope::nn::reference::Reference {
        graph: case.graph,
        batch: case.batch,
        mode: Mode::Eval,
        parameters: values,
        noise: (4, 0),
        rule: BackwardRule::Gradient,
    };
    reference.forward(&case.exact_inputs()).values[case.node.index()].clone()
}

#[test]
fn rescale_agrees_with_float64_and_sums_up_to_the_difference_of_the_output() {
    let (graph, y) = network();
    for variant in &variants() {
        let case = case("network", &graph, y, 8);
        let multipliers = &case.check(variant, Mode::Eval, BackwardRule::Rescale, false)[0];
        let parameters = case.parameters(&variant.1);
        let values = split(
            &parameters,
            &variant.1.read(&parameters.values).expect("values"),
        );
        let values: Vec<Vec<f64>> = values.iter().map(|values| wide(values)).collect();
        let output = output(&case, &values);
        // The cotangents of a sample and its baseline differ here: only samples are summed up.
        let (size, units, half) = (72, 3, 4);
        for sample in 0..half {
            let partner = sample + half;
            let of = |values: &[f64], row: usize, len: usize| values[row * len..][..len].to_vec();
            let x = wide(&case.inputs[0]);
            let difference: f64 = (0..units)
                .map(|unit| {
                    let moved = output[sample * units + unit] - output[partner * units + unit];
                    f64::from(case.cotangent[sample * units + unit]) * moved
                })
                .sum();
            let sum: f64 = of(&x, sample, size)
                .iter()
                .zip(of(&x, partner, size))
                .zip(&multipliers[sample * size..])
                .map(|((x, baseline), m)| f64::from(*m) * (x - baseline))
                .sum();
            assert!((sum - difference).abs() < 2e-5, "{sum}, not {difference}");
        }
    }
}

#[test]
fn functions_of_one_element_are_rescaled_alone() {
    for variant in &variants() {
        for activation in ACTIVATIONS {
            let mut graph = Graph::new();
            let x = graph.input("x", &[9]);
            let y = graph.add("y", activation, &[x]).expect("it fits");
            let mut case = case(&format!("{activation:?}"), &graph, y, 6);
            // A sample that is its own baseline has the derivative for its multiplier.
            for i in 0..9 {
                case.inputs[0][27 + i] = case.inputs[0][i];
            }
            case.check(variant, Mode::Eval, BackwardRule::Rescale, false);
        }
    }
}

#[test]
fn relevance_agrees_with_float64() {
    let (graph, y) = network();
    for variant in &variants() {
        let rule = BackwardRule::Epsilon { epsilon: EPSILON };
        case("network", &graph, y, 3).check(variant, Mode::Eval, rule, false);
    }
}

/// Without biases, and with hardly any epsilon, nothing of the relevance is lost between layers of ReLU; and it is the gradient
/// times the input (Ancona et al. 2018).
#[test]
fn relevance_is_conserved_without_biases() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[12]);
    let mut node = x;
    for (layer, units) in [20, 15, 4].into_iter().enumerate() {
        node = graph
            .add(&format!("d{layer}"), Dense::new(units), &[node])
            .expect("it fits");
        if layer < 2 {
            node = graph
                .add(&format!("a{layer}"), Activation::Relu, &[node])
                .expect("it fits");
        }
    }
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph, 3).expect("parameters");
    let mut tensors = parameters.unpack(&gpu.read(&parameters.values).expect("values"));
    for tensor in tensors
        .iter_mut()
        .filter(|tensor| tensor.name.ends_with("bias"))
    {
        tensor.values.fill(0.0);
    }
    let all = parameters.pack(&tensors, "test").expect("its own tensors");
    gpu.write(&parameters.values, 0, &all);
    let batch = 5;
    let relevance = gpu.buffer("relevance", batch * 4).expect("small");
    let pass = |rule| {
        let plan = Plan::request(&graph, batch)
            .mode(Mode::Eval)
            .rule(rule)
            .cotangent(node, &relevance)
            .parameter_gradients(false)
            .keep_value(node)
            .wrt(x)
            .build(gpu, &parameters)
            .expect("a plan");
        let values = Numbers::new(8).many(batch * 12, -1.0, 1.0);
        gpu.write(plan.value(x).expect("an input"), 0, &values);
        // The forward pass alone gives the relevance that the backward pass begins with.
        gpu.run(
            "forward",
            plan.segment(trainscope::nn::Segment::Forward, false),
        );
        let y = gpu.read(plan.value(node).expect("kept")).expect("values");
        let start = match rule {
            BackwardRule::Gradient => vec![1.0; y.len()],
            _ => y.clone(),
        };
        gpu.write(&relevance, 0, &start);
        gpu.run(
            "backward",
            plan.segment(trainscope::nn::Segment::Backward, false),
        );
        let got = gpu
            .read(plan.gradient(x).expect("asked for"))
            .expect("values");
        (values, y, got)
    };
    let (_, y, relevances) = pass(BackwardRule::Epsilon { epsilon: 1e-9 });
    let (values, _, gradients) = pass(BackwardRule::Gradient);
    for sample in 0..batch {
        let whole: f32 = y[sample * 4..][..4].iter().sum();
        let sum: f32 = relevances[sample * 12..][..12].iter().sum();
        assert!((sum - whole).abs() < 1e-5, "{sum}, not {whole}");
    }
    for (i, relevance) in relevances.iter().enumerate() {
        let product = values[i] * gradients[i];
        assert!(
            (relevance - product).abs() < 1e-5,
            "{relevance}, not {product}"
        );
    }
}

/// A ReLU that is dead for every sample passes a share of the gradient on, and the values stay as they are.
#[test]
fn dead_units_leak() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4]);
    let dead = Activation::Affine {
        scale: 1.0,
        shift: -9.0,
    };
    let dead = graph.add("dead", dead, &[x]).expect("it fits");
    let y = graph.add("y", Activation::Relu, &[dead]).expect("it fits");
    for variant in &variants() {
        let case = case("dead", &graph, y, 3);
        let gradients = |rule| case.check(variant, Mode::Eval, rule, true)[0].clone();
        assert_eq!(gradients(BackwardRule::Gradient), [0.0; 12]);
        let leaked = gradients(BackwardRule::LeakyRelu { slope: 0.25 });
        let wanted: Vec<f32> = case.cotangent.iter().map(|g| 0.25 * g).collect();
        assert_eq!(leaked, wanted);
    }
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let (graph, y) = network();
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph, 1).expect("parameters");
    let x = graph.find("x").expect("an input");
    let cotangent = gpu.buffer("cotangent", 3 * 3).expect("small");
    let request = || {
        Plan::request(&graph, 3)
            .mode(Mode::Eval)
            .cotangent(y, &cotangent)
            .wrt(x)
            .rule(BackwardRule::Rescale)
    };
    let refused = |request: trainscope::nn::PlanRequest<'_>, part: &str| {
        let error = request
            .build(gpu, &parameters)
            .expect_err("refused")
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(request(), "no gradients of parameters");
    let request = || request().parameter_gradients(false);
    refused(request(), "as many samples as baselines");
    let relevance = BackwardRule::Epsilon { epsilon: EPSILON };
    refused(
        request().rule(relevance).mode(Mode::Train),
        "layer layers.1 (batch_norm): the operation has no rule",
    );
    refused(
        request()
            .rule(BackwardRule::Gradient)
            .keep_gradient(x)
            .cotangent(x, &cotangent),
        "expected a buffer of 216",
    );
}
