//! Every operation's kernels, forward and backward, in small graphs of many shapes.

use trainscope::nn::losses::{
    ElementwiseLoss, GaussianKl, GaussianLikelihood, GaussianPairKl, SoftmaxCrossEntropy,
};
use trainscope::nn::ops::{
    Activation, Anneal, Conv2d, Dense, GivenNoise, Reparameterize, Reshape, Softmax, StandardNormal,
};
use trainscope::nn::{Conv2dGeometry, NodeId, Operation};

use super::harness::{Input, Network, Numbers, check};
use super::references::{ACTIVATIONS, adversarial};

/// Batch and size: 1, primes, products that are no multiple of 4, more rows and more columns than a workgroup has.
pub const SHAPES: [[usize; 2]; 9] = [
    [1, 1],
    [1, 67],
    [3, 5],
    [2, 64],
    [7, 4],
    [65, 3],
    [64, 17],
    [131, 2],
    [67, 130],
];

/// An input, and a dense layer on it that makes what follows learnable.
pub fn front(graph: &mut Network, size: usize) -> NodeId {
    let x = graph.input("x", &[size]);
    graph.add("front", Dense::new(size), &[x]).expect("it fits")
}

/// A loss on `node`.
pub fn squared(graph: &mut Network, node: NodeId) {
    let shape = graph.node(node).shape.clone();
    let target = graph.input("target", &shape);
    let error = graph
        .add("error", ElementwiseLoss::SquaredError, &[node, target])
        .expect("it fits");
    graph.loss("error", error, 0.7).expect("a scalar");
}

pub fn numbers_for(graph: &Network, batch: usize, seed: u64, low: f64, high: f64) -> Vec<Input> {
    let mut numbers = Numbers::new(seed);
    let inputs = graph.nodes().iter().filter(|node| node.operation.is_none());
    inputs
        .map(|node| Input::Numbers(numbers.many(batch * node.size(), low, high)))
        .collect()
}

#[test]
fn activations() {
    for activation in ACTIVATIONS {
        for [batch, size] in SHAPES {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let y = graph.add("y", activation, &[front]).expect("it fits");
            squared(&mut graph, y);
            let inputs = numbers_for(&graph, batch, 11, -4.0, 4.0);
            check(
                &format!("{activation:?} of {size}"),
                &graph,
                batch,
                &inputs,
                1,
            );
        }
    }
}

#[test]
fn dense_layers() {
    for [batch, size] in SHAPES {
        for units in [1, 4, 13, 72] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let y = graph
                .add("y", Dense::new(units), &[front])
                .expect("it fits");
            squared(&mut graph, y);
            let inputs = numbers_for(&graph, batch, 12, -1.0, 1.0);
            check(
                &format!("dense {size} to {units}"),
                &graph,
                batch,
                &inputs,
                2,
            );
        }
    }
}

#[test]
fn spectral_norms() {
    for [batch, size] in SHAPES {
        for units in [1, 13, 72, 300] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let dense = Dense {
                spectral_norm: true,
                ..Dense::new(units)
            };
            let y = graph.add("y", dense, &[front]).expect("it fits");
            squared(&mut graph, y);
            let inputs = numbers_for(&graph, batch, 17, -1.0, 1.0);
            let what = format!("spectral norm of {size} to {units}");
            check(&what, &graph, batch, &inputs, 7);
        }
    }
    // Rows of the unfolded patches are padded with 1 and 3 channels.
    for (batch, channels, units) in [(1, 1, 5), (3, 4, 2), (17, 3, 9)] {
        let mut graph = Network::new();
        let front = front(&mut graph, channels * 30);
        let shape = vec![channels, 6, 5];
        let images = graph.add("images", Reshape { shape }, &[front]);
        let conv = Conv2d {
            spectral_norm: true,
            ..Conv2d::new(units, Conv2dGeometry::new(3).stride(2).padding(1))
        };
        let y = graph.add("y", conv, &[images.expect("it fits")]);
        squared(&mut graph, y.expect("it fits"));
        let inputs = numbers_for(&graph, batch, 17, -1.0, 1.0);
        let what = format!("spectral norm of {channels} to {units} channels");
        check(&what, &graph, batch, &inputs, 7);
    }
}

/// Two heads on one layer, whose gradient is the sum of what comes back from both.
fn heads(graph: &mut Network, size: usize) -> [NodeId; 2] {
    let front = front(graph, size);
    ["mu", "logvar"].map(|name| {
        graph
            .add(name, Dense::new(size), &[front])
            .expect("it fits")
    })
}

#[test]
fn reparameterization_and_divergence() {
    for [batch, size] in SHAPES {
        for noise in [0.0, 1.0, 0.3] {
            let mut graph = Network::new();
            let [mu, log_variance] = heads(&mut graph, size);
            let z = graph
                .add("z", Reparameterize::new(noise), &[mu, log_variance])
                .expect("it fits");
            squared(&mut graph, z);
            let kl = graph
                .add("kl", GaussianKl, &[mu, log_variance])
                .expect("it fits");
            graph.loss("kl", kl, 1.5).expect("a scalar");
            let inputs = numbers_for(&graph, batch, 13, -2.0, 2.0);
            check(
                &format!("noise {noise} of {size}"),
                &graph,
                batch,
                &inputs,
                3,
            );
        }
    }
}

/// Of all four heads, and of the two of one Gaussian from itself, whose gradients cancel out.
#[test]
fn divergences_of_two_gaussians() {
    for [batch, size] in SHAPES {
        for same in [false, true] {
            let mut graph = Network::new();
            let [mu_q, log_variance_q] = heads(&mut graph, size);
            let front = graph.node(mu_q).inputs[0];
            let mut other = |name: &str, first: NodeId| {
                if same {
                    return first;
                }
                let dense = Dense::new(size);
                graph.add(name, dense, &[front]).expect("it fits")
            };
            let (mu_p, log_variance_p) = (other("mu_p", mu_q), other("logvar_p", log_variance_q));
            let inputs = [mu_q, log_variance_q, mu_p, log_variance_p];
            let kl = graph.add("kl", GaussianPairKl, &inputs).expect("it fits");
            squared(&mut graph, mu_q);
            graph.loss("kl", kl, 1.5).expect("a scalar");
            let inputs = numbers_for(&graph, batch, 19, -2.0, 2.0);
            let what = format!("divergence of two of {size}, the same: {same}");
            check(&what, &graph, batch, &inputs, 3);
        }
    }
}

#[test]
fn reparameterization_with_given_noise() {
    for [batch, size] in SHAPES {
        for noise in [0.0, 1.0, 0.3] {
            let mut graph = Network::new();
            let heads = heads(&mut graph, size);
            let steps = 2;
            let values = Numbers::new(17).many(steps * batch * size, -2.0, 2.0);
            let given = GivenNoise::new(steps, values).expect("whole steps");
            let z = graph
                .add(
                    "z",
                    Reparameterize {
                        noise,
                        given: Some(given),
                    },
                    &heads,
                )
                .expect("it fits");
            squared(&mut graph, z);
            let inputs = numbers_for(&graph, batch, 13, -2.0, 2.0);
            // The step that is checked is behind the last one: it begins again.
            let name = format!("given noise {noise} of {size}");
            check(&name, &graph, batch, &inputs, 3);
        }
    }
}

#[test]
fn noise_of_another_batch_is_refused() {
    assert!(GivenNoise::new(3, vec![0.0; 8]).is_err());
    assert!(GivenNoise::new(0, Vec::new()).is_err());
}

#[test]
fn gaussian_likelihoods() {
    for [batch, size] in SHAPES {
        let mut graph = Network::new();
        let [mean, log_variance] = heads(&mut graph, size);
        let target = graph.input("target", &[size]);
        let inputs = [mean, log_variance, target];
        let error = graph
            .add("error", GaussianLikelihood, &inputs)
            .expect("it fits");
        graph.loss("error", error, 1.0).expect("a scalar");
        let inputs = numbers_for(&graph, batch, 15, -1.0, 1.0);
        check(&format!("likelihood of {size}"), &graph, batch, &inputs, 4);
    }
}

#[test]
fn reconstruction_losses() {
    for [batch, size] in SHAPES {
        for loss in [
            ElementwiseLoss::BceWithLogits,
            ElementwiseLoss::SquaredError,
        ] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let target = graph.input("target", &[size]);
            let error = graph.add("error", loss, &[front, target]).expect("it fits");
            graph.loss("error", error, 1.0).expect("a scalar");
            let inputs = numbers_for(&graph, batch, 14, 0.0, 1.0);
            check(&format!("{loss:?} of {size}"), &graph, batch, &inputs, 4);
        }
    }
}

/// Probabilities that a softmax has made, and all losses that read such.
#[test]
fn losses_of_probabilities() {
    for [batch, size] in SHAPES {
        let size = size + 1;
        for loss in [
            ElementwiseLoss::Bce,
            ElementwiseLoss::NegativeLogLikelihood,
            ElementwiseLoss::SquaredError,
        ] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let p = graph.add("p", Softmax, &[front]).expect("it fits");
            let target = graph.input("target", &[size]);
            let error = graph.add("error", loss, &[p, target]).expect("it fits");
            graph.loss("error", error, 1.0).expect("a scalar");
            let inputs = numbers_for(&graph, batch, 17, 0.0, 1.0);
            check(&format!("{loss:?} of {size}"), &graph, batch, &inputs, 4);
        }
    }
}

/// A term that fades in: step 3, at which graphs are compared, is behind the end of the one ramp and within the other.
#[test]
fn annealed_terms() {
    for [batch, size] in SHAPES {
        for steps in [1, 50] {
            let mut graph = Network::new();
            let front = front(&mut graph, size);
            let y = graph.add("y", Anneal { steps }, &[front]).expect("it fits");
            squared(&mut graph, y);
            let inputs = numbers_for(&graph, batch, 18, -1.0, 1.0);
            check(&format!("{steps} steps, {size}"), &graph, batch, &inputs, 7);
        }
    }
}

#[test]
fn softmax_cross_entropy() {
    for [batch, size] in SHAPES {
        let classes = size + 1;
        let mut graph = Network::new();
        let x = graph.input("x", &[classes]);
        let logits = graph
            .add("logits", Dense::new(classes), &[x])
            .expect("it fits");
        let label = graph.input("label", &[]);
        let error = graph
            .add("error", SoftmaxCrossEntropy::default(), &[logits, label])
            .expect("it fits");
        graph.loss("error", error, 1.0).expect("a scalar");
        let mut numbers = Numbers::new(15);
        let inputs = [
            Input::Numbers(numbers.many(batch * classes, -9.0, 9.0)),
            // One past the last class counts as the last.
            Input::Labels(
                (0..batch)
                    .map(|_| numbers.below(classes + 1) as u32)
                    .collect(),
            ),
        ];
        check(&format!("{classes} classes"), &graph, batch, &inputs, 5);
    }
}

#[test]
fn reshapes_in_the_middle() {
    for batch in [1, 5, 66] {
        let mut graph = Network::new();
        let front = front(&mut graph, 30);
        let reshape = |shape: &[usize]| Reshape {
            shape: shape.to_vec(),
        };
        let once = graph
            .add("once", reshape(&[5, 6]), &[front])
            .expect("it fits");
        let twice = graph
            .add("twice", reshape(&[2, 3, 5]), &[once])
            .expect("it fits");
        let y = graph.add("y", Activation::Tanh, &[twice]).expect("it fits");
        let flat = graph.add("flat", reshape(&[30]), &[y]).expect("it fits");
        let last = graph.add("last", Dense::new(7), &[flat]).expect("it fits");
        squared(&mut graph, last);
        let inputs = numbers_for(&graph, batch, 16, -2.0, 2.0);
        check("reshapes", &graph, batch, &inputs, 6);
    }
}

/// A generator without an input: what is trainable comes from noise alone.
#[test]
fn adversarial_losses_of_generated_vectors() {
    for [batch, size] in SHAPES {
        for loss in adversarial() {
            let mut graph = Network::new();
            let shape = vec![size];
            let z = graph
                .add("z", StandardNormal { shape }, &[])
                .expect("it fits");
            let score = graph.add("score", Dense::new(1), &[z]).expect("it fits");
            let cost = graph.add("cost", loss, &[score]).expect("it fits");
            graph.loss("cost", cost, 1.3).expect("a scalar");
            check(&format!("{loss:?} of {size}"), &graph, batch, &[], 5);
        }
    }
}

#[test]
fn activations_stay_within_their_ranges_and_come_near_their_bounds() {
    for activation in ACTIVATIONS {
        let range = activation.range();
        let values = (-40_000..=40_000).map(|x| activation.value(f64::from(x) / 1000.0));
        let (least, greatest) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
                (low.min(y), high.max(y))
            });
        assert!(
            range.least <= least && greatest <= range.greatest,
            "{activation:?}"
        );
        assert!(
            least < -5.0 || least - range.least < 1e-3,
            "{activation:?}: {least}"
        );
        assert!(
            greatest > 7.0 || range.greatest - greatest < 1e-3,
            "{activation:?}: {greatest}"
        );
    }
}
