//! The reference implementation against NumPy's, written independently: `tests/fixtures/make_credit.py`.

use std::path::Path;

use trainscope::credit::reference::{ReferenceBatch, ReferenceTraining};
use trainscope::credit::{Chosen, Contribution, Credit, Hop, OtherCredit, Through};
use trainscope::models::{
    ClassifierConfig, ClassifierLoss, DataShape, Layer, Model, ReconstructionLoss, VaeConfig,
    Variance,
};
use trainscope::nn::{Adam, Initialization, Optimizer, Sgd, UpdateRule};

use super::{HOPS, assert_explained, assert_same};

#[test]
fn reference_agrees_with_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/credit.json");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("cases");
    let tensors = |value: &serde_json::Value| -> Vec<Vec<f64>> {
        serde_json::from_value(value.clone()).expect("tensors")
    };
    for case in &cases {
        let (model, rule) = fixture_model(case["kind"].as_str().expect("a kind"));
        let pass = model.passes()[0];
        let parameters = pass.graph.parameters();
        let values = |name: &str| -> Vec<f64> {
            serde_json::from_value(case["parameters"][name].clone()).expect("a parameter")
        };
        let batches: Vec<ReferenceBatch> = case["batches"]
            .as_array()
            .expect("batches")
            .iter()
            .map(|batch| tensors(batch).into())
            .collect();
        let probe = tensors(&case["probe"]);
        let memories = rule.memories();
        let before = case["before"].as_u64().expect("a number") as usize;
        for expected in case["expected"].as_array().expect("decompositions") {
            let mut training = ReferenceTraining {
                passes: vec![pass],
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
            let hops = expected["hops"]
                .as_array()
                .expect("hops")
                .iter()
                .enumerate();
            let hops = hops
                .map(|(index, hop)| fixture_hop(index + 2, hop))
                .collect();
            let expected = Credit {
                change: number(expected, "change"),
                predecessors: contributions(expected, "predecessors"),
                successors: contributions(expected, "successors"),
                other: fixture_other(expected),
                hops,
                ..found.clone()
            };
            assert_same(layer, &found, &expected, 1e-10);
            assert_explained(layer, &found, 1e-10);
        }
    }
}

fn number(value: &serde_json::Value, key: &str) -> f64 {
    value[key].as_f64().expect("a number")
}

fn contributions(value: &serde_json::Value, key: &str) -> Vec<Contribution> {
    let parts = value[key].as_array().expect("contributions").iter();
    let contribution = |part: &serde_json::Value| Contribution {
        layer: part["layer"].as_str().expect("a layer").to_owned(),
        unit: part["unit"].as_u64().expect("a unit") as usize,
        credit: number(part, "credit"),
    };
    parts.map(contribution).collect()
}

fn fixture_other(value: &serde_json::Value) -> OtherCredit {
    OtherCredit {
        memory: number(value, "memory"),
        weight_decay: number(value, "weight_decay"),
        ..OtherCredit::default()
    }
}

fn fixture_hop(hop: usize, value: &serde_json::Value) -> Hop {
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

/// The models that the fixture was made of.
fn fixture_model(kind: &str) -> (Box<dyn Model>, UpdateRule) {
    let dense = |units| Layer::Dense {
        units,
        initialization: Initialization::PyTorch,
        spectral_norm: false,
    };
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
        };
        let adam = Adam {
            weight_decay: Some(0.1),
            ..Adam::new(1e-2)
        };
        let vae = vae.build(data([1, 2, 3])).expect("it fits");
        return (Box::new(vae), Optimizer::Adam(adam).into());
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
        layers: vec![convolution, Layer::Relu, maxima, Layer::Flatten, dense(3)],
    };
    let sgd = Sgd {
        momentum: 0.9,
        ..Sgd::new(5e-2)
    };
    let classifier = classifier.build(data([2, 6, 6])).expect("it fits");
    (Box::new(classifier), Optimizer::Sgd(sgd).into())
}
