//! Whether all outputs of a sample are on the right side of their threshold.

use bytemuck::{Pod, Zeroable};

use crate::Result;
use crate::gpu::{Dispatch, Shader, groups};
use crate::nn::operation::{
    Backward, Context, Forward, Misfit, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, Saved, elements, expect_inputs,
};
use crate::shader;

static EXACT_MATCH: Shader = shader!("nn/exact_match.wgsl");

/// Inputs: logits and targets of 0 or 1, of as many elements; output: 1 for each sample whose logits are above 0 exactly
/// where its targets are 1, else 0 (the exact-match ratio of classification with several labels). A sample with a NaN
/// among its logits gets 0. Has no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactMatch;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    batch: u32,
    outputs: u32,
    padding0: u32,
    padding1: u32,
}

impl Operation for ExactMatch {
    fn kind(&self) -> &'static str {
        "exact_match"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, Misfit> {
        let [logits, targets] = expect_inputs(inputs, ["logits", "targets"])?;
        if elements(logits) != elements(targets) {
            return Err(Misfit::new(
                format!("logits {logits:?} and targets {targets:?}"),
                "as many targets as logits",
            ));
        }
        Ok(Vec::new())
    }

    fn differentiable(&self, _input: usize) -> bool {
        false
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let uniform = context.gpu.uniform(
            self.kind(),
            &Parameters {
                batch: context.batch as u32,
                outputs: elements(io.input_shapes[0]) as u32,
                padding0: 0,
                padding1: 0,
            },
        );
        Ok(vec![context.gpu.kernel(&EXACT_MATCH, "main", &[]).bind(
            context.gpu,
            &[
                (0, uniform.as_entire_binding()),
                (1, io.inputs[0].binding()),
                (2, io.inputs[1].binding()),
                (3, io.output.binding()),
            ],
            [groups(context.batch, 64), 1, 1],
        )])
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let outputs = elements(io.input_shapes[0]);
        let is_right =
            |(logit, target): (&f64, &f64)| !logit.is_nan() && (*logit > 0.0) == (*target > 0.5);
        let samples = io.inputs[0]
            .chunks(outputs)
            .zip(io.inputs[1].chunks(outputs));
        samples
            .map(|(logits, targets)| logits.iter().zip(targets).all(is_right))
            .map(|matches| f64::from(u8::from(matches)))
            .collect()
    }

    fn reference_backward(&self, _io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![Vec::new(), Vec::new()],
            parameters: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        EXACT_MATCH,
        "Parameters",
        Parameters {
            batch,
            outputs,
            padding0,
            padding1
        }
    );
}
