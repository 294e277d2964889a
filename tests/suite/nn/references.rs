//! The float64 reference implementations: their backward passes against central differences of their forward passes.

use trainscope::nn::losses::{
    ElementwiseLoss, GanLoss, GanObjective, GanRole, GaussianKl, GaussianLikelihood,
    GaussianPairKl, SoftmaxCrossEntropy,
};
use trainscope::nn::ops::{
    Activation, ActivationGradient, Adjoint, Anneal, BatchNorm, Conv2d, ConvTranspose2d, Dense,
    Dropout, Embedding, GivenNoise, LayerNorm, LayerNormGradient, Lookup, Norm, Pool,
    Reparameterize, Reshape, Softmax, Upsample,
};
use trainscope::nn::{
    Conv2dGeometry, Mode, Operation, ReferenceBackward, ReferenceForward, ReferenceOperation,
};

use super::harness::{Numbers, wide};

pub const ACTIVATIONS: [Activation; 11] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::BoundedLogVariance,
    Activation::SoftplusLogVariance,
    Activation::Gelu,
    Activation::Silu,
    Activation::Elu { alpha: 0.7 },
    Activation::Affine {
        scale: -1.5,
        shift: 0.25,
    },
];

/// Every player of every game.
pub fn adversarial() -> impl Iterator<Item = GanLoss> {
    let objectives = [
        GanObjective::CrossEntropy,
        GanObjective::Minimax,
        GanObjective::Wasserstein,
        GanObjective::Hinge,
        GanObjective::LeastSquares,
    ];
    objectives.into_iter().flat_map(|objective| {
        let sides = [GanRole::Real, GanRole::Fake, GanRole::Generator];
        let plain = sides.map(|role| GanLoss::new(objective, role));
        let smoothed = GanLoss {
            smoothing: 0.2,
            ..GanLoss::new(objective, GanRole::Real)
        };
        plain.into_iter().chain([smoothed])
    })
}

struct Point<'a> {
    operation: &'a dyn Operation,
    batch: usize,
    shapes: Vec<&'a [usize]>,
    output_shape: Vec<usize>,
    mode: Mode,
    /// Inputs, then parameters.
    tensors: Vec<Vec<f64>>,
}

impl Point<'_> {
    fn io(&self) -> ReferenceForward<'_> {
        let (inputs, parameters) = self.tensors.split_at(self.shapes.len());
        ReferenceForward {
            batch: self.batch,
            inputs: inputs.iter().map(Vec::as_slice).collect(),
            input_shapes: self.shapes.clone(),
            parameters: parameters.iter().map(Vec::as_slice).collect(),
            output_shape: &self.output_shape,
            noise_key: (5, 6, 7),
            mode: self.mode,
        }
    }

    /// The sum of the outputs, weighted by `upstream`.
    fn loss(&self, upstream: &[f64]) -> f64 {
        let output = self
            .operation
            .reference()
            .expect("a reference")
            .reference_forward(&self.io());
        assert_eq!(output.len(), upstream.len());
        output.iter().zip(upstream).map(|(y, g)| y * g).sum()
    }
}

/// Random inputs keep away from 0, where some functions have a kink.
pub fn check(operation: &dyn Operation, batch: usize, shapes: &[&[usize]], labels: Option<usize>) {
    check_as(Mode::Train, operation, batch, shapes, labels);
}

/// As [`check`], in training or in inference.
fn check_as(
    mode: Mode,
    operation: &dyn Operation,
    batch: usize,
    shapes: &[&[usize]],
    labels: Option<usize>,
) {
    let mut numbers = Numbers::new(3);
    let output_shape = operation.output_shape(shapes).expect("it fits");
    let mut away_from_zero = |count: usize| {
        let values = (0..count).map(|_| {
            let magnitude = numbers.one(0.05, 3.0);
            magnitude.copysign(numbers.one(-1.0, 1.0))
        });
        values.collect::<Vec<f64>>()
    };
    let sizes = shapes.iter().map(|s| batch * s.iter().product::<usize>());
    let specs = operation.parameters(shapes);
    let trainable = specs.len();
    let specs = specs.into_iter().chain(operation.buffers(shapes));
    let parameter_sizes = specs.map(|spec| spec.shape.iter().product());
    let mut tensors: Vec<Vec<f64>> = sizes
        .chain(parameter_sizes)
        .map(&mut away_from_zero)
        .collect();
    // State may be a variance.
    for state in &mut tensors[shapes.len() + trainable..] {
        state.iter_mut().for_each(|value| *value = value.abs());
    }
    if let Some(classes) = labels {
        tensors[shapes.len() - 1] = (0..batch).map(|i| (i * 5 % classes) as f64).collect();
    }
    let upstream = away_from_zero(batch * output_shape.iter().product::<usize>());
    let mut point = Point {
        operation,
        batch,
        shapes: shapes.to_vec(),
        output_shape,
        mode,
        tensors,
    };
    let reference = operation.reference().expect("a built-in operation has one");
    let output = reference.reference_forward(&point.io());
    let gradients = reference.reference_backward(&ReferenceBackward {
        forward: point.io(),
        output: &output,
        output_gradient: &upstream,
        rule: trainscope::nn::BackwardRule::Gradient,
    });
    let inputs = shapes.len();
    for tensor in 0..inputs + trainable {
        if tensor < inputs && !operation.differentiable(tensor) {
            continue;
        }
        let gradient = if tensor < inputs {
            &gradients.inputs[tensor]
        } else {
            &gradients.parameters[tensor - inputs]
        };
        assert_eq!(gradient.len(), point.tensors[tensor].len());
        for (i, gradient) in gradient.iter().enumerate() {
            const STEP: f64 = 1e-5;
            let at = point.tensors[tensor][i];
            point.tensors[tensor][i] = at + STEP;
            let above = point.loss(&upstream);
            point.tensors[tensor][i] = at - STEP;
            let below = point.loss(&upstream);
            point.tensors[tensor][i] = at;
            let difference = (above - below) / (2.0 * STEP);
            assert!(
                (difference - gradient).abs() < 1e-7 * (1.0 + gradient.abs()),
                "{operation:?}: tensor {tensor} element {i}: {gradient}, by differences {difference}"
            );
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    for batch in [1, 3] {
        for size in [1, 5, 8] {
            let shape: &[usize] = &[size];
            for activation in &ACTIVATIONS {
                check(activation, batch, &[shape], None);
            }
            for units in [1, 4] {
                check(&Dense::new(units), batch, &[&[size, 2]], None);
            }
            // In training the singular vectors follow the weight, and the gradient takes them for constants.
            let spectral = Dense {
                spectral_norm: true,
                ..Dense::new(4)
            };
            check_as(Mode::Eval, &spectral, batch, &[&[size, 2]], None);
            let spectral = Conv2d {
                spectral_norm: true,
                ..Conv2d::new(3, Conv2dGeometry::new([1, 2]))
            };
            check_as(Mode::Eval, &spectral, batch, &[&[2, size, 3]], None);
            for noise in [0.0, 1.0, 0.5] {
                check(&Reparameterize::new(noise), batch, &[shape, shape], None);
                let size = batch * shape.iter().product::<usize>();
                let given = GivenNoise::new(1, (0..size).map(|i| (i % 7) as f32 - 3.0).collect());
                let given = given.expect("one step");
                check(
                    &Reparameterize {
                        noise,
                        given: Some(given),
                    },
                    batch,
                    &[shape, shape],
                    None,
                );
            }
            let reshape = Reshape {
                shape: vec![2, size],
            };
            check(&reshape, batch, &[&[size * 2]], None);
            for loss in [
                ElementwiseLoss::BceWithLogits,
                ElementwiseLoss::SquaredError,
            ] {
                check(&loss, batch, &[shape, shape], None);
            }
            if size > 1 {
                check(&Softmax, batch, &[shape], None);
            }
            for steps in [3, 12] {
                check(&Anneal { steps }, batch, &[shape], None);
                check_as(Mode::Eval, &Anneal { steps }, batch, &[shape], None);
            }
            for probability in [0.0, 0.4] {
                check(&Dropout { probability }, batch, &[shape], None);
            }
            check_as(
                Mode::Eval,
                &Dropout { probability: 0.5 },
                batch,
                &[shape],
                None,
            );
            if size > 1 {
                check(&LayerNorm::default(), batch, &[shape], None);
            }
            for dimensions in [1, 2, 3] {
                let norm = LayerNorm {
                    dimensions: Some(dimensions),
                    eps: 0.1,
                };
                check(&norm, batch, &[&[2, 3, size]], None);
            }
            for shape in [&[size] as &[usize], &[2, size], &[3, 2, size]] {
                let norm = BatchNorm::default();
                if batch * shape[1..].iter().product::<usize>() > 2 {
                    check(&norm, batch, &[shape], None);
                }
                check_as(Mode::Eval, &norm, batch, &[shape], None);
            }
            let embedding = Embedding {
                classes: 4,
                width: size,
            };
            check(&embedding, batch, &[&[]], Some(5));
            let lookup = Lookup {
                table: (0..4 * size).map(|i| i as f32).collect(),
                width: size,
            };
            check(&lookup, batch, &[&[]], Some(5));
            check(&GaussianKl, batch, &[shape, shape], None);
            check(&GaussianPairKl, batch, &[shape; 4], None);
            check(&GaussianLikelihood, batch, &[shape, shape, shape], None);
            for loss in adversarial() {
                check(&loss, batch, &[&[]], None);
            }
            let classes = size + 1;
            for smoothing in [0.0, 0.1] {
                let cross_entropy = SoftmaxCrossEntropy { smoothing };
                check(&cross_entropy, batch, &[&[classes], &[]], Some(classes));
            }
        }
    }
}

/// Against the standard Gaussian it is the divergence of one, and of a Gaussian from itself there is none.
#[test]
fn the_divergence_from_the_standard_gaussian_is_that_of_one() {
    let mut numbers = Numbers::new(23);
    let size = 17;
    let [mu, log_variance] = [(); 2].map(|()| numbers.many(size, -3.0, 3.0));
    let narrow = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
    let (mu, log_variance) = (narrow(&mu), narrow(&log_variance));
    let zeros = vec![0.0; size];
    let shape: &[usize] = &[size];
    let value = |operation: &dyn ReferenceOperation, inputs: Vec<&[f64]>| {
        operation.reference_forward(&ReferenceForward {
            batch: 1,
            input_shapes: vec![shape; inputs.len()],
            inputs,
            parameters: Vec::new(),
            output_shape: &[],
            noise_key: (0, 0, 0),
            mode: Mode::Train,
        })[0]
    };
    let one = value(&GaussianKl, vec![&mu, &log_variance]);
    let pair = value(&GaussianPairKl, vec![&mu, &log_variance, &zeros, &zeros]);
    assert!((one - pair).abs() <= 1e-12 * one, "{one} and {pair}");
    let itself = value(
        &GaussianPairKl,
        vec![&mu, &log_variance, &mu, &log_variance],
    );
    assert_eq!(itself, 0.0);
}

/// Losses of probabilities, which [`check`] would ask beyond 0 and 1: by differences of their own.
#[test]
fn losses_of_probabilities_agree_with_central_differences() {
    let mut numbers = Numbers::new(9);
    for loss in [ElementwiseLoss::Bce, ElementwiseLoss::NegativeLogLikelihood] {
        for _ in 0..50 {
            let (p, target) = (numbers.one(0.05, 0.95), numbers.one(0.0, 1.0));
            let shape: &[usize] = &[1];
            let io = |p: &[f64], target: &[f64]| {
                let forward = |inputs| ReferenceForward {
                    batch: 1,
                    inputs,
                    input_shapes: vec![shape, shape],
                    parameters: Vec::new(),
                    output_shape: &[],
                    noise_key: (0, 0, 0),
                    mode: Mode::Train,
                };
                let value = loss.reference_forward(&forward(vec![p, target]))[0];
                let gradients = loss.reference_backward(&ReferenceBackward {
                    forward: forward(vec![p, target]),
                    output: &[value],
                    output_gradient: &[1.0],
                    rule: trainscope::nn::BackwardRule::Gradient,
                });
                (value, gradients.inputs[0][0])
            };
            let (_, gradient) = io(&[p], &[target]);
            let step = 1e-6;
            let difference =
                (io(&[p + step], &[target]).0 - io(&[p - step], &[target]).0) / (2.0 * step);
            assert!((gradient - difference).abs() < 1e-5 * (1.0 + gradient.abs()));
        }
        // Certain and right costs nothing, certain and wrong without bound.
        let cost = |p: f64| {
            loss.reference_forward(&ReferenceForward {
                batch: 1,
                inputs: vec![&[p], &[1.0]],
                input_shapes: vec![&[1], &[1]],
                parameters: Vec::new(),
                output_shape: &[],
                noise_key: (0, 0, 0),
                mode: Mode::Train,
            })[0]
        };
        assert_eq!(cost(1.0), 0.0);
        assert_eq!(cost(0.0), f64::INFINITY);
    }
}

/// The reference of a model that PyTorch differentiated with noise of its own: z = mu + eps exp(logvar / 2).
#[test]
fn reparameterization_agrees_with_pytorch() {
    let fixture = super::fixture::Fixture::open("vae_gradients");
    let [mu, log_variance, eps] = ["mu", "logvar", "eps"].map(|name| fixture.get(name).to_vec());
    let weight = |name: &str| wide(&fixture.narrow(&format!("param.decoder.{name}")));
    let z: Vec<f64> = (0..mu.len())
        .map(|i| mu[i] + eps[i] * (0.5 * log_variance[i]).exp())
        .collect();
    let dense = |x: &[f64], layer: &str, units: usize| {
        let (weight, bias) = (
            weight(&format!("{layer}.weight")),
            weight(&format!("{layer}.bias")),
        );
        let shape = [x.len() / 16];
        Dense::new(units).reference_forward(&ReferenceForward {
            batch: 16,
            inputs: vec![x],
            input_shapes: vec![&shape],
            parameters: vec![&weight, &bias],
            output_shape: &[units],
            noise_key: (0, 0, 0),
            mode: Mode::Train,
        })
    };
    let hidden: Vec<f64> = dense(&z, "0", 32).iter().map(|h| h.max(0.0)).collect();
    let logits = dense(&hidden, "2", 784);
    for (got, want) in logits.iter().zip(fixture.get("logits")) {
        assert!((got - want).abs() < 1e-10, "{got} {want}");
    }
}

/// The gradient of `operation` with respect to its input as an operation, checked like any other.
fn check_adjoint(operation: impl Operation, batch: usize, input: &[usize]) {
    let output = operation.output_shape(&[input]).expect("it fits");
    let adjoint = Adjoint::new(operation, input, 4).expect("it fits");
    check(&adjoint, batch, &[&output], None);
}

#[test]
fn gradients_of_gradients_agree_with_central_differences() {
    for batch in [1, 3] {
        for size in [1, 5, 8] {
            for activation in ACTIVATIONS {
                let gradient = ActivationGradient(activation);
                check(&gradient, batch, &[&[size], &[size]], None);
            }
            check(&Norm, batch, &[&[size, 2]], None);
            let layer_norm = LayerNormGradient(LayerNorm::default());
            check(&layer_norm, batch, &[&[size, 2], &[size, 2]], None);
            check_adjoint(Dense::new(3), batch, &[size, 2]);
            check_adjoint(Dropout { probability: 0.4 }, batch, &[size]);
        }
        let geometry = Conv2dGeometry::new(3).stride(2).padding(1);
        check_adjoint(Conv2d::new(3, geometry), batch, &[2, 6, 5]);
        check_adjoint(ConvTranspose2d::new(3, geometry), batch, &[2, 3, 4]);
        let windows = Conv2dGeometry::new(2).stride(2);
        check_adjoint(Pool::Average(windows), batch, &[2, 4, 6]);
        check_adjoint(Pool::GlobalAverage, batch, &[2, 4, 3]);
        check_adjoint(Upsample { factor: 2.into() }, batch, &[2, 3, 2]);
    }
}
