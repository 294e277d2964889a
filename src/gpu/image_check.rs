//! Whether memory that is bound twice works as kernels rely on it. Vulkan does not promise that, so it is tried at the start.

use std::sync::Arc;

use super::device::Gpu;
use super::shader::Shader;
use crate::{Result, shader};

static CHECK: Shader = shader!("gpu/image_check.wgsl");

/// Vectors of four values: more than two rows of an image.
const VECTORS: usize = 2 * 1024 + 65;

/// Whether an image of a buffer shows what kernels have written into the buffer: all of it, in its order, and already in the
/// next dispatch of the same pass.
///
/// # Errors
/// The device was lost or reported an error.
pub(super) fn shows_writes(gpu: &Gpu) -> Result<bool> {
    let mut gpu = gpu.clone();
    // The buffers of the check do not count.
    gpu.memory_use = Arc::default();
    let gpu = &gpu;
    let values = gpu.buffer::<f32>("image check", 4 * VECTORS)?;
    let result = gpu.buffer::<f32>("image check", 4 * VECTORS)?;
    let workgroups = [VECTORS.div_ceil(64) as u32, 1, 1];
    let write = [(0, values.binding())];
    let read = [(1, values.binding().as_image()), (2, result.binding())];
    let dispatches = [
        gpu.kernel(&CHECK, "fill", &[])
            .bind(gpu, &write, workgroups),
        gpu.kernel(&CHECK, "copy_image", &[])
            .bind(gpu, &read, workgroups),
    ];
    gpu.run("image check", &dispatches);
    let read = gpu.read(&result)?;
    Ok(read
        .iter()
        .zip(0u16..)
        .all(|(value, i)| *value == f32::from(i)))
}
