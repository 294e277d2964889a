//! Whether the largest logit is the label's.

use bytemuck::{Pod, Zeroable};

use crate::Result;
use crate::gpu::{Dispatch, Shader, groups};
use crate::nn::operation::{
    Backward, Context, Forward, Misfit, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, Saved, elements, expect_inputs,
};
use crate::shader;

static ACCURACY: Shader = shader!("nn/accuracy.wgsl");

/// Inputs: logits `[classes]` and a label, one `u32` per sample in the buffer's bits; output: 1 for each sample whose
/// largest logit is its label's, else 0. Of equal largest logits the first counts. A sample with a NaN among its
/// logits gets 0. Labels past the last class count as the last, as in
/// [`SoftmaxCrossEntropy`](crate::nn::losses::SoftmaxCrossEntropy). Has no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    batch: u32,
    classes: u32,
    padding0: u32,
    padding1: u32,
}

impl Operation for Accuracy {
    fn kind(&self) -> &'static str {
        "accuracy"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, Misfit> {
        let [logits, label] = expect_inputs(inputs, ["logits", "label"])?;
        if elements(logits) < 2 || elements(label) != 1 {
            return Err(Misfit::new(
                format!("logits {logits:?} and labels {label:?}"),
                "at least two logits and one label per sample",
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
                classes: elements(io.input_shapes[0]) as u32,
                padding0: 0,
                padding1: 0,
            },
        );
        Ok(vec![context.gpu.kernel(&ACCURACY, "main", &[]).bind(
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

    /// Labels come as numbers here, not as bits.
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let classes = elements(io.input_shapes[0]);
        let is_right = |(logits, &label): (&[f64], &f64)| {
            let label = (label as usize).min(classes - 1);
            let (before, from) = logits.split_at(label);
            // A comparison with NaN is false.
            before.iter().all(|logit| *logit < from[0])
                && from.iter().all(|logit| *logit <= from[0])
        };
        io.inputs[0]
            .chunks(classes)
            .zip(io.inputs[1])
            .map(|sample| f64::from(u8::from(is_right(sample))))
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
        ACCURACY,
        "Parameters",
        Parameters {
            batch,
            classes,
            padding0,
            padding1
        }
    );
}
