//! Images from NumPy arrays.

use std::path::Path;

use npyz::TypeChar;

use super::Images;
use crate::formats::npy::{Array, Number};
use crate::{Error, Result};

/// How many pixel values an array may hold.
const MAX_VALUES: u64 = 2 << 30;

/// Reads images `[count, height, width]` or `[count, channels, height, width]` of 1 or 3 channels: bytes; floats in
/// `[0, 1]`, which are rounded to 255 steps; or booleans, black and white. For `images.npy` labels are read from `images.labels.npy`,
/// integers from 0 to 255 `[count]`, where that exists.
///
/// # Errors
/// A missing, damaged or oversized file, another shape or type, a value outside of `[0, 1]` (NaN too), or labels that do
/// not fit.
pub fn npy_images(path: &Path) -> Result<Images> {
    let array = Array::open(path)?;
    check_layout(path, array.shape())?;
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
    let is_readable = matches!(
        array.kind()?,
        (TypeChar::Uint, 1) | (TypeChar::Float, _) | (TypeChar::Bool, _)
    );
    if !is_readable {
        return Err(wrong(
            path,
            format!("its values are of type '{}'", array.kind_text()),
            "save bytes, or float32 in [0, 1]",
        ));
    }
    let is_bool = matches!(array.kind()?, (TypeChar::Bool, _));
    let pixels = array.numbers(byte)?;
    let labels = labels(&path.with_extension("labels.npy"), count)?;
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let images = Images {
        count: count as usize,
        shape: [channels as usize, height as usize, width as usize],
        pixels,
        classes: labels.iter().max().map_or(0, |&l| usize::from(l) + 1),
        labels,
        name: name.to_string_lossy().into_owned(),
        ..Images::default()
    };
    if !is_bool {
        images.check_range(path)?;
    }
    Ok(images)
}

/// Refuses three dimensions that are no images one after the other, though they could be read so: one image with its
/// channels last, or images along the last dimension.
fn check_layout(path: &Path, shape: &[u64]) -> Result<()> {
    let &[first, second, last] = shape else {
        return Ok(());
    };
    let shape = format!("its shape is ({first}, {second}, {last})");
    if matches!(last, 1 | 3 | 4) && first.min(second) > 4 {
        return Err(wrong(
            path,
            format!("{shape}, which looks like one image with its {last} channels last"),
            "save images as [count, channels, height, width]: numpy.moveaxis(image, -1, 0)[None]",
        ));
    }
    if first == second && last > 4 * second && first > 4 {
        return Err(wrong(
            path,
            format!("{shape}, which looks like images along the last dimension"),
            "save images as [count, height, width]: numpy.moveaxis(images, -1, 0)",
        ));
    }
    Ok(())
}

/// A pixel: bytes as they are, floats in 255 steps, and true as white.
fn byte(value: Number) -> std::result::Result<u8, String> {
    match value {
        Number::Bool(is_set) => Ok(if is_set { 255 } else { 0 }),
        Number::Integer(value) => {
            u8::try_from(value).map_err(|_| format!("{value} is not in 0 to 255"))
        }
        Number::Float(value) if (0.0..=1.0).contains(&value) => Ok((value * 255.0).round() as u8),
        Number::Float(value) => Err(format!("{value} is not in [0, 1]")),
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
    let is_readable = matches!(array.kind()?, (TypeChar::Uint, 1) | (TypeChar::Int, 4 | 8));
    if !is_readable {
        return Err(wrong(
            path,
            format!("its values are of type '{}'", array.kind_text()),
            "save labels as uint8, int32 or int64",
        ));
    }
    array.numbers(|value| {
        let value = value.to_i128();
        u8::try_from(value).map_err(|_| format!("the label {value} is not in 0 to 255"))
    })
}

fn wrong(path: &Path, problem: String, hint: &str) -> Error {
    Error::file(path.display().to_string(), problem, hint)
}
