//! `model.noise_file`: noise of a VAE that another framework drew.

use std::path::Path;

use crate::formats::npy::Array;
use crate::nn::ops::GivenNoise;
use crate::{Error, Result};

/// The most values that are read: a gibibyte of them on the GPU.
const MAX_VALUES: u64 = 1 << 28;

/// Reads `[steps or more, batch, latent]`; the steps that a run has no use for are left out.
///
/// # Errors
/// A missing or damaged file, another shape, or too few steps.
pub(super) fn read_noise(
    path: &Path,
    steps: u64,
    [batch, latent]: [usize; 2],
) -> Result<GivenNoise> {
    let array = Array::open(path)?;
    let wrong = |problem: String| {
        let hint = format!("save noise as [steps, batch, latent] = [{steps}, {batch}, {latent}]");
        Err(Error::file(path.display().to_string(), problem, hint))
    };
    let [known, of_batch, of_latent] = *array.shape() else {
        return wrong(format!("its shape is ({})", array.shape_text()));
    };
    let size = of_batch.saturating_mul(of_latent);
    if (of_batch, of_latent) != (batch as u64, latent as u64) || known < steps || size == 0 {
        return wrong(format!("its shape is ({})", array.shape_text()));
    }
    if array.is_fortran() {
        return wrong("its first dimension varies fastest (Fortran order)".to_owned());
    }
    if known.saturating_mul(size) > MAX_VALUES {
        return wrong(format!("it has more than {MAX_VALUES} values"));
    }
    let mut values = array.numbers(|value| Ok(value.to_f64() as f32))?;
    values.truncate((steps * size) as usize);
    GivenNoise::new(steps as usize, values)
}
