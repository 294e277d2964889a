//! One forward and one backward pass over the samples and, after them, as many baselines.

use super::Method;
use super::target::{Rows, Target};
use crate::Result;
use crate::nn::{Mode, Plan, Segment};
use crate::train::Trainer;

/// What a pass computes.
pub(super) struct Pass {
    /// The unit on each sample, then on each baseline.
    pub outputs: Vec<f64>,
    /// What the rule sends to the elements of each sample: gradients, multipliers or relevances.
    pub multipliers: Vec<f32>,
}

/// Runs the pass of a method.
pub(super) fn run(
    trainer: &Trainer,
    target: &Target<'_>,
    rows: &Rows,
    method: Method,
) -> Result<Pass> {
    let gpu = trainer.gpu();
    let node = target.graph.node(target.layer);
    let (batch, size) = (2 * rows.batch.count, node.size());
    let cotangent = gpu.buffer("cotangent", batch * size)?;
    let plan = Plan::request(&target.graph, batch)
        .mode(Mode::Eval)
        .rule(method.rule())
        .seed(trainer.scenario().seed)
        .cotangent(target.layer, &cotangent)
        .parameter_gradients(false)
        .keep_value(target.layer)
        .split_after(target.layer)
        .wrt(target.graph.input)
        .build(gpu, &target.parameters)?;
    let input = plan.value(target.graph.input).expect("inputs are kept");
    gpu.write(input, 0, &rows.batch.samples);
    for sample in 0..rows.batch.count {
        let at = (rows.batch.count + sample) * rows.baseline.len();
        gpu.write(input, at, &rows.baseline);
    }
    rows.batch.write_labels(trainer, &plan, 2);
    // What follows the layer is not computed.
    let forward = Segment::ForwardTo(target.layer);
    gpu.run("attribution", plan.segment(forward, false));
    let values = gpu.read(plan.value(target.layer).expect("asked for"))?;
    let elements = target.elements();
    let share = 1.0 / elements.len() as f32;
    let mut starts = vec![0.0; batch * size];
    let mut outputs = Vec::with_capacity(batch);
    for (row, starts) in values.chunks_exact(size).zip(starts.chunks_exact_mut(size)) {
        let of_unit = &row[elements.clone()];
        let sum: f64 = of_unit.iter().map(|&value| f64::from(value)).sum();
        outputs.push(sum / elements.len() as f64);
        for (start, value) in starts[elements.clone()].iter_mut().zip(of_unit) {
            *start = match method {
                Method::Lrp => share * value,
                _ => share,
            };
        }
    }
    gpu.write(&cotangent, 0, &starts);
    gpu.run("attribution", plan.segment(Segment::Backward, false));
    let mut multipliers = gpu.read(plan.gradient(target.graph.input).expect("asked for"))?;
    multipliers.truncate(rows.batch.samples.len());
    Ok(Pass {
        outputs,
        multipliers,
    })
}
