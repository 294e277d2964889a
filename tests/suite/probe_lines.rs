//! Probe lines: single values of the probe batch over steps that are run again.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trainscope::Result;
use trainscope::attribute::{AttributeOptions, Method, attribute};
use trainscope::nn::Mode;
use trainscope::nn::reference::Reference;
use trainscope::tensor::TensorKind;
use trainscope::train::{ProbeLines, ProbeLinesRequest, ProbedGraph, Replay, Run, Scenario};

use crate::support::{SMALL, gpu};

/// A short run with a convolution in its encoder.
fn trained() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    let encoder = "encoder = [ { conv2d = { channels = 3, kernel = 4, stride = 4 } }, \"relu\", { dense = { units = 16 } }, \"tanh\" ]";
    let text = SMALL.replace(
        "encoder = [ { dense = { units = 16 } }, \"relu\" ]",
        encoder,
    );
    assert_ne!(text, SMALL);
    std::fs::write(&file, text).unwrap();
    let scenario = Scenario::load(file.to_str().unwrap(), &["train.steps=20".into()]).unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| ()).unwrap() {}
    run.finish(false, &mut |_| ()).unwrap();
    (folder, dir)
}

fn record(
    dir: &Path,
    tensor: &str,
    kind: TensorKind,
    steps: std::ops::Range<u64>,
) -> Result<ProbeLines> {
    let request = ProbeLinesRequest {
        tensor: tensor.to_owned(),
        kind,
        steps,
    };
    ProbeLines::record(Replay::open(gpu(), dir)?, request, &mut |_| ())
}

#[test]
fn lines_are_the_values_of_the_probe_batch_before_each_step() {
    let (_folder, dir) = trained();
    let lines = record(&dir, "mu", TensorKind::Activation, 7..13).unwrap();
    assert_eq!(
        (lines.len(), lines.samples, lines.shape.as_slice()),
        (8 * 4, 8, &[4][..])
    );
    for (index, step) in (7..13).enumerate() {
        let trainer = Replay::open(gpu(), &dir)
            .unwrap()
            .state_after(step)
            .unwrap();
        for unit in [0, 3] {
            let options = AttributeOptions::new("mu", unit).method(Method::Lrp);
            let found = attribute(&trainer, &options).unwrap();
            for (sample, want) in found.samples.iter().enumerate() {
                let got = lines.values[(sample * 4 + unit) * 6 + index];
                let off = (f64::from(got) - want.output).abs();
                assert!(
                    off < 1e-5,
                    "step {step}, unit {unit}, sample {sample}: off by {off}"
                );
            }
        }
    }
    // The same lines again, from another start: the same bits.
    let later = record(&dir, "mu", TensorKind::Activation, 10..11).unwrap();
    let want: Vec<f32> = lines.values.chunks(6).map(|line| line[3]).collect();
    assert_eq!(later.values, want);
}

#[test]
fn gradients_are_those_of_the_loss_on_the_probe_batch() {
    let (_folder, dir) = trained();
    let lines = record(&dir, "encoder.0", TensorKind::Gradient, 10..11).unwrap();
    assert_eq!(lines.shape, [3, 7, 7]);
    let trainer = Replay::open(gpu(), &dir).unwrap().state_after(10).unwrap();
    let graphs = ProbedGraph::all(&trainer).unwrap();
    let graph = &graphs[0];
    let batch = graph.batch(&trainer).unwrap();
    let tensors = trainer.checkpoint().unwrap().parameters;
    let parameters: Vec<Vec<f64>> = graph
        .parameters()
        .iter()
        .map(|parameter| {
            let tensor = tensors
                .iter()
                .find(|tensor| tensor.name == parameter.name)
                .unwrap();
            tensor.values.iter().map(|&value| value.into()).collect()
        })
        .collect();
    let reference = Reference {
        graph,
        batch: batch.count,
        mode: Mode::Eval,
        parameters: &parameters,
        noise: (0, 0),
        rule: Default::default(),
    };
    let samples = batch.samples.iter().map(|&value| value.into()).collect();
    let step = reference.step(graph.loss.unwrap(), &[samples]);
    let node = graph.find("encoder.0").unwrap();
    let want = step.gradients[node.index()].as_ref().unwrap();
    let largest = want
        .iter()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    for (got, want) in lines.values.iter().zip(want) {
        assert!(
            (f64::from(*got) - want).abs() < 1e-5 * largest,
            "{got}, not {want}"
        );
    }
}

#[test]
fn lines_have_names() {
    let (_folder, dir) = trained();
    let mut lines = record(&dir, "encoder.0", TensorKind::Activation, 0..2).unwrap();
    assert_eq!(
        lines.line(0).to_string(),
        "sample 0, channel 0, position 0,0"
    );
    let line = 2 * 147 + 49 + 3 * 7 + 4;
    assert_eq!(
        lines.line(line).to_string(),
        "sample 2, channel 1, position 3,4"
    );
    let flat = record(&dir, "mu", TensorKind::Activation, 0..1).unwrap();
    assert_eq!(flat.line(6).to_string(), "sample 1, unit 2");
    let series = lines.take_series();
    assert_eq!((series.units, series.steps), (8 * 147, vec![0, 1]));
}

#[test]
fn what_has_no_lines_is_said() {
    let (_folder, dir) = trained();
    let refused = |tensor: &str, kind, steps, part: &str| {
        let error = record(&dir, tensor, kind, steps).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(
        "nothing",
        TensorKind::Activation,
        0..1,
        "the model has no such layer; choose one of: encoder.0, encoder.1",
    );
    refused(
        "mu",
        TensorKind::Weight,
        0..1,
        "parameters have one value for all samples",
    );
    refused(
        "mu",
        TensorKind::Activation,
        5..5,
        "steps 5 to 5 are not in the run",
    );
    refused("mu", TensorKind::Activation, 5..21, "which has 20 steps");
}
