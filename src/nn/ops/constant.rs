//! A tensor of one value.

use crate::Result;
use crate::gpu::Dispatch;
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::vectors;

/// The same value everywhere. No inputs; output: a tensor of the shape named here.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Per-sample shape.
    pub shape: Vec<usize>,
    /// The value.
    pub value: f32,
}

impl Operation for Constant {
    fn kind(&self) -> &'static str {
        "constant"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [] = expect_inputs(inputs, [])?;
        Ok(self.shape.clone())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let all = 0..context.batch * elements(&self.shape);
        let output = io.output.binding();
        Ok(vec![vectors::fill(context.gpu, output, all, self.value)])
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Constant {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        vec![self.value.into(); io.batch * elements(&self.shape)]
    }

    fn reference_backward(&self, _io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients::default()
    }
}
