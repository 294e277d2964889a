//! Images from NumPy arrays.

use std::path::Path;

use npyz::TypeChar;

use super::Images;
use crate::formats::npy::Array;
use crate::{Error, Result};

/// How many pixel values an array may hold.
const MAX_VALUES: u64 = 2 << 30;

/// Reads images `[count, height, width]` or `[count, channels, height, width]` of 1 or 3 channels, as bytes or as float32
/// or float64 in `[0, 1]`; those are rounded to 255 steps. For `images.npy` labels are read from `images.labels.npy`,
/// integers from 0 to 255 `[count]`, where that exists.
///
/// # Errors
/// A missing, damaged or oversized file, another shape or type, a value outside of `[0, 1]` (NaN too), or labels that do
/// not fit.
pub fn npy_images(path: &Path) -> Result<Images> {
    let array = Array::open(path)?;
    let [count, channels, height, width] = match *array.shape() {
        [count, height, width] => [count, 1, height, width],
        [count, channels @ (1 | 3), height, width] => [count, channels, height, width],
        _ => {
            return Err(wrong(
                path,
                format!("its shape is ({})", array.shape_text()),
                "save images as [count, height, width] or [count, channels, height, width] with 1 or 3 channels",
            ));
        }
    };
    let total = [count, channels, height, width]
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size));
    if !total.is_some_and(|total| (1..=MAX_VALUES).contains(&total)) {
        return Err(wrong(
            path,
            "it is empty or holds more than 2 GiB of pixels".to_owned(),
            "save a part of the images",
        ));
    }
    if array.is_fortran() {
        return Err(wrong(
            path,
            "its first dimension varies fastest (Fortran order)".to_owned(),
            "save numpy.ascontiguousarray(images)",
        ));
    }
    let pixels = match array.kind()? {
        (TypeChar::Uint, 1) => array.collect::<u8, _>(Ok)?,
        (TypeChar::Float, 4) => array.collect(|value: f32| byte(value.into()))?,
        (TypeChar::Float, 8) => array.collect(byte)?,
        _ => {
            return Err(wrong(
                path,
                format!("its values are of type '{}'", array.kind_text()),
                "save bytes, or float32 in [0, 1]",
            ));
        }
    };
    let labels = labels(&path.with_extension("labels.npy"), count)?;
    let name = path.file_stem().unwrap_or(path.as_os_str());
    Ok(Images {
        count: count as usize,
        shape: [channels as usize, height as usize, width as usize],
        pixels,
        classes: labels.iter().max().map_or(0, |&l| usize::from(l) + 1),
        labels,
        name: name.to_string_lossy().into_owned(),
        skipped: Vec::new(),
    })
}

fn byte(value: f64) -> std::result::Result<u8, String> {
    if (0.0..=1.0).contains(&value) {
        Ok((value * 255.0).round() as u8)
    } else {
        Err(format!("{value} is not in [0, 1]"))
    }
}

fn labels(path: &Path, count: u64) -> Result<Vec<u8>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let array = Array::open(path)?;
    if array.shape() != [count] {
        return Err(wrong(
            path,
            format!("its shape is ({})", array.shape_text()),
            &format!("save one label for each of the {count} images"),
        ));
    }
    let label = |value: i64| {
        u8::try_from(value).map_err(|_| format!("the label {value} is not in 0 to 255"))
    };
    match array.kind()? {
        (TypeChar::Uint, 1) => array.collect::<u8, _>(Ok),
        (TypeChar::Int, 4) => array.collect(|value: i32| label(value.into())),
        (TypeChar::Int, 8) => array.collect(label),
        _ => Err(wrong(
            path,
            format!("its values are of type '{}'", array.kind_text()),
            "save labels as uint8, int32 or int64",
        )),
    }
}

fn wrong(path: &Path, problem: String, hint: &str) -> Error {
    Error::file(path.display().to_string(), problem, hint)
}
