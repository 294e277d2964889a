//! What an adapter can do at most: multiplications and additions, and bytes moved.

use super::Stopwatch;
use crate::Result;
use crate::gpu::{Gpu, Shader, grid, groups};
use crate::shader;

static PEAK: Shader = shader!("bench/peak.wgsl");
static COPY: Shader = shader!("bench/copy.wgsl");

/// Operations of an invocation of `shaders/bench/peak.wgsl`: rounds, chains, lanes of a vector, and two each.
const PEAK_FLOPS: f64 = 256.0 * 3.0 * 4.0 * 2.0;
/// Invocations of it: on a software adapter and on a GPU.
const PEAK_INVOCATIONS: [usize; 2] = [1 << 16, 1 << 22];
/// Bytes that are copied: past every cache, on a software adapter and on a GPU.
const COPIED: [usize; 2] = [64 << 20, 512 << 20];

/// An adapter's measured limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// Float32 operations a second; a multiplication with an addition counts as two.
    pub flops: f64,
    /// Bytes a second, read and written.
    pub bandwidth: f64,
}

impl Ceilings {
    /// Measures both.
    ///
    /// # Errors
    /// Too little memory, or the device was lost.
    pub fn measure(gpu: &Gpu, stopwatch: &Stopwatch) -> Result<Self> {
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
            flops: PEAK_FLOPS * invocations as f64 / stopwatch.seconds(&[&peak])?,
            bandwidth: copy.bytes() as f64 / stopwatch.seconds(&[&copy])?,
        })
    }

    /// The least seconds in which the adapter could do so much: what takes longer of both.
    pub fn least_seconds(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.flops).max(bytes / self.bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_both_is_the_limit() {
        let ceilings = Ceilings {
            flops: 100.0,
            bandwidth: 10.0,
        };
        assert_eq!(ceilings.least_seconds(200.0, 10.0), 2.0);
        assert_eq!(ceilings.least_seconds(200.0, 50.0), 5.0);
    }
}
