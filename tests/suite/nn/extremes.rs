//! Ordinary, extreme and missing numbers: finite where PyTorch is finite, and NaN is never hidden.

use trainscope::gpu::{Buffer, Dispatch, Gpu};
use trainscope::nn::losses::{ElementwiseLoss, GaussianKl, GaussianPairKl, SoftmaxCrossEntropy};
use trainscope::nn::ops::{Activation, Reparameterize};
use trainscope::nn::{Backward, Context, Forward, GradientTarget, Operation};

use super::fixture::Fixture;
use super::harness::variants;
use super::references::ACTIVATIONS;

/// The output of an operation on these inputs, and the gradients of the sum of its outputs.
struct Result {
    forward: Vec<f32>,
    gradients: Vec<Vec<f32>>,
}

fn run(gpu: &Gpu, operation: &dyn Operation, batch: usize, inputs: &[&[f32]]) -> Result {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|i| vec![i.len() / batch]).collect();
    let input_shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    let output_shape = operation.output_shape(&input_shapes).expect("it fits");
    let upload = |values: &[f32]| gpu.upload("tensor", values).expect("small");
    let buffers: Vec<Buffer<f32>> = inputs.iter().map(|values| upload(values)).collect();
    let count = batch * output_shape.iter().product::<usize>();
    let output = upload(&vec![f32::NAN; count]);
    let output_gradient = upload(&vec![1.0; count]);
    // What the gradients hold before must not show.
    let gradients: Vec<Buffer<f32>> = inputs
        .iter()
        .map(|values| upload(&vec![f32::NAN; values.len()]))
        .collect();
    let step_counter = gpu.upload("step_counter", &[0u32]).expect("small");
    let context = Context {
        mode: trainscope::nn::Mode::Train,
        rule: trainscope::nn::BackwardRule::Gradient,
        gpu,
        batch,
        step_counter: &step_counter,
        seed: 1,
        node: 0,
    };
    let forward = Forward {
        workspace: None,
        inputs: buffers.iter().collect(),
        input_shapes: input_shapes.clone(),
        parameters: Vec::new(),
        output: &output,
        output_shape: &output_shape,
    };
    let targets = gradients.iter().enumerate().map(|(position, buffer)| {
        operation
            .differentiable(position)
            .then_some(GradientTarget {
                buffer,
                accumulate: false,
            })
    });
    let backward = Backward {
        workspace: None,
        inputs: buffers.iter().collect(),
        input_shapes,
        parameters: Vec::new(),
        output: &output,
        output_shape: &output_shape,
        output_gradient: &output_gradient,
        input_gradients: targets.collect(),
        parameter_gradients: true,
    };
    let mut dispatches: Vec<Dispatch> = operation.forward(&context, &forward).expect("it fits");
    dispatches.extend(operation.backward(&context, &backward).expect("it fits"));
    gpu.run("extremes", &dispatches);
    let read = |buffer| gpu.read(buffer).expect("a result");
    Result {
        forward: read(&output),
        gradients: gradients.iter().map(read).collect(),
    }
}

/// Within 1e-5 of the value, or of `absolute` where the exact formula cancels.
fn close(what: &str, x: &[f32], got: &[f32], want: &[f64], absolute: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        // Beyond float32 infinity is right.
        if want.abs() > f64::from(f32::MAX) {
            assert_eq!(
                f64::from(got),
                f64::INFINITY.copysign(want),
                "{what} at {}",
                x[i]
            );
            continue;
        }
        assert!(
            (f64::from(got) - want).abs() <= absolute + 1e-5 * want.abs(),
            "{what} at {:?}: {got}, PyTorch has {want}",
            x.get(i)
        );
    }
}

/// The rounding of numbers about 1, which a derivative that is computed from the output cannot avoid.
const UNIT: f64 = 2.5e-7;
/// The rounding of PyTorch's own float64 formulas, which cancel a little.
const EXACT: f64 = 1e-13;
const TINY: f64 = 1e-30;

#[test]
fn activations_agree_with_pytorch() {
    let activations = Fixture::open("activations");
    let variance = Fixture::open("variance");
    let cases = [
        (&activations, "relu", Activation::Relu),
        (
            &activations,
            "leaky_relu",
            Activation::LeakyRelu { slope: 0.2 },
        ),
        (&activations, "tanh", Activation::Tanh),
        (&activations, "sigmoid", Activation::Sigmoid),
        (&activations, "softplus", Activation::Softplus),
        (&variance, "bounded", Activation::BoundedLogVariance),
        (&variance, "softplus", Activation::SoftplusLogVariance),
    ];
    for (variant, gpu) in &variants() {
        for (fixture, name, activation) in cases {
            let input = if std::ptr::eq(fixture, &activations) {
                "x"
            } else {
                "h"
            };
            let x = fixture.narrow(input);
            let got = run(gpu, &activation, 1, &[&x]);
            let what = format!("{activation:?}, {variant}");
            let want = fixture.get(&format!("{name}.forward"));
            // ln(softplus) passes through zero.
            let absolute = match activation {
                Activation::SoftplusLogVariance => UNIT,
                _ => TINY,
            };
            close(&what, &x, &got.forward, want, absolute);
            let want = fixture.get(&format!("{name}.d_{input}"));
            close(
                &format!("derivative of {what}"),
                &x,
                &got.gradients[0],
                want,
                UNIT,
            );
        }
    }
}

#[test]
fn losses_agree_with_pytorch() {
    let fixture = Fixture::open("activations");
    for (variant, gpu) in &variants() {
        let cases = [
            ("bce", ["logit", "target"], ElementwiseLoss::BceWithLogits),
            (
                "mse",
                ["prediction", "target"],
                ElementwiseLoss::SquaredError,
            ),
        ];
        for (name, inputs, loss) in cases {
            let [x, t] = inputs.map(|input| fixture.narrow(&format!("{name}.{input}")));
            let what = format!("{loss:?}, {variant}");
            let got = run(gpu, &loss, x.len(), &[&x, &t]);
            let want = fixture.get(&format!("{name}.forward"));
            close(&what, &x, &got.forward, want, EXACT);
            let want = fixture.get(&format!("{name}.d_{}", inputs[0]));
            close(
                &format!("derivative of {what}"),
                &x,
                &got.gradients[0],
                want,
                UNIT,
            );
        }
        let [mu, log_variance] =
            ["mu", "logvar"].map(|input| fixture.narrow(&format!("kl.{input}")));
        let got = run(gpu, &GaussianKl, mu.len(), &[&mu, &log_variance]);
        close(
            "kl",
            &log_variance,
            &got.forward,
            fixture.get("kl.forward"),
            TINY,
        );
        close(
            "kl to mu",
            &mu,
            &got.gradients[0],
            fixture.get("kl.d_mu"),
            TINY,
        );
        let want = fixture.get("kl.d_logvar");
        close(
            "kl to logvar",
            &log_variance,
            &got.gradients[1],
            want,
            EXACT,
        );

        let logits = fixture.narrow("cross_entropy.logits");
        let labels = fixture.get("cross_entropy.labels").iter();
        let labels: Vec<f32> = labels.map(|&label| f32::from_bits(label as u32)).collect();
        let got = run(
            gpu,
            &SoftmaxCrossEntropy::default(),
            labels.len(),
            &[&logits, &labels],
        );
        let want = fixture.get("cross_entropy.forward");
        close("cross-entropy", &[], &got.forward, want, UNIT);
        let want = fixture.get("cross_entropy.d_logits");
        close(
            "derivative of cross-entropy",
            &logits,
            &got.gradients[0],
            want,
            UNIT,
        );
    }
}

#[test]
fn a_nan_is_never_hidden() {
    const N: usize = 6;
    for (variant, gpu) in &variants() {
        for position in 0..N {
            let mut poisoned = [0.5f32; N];
            poisoned[position] = f32::NAN;
            let clean = [0.25f32; N];
            let only_there = |what: &str, values: &[f32]| {
                let where_nan: Vec<usize> = (0..N).filter(|&i| values[i].is_nan()).collect();
                assert_eq!(where_nan, [position], "{what}, {variant}");
            };
            for activation in ACTIVATIONS {
                let got = run(gpu, &activation, N, &[&poisoned]);
                only_there(&format!("{activation:?}"), &got.forward);
                // Where the derivative above zero is a constant, PyTorch lets the gradient pass behind a NaN; all others
                // show it.
                let passes = matches!(
                    activation,
                    Activation::Relu
                        | Activation::LeakyRelu { .. }
                        | Activation::Elu { .. }
                        | Activation::Affine { .. }
                );
                if !passes {
                    only_there(&format!("derivative of {activation:?}"), &got.gradients[0]);
                } else {
                    assert_ne!(
                        got.gradients[0][position], 0.0,
                        "{activation:?} cuts off a NaN"
                    );
                }
            }
            for (a, b) in [(&poisoned, &clean), (&clean, &poisoned)] {
                let z = run(gpu, &Reparameterize::new(1.0), N, &[a, b]);
                only_there("z", &z.forward);
                let kl = run(gpu, &GaussianKl, N, &[a, b]);
                only_there("kl", &kl.forward);
                for inputs in [[a, b, &clean, &clean], [&clean, &clean, a, b]] {
                    let inputs = inputs.map(|values| &values[..]);
                    let kl = run(gpu, &GaussianPairKl, N, &inputs);
                    only_there("kl of two", &kl.forward);
                }
                for loss in [
                    ElementwiseLoss::BceWithLogits,
                    ElementwiseLoss::SquaredError,
                ] {
                    let got = run(gpu, &loss, N, &[a, b]);
                    only_there(&format!("{loss:?}"), &got.forward);
                    only_there(&format!("derivative of {loss:?}"), &got.gradients[0]);
                }
            }
            // One sample of N classes beside a clean one.
            let logits: Vec<f32> = poisoned.iter().chain(&clean).copied().collect();
            let labels = [1, 2].map(f32::from_bits);
            let got = run(gpu, &SoftmaxCrossEntropy::default(), 2, &[&logits, &labels]);
            assert!(
                got.forward[0].is_nan() && got.forward[1].is_finite(),
                "{variant}"
            );
            let (first, second) = got.gradients[0].split_at(N);
            assert!(first.iter().all(|value| value.is_nan()), "{variant}");
            assert!(second.iter().all(|value| value.is_finite()), "{variant}");
        }
    }
}
