//! Credit: the kernels against the float64 reference and against runs.

#[cfg(feature = "cli")]
mod command;
mod gan;
mod numpy;

use std::path::{Path, PathBuf};

use trainscope::credit::reference::{ReferenceBatch, ReferenceTraining};
use trainscope::credit::{
    Chosen, Contribution, Credit, CreditMaps, CreditRequest, Hop, OtherCredit, credit,
};
use trainscope::nn::Role;
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Replay, Run, Scenario, Trainer};
use trainscope::view::theme::diverging_at;
use trainscope::view::{CreditChart, Painter, Picture, Theme};

use crate::support::gpu;

/// Runs a scenario with a checkpoint every five steps.
fn trained(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let scenario = Scenario::parse(text, "test", &[]).expect("a scenario");
    let mut run = Run::create(gpu(), &scenario, &dir, None).expect("a run");
    while run.advance(&mut |_| ()).expect("it runs") {}
    run.finish(false, &mut |_| ()).expect("it closes");
    (folder, dir)
}

fn scenario(model: &str, optimizer: &str) -> String {
    format!(
        r#"name = "credit"
seed = 5
[data]
source = "shapes"
size = 12
count = 200
{model}
[train]
batch = 8
steps = 50
{optimizer}
[record]
every = 10
checkpoint_every = 5
probe_batch = 6
"#
    )
}

fn measured(dir: &Path, layer: &str, units: &[usize], range: std::ops::Range<u64>) -> Vec<Credit> {
    let replay = Replay::open(gpu(), dir).expect("it opens");
    let request = CreditRequest {
        maps: true,
        hops: HOPS,
        ..CreditRequest::new(layer, units, range)
    };
    credit(replay, &request, &mut |_, _| ()).expect("a decomposition")
}

/// Hops back that are looked at.
const HOPS: usize = 3;

/// Maps sum up to the contributions of the units.
fn assert_maps(credit: &Credit) {
    let scale = credit.magnitude();
    let sum = |parts: &[Contribution], layer: &str| -> f64 {
        let parts = parts.iter().filter(|part| part.layer == layer);
        parts.map(|part| part.credit).sum()
    };
    let total = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
    for map in &credit.maps.successors {
        let difference = total(&map.values) - sum(&credit.successors, &map.name);
        assert!(
            difference.abs() < 1e-4 * scale,
            "{}: {difference:e}",
            map.name
        );
    }
    let map = credit.maps.predecessors.as_ref().expect("asked for");
    let all: f64 = credit.predecessors.iter().map(|part| part.credit).sum();
    let difference = total(&map.values) - all - credit.other.normalization;
    assert!(
        difference.abs() < 1e-4 * scale,
        "{}: {difference:e}",
        map.name
    );
}

/// The parts sum up to the measured change.
fn assert_explained(name: &str, credit: &Credit, tolerance: f64) {
    let (residual, magnitude) = (credit.residual, credit.magnitude());
    assert!(
        residual.abs() <= tolerance * magnitude,
        "{name}, unit {} of {}: {residual:e} of {magnitude:e} is not explained; change {:e}, other {:?}",
        credit.unit,
        credit.layer,
        credit.change,
        credit.other
    );
    for hop in &credit.hops {
        let (number, residual, magnitude) = (hop.hop, hop.residual, hop.magnitude());
        assert!(
            residual.abs() <= tolerance * magnitude,
            "{name}, unit {} of {}, hop {number}: {residual:e} of {magnitude:e} is not explained, {:e} was to be; other {:?}",
            credit.unit,
            credit.layer,
            hop.explains,
            hop.other
        );
        // The same sum, by the units that it came through. Running statistics of norms between come through none of them, and
        // are not told apart from those before.
        if hop.other.normalization == 0.0 {
            let of_units = hop
                .through
                .iter()
                .map(|unit| unit.by_weights + unit.by_input);
            let all = of_units.sum::<f64>() + hop.other.other_parameters;
            let difference = hop.explains - all;
            assert!(
                difference.abs() <= tolerance * magnitude,
                "{name}, hop {number}: {difference:e}"
            );
        }
    }
}

/// The same decomposition in float64, from the checkpoint at the start of the range.
fn reference(
    dir: &Path,
    (layer, unit): (&str, usize),
    range: std::ops::Range<u64>,
    chosen: &Chosen,
) -> Credit {
    let reader = RunReader::open(dir).expect("a run");
    let scenario = Scenario::of_run(&reader).expect("a scenario");
    let trainer = Trainer::new(gpu(), &scenario).expect("a trainer");
    let checkpoint = Checkpoint::read(dir, range.start).expect("a checkpoint there");
    let pass = trainer.model().passes()[0];
    let values = |tensors: &[trainscope::tensor::NamedTensor], name: &str| {
        let found = tensors.iter().find(|tensor| tensor.name == name);
        found.map(|tensor| {
            tensor
                .values
                .iter()
                .map(|&v| f64::from(v))
                .collect::<Vec<f64>>()
        })
    };
    let parameters = pass.graph.parameters();
    let rule = scenario.train_config().update_rule;
    let state = rule.state(gpu(), trainer.parameters()).expect("a state");
    let moments = parameters.iter().filter(|p| p.trainable).map(|parameter| {
        let memories = state.moments.iter().map(|(memory, _)| {
            let name = format!("{}.{memory}", parameter.name);
            let zeros = || vec![0.0; parameter.shape.iter().product()];
            values(&checkpoint.optimizer, &name).unwrap_or_else(zeros)
        });
        memories.collect()
    });
    let images = scenario.images().expect("images");
    let batch = |samples: &[u32]| -> Vec<Vec<f64>> {
        let inputs = pass
            .graph
            .nodes()
            .iter()
            .filter(|node| node.operation.is_none());
        let input = |node: &trainscope::nn::Node| -> Vec<f64> {
            let samples = samples.iter().map(|&sample| sample as usize);
            if node.role == Some(Role::Label) {
                return samples
                    .map(|sample| f64::from(images.labels[sample]))
                    .collect();
            }
            let size = images.sample_size();
            let pixels = samples.flat_map(|sample| &images.pixels[sample * size..][..size]);
            pixels
                .map(|&byte| f64::from(f32::from(byte) / 255.0))
                .collect()
        };
        inputs.map(input).collect()
    };
    let samples: Vec<u32> = (0..scenario.record.probe_batch as u32).collect();
    let mut training = ReferenceTraining {
        passes: vec![pass],
        own: 0..parameters.len(),
        weight_clip: None,
        updates: range.start as u32,
        rule,
        batch: scenario.train.batch,
        seed: scenario.seed,
        parameters: parameters
            .iter()
            .map(|parameter| values(&checkpoint.parameters, &parameter.name).expect("a parameter"))
            .collect(),
        moments: moments.collect(),
        step: range.start as u32,
        probe: batch(&samples),
        probe_samples: samples.len(),
        chosen: chosen.clone(),
    };
    let batches: Vec<_> = range
        .map(|step| ReferenceBatch::from(batch(&trainer.batch_samples(step))))
        .collect();
    training.credit((layer, unit), HOPS, &batches)
}

/// The parts that a change and one of its hops have in common, by name.
fn named_parts(
    other: &OtherCredit,
    contributions: [&[Contribution]; 2],
) -> impl Iterator<Item = (String, f64)> {
    let other = other
        .parts()
        .map(|(what, credit)| (what.to_owned(), credit));
    let contributions = contributions.into_iter().flatten();
    let contributions: Vec<_> = contributions
        .map(|part| (part.name(), part.credit))
        .collect();
    other.into_iter().chain(contributions)
}

fn all_of_credit(credit: &Credit) -> Vec<(String, f64)> {
    let contributions = [&credit.predecessors[..], &credit.successors];
    let parts = named_parts(&credit.other, contributions);
    let change = ("change".to_owned(), credit.change);
    std::iter::once(change).chain(parts).collect()
}

fn all_of_hop(hop: &Hop) -> Vec<(String, f64)> {
    let parts = named_parts(&hop.other, [&hop.predecessors, &hop.successors]);
    let through = hop.through.iter().flat_map(|one| {
        let name = |by: &str| format!("{} {} {by}", one.layer, one.unit);
        [
            (name("by its weights"), one.by_weights),
            (name("by its input"), one.by_input),
        ]
    });
    let explains = ("what it explains".to_owned(), hop.explains);
    std::iter::once(explains)
        .chain(parts)
        .chain(through)
        .collect()
}

/// Each part agrees with the reference's.
fn assert_same(name: &str, found: &Credit, expected: &Credit, tolerance: f64) {
    let scale = expected.magnitude() * tolerance;
    assert_close(name, &all_of_credit(found), &all_of_credit(expected), scale);
    assert_eq!(found.hops.len(), expected.hops.len(), "{name}");
    for (found, expected) in found.hops.iter().zip(&expected.hops) {
        let name = format!("{name}, hop {}", expected.hop);
        assert_eq!(found.layers, expected.layers, "{name}");
        let scale = expected.magnitude() * tolerance;
        assert_close(&name, &all_of_hop(found), &all_of_hop(expected), scale);
    }
}

fn assert_close(name: &str, found: &[(String, f64)], expected: &[(String, f64)], most: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for ((what, a), (wanted, b)) in found.iter().zip(expected) {
        assert_eq!(what, wanted, "{name}");
        assert!(
            (a - b).abs() <= most,
            "{name}, {what}: {a:e} instead of {b:e}"
        );
    }
}

fn check(name: &str, model: &str, optimizer: &str, layers: &[&str]) {
    let (_folder, dir) = trained(&scenario(model, optimizer));
    for layer in layers {
        let [one, other] = [0, 1];
        for range in [5..6, 10..20, 0..50] {
            for credit in measured(&dir, layer, &[one, other], range.clone()) {
                assert_explained(&format!("{name} {range:?}"), &credit, 1e-4);
                assert_maps(&credit);
            }
        }
        let exact = reference(&dir, (layer, one), 10..15, &Chosen::default());
        assert_explained(&format!("{name} in float64"), &exact, 1e-10);
        let found = &measured(&dir, layer, &[one], 10..15)[0];
        assert_same(&format!("{name}, {layer}"), found, &exact, 2e-3);
    }
}

const MLP_VAE: &str = r#"[model]
kind = "vae"
latent = 3
encoder = [ { dense = { units = 10 } }, "tanh" ]
decoder = [ { dense = { units = 9 } }, "tanh", { dense = { units = 432 } } ]"#;

const CONV_VAE: &str = r#"[model]
kind = "vae"
latent = 3
encoder = [ { conv2d = { channels = 4, kernel = 3, stride = 2, padding = 1 } }, "relu", { conv2d = { channels = 5, kernel = 3, stride = 2, padding = 1 } }, "relu", "flatten" ]
decoder = [ { dense = { units = 45 } }, "relu", { reshape = [5, 3, 3] }, { conv_transpose2d = { channels = 4, kernel = 4, stride = 2, padding = 1 } }, "relu", { conv_transpose2d = { channels = 3, kernel = 4, stride = 2, padding = 1 } } ]"#;

const CNN: &str = r#"[model]
kind = "classifier"
layers = [ { conv2d = { channels = 4, kernel = 3, padding = 1 } }, "batch_norm", "relu", { max_pool2d = { kernel = 2 } }, { residual = [ { conv2d = { channels = 4, kernel = 3, padding = 1 } }, "layer_norm", "silu" ] }, { avg_pool2d = { kernel = 2 } }, { upsample = { factor = 2 } }, { conv2d = { channels = 3, kernel = 3, padding = 2, dilation = 2 } }, { leaky_relu = { slope = 0.2 } }, "global_avg_pool", { dropout = 0.3 }, { dense = { units = 3 } } ]"#;

#[test]
fn dense_vae_is_explained() {
    let layers = ["encoder.0", "mu", "logvar", "decoder.0", "decoder.2"];
    check(
        "sgd",
        MLP_VAE,
        "optimizer = { sgd = { lr = 1e-3 } }",
        &layers,
    );
    check(
        "adam",
        MLP_VAE,
        "optimizer = { adam = { lr = 3e-3 } }",
        &["encoder.0", "logvar"],
    );
}

#[test]
fn every_optimizer_is_explained() {
    for optimizer in [
        "optimizer = { sgd = { lr = 1e-3, momentum = 0.9, weight_decay = 1e-2 } }\nclip = { norm = 5.0 }",
        "optimizer = { adam = { lr = 2e-3, weight_decay = 1e-1 } }\nclip = { value = 0.05 }",
        "optimizer = { adamw = { lr = 2e-3, weight_decay = 0.1 } }\nschedule = { cosine = { steps = 60, warmup = 8 } }",
        "optimizer = { rmsprop = { lr = 1e-3 } }\nschedule = { step = { every = 12, factor = 0.5 } }",
        "optimizer = { rmsprop = { lr = 1e-4, momentum = 0.5, centered = true, eps = 1e-3, weight_decay = 1e-2 } }",
    ] {
        check(optimizer, MLP_VAE, optimizer, &["encoder.0", "mu"]);
    }
}

/// Frozen layers move nothing, and what comes through them is told all the same.
#[test]
fn frozen_layers_are_explained() {
    for optimizer in [
        "optimizer = { sgd = { lr = 1e-3, momentum = 0.9, weight_decay = 1e-2 } }\nclip = { norm = 5.0 }",
        "optimizer = { adamw = { lr = 2e-3, weight_decay = 0.1 } }",
    ] {
        let train = format!("{optimizer}\nfrozen = [\"encoder.0\", \"decoder.0\"]");
        let layers = ["mu", "decoder.0", "decoder.2"];
        check("frozen", MLP_VAE, &train, &layers);
        let (_folder, dir) = trained(&scenario(MLP_VAE, &train));
        for credit in measured(&dir, "decoder.0", &[0], 10..20) {
            assert!(credit.successors.iter().all(|part| part.credit == 0.0));
            assert!(credit.predecessors.iter().any(|part| part.credit != 0.0));
            assert_eq!(credit.other, OtherCredit::default());
        }
    }
}

#[test]
fn convolutions_are_explained() {
    let layers = [
        "encoder.0",
        "encoder.2",
        "decoder.0",
        "decoder.3",
        "decoder.5",
    ];
    check(
        "adam",
        CONV_VAE,
        "optimizer = { adam = { lr = 2e-3 } }",
        &layers,
    );
}

#[test]
fn all_that_lies_between_layers_is_explained() {
    // A bias straight before batch norm has no gradient but rounding, which Adam would make steps of.
    let sgd = "optimizer = { sgd = { lr = 2e-2, momentum = 0.5 } }";
    check(
        "classifier",
        CNN,
        sgd,
        &["layers.0", "layers.4.0", "layers.7", "layers.11"],
    );
}

/// Some positions of a channel on one sample: the credit of every pixel before them, which lies under the kernel.
#[test]
fn chosen_pixels_are_explained() {
    let adam = "optimizer = { adam = { lr = 2e-3 } }";
    let (_folder, dir) = trained(&scenario(CONV_VAE, adam));
    let chosen = Chosen {
        samples: vec![2],
        positions: vec![[1, 1], [1, 2]],
    };
    let found = |layer: &str, chosen: &Chosen| {
        let request = CreditRequest {
            maps: true,
            hops: HOPS,
            chosen: chosen.clone(),
            ..CreditRequest::new(layer, [1], 10..15)
        };
        let replay = Replay::open(gpu(), &dir).expect("it opens");
        credit(replay, &request, &mut |_, _| ())
    };
    for layer in ["encoder.2", "decoder.3"] {
        let exact = reference(&dir, (layer, 1), 10..15, &chosen);
        assert_explained("chosen pixels in float64", &exact, 1e-10);
        let found = &found(layer, &chosen).expect("a decomposition")[0];
        assert_explained("chosen pixels", found, 1e-4);
        assert_maps(found);
        assert_same(layer, found, &exact, 2e-3);
    }
    let found_pixels = &found("encoder.2", &chosen).expect("a decomposition")[0];
    // A kernel of 3 with stride 2 and padding 1 behind another one, on 12 x 12.
    let places = found_pixels.strongest_places(1000);
    assert!(!places.is_empty());
    for place in &places {
        let [row, column] = place.position.expect("images");
        let under = (1..4).contains(&row) && (1..6).contains(&column);
        assert!(place.sample == 2 && under, "{place:?}");
    }
    assert_eq!(found_pixels.region, Some([1..8, 1..12]));
    let images = found_pixels.maps.images.as_ref().expect("images");
    assert_eq!(images.shape, [6, 3, 12, 12]);

    let refusal = |layer: &str, samples: &[usize], positions: &[[usize; 2]]| {
        let chosen = Chosen {
            samples: samples.to_vec(),
            positions: positions.to_vec(),
        };
        found(layer, &chosen).expect_err("refused").to_string()
    };
    assert!(refusal("mu", &[], &[[0, 0]]).contains("single numbers without positions"));
    assert!(refusal("mu", &[6], &[]).contains("has 6 samples; choose from 0 to 5"));
    assert!(refusal("encoder.2", &[], &[[3, 0]]).contains("choose from 0,0 to 2,2"));
}

/// The decoder's last layer ends in means and logarithms of variances, which slices tell apart.
#[test]
fn a_gaussian_likelihood_is_explained() {
    let model = r#"[model]
kind = "vae"
latent = 3
reconstruction = "gaussian"
encoder = [ { dense = { units = 10 } }, "tanh" ]
decoder = [ { dense = { units = 9 } }, "tanh", { dense = { units = 864 } } ]"#;
    let adam = "optimizer = { adam = { lr = 1e-3 } }";
    check(
        "gaussian",
        model,
        adam,
        &["logvar", "decoder.0", "decoder.2"],
    );
}

/// The prior of the first latent layer is learned, and its divergence moves all four heads.
#[test]
fn a_vae_of_two_latent_layers_is_explained() {
    let model = r#"[model]
kind = "vae"
latent = 3
encoder = [ { dense = { units = 10 } }, "tanh" ]
decoder = [ { dense = { units = 9 } }, "tanh", { dense = { units = 432 } } ]
second_latent = { units = 2, encoder = [ { dense = { units = 5 } }, "tanh" ], decoder = [ { dense = { units = 6 } }, "tanh" ] }"#;
    let adam = "optimizer = { adam = { lr = 1e-3 } }";
    let layers = [
        "mu",
        "second_latent.encoder.0",
        "second_latent.mu",
        "second_latent.logvar",
        "second_latent.prior.mu",
        "second_latent.prior.logvar",
    ];
    check("two latent layers", model, adam, &layers);
}

/// Gains that are far from 1, where they begin: a derivative without them would be wrong.
#[test]
fn gains_of_layer_norms_count() {
    let model = r#"[model]
kind = "classifier"
layers = [ { dense = { units = 8 } }, "layer_norm", "tanh", { dense = { units = 6 } }, "layer_norm", { dense = { units = 3 } } ]"#;
    let sgd = "optimizer = { sgd = { lr = 0.3, momentum = 0.8 } }";
    let (_folder, dir) = trained(&scenario(model, sgd));
    let parameters = Checkpoint::read(&dir, 10).expect("a checkpoint").parameters;
    let gain = parameters
        .iter()
        .find(|tensor| tensor.name == "layers.1.weight");
    let gain = &gain.expect("gains").values;
    let largest = gain
        .iter()
        .map(|gain| (gain - 1.0).abs())
        .fold(0.0, f32::max);
    assert!(largest > 0.05, "gains are still at {gain:?}");
    check("layer norm", model, sgd, &["layers.0", "layers.3"]);
}

/// The divergence reaches the loss through its annealing, which is another share of it in each step.
#[test]
fn a_divergence_that_fades_in_is_explained() {
    let model = MLP_VAE.replace("latent = 3", "latent = 3\nbeta = 2.0\nbeta_warmup = 30");
    let adam = "optimizer = { adam = { lr = 3e-3 } }";
    check("annealed", &model, adam, &["encoder.0", "mu", "logvar"]);
}

#[test]
fn a_softmax_between_layers_is_explained() {
    let model = r#"[model]
kind = "classifier"
layers = [ { dense = { units = 7 } }, "softmax", { dense = { units = 3 } } ]"#;
    let sgd = "optimizer = { sgd = { lr = 0.2, momentum = 0.8 } }";
    check("softmax", model, sgd, &["layers.0"]);
}

/// Weights that are divided by their largest singular value: what that did is told apart from what each successor did.
#[test]
fn layers_under_a_spectral_norm_are_explained() {
    let dense = r#"[model]
kind = "classifier"
layers = [ { dense = { units = 6, spectral_norm = true } }, "tanh", { dense = { units = 5, spectral_norm = true } }, "tanh", { dense = { units = 3 } } ]"#;
    let images = r#"[model]
kind = "classifier"
layers = [ { conv2d = { channels = 4, kernel = 3, stride = 2, padding = 1, spectral_norm = true } }, "tanh", { conv2d = { channels = 3, kernel = 3, padding = 1, spectral_norm = true } }, "tanh", "flatten", { dense = { units = 3, spectral_norm = true } } ]"#;
    let sgd = "optimizer = { sgd = { lr = 5e-2, momentum = 0.5, weight_decay = 1e-2 } }";
    let adam = "optimizer = { adam = { lr = 3e-3, weight_decay = 1e-2 } }\nclip = { value = 0.02 }";
    for (model, optimizer, layers) in [
        (dense, sgd, ["layers.0", "layers.2", "layers.4"]),
        (dense, adam, ["layers.0", "layers.2", "layers.4"]),
        (images, sgd, ["layers.0", "layers.2", "layers.5"]),
    ] {
        let (_folder, dir) = trained(&scenario(model, optimizer));
        for layer in layers {
            let found = |range: std::ops::Range<u64>| {
                let replay = Replay::open(gpu(), &dir).expect("it opens");
                let request = CreditRequest {
                    hops: HOPS,
                    ..CreditRequest::new(layer, [0, 1], range)
                };
                credit(replay, &request, &mut |_, _| ()).expect("a decomposition")
            };
            for range in [5..6, 0..50] {
                for credit in found(range.clone()) {
                    assert_explained(&format!("{layer} {range:?}, {optimizer}"), &credit, 1e-4);
                }
            }
            for (unit, found) in found(10..15).iter().enumerate() {
                let exact = reference(&dir, (layer, unit), 10..15, &Chosen::default());
                assert_explained("a spectral norm in float64", &exact, 1e-10);
                assert_same(&format!("{layer}, {optimizer}"), found, &exact, 2e-3);
                assert!(found.other.normalization != 0.0);
            }
        }
    }
}

#[test]
fn two_streams_are_explained() {
    let text = r#"name = "credit"
seed = 5
[data]
source = "clips"
task = "binding"
size = 24
count = 48
[model]
kind = "two_stream"
targets = "pairs"
widths = [4]
fusion_width = 5
[train]
batch = 8
steps = 20
optimizer = { sgd = { lr = 1e-2, momentum = 0.5 } }
[record]
every = 10
checkpoint_every = 5
probe_batch = 4
"#;
    let (_folder, dir) = trained(text);
    for layer in ["appearance.0", "flow.0", "fusion"] {
        for range in [5..6, 0..20] {
            for credit in measured(&dir, layer, &[0, 1], range.clone()) {
                assert_explained(&format!("two streams {range:?}"), &credit, 1e-4);
                assert_maps(&credit);
            }
        }
    }
    for layer in ["appearance.0", "flow.0", "fusion"] {
        let exact = reference(&dir, (layer, 0), 5..8, &Chosen::default());
        assert_explained("two streams in float64", &exact, 1e-10);
        let found = &measured(&dir, layer, &[0], 5..8)[0];
        assert_same(&format!("two streams, {layer}"), found, &exact, 2e-3);
    }
    // Slices of the input are looked through: the flow's predecessors are the later channels of the clip.
    let flow = &measured(&dir, "flow.0", &[0], 5..6)[0];
    let first = flow.predecessors.first().expect("channels");
    assert!(first.layer != "flow.input" && first.unit > 0, "{first:?}");
}

#[test]
fn wrong_requests_are_refused_with_what_would_be_right() {
    let (_folder, dir) = trained(&scenario(MLP_VAE, "optimizer = { sgd = { lr = 1e-3 } }"));
    let refusal = |layer: &str, unit: usize, range: std::ops::Range<u64>| {
        let replay = Replay::open(gpu(), &dir).expect("it opens");
        let request = CreditRequest::new(layer, [unit], range);
        credit(replay, &request, &mut |_, _| ())
            .expect_err("refused")
            .to_string()
    };
    assert!(
        refusal("encoder.1", 0, 0..5)
            .contains("choose one of: encoder.0, mu, logvar, decoder.0, decoder.2")
    );
    assert!(refusal("mu", 3, 0..5).contains("mu has 3 units; choose from 0 to 2"));
    assert!(refusal("mu", 0, 5..5).contains("use --from below --to"));
    assert!(refusal("mu", 0, 5..500).contains("at most 50"));
}

/// Where the adapter has no room to keep the steps, they run again, with the same result.
#[test]
fn steps_that_are_kept_and_steps_that_run_again_agree() {
    let (_folder, dir) = trained(&scenario(MLP_VAE, "optimizer = { adam = { lr = 3e-3 } }"));
    let request = CreditRequest {
        maps: true,
        ..CreditRequest::new("encoder.0", [2], 3..43)
    };
    let kept = credit(
        Replay::open(gpu(), &dir).expect("it opens"),
        &request,
        &mut |_, _| (),
    );
    let narrow = gpu().clone().with_memory(4 << 20);
    let mut steps = Vec::new();
    let again = credit(
        Replay::open(&narrow, &dir).expect("it opens"),
        &request,
        &mut |done, all| steps.push((done, all)),
    );
    assert_eq!(
        kept.expect("a decomposition"),
        again.expect("a decomposition")
    );
    // Both sweeps begin at the checkpoint of step 0.
    assert_eq!(steps.last(), Some(&(86, 86)));
    assert_eq!(steps.len(), 87, "each step is told once, and the end");
}

/// Red pushed up, blue down, and both sides have the same limits.
#[test]
fn picture_shows_signs_with_equal_limits() {
    let part = |unit, credit| Contribution {
        layer: "encoder.1".to_owned(),
        unit,
        credit,
    };
    let drawn = |predecessors: Vec<Contribution>| -> [usize; 2] {
        let change: f64 = predecessors.iter().map(|part| part.credit).sum();
        let credits = [Credit {
            layer: "mu".to_owned(),
            unit: 3,
            samples: Vec::new(),
            positions: Vec::new(),
            region: None,
            from: 10,
            to: 20,
            change,
            explained: change,
            residual: 0.0,
            cancellation: 1.0,
            predecessors,
            successors: Vec::new(),
            other: OtherCredit::default(),
            hops: Vec::new(),
            first_nonfinite: None,
            deviation: None,
            maps: CreditMaps::default(),
        }];
        let chart = CreditChart { credits: &credits };
        let picture =
            Picture::new(gpu(), 700.0, chart.height(), &Theme::light()).expect("a picture");
        chart.draw(&Painter::new(gpu()), &picture);
        let pixels = picture.read(gpu()).expect("pixels");
        let count = |color: [u8; 4]| pixels.chunks(4).filter(|pixel| **pixel == color).count();
        [diverging_at(1.0), diverging_at(-1.0)].map(count)
    };
    let [red, blue] = drawn(vec![part(0, 0.5)]);
    assert!(red > 500 && blue == 0, "{red} red pixels, {blue} blue ones");
    let [red, blue] = drawn(vec![part(0, -0.5)]);
    assert!(red == 0 && blue > 500, "{red} red pixels, {blue} blue ones");
    let [red, blue] = drawn(vec![part(0, 1e-3), part(1, -1e-3)]);
    assert!(
        red > 500 && red.abs_diff(blue) < red / 20,
        "{red} red pixels, {blue} blue ones"
    );
}
