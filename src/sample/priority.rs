//! The order in which lines are considered: those without values, non-finite ones, outliers, the rest; each tier by a hash of the line.

use super::envelope::Envelopes;
use crate::gpu::{Gpu, Shader, grid, groups};
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static PRIORITY: Shader = shader!("sample/priority.wgsl");

/// Lines per block of moments, as in the shader.
const BLOCK: usize = 1024;

gpu_struct! {
    struct PriorityUniforms in PRIORITY::Uniforms {
        lines: u32,
        quads: u32,
        blocks: u32,
    }
}

/// Four values, for the four heights of a quad.
type Quad = [f32; 4];

/// How early a line is considered; tiers are in the order in which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityTier {
    /// It has no value at all: NaN at every step.
    Empty,
    /// It has values, and some that are not finite.
    Nonfinite,
    /// At some height of its row it lies farther than four standard deviations (and 0.002 of the chart's height) from
    /// the mean of all lines that are finite there.
    Outlier,
    /// All others.
    Ordinary,
}

/// The tier of each line, from moments taken on the GPU in an order that does not change.
///
/// # Errors
/// The adapter's limits, or a lost device.
pub fn priority_tiers(gpu: &Gpu, envelopes: &Envelopes) -> Result<Vec<PriorityTier>> {
    let (lines, quads) = (envelopes.lines(), envelopes.quads());
    let blocks = lines.div_ceil(BLOCK);
    let sums = gpu.buffer::<[Quad; 3]>("column sums", blocks * quads)?;
    let moments = gpu.buffer::<[Quad; 2]>("column moments", quads)?;
    let buckets = gpu.buffer::<u32>("priority tiers", lines)?;
    let uniform = gpu.uniform(
        "priority",
        &PriorityUniforms {
            lines: lines as u32,
            quads: quads as u32,
            blocks: blocks as u32,
        },
    );
    let parameters = || (0, uniform.binding());
    let kernel = |entry| gpu.kernel(&PRIORITY, entry, &[]);
    let quad_groups = groups(quads, 32);
    let dispatches = [
        kernel("block_sums").bind(
            gpu,
            &[
                parameters(),
                (1, envelopes.buffer().binding()),
                (2, sums.binding()),
            ],
            [quad_groups, blocks as u32, 1],
        ),
        kernel("column_moments").bind(
            gpu,
            &[parameters(), (2, sums.binding()), (3, moments.binding())],
            [quad_groups, 1, 1],
        ),
        kernel("classify").bind(
            gpu,
            &[
                parameters(),
                (1, envelopes.buffer().binding()),
                (3, moments.binding()),
                (4, buckets.binding()),
                (5, envelopes.nonfinite().binding()),
            ],
            grid(lines, 64),
        ),
    ];
    gpu.run("priority", &dispatches);
    let tier = |bucket| match bucket {
        0 => PriorityTier::Empty,
        1 => PriorityTier::Nonfinite,
        2 => PriorityTier::Outlier,
        _ => PriorityTier::Ordinary,
    };
    Ok(gpu.read(&buckets)?.into_iter().map(tier).collect())
}

/// Lines in the order in which they are considered. The key is unique: tier, hash of the line, line.
pub fn order(tiers: &[PriorityTier], seed: u64) -> Vec<u32> {
    let mut keys: Vec<(PriorityTier, u32, u32)> = (0u32..)
        .zip(tiers)
        .map(|(line, &tier)| {
            let hash = random::words(seed, Stream::Priority, 0, line)[0];
            (tier, hash, line)
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, line)| line).collect()
}
