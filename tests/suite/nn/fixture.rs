//! Reads the fixtures that PyTorch made (tests/fixtures/README.md).

use std::collections::HashMap;
use std::path::Path;
use trainscope::tensor::NamedTensor;

use safetensors::{Dtype, SafeTensors};

/// A file of tensors, all widened to float64.
pub struct Fixture {
    tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Fixture {
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(format!("{name}.safetensors"));
        let bytes = std::fs::read(path).expect("a fixture");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let data = view.data();
                let values = match view.dtype() {
                    Dtype::F32 => four(data, |b| f64::from(f32::from_le_bytes(b))),
                    Dtype::I32 => four(data, |b| f64::from(i32::from_le_bytes(b))),
                    Dtype::I64 => data
                        .chunks_exact(8)
                        .map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes")) as f64)
                        .collect(),
                    Dtype::F64 => data
                        .chunks_exact(8)
                        .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
                        .collect(),
                    other => panic!("{name} is {other:?}"),
                };
                (name, (view.shape().to_vec(), values))
            })
            .collect();
        Self { tensors }
    }

    pub fn get(&self, name: &str) -> &[f64] {
        &self
            .tensors
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .1
    }

    /// As float32, in which it was stored or computed with.
    pub fn narrow(&self, name: &str) -> Vec<f32> {
        self.get(name).iter().map(|&value| value as f32).collect()
    }

    /// The tensors whose name begins with `prefix`, without it.
    pub fn named(&self, prefix: &str) -> Vec<NamedTensor> {
        let own = self.tensors.iter().filter_map(|(name, (shape, _))| {
            let short = name.strip_prefix(prefix)?;
            Some(NamedTensor::new(short, shape.clone(), self.narrow(name)))
        });
        own.collect()
    }
}

fn four(data: &[u8], value: impl Fn([u8; 4]) -> f64) -> Vec<f64> {
    let words = data.chunks_exact(4);
    words
        .map(|b| value(b.try_into().expect("four bytes")))
        .collect()
}
