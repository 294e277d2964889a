//! Forward attribution: against float64, against captum and zennit, and the sums that the methods promise.

use std::path::Path;

use trainscope::attribute::{
    AttributeOptions, Attribution, Baseline, EPSILON, Method, attributable_layers, attribute,
};
use trainscope::nn::{BackwardRule, Graph, NodeId, Role};
use trainscope::trace::read_safetensors;
use trainscope::train::{Replay, Run, Scenario, Trainer};

use crate::exact_graph::ExactGraph;
use crate::nn::fixture::Fixture;
use crate::support::{SMALL, gpu};

/// Images of 16 x 16, so that float64 is done quickly.
fn scenario(model: &str) -> Scenario {
    let text = format!(
        "name = \"attributed\"\nseed = 5\n[data]\nsource = \"shapes\"\nsize = 16\ncount = 64\n{model}\n\
         [train]\nbatch = 16\nsteps = 4\noptimizer = {{ adam = {{ lr = 1e-2 }} }}\n\
         [record]\nprobe_batch = 3\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scenario.toml");
    std::fs::write(&path, text).unwrap();
    Scenario::load(path.to_str().unwrap(), &[]).unwrap()
}

/// The state after a few steps, so that biases and running statistics say something.
fn trained(scenario: &Scenario) -> Trainer {
    let mut trainer = Trainer::new(gpu(), scenario).unwrap();
    for _ in 0..4 {
        trainer.step(false).unwrap();
        while trainer.take(true).unwrap().is_some() {}
    }
    trainer
}

const VAE: &str = r#"[model]
kind = "vae"
latent = 4
encoder = [ { dense = { units = 12 } }, "tanh", { dense = { units = 10 } }, "relu" ]
decoder = [ { dense = { units = 12 } }, "relu", { dense = { units = 768 } } ]
"#;
const CNN: &str = r#"[model]
kind = "classifier"
layers = [
    { conv2d = { channels = 4, kernel = 5, stride = 2, padding = 2 } }, "batch_norm", "relu",
    { residual = [ { conv2d = { channels = 4, kernel = 3, padding = 1 } }, "batch_norm", "relu" ] },
    { max_pool2d = { kernel = 2 } }, "layer_norm",
    { conv2d = { channels = 5, kernel = 3 } }, "gelu", { dropout = 0.3 },
    { dense = { units = 9 } }, "relu", { dense = { units = 3 } },
]
"#;
const GAN: &str = r#"[model]
kind = "gan"
latent = 6
generator = [ { dense = { units = 14 } }, "relu", { dense = { units = 768 } }, "sigmoid", { reshape = [3, 16, 16] } ]
discriminator = [ { dense = { units = 12 } }, { leaky_relu = { slope = 0.2 } }, { dense = { units = 1 } } ]
"#;

/// The contributions of every sample in float64.
impl ExactGraph<'_> {
    /// The unit on each row, and what the rule sends to the rows.
    fn pass(
        &self,
        rows: &[f64],
        options: &AttributeOptions,
        rule: BackwardRule,
    ) -> (Vec<f64>, Vec<f64>) {
        let (reference, values) = self.forward(rows, rule);
        let (layer, elements) = self.elements(&options.layer, options.unit);
        let positions = elements.len() as f64;
        let node = self.graph.node(layer);
        let (mut outputs, mut start) = (Vec::new(), vec![0.0; values[layer.index()].len()]);
        let rows = values[layer.index()].chunks_exact(node.size());
        for (row, start) in rows.zip(start.chunks_exact_mut(node.size())) {
            outputs.push(row[elements.clone()].iter().sum::<f64>() / positions);
            for element in elements.clone() {
                let is_relevance = matches!(rule, BackwardRule::Epsilon { .. });
                let value = if is_relevance { row[element] } else { 1.0 };
                start[element] = value / positions;
            }
        }
        let mut cotangents = vec![None; self.graph.nodes().len()];
        cotangents[layer.index()] = Some(start);
        let gradients = reference.backward(&values, cotangents).nodes;
        (outputs, gradients[self.input.index()].clone().unwrap())
    }

    fn contributions(&self, options: &AttributeOptions, found: &Attribution) -> Vec<f64> {
        let x: Vec<f64> = found.inputs.iter().map(|&value| value.into()).collect();
        let size = self.graph.node(self.input).size();
        let count = x.len() / size;
        let mean = |i: usize| {
            let sum: f64 = x.iter().skip(i).step_by(size).sum();
            f64::from((sum / count as f64) as f32)
        };
        let baseline: Vec<f64> = (0..size)
            .map(|i| match options.baseline {
                Baseline::Zero => 0.0,
                Baseline::Mean => mean(i),
            })
            .collect();
        let both = [x.clone(), baseline.repeat(count)].concat();
        let from_baseline = |multipliers: &[f64]| -> Vec<f64> {
            let pairs = x.iter().zip(multipliers).enumerate();
            pairs
                .map(|(i, (x, m))| (x - baseline[i % size]) * m)
                .collect()
        };
        match options.method {
            Method::Lrp => {
                let rule = BackwardRule::Epsilon { epsilon: EPSILON };
                self.pass(&x, options, rule).1
            }
            Method::DeepLift => from_baseline(&self.pass(&both, options, BackwardRule::Rescale).1),
            Method::GradInput => from_baseline(&self.pass(&x, options, BackwardRule::Gradient).1),
            Method::IntegratedGradients => {
                let mut sums = vec![0.0; x.len()];
                for point in 0..options.path_steps {
                    let t = (point as f64 + 0.5) / options.path_steps as f64;
                    let at = |(i, x): (usize, &f64)| {
                        let from = baseline[i % size];
                        from + t * (x - from)
                    };
                    let rows: Vec<f64> = x.iter().enumerate().map(at).collect();
                    let gradients = self.pass(&rows, options, BackwardRule::Gradient).1;
                    sums.iter_mut()
                        .zip(gradients)
                        .for_each(|(sum, g)| *sum += g);
                }
                let path = options.path_steps as f64;
                from_baseline(&sums.iter().map(|sum| sum / path).collect::<Vec<_>>())
            }
        }
    }
}

/// The largest difference, over the largest magnitude.
fn off(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want
        .iter()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    let differences = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max) / largest.max(1e-12)
}

fn of_samples(found: &Attribution) -> Vec<f64> {
    let samples = found.samples.iter();
    samples
        .flat_map(|sample| sample.values.iter().copied())
        .collect()
}

/// Every method from every baseline it takes, on one unit of each layer.
fn check_against_float64(trainer: &Trainer, graph: &Graph, input: NodeId, layers: &[&str]) {
    let exact = ExactGraph::new(trainer, graph, input);
    for (&layer, method) in layers.iter().flat_map(|l| Method::ALL.map(|m| (l, m))) {
        for baseline in Baseline::ALL {
            if method == Method::Lrp && baseline == Baseline::Mean {
                continue;
            }
            let options = AttributeOptions {
                path_steps: 7,
                ..AttributeOptions::new(layer, 1)
                    .method(method)
                    .baseline(baseline)
            };
            let found = attribute(trainer, &options).unwrap();
            let want = exact.contributions(&options, &found);
            let off = off(&of_samples(&found), &want);
            assert!(off < 2e-4, "{layer} {method:?} {baseline:?}: off by {off}");
            let whole = found.output.abs().max(found.samples[0].output.abs());
            if method == Method::DeepLift {
                let error = found.largest_error();
                assert!(
                    error < 1e-5 * (1.0 + whole),
                    "{layer}: incomplete by {error}"
                );
            }
            if method == Method::Lrp {
                assert!(found.completeness_error() < 1e-12 * (1.0 + whole));
            }
        }
    }
}

fn input_of(graph: &Graph) -> NodeId {
    graph.with_role(Role::Input).unwrap()
}

#[test]
fn a_vae_agrees_with_float64() {
    let trainer = trained(&scenario(VAE));
    let graph = trainer.graph();
    check_against_float64(
        &trainer,
        graph,
        input_of(graph),
        &["encoder.0", "encoder.3", "mu", "logvar", "z", "decoder.2"],
    );
    // In a probe pass z is mu, so that the decoder says nothing about the log-variance.
    let of = |layer| {
        attribute(&trainer, &AttributeOptions::new(layer, 2))
            .unwrap()
            .values
    };
    assert_eq!(of("mu"), of("z"));
}

/// A residual sum, batch norms by their running statistics, a max pool and a layer norm.
#[test]
fn a_convolutional_classifier_agrees_with_float64() {
    let trainer = trained(&scenario(CNN));
    let graph = trainer.graph();
    let last = graph
        .node(graph.with_role(Role::Logits).unwrap())
        .name
        .clone();
    check_against_float64(
        &trainer,
        graph,
        input_of(graph),
        &["layers.0", "layers.2", "layers.4", &last],
    );
}

#[test]
fn both_networks_of_a_gan_agree_with_float64() {
    let trainer = trained(&scenario(GAN));
    let decoder = trainer.model().decoder().unwrap().unwrap();
    check_against_float64(
        &trainer,
        &decoder.graph,
        decoder.z,
        &["generator.0", "generator.2"],
    );
    let passes = trainer.model().passes();
    let graph = passes[1].graph;
    check_against_float64(
        &trainer,
        graph,
        input_of(graph),
        &["discriminator.0", "discriminator.1"],
    );
    let found = attribute(&trainer, &AttributeOptions::new("generator.0", 0)).unwrap();
    assert_eq!((found.input.as_str(), found.input_shape), ("z", vec![6]));
}

/// Slices of the clip, a convolution that fuses both streams, and the mean over all positions.
#[test]
fn a_two_stream_network_agrees_with_float64() {
    let settings = [
        "data.size=24",
        "data.count=32",
        "model.widths=[4]",
        "model.fusion_width=5",
        "train.batch=8",
        "record.probe_batch=2",
    ];
    let settings = settings.map(str::to_owned);
    let trainer = trained(&Scenario::load("two-stream-clips", &settings).unwrap());
    let graph = trainer.graph();
    check_against_float64(
        &trainer,
        graph,
        input_of(graph),
        &["appearance.0", "logits"],
    );
    // The frame has three channels; the flow behind them says nothing about its stream.
    let found = attribute(&trainer, &AttributeOptions::new("appearance.0", 0)).unwrap();
    let [frame, flow] = [&found.values[..3 * 24 * 24], &found.values[3 * 24 * 24..]];
    assert!(frame.iter().any(|&value| value != 0.0) && flow.iter().all(|&value| value == 0.0));
}

/// A path of many points goes through the network in several batches, the last of which is not full.
#[test]
fn a_longer_path_is_more_complete() {
    let trainer = trained(&scenario(CNN));
    let error = |path_steps| {
        let options = AttributeOptions {
            path_steps,
            ..AttributeOptions::new("layers.11", 1)
        };
        attribute(&trainer, &options).unwrap().largest_error()
    };
    let (short, long) = (error(2), error(500));
    assert!(long < 0.05 * short, "{long} after {short}");
}

#[test]
fn captum_and_zennit_agree() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let path = fixtures.join("attribution.toml");
    let scenario = Scenario::load(path.to_str().unwrap(), &[]).unwrap();
    let mut trainer = Trainer::new(gpu(), &scenario).unwrap();
    let state = read_safetensors(&fixtures.join("attribution.safetensors")).unwrap();
    trainer.load_parameters(&state, "PyTorch").unwrap();
    let theirs = Fixture::open("attribution_outputs");
    for (layer, unit) in [("layers.4", 1), ("layers.10", 7)] {
        for method in Method::ALL {
            // From the mean, captum's DeepLIFT through a max pool does not add up; ours does, which is tested above.
            let baselines = match method {
                Method::IntegratedGradients => &Baseline::ALL[..],
                _ => &Baseline::ALL[..1],
            };
            for &baseline in baselines {
                let options = AttributeOptions::new(layer, unit)
                    .method(method)
                    .baseline(baseline);
                let found = attribute(&trainer, &options).unwrap();
                let outputs: Vec<f64> = found.samples.iter().map(|sample| sample.output).collect();
                assert!(off(&outputs, theirs.get(&format!("{layer}.{unit}.output"))) < 1e-5);
                let key = format!("{layer}.{unit}.{}.{}", method.name(), baseline.name());
                let off = off(&of_samples(&found), theirs.get(&key));
                let tolerance = match method {
                    // Epsilon counts at the batch norm and at its convolution here, and once in zennit, which merges them.
                    Method::Lrp => 2e-3,
                    // A point of the path that lies on a kink of a ReLU may fall on either side of it.
                    _ => 5e-4,
                };
                assert!(off < tolerance, "{key}: off by {off}");
            }
        }
    }
}

#[test]
fn a_run_is_attributed_at_any_of_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    std::fs::write(&file, SMALL).unwrap();
    let scenario = Scenario::load(file.to_str().unwrap(), &[]).unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| ()).unwrap() {}
    run.finish(false, &mut |_| ()).unwrap();

    let state = |step| Replay::open(gpu(), &dir).unwrap().state_after(step);
    // Step 20 has a checkpoint, step 17 has none.
    let mut trainer = Trainer::new(gpu(), &scenario).unwrap();
    for step in 0..=20 {
        if [0, 17, 20].contains(&step) {
            let want = trainer.checkpoint().unwrap().digest();
            let got = state(step).unwrap();
            assert_eq!(got.checkpoint().unwrap().digest(), want, "step {step}");
            let options = AttributeOptions::new("mu", 1).method(Method::Lrp);
            let ours = attribute(&trainer, &options).unwrap();
            assert_eq!(attribute(&got, &options).unwrap(), ours);
        }
        trainer.step(false).unwrap();
        while trainer.take(true).unwrap().is_some() {}
    }
    let error = state(41).unwrap_err().to_string();
    assert!(error.contains("the run has 40 steps"), "{error}");
}

#[test]
fn what_cannot_be_attributed_is_said() {
    let trainer = trained(&scenario(VAE));
    let refused = |options: AttributeOptions, part: &str| {
        let error = attribute(&trainer, &options).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let of = AttributeOptions::new;
    refused(
        of("encoder.9", 0),
        "the model has no such layer; choose one of: encoder.0, encoder.1",
    );
    refused(
        of("reconstruction", 0),
        "it has no units that depend on the input",
    );
    refused(of("mu", 4), "mu has 4 units; choose one from 0 to 3");
    refused(
        of("mu", 0).method(Method::Lrp).baseline(Baseline::Mean),
        "compares with nothing",
    );
    let nothing = AttributeOptions {
        path_steps: 0,
        ..of("mu", 0)
    };
    refused(nothing, "a path of 0 steps");
    assert!(
        attributable_layers(&trainer)
            .unwrap()
            .contains(&"decoder.2".to_owned())
    );

    let parameters = trainer.parameters();
    let mut values = gpu().read(&parameters.values).unwrap();
    values.fill(f32::NAN);
    gpu().write(&parameters.values, 0, &values);
    refused(
        of("mu", 0),
        "unit 0 of mu after 4 steps: it is not finite on 3 of 3 samples",
    );
}
