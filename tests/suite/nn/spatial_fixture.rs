//! Operations on images against PyTorch (tests/fixtures/make_spatial.py).

use trainscope::gpu::Gpu;
use trainscope::nn::ops::{Activation, Conv2d, ConvTranspose2d, Pool, Reshape, Upsample};
use trainscope::nn::{Conv2dGeometry, Mode, Operation, ReferenceBackward, ReferenceForward};

use super::fixture::Fixture;
use super::harness::{Network, distance, variants};

struct Case<'a> {
    fixture: &'a Fixture,
    name: &'static str,
    operation: &'a dyn Operation,
    batch: usize,
    shape: [usize; 3],
}

impl Case<'_> {
    fn get(&self, what: &str) -> &[f64] {
        self.fixture.get(&format!("{}.{what}", self.name))
    }

    /// The reference's output and gradients, in the fixture's words.
    fn reference(&self) -> Vec<(&'static str, Vec<f64>)> {
        let shapes: [&[usize]; 1] = [&self.shape];
        let output_shape = self.operation.output_shape(&shapes).expect("it fits");
        let names = ["weight", "bias"];
        let trainable = self.operation.parameters(&shapes).len();
        let io = || ReferenceForward {
            batch: self.batch,
            inputs: vec![self.get("x")],
            input_shapes: shapes.to_vec(),
            parameters: names[..trainable]
                .iter()
                .map(|name| self.get(name))
                .collect(),
            output_shape: &output_shape,
            noise_key: (0, 0, 0),
            mode: Mode::Train,
        };
        let y = self
            .operation
            .reference()
            .expect("a reference")
            .reference_forward(&io());
        let gradients = self
            .operation
            .reference()
            .expect("a reference")
            .reference_backward(&ReferenceBackward {
                forward: io(),
                output: &y,
                output_gradient: self.get("upstream"),
                rule: trainscope::nn::BackwardRule::Gradient,
            });
        let mut all = vec![("y", y), ("x_grad", gradients.inputs[0].clone())];
        all.extend(
            ["weight_grad", "bias_grad"]
                .into_iter()
                .zip(gradients.parameters),
        );
        all
    }

    fn check(&self) {
        for (what, got) in self.reference() {
            let want = self.get(what);
            assert_eq!(got.len(), want.len(), "{}.{what}", self.name);
            for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
                let same = got == want || (got.is_nan() && want.is_nan());
                assert!(
                    same || (got - want).abs() < 1e-12 * (1.0 + want.abs()),
                    "{}.{what}[{i}]: {got}, PyTorch has {want}",
                    self.name
                );
            }
        }
    }
}

/// Every reference agrees with PyTorch, so every kernel that agrees with its reference does.
#[test]
fn twins_of_operations_on_images_agree_with_pytorch() {
    let fixture = Fixture::open("spatial");
    let conv = |channels, geometry| Conv2d::new(channels, geometry);
    let transposed = |channels, geometry, output_padding: [usize; 2]| ConvTranspose2d {
        output_padding: output_padding.into(),
        ..ConvTranspose2d::new(channels, geometry)
    };
    let w = |kernel: [usize; 2]| Conv2dGeometry::new(kernel);
    let convolutions: [(&str, usize, [usize; 3], Conv2d); 3] = [
        ("conv_plain", 3, [2, 5, 6], conv(4, w([3, 3]))),
        (
            "conv_strided",
            2,
            [3, 9, 7],
            conv(2, w([4, 3]).stride(2).padding(1)),
        ),
        (
            "conv_dilated",
            2,
            [2, 8, 9],
            conv(3, w([2, 3]).stride([1, 2]).padding([0, 2]).dilation([3, 1])),
        ),
    ];
    let transposed: [(&str, usize, [usize; 3], ConvTranspose2d); 4] = [
        (
            "transposed_plain",
            3,
            [2, 4, 5],
            transposed(3, w([3, 3]), [0, 0]),
        ),
        (
            "transposed_strided",
            2,
            [3, 4, 3],
            transposed(2, w([4, 4]).stride(2).padding(1), [0, 0]),
        ),
        (
            "transposed_padded",
            2,
            [2, 3, 4],
            transposed(3, w([3, 2]).stride([2, 3]).padding([1, 0]), [1, 2]),
        ),
        (
            "transposed_dilated",
            1,
            [2, 4, 3],
            transposed(2, w([2, 3]).dilation([2, 1]).padding(1), [0, 0]),
        ),
    ];
    let overlapping = w([3, 3]).stride(2).padding(1);
    let pools: [(&str, Pool); 5] = [
        ("max_pool", Pool::Max(w([2, 2]).stride(2))),
        ("max_pool_overlapping", Pool::Max(overlapping)),
        ("avg_pool", Pool::Average(w([2, 3]).stride([2, 3]))),
        ("avg_pool_overlapping", Pool::Average(overlapping)),
        ("global_avg_pool", Pool::GlobalAverage),
    ];
    let upsample = Upsample {
        factor: [2, 3].into(),
    };
    let functions = [
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
        ("elu", Activation::Elu { alpha: 0.7f32 }),
    ];
    let mut cases: Vec<(&'static str, usize, [usize; 3], &dyn Operation)> = Vec::new();
    for (name, batch, shape, operation) in &convolutions {
        cases.push((name, *batch, *shape, operation));
    }
    for (name, batch, shape, operation) in &transposed {
        cases.push((name, *batch, *shape, operation));
    }
    for (name, operation) in &pools {
        cases.push((name, 2, [3, 7, 6], operation));
    }
    cases.push(("upsample", 2, [3, 7, 6], &upsample));
    let not_finite = Pool::Max(w([2, 2]).stride(2));
    cases.push(("max_pool_not_finite", 1, [1, 4, 6], &not_finite));
    for (name, batch, shape, operation) in cases {
        let case = Case {
            fixture: &fixture,
            name,
            operation,
            batch,
            shape,
        };
        case.check();
    }
    for (name, function) in functions {
        let (x, y) = (
            fixture.get(&format!("{name}.x")),
            fixture.get(&format!("{name}.y")),
        );
        let upstream = fixture.get(&format!("{name}.upstream"));
        let gradient = fixture.get(&format!("{name}.x_grad"));
        for i in 0..x.len() {
            // 0.7 is not the same number in float32.
            let close = |got: f64, want: f64| (got - want).abs() < 1e-13 + 1e-7 * want.abs();
            assert!(close(function.value(x[i]), y[i]), "{name} of {}", x[i]);
            let got = function.derivative(x[i]) * upstream[i];
            assert!(close(got, gradient[i]), "derivative of {name} at {}", x[i]);
        }
    }
}

/// The values of one operation on `x`, on the GPU.
fn values(gpu: &Gpu, operation: impl Operation + 'static, shape: &[usize], x: &[f32]) -> Vec<f32> {
    let mut graph = Network::new();
    let input = graph.input("x", shape);
    graph.add("y", operation, &[input]).expect("it fits");
    let probed = super::harness::Probed::new(gpu, &graph, 1, 1);
    let step = probed.run(&[super::harness::Input::Numbers(x.to_vec())], 0);
    step.values[1].clone()
}

#[test]
fn kernels_of_functions_keep_close_to_pytorch_over_their_range() {
    let fixture = Fixture::open("spatial");
    for (name, function) in [
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
        ("elu", Activation::Elu { alpha: 0.7 }),
    ] {
        let x = fixture.narrow(&format!("{name}.x"));
        for (variant, gpu) in &variants() {
            let got = values(gpu, function, &[x.len()], &x);
            for ((&x, got), want) in x.iter().zip(got).zip(fixture.get(&format!("{name}.y"))) {
                let off = (f64::from(got) - want).abs();
                // Relative, but for the underflow and the cancellation far below zero.
                let allowed = 6e-7 * want.abs() + 2e-7 * f64::from(u8::from(x < -1.0));
                assert!(
                    off <= allowed + 1e-12,
                    "{variant}: {name}({x}) = {got}, {want}"
                );
            }
        }
    }
}

#[test]
fn maxima_show_what_is_not_finite() {
    let fixture = Fixture::open("spatial");
    let x = fixture.narrow("max_pool_not_finite.x");
    let want = fixture.get("max_pool_not_finite.y");
    for (variant, gpu) in &variants() {
        let got = values(
            gpu,
            Pool::Max(Conv2dGeometry::new(2).stride(2)),
            &[1, 4, 6],
            &x,
        );
        for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
            let same = f64::from(got) == want || (got.is_nan() && want.is_nan());
            assert!(same, "{variant}: {got} at {i}, PyTorch has {want}");
        }
    }
}

/// Gradients of a pool whose windows hold equal maxima, through the kernels.
#[test]
fn the_first_of_equal_maxima_gets_the_gradient() {
    let fixture = Fixture::open("spatial");
    for name in ["max_pool", "max_pool_overlapping"] {
        let geometry = if name == "max_pool" {
            Conv2dGeometry::new(2).stride(2)
        } else {
            Conv2dGeometry::new(3).stride(2).padding(1)
        };
        let mut graph = Network::new();
        let x = graph.input("x", &[1]);
        // Weights 0 and a bias: the same image for every sample, and a buffer for its gradient.
        let dense = trainscope::nn::ops::Dense::new(126);
        let flat = graph.add("flat", dense, &[x]).expect("it fits");
        let shape = vec![3, 7, 6];
        let images = graph
            .add("images", Reshape { shape }, &[flat])
            .expect("it fits");
        let y = graph
            .add("y", Pool::Max(geometry), &[images])
            .expect("it fits");
        super::operations::squared(&mut graph, y);
        let image = &fixture.narrow(&format!("{name}.x"))[..126];
        let upstream = &fixture.get(&format!("{name}.upstream"));
        let maxima = fixture.get(&format!("{name}.y"));
        let size = maxima.len() / 2;
        // The gradient of the squared error, 0.7 (y - target) (or twice that), is made to be a multiple of `upstream`.
        let target: Vec<f32> = (0..size)
            .map(|i| (maxima[i] - upstream[i]) as f32)
            .collect();
        for (variant, gpu) in &variants() {
            let probed = super::harness::Probed::new(gpu, &graph, 1, 1);
            let bias = probed.parameters.slice("flat.bias").expect("it is there");
            gpu.write(&probed.parameters.values, bias.start, image);
            let inputs = [vec![0.0], target.clone()].map(super::harness::Input::Numbers);
            let step = probed.run(&inputs, 0);
            let want = &fixture.get(&format!("{name}.x_grad"))[..126];
            let got = step.gradients[1].as_ref().expect("a gradient");
            let largest = |values: &[f64]| values.iter().fold(0f64, |most, v| most.max(v.abs()));
            let wide: Vec<f64> = got.iter().map(|&v| f64::from(v)).collect();
            let scale = largest(&wide) / largest(want);
            let want: Vec<f64> = want.iter().map(|v| v * scale).collect();
            let off = distance(got, &want);
            assert!(off < 1e-5, "{name}, {variant}: off by {off}");
        }
    }
}
