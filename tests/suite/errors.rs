//! Kinds of errors, as a program that uses the library sees them.

use std::error::Error as _;
use std::fs;

use trainscope::ErrorKind;
use trainscope::nn::ops::Dense;
use trainscope::nn::{Graph, Loss};
use trainscope::tensor::NamedTensor;
use trainscope::trace::{
    Checkpoint, ModelDescription, RunInfo, RunReader, RunWriter, TraceLayout, read_safetensors,
};
use trainscope::train::Scenario;

use crate::support::gpu;

#[test]
fn errors_have_the_kind_of_their_cause() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("missing");
    let kind = |error: trainscope::Error| error.kind();

    assert_eq!(
        kind(RunReader::open(&missing).unwrap_err()),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(read_safetensors(&missing).unwrap_err()),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(Scenario::load("nonsense", &[]).unwrap_err()),
        ErrorKind::NotFound
    );
    let setting = Scenario::load("vae-mnist", &["train.batch=0".to_owned()]);
    assert_eq!(kind(setting.unwrap_err()), ErrorKind::Usage);
    let text = Scenario::load("vae-mnist", &[]).unwrap().to_toml();
    let zero = text.replace("batch = 128", "batch = 0");
    assert_ne!(zero, text);
    let setting = Scenario::parse(&zero, "mine.toml", &[]).unwrap_err();
    assert_eq!(setting.kind(), ErrorKind::InvalidSetting, "{setting}");
    let syntax = Scenario::parse("name = ", "mine.toml", &[]).unwrap_err();
    assert_eq!(syntax.kind(), ErrorKind::InvalidFile, "{syntax}");
    assert!(syntax.source().is_some(), "the parser's error is kept");

    let mut graph = Graph::new();
    let image = graph.input("x", &[2, 3]);
    let loss = Loss::new().add(&graph, "mean", image, 1.0).unwrap_err();
    assert_eq!(loss.kind(), ErrorKind::Shape, "{loss}");
    let two = graph
        .add("two", Dense::new(2), &[image, image])
        .unwrap_err();
    assert_eq!(two.kind(), ErrorKind::Shape, "{two}");

    let large = gpu().buffer::<f32>("large", usize::MAX / 8).unwrap_err();
    assert_eq!(large.kind(), ErrorKind::OutOfMemory, "{large}");
    assert!(large.is_gpu() && large.exit_code() == 1);
}

#[test]
fn errors_of_run_directories_have_kinds_and_sources() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let info = RunInfo::new("run", gpu().info(), 1, 1);
    let model = ModelDescription::default();
    let writer = RunWriter::create(&dir, "", info, &model, TraceLayout::new()).unwrap();
    let second = RunWriter::resume(&dir, 0, TraceLayout::new()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InUse, "{second}");
    drop(writer);

    let run = RunReader::open(&dir).unwrap();
    assert_eq!(
        run.last_checkpoint().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let checkpoint = Checkpoint {
        step: 0,
        parameters: vec![NamedTensor::new("a", vec![1], vec![0.5])],
        optimizer: Vec::new(),
    };
    checkpoint.write(&dir).unwrap();
    let parameters = dir.join("checkpoints/000000/parameters.safetensors");
    fs::write(&parameters, b"short").unwrap();
    let damaged = Checkpoint::read(&dir, 0).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::InvalidFile, "{damaged}");
    assert!(damaged.source().is_some(), "the decoder's error is kept");
    fs::write(dir.join("run.json"), "{").unwrap();
    let damaged = RunReader::open(&dir).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::InvalidFile, "{damaged}");
    assert!(damaged.source().is_some(), "the parser's error is kept");
}
