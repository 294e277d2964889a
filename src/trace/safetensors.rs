//! Named tensors in safetensors files.

use std::collections::HashSet;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView};
use ::safetensors::{SafeTensorError, SafeTensors};

use crate::files;
use crate::number::from_half;
use crate::signature::{Expected, START, other_kind};
use crate::tensor::NamedTensor;
use crate::{Error, Result};

/// The most bytes of a file that is read.
const MAX_BYTES: u64 = 4 << 30;

/// Reads all tensors of a safetensors file, sorted by name. Values of 64 and 16 bits become f32, integers of
/// 64 bits too (PyTorch's counters).
///
/// # Errors
/// The file is missing, larger than 4 GiB, no safetensors, or holds a tensor of another type.
pub fn read_safetensors(path: &Path) -> Result<Vec<NamedTensor>> {
    let bytes = files::read_bounded(path, MAX_BYTES)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        let name = path.display().to_string();
        let start = &bytes[..bytes.len().min(START)];
        other_kind(&name, start, Expected::Safetensors)
            .unwrap_or_else(|| Error::file(name, problem(&error), "fetch or write it again"))
            .with_source(error)
    })?;
    let mut tensors = file
        .iter()
        .map(|(name, view)| {
            let values = floats(&view).ok_or_else(|| {
                Error::file(
                    format!("{}, tensor '{name}'", path.display()),
                    format!("its values are {:?}", view.dtype()),
                    "convert them to F32",
                )
            })?;
            Ok(NamedTensor::new(name, view.shape().to_vec(), values))
        })
        .collect::<Result<Vec<_>>>()?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// What is wrong with a file that is no other format's.
fn problem(error: &SafeTensorError) -> &'static str {
    match error {
        SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => {
            "not a valid safetensors file: it is cut short, or has more bytes than its header says"
        }
        SafeTensorError::HeaderTooLarge | SafeTensorError::HeaderTooSmall => {
            "not a valid safetensors file: it does not begin as one"
        }
        _ => "not a valid safetensors file: its header is damaged",
    }
}

/// Writes named tensors as a safetensors file, with the metadata that PyTorch's readers look for. A counter of batches,
/// `num_batches_tracked`, is an integer there.
///
/// # Errors
/// A shape that does not fit its values, a name that comes twice, or a disk that cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    write_safetensors_with_integers(path, tensors, &[])
}

/// Writes named tensors, and vectors of integers (as `I64`, which every reader knows), as a safetensors file.
///
/// # Errors
/// As [`write_safetensors`].
pub fn write_safetensors_with_integers(
    path: &Path,
    tensors: &[NamedTensor],
    integers: &[(String, Vec<u32>)],
) -> Result<()> {
    let wrong = |name: &str, problem: String| {
        Error::file(
            format!("{}, tensor '{name}'", path.display()),
            problem,
            "report this as a bug",
        )
    };
    let floats = tensors.iter().map(|tensor| {
        let shape = tensor.shape.clone();
        if tensor.name.ends_with("num_batches_tracked") {
            let counters = tensor.values.iter();
            let bytes = counters.flat_map(|&count| (count as i64).to_le_bytes());
            return (&tensor.name, Dtype::I64, shape, bytes.collect());
        }
        let bytes = little_endian(&tensor.values);
        (&tensor.name, Dtype::F32, shape, bytes)
    });
    let integers = integers.iter().map(|(name, values)| {
        let bytes = values
            .iter()
            .flat_map(|&value| i64::from(value).to_le_bytes());
        (name, Dtype::I64, vec![values.len()], bytes.collect())
    });
    let encoded: Vec<(&String, Dtype, Vec<usize>, Vec<u8>)> = floats.chain(integers).collect();
    let mut names = HashSet::new();
    let mut views: Vec<(&str, TensorView<'_>)> = Vec::new();
    for (name, dtype, shape, bytes) in &encoded {
        if !names.insert(name) {
            return Err(wrong(name, "two tensors have this name".to_owned()));
        }
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .map_err(|error| wrong(name, error.to_string()))?;
        views.push((name, view));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let file = ::safetensors::serialize(views, Some(metadata))
        .map_err(|error| wrong("", format!("cannot encode it: {error}")))?;
    files::write_whole(path, &file)
}

pub(super) fn little_endian(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|chunk| value(*chunk)).collect()
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::F16 => each(bytes, |b| from_half(u16::from_le_bytes(b))),
        Dtype::BF16 => each(bytes, |b| {
            f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
        }),
        _ => return None,
    })
}
