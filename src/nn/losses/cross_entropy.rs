//! Cross-entropy of a softmax against class labels.

use crate::gpu::{Dispatch, Shader, groups};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, ValueRange, elements, expect_inputs,
};
use crate::nn::per_sample;
use crate::{Result, gpu_struct, shader};

static CROSS_ENTROPY: Shader = shader!("nn/losses/cross_entropy.wgsl");

/// Inputs: logits `[classes]` and a label, one `u32` per sample in the buffer's bits; output: the cross-entropy of
/// each sample in nats. Labels past the last class count as the last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoftmaxCrossEntropy {
    /// The share of each label that is spread evenly over all classes (Szegedy et al. 2016): PyTorch's `label_smoothing`.
    pub smoothing: f32,
}

impl SoftmaxCrossEntropy {
    fn constants(self) -> [(&'static str, f64); 1] {
        [("SMOOTHING", f64::from(self.smoothing))]
    }

    /// What the label of a sample asks of a class out of so many.
    fn wanted(self, is_label: bool, classes: usize) -> f64 {
        let smoothing = f64::from(self.smoothing);
        (1.0 - smoothing) * f64::from(u8::from(is_label)) + smoothing / classes as f64
    }
}

gpu_struct! {
    struct CrossEntropyUniforms in CROSS_ENTROPY::Uniforms {
        batch: u32,
        classes: u32,
        accumulate: u32,
    }
}

impl CrossEntropyUniforms {
    fn new(context: &Context<'_>, logits: &[usize], accumulate: bool) -> Self {
        Self {
            batch: context.batch as u32,
            classes: elements(logits) as u32,
            accumulate: accumulate.into(),
        }
    }
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest
        + logits
            .iter()
            .map(|logit| (logit - largest).exp())
            .sum::<f64>()
            .ln()
}

impl Operation for SoftmaxCrossEntropy {
    fn kind(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn properties(&self) -> &'static [Property] {
        &[
            Property::CrossEntropy,
            Property::Categorical,
            Property::Nats,
        ]
    }

    fn range(&self) -> ValueRange {
        ValueRange::NOT_NEGATIVE
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [logits, label] = expect_inputs(inputs, ["logits", "label"])?;
        if elements(logits) < 2 || elements(label) != 1 {
            return Err(ShapeError::new(
                format!("logits {logits:?} and labels {label:?}"),
                "at least two logits and one label per sample",
            ));
        }
        Ok(Vec::new())
    }

    fn differentiable(&self, input: usize) -> bool {
        input == 0
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let kernel = context
            .gpu
            .kernel(&CROSS_ENTROPY, "forward", &self.constants());
        let uniforms = CrossEntropyUniforms::new(context, io.input_shapes[0], false);
        let workgroups = [groups(context.batch, 64), 1, 1];
        Ok(per_sample::forward(
            context, io, &kernel, &uniforms, workgroups,
        ))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let kernel = context
            .gpu
            .kernel(&CROSS_ENTROPY, "backward", &self.constants());
        let uniforms = CrossEntropyUniforms::new(context, io.input_shapes[0], target.accumulate);
        let workgroups = [groups(context.batch, 64), 1, 1];
        let read = (target, &[0, 1][..]);
        Ok(vec![per_sample::backward(
            context, io, &kernel, read, &uniforms, workgroups,
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for SoftmaxCrossEntropy {
    /// Labels come as numbers here, not as bits.
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let classes = elements(io.input_shapes[0]);
        io.inputs[0]
            .chunks(classes)
            .zip(io.inputs[1])
            .map(|(logits, &label)| {
                let label = (label as usize).min(classes - 1);
                let wanted = (0..classes).map(|i| self.wanted(i == label, classes));
                // What is not wanted may be infinite.
                let wanted = wanted.zip(logits).filter(|(share, _)| *share != 0.0);
                let logit = wanted.map(|(share, logit)| share * logit).sum::<f64>();
                log_sum_exp(logits) - logit
            })
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let classes = elements(io.forward.input_shapes[0]);
        let mut gradient = Vec::with_capacity(io.forward.inputs[0].len());
        for (sample, logits) in io.forward.inputs[0].chunks(classes).enumerate() {
            let normalizer = log_sum_exp(logits);
            let label = (io.forward.inputs[1][sample] as usize).min(classes - 1);
            for (i, logit) in logits.iter().enumerate() {
                let wanted = self.wanted(i == label, classes);
                gradient.push(io.output_gradient[sample] * ((logit - normalizer).exp() - wanted));
            }
        }
        ReferenceGradients {
            inputs: vec![gradient, Vec::new()],
            parameters: Vec::new(),
        }
    }
}
