//! Parameters from other programs, and for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use trainscope::tensor::NamedTensor;
use trainscope::trace::{read_safetensors, write_safetensors};
use trainscope::train::{Run, Scenario};

use crate::support::gpu;

fn scenario(name: &str, settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::load(name, &settings).unwrap()
}

fn start(scenario: &Scenario, dir: &Path, init: Option<&Path>) -> Result<Run, String> {
    Run::create(gpu(), scenario, dir, init).map_err(|error| error.to_string())
}

fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

#[test]
fn checkpoints_are_what_pytorch_writes_and_take_what_it_wrote() {
    let scratch = tempfile::tempdir().unwrap();
    let small = scenario("gan-mnist", &["train.batch=8", "train.steps=1"]);
    drop(start(&small, &scratch.path().join("first"), None).unwrap());
    let written = scratch
        .path()
        .join("first/checkpoints/000000/parameters.safetensors");
    let bytes = fs::read(&written).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["format"], "pt");
    let tensors = read_safetensors(&written).unwrap();
    for tensor in &tensors {
        let kind = if is_counter(&tensor.name) {
            "I64"
        } else {
            "F32"
        };
        assert_eq!(header[&tensor.name]["dtype"], kind, "{}", tensor.name);
    }
    assert!(tensors.iter().any(|tensor| is_counter(&tensor.name)));

    // Wrapped, without the counters of earlier versions.
    let file = scratch.path().join("theirs.safetensors");
    let theirs: Vec<NamedTensor> = tensors
        .iter()
        .filter(|tensor| !is_counter(&tensor.name))
        .map(|tensor| {
            let name = format!("module._orig_mod.{}", tensor.name);
            NamedTensor::new(name, tensor.shape.clone(), tensor.values.clone())
        })
        .collect();
    write_safetensors(&file, &theirs).unwrap();
    let run = start(&small, &scratch.path().join("second"), Some(&file)).unwrap();
    assert_eq!(run.init_prefix(), Some("module._orig_mod."));
    let taken = scratch
        .path()
        .join("second/checkpoints/000000/parameters.safetensors");
    assert_eq!(read_safetensors(&taken).unwrap(), tensors);

    let mut bad = tensors;
    bad[0].values[1] = f32::NAN;
    write_safetensors(&file, &bad).unwrap();
    let third = scratch.path().join("third");
    let error = start(&small, &third, Some(&file)).unwrap_err();
    assert!(
        error.contains("value 1 is NaN") && !third.exists(),
        "{error}"
    );
}

#[test]
fn other_files_are_called_what_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    let small = scenario("vae-mnist", &["train.batch=8", "train.steps=1"]);
    let file = scratch.path().join("model.safetensors");
    for (bytes, part) in [
        (
            &b"PK\x03\x04\0\0\0\0archive/data.pkl"[..],
            "safetensors.torch.save_file(model.state_dict()",
        ),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02",
            "safetensors.torch.save_file(model.state_dict()",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"", "it is empty"),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = start(&small, &scratch.path().join("run"), Some(&file)).unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn missing_parameters_of_a_gan_are_named_of_both_networks() {
    let scratch = tempfile::tempdir().unwrap();
    let gan = scenario("gan-mnist", &["train.batch=8", "train.steps=1"]);
    drop(start(&gan, &scratch.path().join("first"), None).unwrap());
    let written = scratch
        .path()
        .join("first/checkpoints/000000/parameters.safetensors");
    let tensors = read_safetensors(&written).unwrap();
    let networks: BTreeSet<&str> = tensors
        .iter()
        .filter_map(|tensor| tensor.name.split('.').next())
        .collect();
    assert_eq!(networks, BTreeSet::from(["discriminator", "generator"]));
    let file = scratch.path().join("half.safetensors");
    let half = |network: &str| -> Vec<NamedTensor> {
        let tensors = tensors
            .iter()
            .filter(|tensor| tensor.name.starts_with(network));
        tensors.cloned().collect()
    };
    for (kept, missing) in [
        ("generator", "discriminator."),
        ("discriminator", "generator."),
    ] {
        write_safetensors(&file, &half(kept)).unwrap();
        let error = start(&gan, &scratch.path().join("second"), Some(&file)).unwrap_err();
        let lacking = tensors
            .iter()
            .filter(|tensor| !tensor.name.starts_with(kept));
        let lacking = lacking.filter(|tensor| !is_counter(&tensor.name)).count();
        // Listed whole, in a form that needs no cut.
        let problem = format!("{lacking} parameters are missing: {missing}");
        let count = format!("({lacking});");
        assert!(
            error.contains(&problem) && error.contains(&count),
            "{error}"
        );
        assert!(error.len() < 400 && !error.contains("more"), "{error}");
    }
}
