//! A part of a sample along its first axis.

use std::ops::Range;

use crate::Result;
use crate::gpu::Dispatch;
use crate::nn::copy::copy;
use crate::nn::operation::{
    Backward, Context, Differential, Forward, Operation, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::vectors;
use crate::nn::{Mode, Propagation};

/// `count` positions along the first axis from `first` on: channels of images. The other axes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The first position.
    pub first: usize,
    /// How many.
    pub count: usize,
}

impl Slice {
    /// Elements of a sample, of the part, and before it.
    fn sizes(self, input: &[usize]) -> [usize; 3] {
        let each = elements(&input[1..]);
        [elements(input), self.count * each, self.first * each]
    }
}

impl Operation for Slice {
    fn kind(&self) -> &'static str {
        "slice"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        let end = self.first.checked_add(self.count);
        if self.count == 0 || x.is_empty() || end.is_none_or(|end| end > x[0]) {
            return Err(ShapeError::new(
                format!("{x:?}"),
                format!(
                    "positions {} to {} along the first axis",
                    self.first,
                    end.unwrap_or(usize::MAX)
                ),
            ));
        }
        let mut shape = x.to_vec();
        shape[0] = self.count;
        Ok(shape)
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn origins(&self, inputs: &[&[usize]]) -> Option<Vec<[usize; 2]>> {
        let [_, count, before] = self.sizes(inputs[0]);
        let elements = before..before + count;
        Some(elements.map(|element| [0, element]).collect())
    }

    fn reach(&self, region: &[Range<usize>; 2], _input: &[usize]) -> Option<[Range<usize>; 2]> {
        Some(region.clone())
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn differential(&self) -> Option<Differential> {
        Some(Differential::Linear)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let [whole, part, before] = self.sizes(io.input_shapes[0]);
        let source = (io.inputs[0], whole, before);
        Ok(vec![copy(
            context,
            part,
            source,
            (io.output, part, 0),
            false,
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let [whole, part, before] = self.sizes(io.input_shapes[0]);
        let mut dispatches = Vec::new();
        if !target.accumulate {
            let all = 0..context.batch * whole;
            dispatches.push(vectors::fill(
                context.gpu,
                target.buffer.binding(),
                all,
                0.0,
            ));
        }
        let result = (target.buffer, whole, before);
        let source = (io.output_gradient, part, 0);
        dispatches.push(copy(context, part, source, result, target.accumulate));
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Slice {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let [whole, part, before] = self.sizes(io.input_shapes[0]);
        let samples = io.inputs[0].chunks(whole);
        samples
            .flat_map(|sample| &sample[before..before + part])
            .copied()
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let [whole, part, before] = self.sizes(io.forward.input_shapes[0]);
        let mut gradient = vec![0.0; io.forward.batch * whole];
        for (sample, upstream) in gradient
            .chunks_mut(whole)
            .zip(io.output_gradient.chunks(part))
        {
            sample[before..before + part].copy_from_slice(upstream);
        }
        ReferenceGradients {
            inputs: vec![gradient],
            parameters: Vec::new(),
        }
    }
}
