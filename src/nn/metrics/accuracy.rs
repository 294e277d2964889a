//! Whether the outputs of a sample are right.

use crate::gpu::{Dispatch, Shader, groups};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static ACCURACY: Shader = shader!("nn/metrics/accuracy.wgsl");

/// Inputs: logits and what they should say; output: 1 for each sample that is right, else 0, whose mean is the share of
/// right ones. A sample with a NaN among its logits is wrong. Has no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accuracy {
    /// The largest logit is the label's, one `u32` per sample in the buffer's bits. Of equal largest logits the first
    /// counts. Labels past the last class count as the last, as in
    /// [`SoftmaxCrossEntropy`](crate::nn::losses::SoftmaxCrossEntropy).
    TopOne,
    /// Every logit is above 0 exactly where its target is 1 (the exact-match ratio of classification with several
    /// labels).
    ExactMatch,
}

gpu_struct! {
    struct AccuracyUniforms in ACCURACY::Uniforms {
        batch: u32,
        outputs: u32,
    }
}

impl Operation for Accuracy {
    fn kind(&self) -> &'static str {
        match self {
            Self::TopOne => "accuracy",
            Self::ExactMatch => "exact_match",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [logits, wanted] = expect_inputs(inputs, ["logits", "labels or targets"])?;
        let (logits_len, wanted_len) = (elements(logits), elements(wanted));
        match self {
            Self::TopOne if logits_len < 2 || wanted_len != 1 => Err(ShapeError::new(
                format!("logits {logits:?} and labels {wanted:?}"),
                "at least two logits and one label per sample",
            )),
            Self::ExactMatch if logits_len != wanted_len => Err(ShapeError::new(
                format!("logits {logits:?} and targets {wanted:?}"),
                "as many targets as logits",
            )),
            _ => Ok(Vec::new()),
        }
    }

    fn differentiable(&self, _input: usize) -> bool {
        false
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let entry = match self {
            Self::TopOne => "largest",
            Self::ExactMatch => "exact_match",
        };
        let kernel = context.gpu.kernel(&ACCURACY, entry, &[]);
        let uniforms = AccuracyUniforms {
            batch: context.batch as u32,
            outputs: elements(io.input_shapes[0]) as u32,
        };
        let workgroups = [groups(context.batch, 64), 1, 1];
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Accuracy {
    /// Labels come as numbers here, not as bits.
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let outputs = elements(io.input_shapes[0]);
        let wanted = io.inputs[1].chunks(elements(io.input_shapes[1]));
        let samples = io.inputs[0].chunks(outputs).zip(wanted);
        let is_right = |(logits, wanted): (&[f64], &[f64])| match self {
            Self::TopOne => {
                let label = (wanted[0] as usize).min(outputs - 1);
                let (before, from) = logits.split_at(label);
                // A comparison with NaN is false.
                before.iter().all(|logit| *logit < from[0])
                    && from.iter().all(|logit| *logit <= from[0])
            }
            Self::ExactMatch => logits
                .iter()
                .zip(wanted)
                .all(|(logit, target)| !logit.is_nan() && (*logit > 0.0) == (*target > 0.5)),
        };
        samples
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
