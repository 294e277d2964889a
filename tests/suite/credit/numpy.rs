//! The reference implementation against NumPy's, written independently: `tests/fixtures/make_credit.py` and
//! `make_credit_gan.py`.

use std::path::Path;

use serde_json::Value;
use trainscope::credit::reference::{ReferenceBatch, ReferenceTraining};
use trainscope::credit::{Chosen, Contribution, Credit, Hop, OtherCredit, Through};
use trainscope::models::{
    ClassifierConfig, ClassifierLoss, DataShape, GanConfig, Layer, Model, ReconstructionLoss,
    VaeConfig, Variance,
};
use trainscope::nn::losses::GanObjective;
use trainscope::nn::{Adam, Initialization, Optimizer, Pass, Sgd, UpdateRule};

use super::{HOPS, assert_explained, assert_same};

/// The cases of a fixture.
fn cases(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = std::fs::read_to_string(folder.join(file)).expect("the fixture");
    serde_json::from_str(&text).expect("cases")
}

fn tensors(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).expect("tensors")
}

/// Trains a network as a case of a fixture did, and compares every decomposition.
fn check(case: &Value, passes: &[Pass<'_>], rule: UpdateRule, batches: &[ReferenceBatch]) {
    let parameters = passes[0].graph.parameters();
    let values = |name: &str| -> Vec<f64> {
        serde_json::from_value(case["parameters"][name].clone()).expect("a parameter")
    };
    let memories = rule.memories();
    let probe = tensors(&case["probe"]);
    let before = case["before"].as_u64().expect("a number") as usize;
    for expected in case["expected"].as_array().expect("decompositions") {
        let mut training = ReferenceTraining {
            passes: passes.to_vec(),
            own: 0..parameters.len(),
            weight_clip: None,
            updates: 0,
            rule,
            batch: case["batch"].as_u64().expect("a number") as usize,
            seed: 0,
            parameters: parameters
                .iter()
                .map(|parameter| values(&parameter.name))
                .collect(),
            moments: parameters
                .iter()
                .filter(|parameter| parameter.trainable)
                .map(|parameter| vec![vec![0.0; parameter.size()]; memories])
                .collect(),
            step: 0,
            probe: probe.clone(),
            probe_samples: 4,
            chosen: Chosen::default(),
        };
        let layer = expected["layer"].as_str().expect("a layer");
        let unit = expected["unit"].as_u64().expect("a unit") as usize;
        training.credit((layer, unit), 1, &batches[..before]);
        let found = training.credit((layer, unit), HOPS, &batches[before..]);
        let hops = expected["hops"].as_array().expect("hops").iter();
        let hops = hops.enumerate();
        let expected = Credit {
            change: number(expected, "change"),
            predecessors: contributions(expected, "predecessors"),
            successors: contributions(expected, "successors"),
            other: fixture_other(expected),
            hops: hops
                .map(|(index, hop)| fixture_hop(index + 2, hop))
                .collect(),
            ..found.clone()
        };
        assert_same(layer, &found, &expected, 1e-10);
        assert_explained(layer, &found, 1e-10);
    }
}

#[test]
fn reference_agrees_with_numpy() {
    for case in &cases("credit.json") {
        let (model, rule) = fixture_model(case["kind"].as_str().expect("a kind"));
        let batches = case["batches"].as_array().expect("batches").iter();
        let batches: Vec<ReferenceBatch> = batches.map(|batch| tensors(batch).into()).collect();
        check(case, &model.passes()[..1], rule, &batches);
    }
}

#[test]
fn reference_of_a_discriminator_agrees_with_numpy() {
    let dense = |units| Layer::Dense {
        units,
        initialization: Initialization::PyTorch,
        spectral_norm: true,
    };
    let leaky = Layer::LeakyRelu { slope: 0.25 };
    let gan = GanConfig {
        latent: 2,
        objective: GanObjective::CrossEntropy,
        generator: vec![fixture_dense(6), Layer::Reshape(vec![1, 2, 3])],
        discriminator: vec![dense(4), leaky, dense(1)],
        weight_clip: None,
        gradient_penalty: None,
        critic_steps: 1,
        label_smoothing: 0.0,
    };
    let gan = gan.build(&[1, 2, 3]).expect("it fits");
    for case in &cases("credit_gan.json") {
        let rule = match case["optimizer"].as_str() {
            Some("sgd") => momentum(),
            _ => decayed_adam(),
        };
        let batches = case["batches"].as_array().expect("batches").iter();
        let batches = batches.map(|pair| ReferenceBatch {
            inputs: tensors(pair)
                .into_iter()
                .map(|images| vec![images])
                .collect(),
            ..ReferenceBatch::from(Vec::new())
        });
        check(case, &gan.passes()[1..], rule, &batches.collect::<Vec<_>>());
    }
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().expect("a number")
}

fn contributions(value: &Value, key: &str) -> Vec<Contribution> {
    let parts = value[key].as_array().expect("contributions").iter();
    let contribution = |part: &Value| Contribution {
        layer: part["layer"].as_str().expect("a layer").to_owned(),
        unit: part["unit"].as_u64().expect("a unit") as usize,
        credit: number(part, "credit"),
    };
    parts.map(contribution).collect()
}

fn fixture_other(value: &Value) -> OtherCredit {
    OtherCredit {
        memory: number(value, "memory"),
        weight_decay: number(value, "weight_decay"),
        // Without a norm nothing is written of it.
        normalization: value["normalization"].as_f64().unwrap_or(0.0),
        ..OtherCredit::default()
    }
}

fn fixture_hop(hop: usize, value: &Value) -> Hop {
    let through = value["through"].as_array().expect("units").iter();
    Hop {
        hop,
        layers: serde_json::from_value(value["layers"].clone()).expect("names"),
        explains: number(value, "explains"),
        explained: 0.0,
        residual: 0.0,
        cancellation: 0.0,
        predecessors: contributions(value, "predecessors"),
        successors: contributions(value, "successors"),
        other: fixture_other(value),
        through: through
            .map(|unit| Through {
                layer: unit["layer"].as_str().expect("a layer").to_owned(),
                unit: unit["unit"].as_u64().expect("a unit") as usize,
                by_weights: number(unit, "by_weights"),
                by_input: number(unit, "by_input"),
            })
            .collect(),
    }
}

fn fixture_dense(units: usize) -> Layer {
    Layer::Dense {
        units,
        initialization: Initialization::PyTorch,
        spectral_norm: false,
    }
}

fn decayed_adam() -> UpdateRule {
    let adam = Adam {
        weight_decay: Some(0.1),
        ..Adam::new(1e-2)
    };
    Optimizer::Adam(adam).into()
}

fn momentum() -> UpdateRule {
    let sgd = Sgd {
        momentum: 0.9,
        ..Sgd::new(5e-2)
    };
    Optimizer::Sgd(sgd).into()
}

/// The models that the fixture was made of.
fn fixture_model(kind: &str) -> (Box<dyn Model>, UpdateRule) {
    let dense = fixture_dense;
    let data = |sample| DataShape { sample, classes: 3 };
    if kind == "vae" {
        let vae = VaeConfig {
            latent: 2,
            variance: Variance::Exp,
            noise: 0.0,
            given_noise: None,
            beta: 0.75,
            beta_warmup: 0,
            reconstruction: ReconstructionLoss::BceWithLogits,
            log_variance_floor: None,
            condition: None,
            encoder: vec![dense(5), Layer::Tanh],
            decoder: vec![dense(4), Layer::Relu, dense(6)],
            second_latent: None,
        };
        let vae = vae.build(data([1, 2, 3])).expect("it fits");
        return (Box::new(vae), decayed_adam());
    }
    let convolution = Layer::Conv2d {
        channels: 3,
        kernel: 3.into(),
        stride: 2.into(),
        padding: 1.into(),
        dilation: 1.into(),
        initialization: Initialization::PyTorch,
        spectral_norm: false,
    };
    let maxima = Layer::MaxPool2d {
        kernel: 2.into(),
        stride: Some(1.into()),
        padding: 0.into(),
    };
    let classifier = ClassifierConfig {
        loss: ClassifierLoss::default(),
        label_smoothing: 0.0,
        layers: vec![convolution, Layer::Relu, maxima, Layer::Flatten, dense(3)],
    };
    let classifier = classifier.build(data([2, 6, 6])).expect("it fits");
    (Box::new(classifier), momentum())
}
