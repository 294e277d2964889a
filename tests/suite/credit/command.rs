//! `trainscope credit` as a user runs it.

use std::process::{Command, Output};

use serde_json::Value;

use super::{MLP_VAE, scenario, trained};

fn trainscope(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainscope"))
        .args(arguments)
        .output()
        .expect("it starts")
}

#[test]
fn writes_what_it_says() {
    let (folder, dir) = trained(&scenario(MLP_VAE, "optimizer = { adam = { lr = 3e-3 } }"));
    let dir = dir.to_str().expect("UTF-8");
    let [plot, maps] = ["credit.png", "maps.safetensors"].map(|name| folder.path().join(name));
    let [plot, maps] = [&plot, &maps].map(|path| path.to_str().expect("UTF-8"));
    let common = ["--layer", "mu", "--from", "10", "--to", "20", "--json"];
    let asked = [
        &["credit", dir, "--unit", "1"],
        &common[..],
        &["--plot", plot, "--maps", maps],
    ]
    .concat();
    let output = trainscope(&asked);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let one: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&one["layer"], &one["unit"]), (&"mu".into(), &1.into()));
    assert_eq!((&one["from"], &one["to"]), (&10.into(), &20.into()));
    assert_eq!(one["predecessors"].as_array().expect("a list").len(), 10);
    // The decoder's first layer and the divergence.
    assert_eq!(one["successors"].as_array().expect("a list").len(), 10);
    for key in ["memory", "weight_decay", "clipping", "normalization"] {
        assert!(one["other"][key].is_f64(), "{key}");
    }
    let number = |key: &str| one[key].as_f64().expect("a number");
    let left = number("change") - number("explained") - number("residual");
    assert!(left.abs() < 1e-12);
    assert!((0.0..=1.0).contains(&number("cancellation")));
    let picture = std::fs::read(plot).expect("a picture");
    assert_eq!(&picture[1..4], b"PNG");
    let bytes = std::fs::read(maps).expect("maps");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a file of tensors");
    assert_eq!(
        file.tensor("1/predecessors/encoder.1")
            .expect("a map")
            .shape(),
        [6, 10]
    );
    assert_eq!(
        file.tensor("1/successors/decoder.0")
            .expect("a map")
            .shape(),
        [9]
    );

    let asked = [&["credit", dir, "--unit", "0,2"], &common[..]].concat();
    let several: Value = serde_json::from_slice(&trainscope(&asked).stdout).expect("one object");
    let units = several["units"].as_array().expect("two");
    assert_eq!(
        (&units[0]["unit"], &units[1]["unit"]),
        (&0.into(), &2.into())
    );

    // The encoder's layer before mu, and before that the data.
    let asked = [&["credit", dir, "--unit", "1", "--hops", "3"], &common[..]].concat();
    let output = trainscope(&asked);
    let one: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let hops = one["hops"].as_array().expect("a list");
    assert_eq!(hops.len(), 1);
    assert_eq!(hops[0]["layers"], serde_json::json!(["encoder.0"]));
    assert_eq!(hops[0]["through"].as_array().expect("a list").len(), 10);
    let number = |value: &Value| value.as_f64().expect("a number");
    let predecessors = one["predecessors"].as_array().expect("a list").iter();
    let all: f64 = predecessors.map(|part| number(&part["credit"])).sum();
    assert!((number(&hops[0]["explains"]) - all).abs() < 1e-9);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("hop 2, to encoder.0"), "{stderr}");
    assert!(stderr.contains("there is no hop 3"), "{stderr}");

    let asked = [&["credit", dir, "--unit", "9"], &common[..]].concat();
    let refused = trainscope(&asked);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
}
