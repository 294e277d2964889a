//! Integrated gradients: the mean gradient along the straight path from the baseline to each sample.
//!
//! Points of the path are the midpoints of even parts, and many of them go through the network in one batch. Points,
//! gradients and their sums stay on the GPU; the sum over the path has a fixed order.

use super::target::{Rows, Target};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::nn::{Mode, Plan, Segment};
use crate::train::Trainer;
use crate::{Result, gpu_struct, shader};

static PATH: Shader = shader!("attribute/path.wgsl");

/// Rows of a batch: enough that matrix products are efficient.
const ROWS: usize = 512;
/// Values of the largest tensor of a batch, so that a path through a large network takes little memory.
const MAX_TENSOR: usize = 16 << 20;

gpu_struct! {
    struct PathUniforms in PATH::Uniforms {
        count: u32,
        sample_size: u32,
        points: u32,
        first: u32,
        path: u32,
    }
}

/// Points `first..first + points` of a path of `path` points.
#[derive(Debug, Clone, Copy)]
struct Part {
    first: usize,
    points: usize,
    path: usize,
}

/// `[samples, size]`: the mean over the path of the gradient of the unit with respect to the input.
pub(super) fn mean_gradients(
    trainer: &Trainer,
    target: &Target<'_>,
    rows: &Rows,
    path: usize,
) -> Result<Vec<f32>> {
    let gpu = trainer.gpu();
    let largest = target.graph.nodes().iter().map(|node| node.size()).max();
    let most_rows = ROWS.min(MAX_TENSOR / largest.unwrap_or(1).max(1));
    let points = (most_rows / rows.batch.count).clamp(1, path);
    let batch = points * rows.batch.count;
    let size = target.graph.node(target.layer).size();
    let elements = target.elements();
    let share = 1.0 / elements.len() as f32;
    let mut starts = vec![0.0; batch * size];
    for starts in starts.chunks_exact_mut(size) {
        starts[elements.clone()].fill(share);
    }
    let cotangent = gpu.upload("cotangent", &starts)?;
    let plan = Plan::request(&target.graph, batch)
        .mode(Mode::Eval)
        .seed(trainer.scenario().seed)
        .cotangent(target.layer, &cotangent)
        .parameter_gradients(false)
        .split_after(target.layer)
        .wrt(target.graph.input)
        .build(gpu, &target.parameters)?;
    rows.batch.write_labels(trainer, &plan, points);
    let samples = gpu.upload("samples", &rows.batch.samples)?;
    let baseline = gpu.upload("baseline", &rows.baseline)?;
    let sums = gpu.buffer("mean gradients", rows.batch.samples.len())?;
    let input = plan.value(target.graph.input).expect("inputs are kept");
    let gradient = plan.gradient(target.graph.input).expect("asked for");
    for first in (0..path).step_by(points) {
        let part = Part {
            first,
            points: points.min(path - first),
            path,
        };
        let forward = Segment::ForwardTo(target.layer);
        let before = interpolate(gpu, [&samples, &baseline], input, part);
        let after = accumulate(gpu, gradient, &sums, part);
        let dispatches = std::iter::once(&before)
            .chain(plan.segment(forward, false))
            .chain(plan.segment(Segment::Backward, false))
            .chain(std::iter::once(&after));
        gpu.run("integrated gradients", dispatches);
    }
    gpu.read(&sums)
}

fn uniforms(count: usize, sample_size: usize, part: Part) -> PathUniforms {
    PathUniforms {
        count: count as u32,
        sample_size: sample_size as u32,
        points: part.points as u32,
        first: part.first as u32,
        path: part.path as u32,
    }
}

/// Writes the points of a part to `points`, `[points, samples, size]`, from samples and one baseline for all.
fn interpolate(
    gpu: &Gpu,
    [samples, baseline]: [&Buffer<f32>; 2],
    points: &Buffer<f32>,
    part: Part,
) -> Dispatch {
    let uniform = gpu.uniform("path", &uniforms(samples.len(), baseline.len(), part));
    let bindings = [
        (0, uniform.binding()),
        (1, samples.binding()),
        (2, baseline.binding()),
        (3, points.binding()),
    ];
    let kernel = gpu.kernel(&PATH, "interpolate", &[]);
    kernel.bind(gpu, &bindings, grid(part.points * samples.len(), 64))
}

/// Adds the gradients at the points of a part to the mean over the whole path.
fn accumulate(gpu: &Gpu, gradients: &Buffer<f32>, mean: &Buffer<f32>, part: Part) -> Dispatch {
    let uniform = gpu.uniform("path", &uniforms(mean.len(), 1, part));
    let bindings = [
        (0, uniform.binding()),
        (1, gradients.binding()),
        (3, mean.binding()),
    ];
    let kernel = gpu.kernel(&PATH, "accumulate", &[]);
    kernel.bind(gpu, &bindings, grid(mean.len(), 64))
}
