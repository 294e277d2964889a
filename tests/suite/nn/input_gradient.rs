//! Losses on gradients with respect to inputs: kernels against float64, and everything against PyTorch's double backward.

use proptest::prelude::*;
use trainscope::models::Layer;
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::{Constant, Interpolate, Norm};
use trainscope::nn::reference::Reference;
use trainscope::nn::{BackwardRule, Mode, NodeId, Parameters, Plan};
use trainscope::tensor::NamedTensor;

use super::fixture::Fixture;
use super::harness::{Input, Network, Numbers, check, distance, variants, wide};

/// The weight of the penalty in the fixture.
const WEIGHT: f32 = 10.0;

/// The layers of a fixture's case, in the notation of scenarios.
fn layers(text: &str) -> Vec<Layer> {
    #[derive(serde::Deserialize)]
    struct Written {
        layers: Vec<Layer>,
    }
    let written: Written = toml::from_str(&format!("layers = {text}")).expect("layers");
    written.layers
}

/// The squared distance from 1 of the norm of the gradient of what `layers` make of `x`.
fn penalize(graph: &mut Network, layers: &[Layer], x: NodeId) -> NodeId {
    let score = graph.sequential("critic", layers, x).expect("they fit");
    let gradient = graph.input_gradient(score, x).expect("it has one");
    let norm = graph.add("norm", Norm, &[gradient]).expect("it fits");
    let one = Constant {
        shape: Vec::new(),
        value: 1.0,
    };
    let one = graph.add("one", one, &[]).expect("it fits");
    let penalty = graph.add("penalty", ElementwiseLoss::SquaredError, &[norm, one]);
    let penalty = penalty.expect("it fits");
    graph.loss("penalty", penalty, WEIGHT).expect("a number");
    gradient
}

const CONVOLUTIONAL: &str = r#"[
    { conv2d = { channels = 3, kernel = 3, stride = 2, padding = 1 } }, "silu",
    { residual = [{ conv2d = { channels = 3, kernel = 3, padding = 1 } }, "tanh"] },
    "layer_norm", { upsample = { factor = 2 } }, { avg_pool2d = { kernel = 2 } },
    { conv_transpose2d = { channels = 2, kernel = 2, stride = 2 } }, { leaky_relu = { slope = 0.25 } },
    "flatten", { dropout = 0.25 }, { dense = { units = 1 } },
]"#;

/// Dense layers of these widths with an activation function between.
fn dense(activation: &str, widths: &[usize]) -> String {
    let layers = widths
        .iter()
        .map(|units| format!("{{ dense = {{ units = {units} }} }}, {activation}, "));
    format!(
        "[{}{{ dense = {{ units = 1 }} }}]",
        layers.collect::<String>()
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn dense_critics_agree_with_float64(
        activation in prop::sample::select(vec![
            "\"tanh\"", "\"sigmoid\"", "\"softplus\"", "\"gelu\"", "\"silu\"", "{ elu = { alpha = 0.75 } }",
            "{ leaky_relu = { slope = 0.25 } }", "{ affine = { scale = -1.5, shift = 0.5 } }", "\"layer_norm\", \"tanh\"",
        ]),
        widths in prop::collection::vec(5usize..20, 1..3),
        batch in 1usize..6,
        size in 1usize..30,
        seed in 0u64..1000,
    ) {
        let mut graph = Network::new();
        let shape = [size];
        let [real, fake] = ["real", "fake"].map(|name| graph.input(name, &shape));
        let x = graph.add("between", Interpolate, &[real, fake]).expect("they fit");
        penalize(&mut graph, &layers(&dense(activation, &widths)), x);
        let mut numbers = Numbers::new(seed);
        let inputs = [0, 1].map(|_| Input::Numbers(numbers.many(batch * size, -2.0, 2.0)));
        check(&format!("{activation} {widths:?}"), &graph, batch, &inputs, seed);
    }
}

#[test]
fn convolutional_critics_agree_with_float64() {
    for batch in [1, 3] {
        let mut graph = Network::new();
        let x = graph.input("x", &[2, 8, 6]);
        penalize(&mut graph, &layers(CONVOLUTIONAL), x);
        let inputs = Input::Numbers(Numbers::new(5).many(batch * 96, -1.0, 1.0));
        check("convolutional", &graph, batch, &[inputs], 9);
    }
}

/// A point in several parts: what it is not differentiated through is refused, with the layer's name.
#[test]
fn layers_without_a_second_derivative_are_refused() {
    for (layer, part) in [
        ("{ batch_norm = {} }", "samples of a batch"),
        ("\"softmax\"", "second derivative"),
        (
            "{ dense = { units = 3, spectral_norm = true } }",
            "spectral norm",
        ),
    ] {
        let mut graph = Network::new();
        let x = graph.input("x", &[4]);
        let text = format!("[{layer}, {{ dense = {{ units = 1 }} }}]");
        let score = graph.sequential("critic", &layers(&text), x);
        let score = score.expect("they fit");
        let message = graph.input_gradient(score, x).unwrap_err().to_string();
        assert!(message.contains("layer critic.0"), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

/// The name of the parameter that one of the nodes of a gradient shares.
fn base(name: &str) -> String {
    name.replace(".gradient.", ".")
}

#[test]
fn second_derivatives_agree_with_pytorch() {
    let fixture = Fixture::open("gradient_penalty");
    let convolutional = CONVOLUTIONAL.replace("{ dropout = 0.25 }, ", "");
    let cases = [
        (
            "leaky",
            vec![6],
            dense("{ leaky_relu = { slope = 0.25 } }", &[9, 7]),
        ),
        ("tanh", vec![6], dense("\"tanh\"", &[9, 7])),
        ("elu", vec![6], dense("{ elu = { alpha = 0.75 } }", &[9, 7])),
        ("convolutional", vec![2, 8, 6], convolutional),
    ];
    for (case, shape, text) in cases {
        let mut graph = Network::new();
        let x = graph.input("x", &shape);
        let gradient = penalize(&mut graph, &layers(&text), x);
        let batch = fixture.get(&format!("{case}.x")).len() / shape.iter().product::<usize>();
        let value = |name: &str| fixture.get(&format!("{case}.param.{}", base(name)));
        let want = |name: &str| fixture.get(&format!("{case}.grad.{name}"));
        // In float64 everything agrees to the last digits.
        let parameters: Vec<Vec<f64>> = graph
            .parameters()
            .iter()
            .map(|parameter| value(&parameter.name).to_vec())
            .collect();
        let reference = Reference {
            graph: &graph,
            batch,
            mode: Mode::Train,
            parameters: &parameters,
            noise: (0, 0),
            rule: BackwardRule::Gradient,
        };
        let exact = reference.step(&graph.loss, &[fixture.get(&format!("{case}.x")).to_vec()]);
        let close = |got: &[f64], want: &[f64], what: &str| {
            let largest = want
                .iter()
                .fold(1e-6f64, |most, value| most.max(value.abs()));
            for (got, want) in got.iter().zip(want) {
                let off = (got - want).abs() / largest;
                assert!(off < 1e-9, "{case}: {what} off by {off}");
            }
        };
        close(
            &exact.scalars[..1],
            fixture.get(&format!("{case}.penalty")),
            "penalty",
        );
        let index = gradient.index();
        close(
            &exact.values[index],
            fixture.get(&format!("{case}.input_grad")),
            "gradient",
        );
        let names = || graph.parameters().iter().map(|parameter| &parameter.name);
        for name in names().filter(|name| !name.contains(".gradient.")) {
            let mut sum = vec![0.0; want(name).len()];
            for (other, part) in names().zip(&exact.parameter_gradients) {
                if base(other) == *name {
                    sum.iter_mut()
                        .zip(part)
                        .for_each(|(sum, part)| *sum += part);
                }
            }
            close(&sum, want(name), name);
        }
        // The kernels, with the parameters of the critic alone.
        let mut critic = Network::new();
        let input = critic.input("x", &shape);
        critic
            .sequential("critic", &layers(&text), input)
            .expect("they fit");
        for (variant, gpu) in &variants() {
            let own = Parameters::new(gpu, &critic, 0).expect("parameters");
            let tensors: Vec<NamedTensor> = critic
                .parameters()
                .iter()
                .map(|parameter| {
                    let values = value(&parameter.name).iter().map(|&v| v as f32).collect();
                    NamedTensor::new(&parameter.name, parameter.shape.clone(), values)
                })
                .collect();
            let packed = own.pack(&tensors, "fixture").expect("they fit");
            gpu.write(&own.values, 0, &packed);
            let [first, second] = own.for_input_gradients(gpu).expect("buffers");
            let both = first.clone().with_fallback(second.clone());
            let plan = Plan::request(&graph, batch).loss(&graph.loss);
            let plan = plan.build(gpu, &both).expect("a plan");
            let images = fixture.narrow(&format!("{case}.x"));
            gpu.write(plan.value(x).expect("an input"), 0, &images);
            gpu.run("penalty", plan.dispatches(false));
            let [a, b] = [&first, &second].map(|part| {
                let all = gpu.read(&part.gradients).expect("gradients");
                own.unpack(&all)
            });
            for (a, b) in a.iter().zip(&b) {
                let sum: Vec<f32> = a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect();
                let off = distance(&sum, want(&a.name));
                assert!(
                    off < 2e-5 || wide(&sum).iter().all(|value| value.abs() < 1e-6),
                    "{case}, {variant}: {} off by {off}",
                    a.name
                );
            }
            gpu.check().expect("no device error");
        }
    }
}
