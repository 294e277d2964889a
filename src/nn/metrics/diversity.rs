//! How far the samples of a batch are apart.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::{Error, Result, gpu_struct, shader};

static DIVERSITY: Shader = shader!("nn/metrics/diversity.wgsl");
/// Lanes of the first pass, as in the shader.
const LANES: usize = 1024;

gpu_struct! {
    struct DiversityUniforms in DIVERSITY::Uniforms {
        batch: u32,
        size: u32,
        scale: f32,
    }
}

/// The dispatches that write to the first element of `result` the mean squared distance of two different samples of
/// `values`, `[batch, size]`, per element: the mean of `(a - b)^2` over the elements and over all pairs. That is twice
/// the mean over the elements of their unbiased variance over the batch, which is how it is computed. 0 where all
/// samples are equal, and of a batch of one.
///
/// # Errors
/// `values` holds less than that, or nothing at all, or the adapter's limits.
pub fn diversity(
    gpu: &Gpu,
    values: &Buffer<f32>,
    [batch, size]: [usize; 2],
    result: &Buffer<f32>,
) -> Result<Vec<Dispatch>> {
    let needed = batch.checked_mul(size);
    if needed.is_none_or(|needed| needed == 0 || needed > values.len()) {
        return Err(Error::input(
            format!("diversity of {batch} samples of {size} values"),
            format!("the buffer holds {}", values.len()),
            "give as many values as samples times values, and at least one",
        ));
    }
    let sums = gpu.scratch("diversity sums", LANES)?;
    let uniform = gpu.uniform(
        "diversity",
        &DiversityUniforms {
            batch: batch as u32,
            size: size as u32,
            scale: scale(batch, size) as f32,
        },
    );
    let deviations = [
        (0, uniform.binding()),
        (1, values.binding()),
        (2, sums.binding()),
    ];
    let total = [
        (0, uniform.binding()),
        (2, sums.binding()),
        (3, result.binding()),
    ];
    Ok(vec![
        gpu.kernel(&DIVERSITY, "deviations", &[])
            .bind(gpu, &deviations, [LANES as u32 / 64, 1, 1]),
        gpu.kernel(&DIVERSITY, "total", &[])
            .bind(gpu, &total, [1, 1, 1]),
    ])
}

/// What the sum of squared deviations from the means is multiplied with.
fn scale(batch: usize, size: usize) -> f64 {
    match batch {
        0 | 1 => 0.0,
        _ => 2.0 / ((batch - 1) as f64 * size as f64),
    }
}

/// The float64 reference implementation of [`diversity`].
pub fn reference_diversity(values: &[f64], [batch, size]: [usize; 2]) -> f64 {
    let mut squares = 0.0;
    for element in 0..size {
        let column = || (0..batch).map(|sample| values[sample * size + element]);
        let mean = column().sum::<f64>() / batch as f64;
        squares += column().map(|value| (value - mean).powi(2)).sum::<f64>();
    }
    squares * scale(batch, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_over_all_pairs() {
        let values = [0.5, -2.0, 3.0, 0.25, 1.0, 7.0, -4.0, 0.0];
        let (batch, size) = (4, 2);
        let (mut sum, mut pairs) = (0.0, 0.0);
        for a in 0..batch {
            for b in 0..a {
                pairs += 1.0;
                for i in 0..size {
                    sum += f64::powi(values[a * size + i] - values[b * size + i], 2);
                }
            }
        }
        let want = sum / (pairs * size as f64);
        let got = reference_diversity(&values, [batch, size]);
        assert!((got - want).abs() < 1e-12 * want, "{got}, not {want}");
    }
}
