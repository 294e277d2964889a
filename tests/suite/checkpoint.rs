//! Checkpoints and safetensors: whole, damaged and of other widths.

use std::fs;
use std::path::PathBuf;

use trainscope::tensor::NamedTensor;
use trainscope::trace::{Checkpoint, read_safetensors, write_safetensors};

fn checkpoint() -> Checkpoint {
    Checkpoint {
        step: 200,
        parameters: vec![
            NamedTensor::new(
                "mu.weight",
                vec![2, 3],
                vec![0.5, -1.0, f32::NAN, 1e-40, f32::INFINITY, 3.0],
            ),
            NamedTensor::new("encoder.0.bias", vec![1], vec![-0.0]),
        ],
        optimizer: vec![NamedTensor::new(
            "mu.weight.exp_avg",
            vec![2, 3],
            vec![0.25; 6],
        )],
    }
}

fn sorted(mut checkpoint: Checkpoint) -> String {
    checkpoint.parameters.sort_by(|a, b| a.name.cmp(&b.name));
    format!("{checkpoint:?}")
}

#[test]
fn checkpoint_round_trip() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path();
    let written = checkpoint();
    let digest = written.write(run).unwrap();
    assert_eq!(digest.len(), 64);
    let read = Checkpoint::read(run, 200).unwrap();
    assert_eq!(read.digest(), digest);
    // NaN is not equal to itself; its text is.
    assert_eq!(sorted(read), sorted(written.clone()));
    let folder = run.join("checkpoints/000200");
    assert_eq!(
        fs::read_to_string(folder.join("digest")).unwrap().trim(),
        digest
    );

    // Written again without an optimizer's state: replaced as a whole.
    let bare = Checkpoint {
        optimizer: Vec::new(),
        ..written
    };
    bare.write(run).unwrap();
    assert!(!folder.join("optimizer.safetensors").exists());
    assert_eq!(sorted(Checkpoint::read(run, 200).unwrap()), sorted(bare));
    assert!(Checkpoint::read(run, 7).is_err());
    let mut wrong = checkpoint();
    wrong.parameters[0].shape = vec![7];
    wrong.step = 9;
    assert!(wrong.write(run).is_err());
    let left: Vec<_> = fs::read_dir(run.join("checkpoints")).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn digest_depends_on_every_bit() {
    let good = checkpoint().digest();
    let mut others = Vec::new();
    for tensor in 0..2 {
        for index in 0..checkpoint().parameters[tensor].values.len() {
            for bit in 0..32 {
                let mut other = checkpoint();
                let value = &mut other.parameters[tensor].values[index];
                *value = f32::from_bits(value.to_bits() ^ (1 << bit));
                others.push(other);
            }
        }
    }
    let mut change = |change: &dyn Fn(&mut Checkpoint)| {
        let mut other = checkpoint();
        change(&mut other);
        others.push(other);
    };
    change(&|c| c.step = 201);
    change(&|c| c.parameters[0].name.push('x'));
    change(&|c| c.parameters[0].shape = vec![3, 2]);
    change(&|c| c.optimizer[0].values[5] = 0.250_000_03);
    change(&|c| c.parameters.append(&mut c.optimizer));
    change(&|c| drop(c.parameters.pop()));
    assert!(others.iter().all(|other| other.digest() != good));
    let mut turned = checkpoint();
    turned.parameters.reverse();
    assert_eq!(turned.digest(), good);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path();
    checkpoint().write(run).unwrap();
    let good = sorted(Checkpoint::read(run, 200).unwrap());
    for name in ["parameters.safetensors", "optimizer.safetensors", "digest"] {
        let path: PathBuf = run.join("checkpoints/000200").join(name);
        let bytes = fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bent).unwrap();
            // A bent blank of the header is no damage.
            if let Ok(read) = Checkpoint::read(run, 200) {
                assert_eq!(sorted(read), good, "{name} bit {bit}");
            }
        }
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let trimmed = name == "digest" && length + 1 == bytes.len();
            assert_eq!(
                Checkpoint::read(run, 200).is_ok(),
                trimmed,
                "{name} {length}"
            );
        }
        fs::write(&path, &bytes).unwrap();
    }
}

/// A safetensors file with one tensor, byte by byte.
fn raw_safetensors(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!(
        r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{}]}}}}"#,
        data.len()
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[test]
fn tensors_of_other_widths_become_f32() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("t.safetensors");
    let wide: Vec<u8> = [0.1f64, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for (dtype, data, expected) in [
        ("F64", wide, vec![0.1f32, -2.0]),
        (
            "I64",
            [3i64, -2].iter().flat_map(|v| v.to_le_bytes()).collect(),
            vec![3.0, -2.0],
        ),
        ("F16", vec![0x00, 0x3c, 0x00, 0xc0], vec![1.0, -2.0]),
        ("BF16", vec![0x80, 0x3f, 0x00, 0xc0], vec![1.0, -2.0]),
    ] {
        fs::write(&path, raw_safetensors(dtype, "[2]", &data)).unwrap();
        let read = read_safetensors(&path).unwrap();
        assert_eq!(read, [NamedTensor::new("t", vec![2], expected)]);
    }
    fs::write(&path, raw_safetensors("I32", "[1]", &[0; 4])).unwrap();
    let error = read_safetensors(&path).unwrap_err().to_string();
    assert!(
        error.contains("tensor 't'") && error.contains("I32"),
        "{error}"
    );
    fs::write(
        &path,
        raw_safetensors("F32", "[4294967296,4294967296]", &[0; 4]),
    )
    .unwrap();
    assert!(read_safetensors(&path).is_err());
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(read_safetensors(&path).is_err());
    assert!(read_safetensors(&scratch.path().join("none")).is_err());
    let twice = [
        NamedTensor::new("a", vec![1], vec![0.0]),
        NamedTensor::new("a", vec![1], vec![1.0]),
    ];
    assert!(write_safetensors(&path, &twice).is_err());
}
