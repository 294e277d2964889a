//! The peak rates of an adapter: multiplications and additions, and bytes moved.

use super::GpuTimer;
use crate::Result;
use crate::gpu::{Gpu, Shader, grid, groups};
use crate::shader;

static PEAK: Shader = shader!("bench/peak.wgsl");
static COPY: Shader = shader!("bench/copy.wgsl");

/// The number of operations of an invocation of `shaders/bench/peak.wgsl`: rounds, chains, lanes of a vector, and two each.
const PEAK_FLOPS: f64 = 256.0 * 3.0 * 4.0 * 2.0;
/// The number of its invocations, on a software adapter and on a GPU.
const PEAK_INVOCATIONS: [usize; 2] = [1 << 16, 1 << 22];
/// The number of bytes that are copied, on a software adapter and on a GPU: more than any cache holds.
const COPIED: [usize; 2] = [64 << 20, 512 << 20];

/// The measured peak rates of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Float32 operations per second; a multiplication with an addition counts as two.
    pub flops: f64,
    /// Bytes per second, read and written.
    pub bandwidth: f64,
}

impl Roofline {
    /// Measures both.
    ///
    /// # Errors
    /// Too little memory, or the device was lost.
    pub fn measure(gpu: &Gpu, timer: &GpuTimer) -> Result<Self> {
        let kind = usize::from(gpu.info().device_type != wgpu::DeviceType::Cpu);
        let invocations = PEAK_INVOCATIONS[kind];
        let result = gpu.buffer::<[f32; 4]>("peak", invocations)?;
        let peak = gpu.kernel(&PEAK, "main", &[]).bind(
            gpu,
            &[(0, result.binding())],
            [groups(invocations, 64), 1, 1],
        );
        let vectors = COPIED[kind].min(gpu.max_binding_size() as usize) / 16;
        let source = gpu.buffer::<[f32; 4]>("copied", vectors)?;
        let target = gpu.buffer::<[f32; 4]>("copy", vectors)?;
        let copy = gpu.kernel(&COPY, "main", &[]).bind(
            gpu,
            &[(0, source.binding()), (1, target.binding())],
            grid(vectors, 256),
        );
        Ok(Self {
            flops: PEAK_FLOPS * invocations as f64 / timer.seconds(&[&peak])?,
            bandwidth: copy.bytes() as f64 / timer.seconds(&[&copy])?,
        })
    }

    /// The least seconds that the adapter needs for so many operations and bytes: the longer time of the two.
    pub fn least_seconds(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.flops).max(bytes / self.bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_of_both_is_the_limit() {
        let roofline = Roofline {
            flops: 100.0,
            bandwidth: 10.0,
        };
        assert_eq!(roofline.least_seconds(200.0, 10.0), 2.0);
        assert_eq!(roofline.least_seconds(200.0, 50.0), 5.0);
    }
}
