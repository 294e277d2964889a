//! The order in which lines are offered: non-finite ones, outliers, the rest; each class by a hash of the line.

use bytemuck::{Pod, Zeroable};

use super::envelope::Envelopes;
use crate::Result;
use crate::gpu::{Gpu, Shader, grid, groups};
use crate::random::{self, Stream};
use crate::shader;

static PRIORITY: Shader = shader!("sample/priority.wgsl");

/// Lines per block of moments, as in the shader.
const BLOCK: usize = 1024;

/// The class of lines with a value that is not finite.
pub(super) const NONFINITE: u32 = 0;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    lines: u32,
    pairs: u32,
    blocks: u32,
    padding: u32,
}

/// The class of each line: 0 non-finite, 1 outlier, 2 ordinary.
pub(super) fn buckets(gpu: &Gpu, envelopes: &Envelopes) -> Result<Vec<u32>> {
    let Envelopes { lines, pairs, .. } = *envelopes;
    let blocks = lines.div_ceil(BLOCK);
    let sums = gpu.buffer::<[f32; 4]>("column sums", blocks * pairs)?;
    let counts = gpu.buffer::<[f32; 2]>("column counts", blocks * pairs)?;
    let moments = gpu.buffer::<[f32; 4]>("column moments", pairs)?;
    let buckets = gpu.buffer::<u32>("priority classes", lines)?;
    let uniform = gpu.uniform(
        "priority",
        &Parameters {
            lines: lines as u32,
            pairs: pairs as u32,
            blocks: blocks as u32,
            padding: 0,
        },
    );
    let parameters = || (0, uniform.as_entire_binding());
    let kernel = |entry| gpu.kernel(&PRIORITY, entry, &[]);
    let column_groups = groups(pairs, 64);
    let dispatches = [
        kernel("block_moments").bind(
            gpu,
            &[
                parameters(),
                (1, envelopes.buffer.binding()),
                (2, sums.binding()),
                (3, counts.binding()),
            ],
            [column_groups, blocks as u32, 1],
        ),
        kernel("column_moments").bind(
            gpu,
            &[
                parameters(),
                (2, sums.binding()),
                (3, counts.binding()),
                (4, moments.binding()),
            ],
            [column_groups, 1, 1],
        ),
        kernel("classify").bind(
            gpu,
            &[
                parameters(),
                (1, envelopes.buffer.binding()),
                (4, moments.binding()),
                (5, buckets.binding()),
            ],
            grid(lines, 64),
        ),
    ];
    gpu.run("priority", &dispatches);
    gpu.read(&buckets)
}

/// Lines in the order in which they are offered. The key is unique: class, hash, line.
pub(super) fn order(buckets: &[u32], seed: u64) -> Vec<u32> {
    let mut keys: Vec<(u32, u32, u32)> = (0u32..)
        .zip(buckets)
        .map(|(line, &bucket)| {
            let hash = random::words(seed, Stream::Priority, 0, line)[0];
            (bucket, hash, line)
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        PRIORITY,
        "Parameters",
        Parameters {
            lines,
            pairs,
            blocks,
            padding
        }
    );
}
