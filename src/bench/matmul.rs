//! The matrix product of square matrices.

use super::{GpuTimer, Measured};
use crate::Result;
use crate::gpu::Gpu;
use crate::nn::matmul::{Matmul, MatrixLayout};

/// `[size, size]` times `[size, size]`, both as they lie.
///
/// # Errors
/// Too little memory, or the device was lost.
pub fn matmul(gpu: &Gpu, timer: &GpuTimer, size: usize) -> Result<Measured> {
    let values: Vec<f32> = (0..size * size)
        .map(|i| (i % 17) as f32 * 0.1 - 0.8)
        .collect();
    let a = gpu.upload("a", &values)?;
    let b = gpu.upload("b", &values)?;
    let c = gpu.buffer::<f32>("c", size * size)?;
    let product = Matmul {
        m: size,
        n: size,
        k: size,
        a: (a.binding(), MatrixLayout::RowMajor),
        b: (b.binding(), MatrixLayout::RowMajor),
        bias: None,
        c: c.binding(),
        bias_gradient: None,
        accumulate: false,
    };
    let dispatch = product.dispatch(gpu)?;
    Ok(Measured {
        name: format!("matmul {size}"),
        dispatches: 1,
        seconds: timer.seconds(&[&dispatch])?,
        flops: dispatch.flops(),
        bytes: dispatch.bytes() as f64,
    })
}
