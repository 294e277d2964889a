//! The same elements under another shape: no work, no memory.

use crate::Result;
use crate::gpu::Dispatch;
use crate::nn::operation::{
    Backward, Context, Forward, InputGradient, Operation, Property, ReferenceBackward,
    ReferenceForward, ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements,
    expect_inputs,
};
use crate::nn::{Mode, Propagation};

/// A view of the input under another per-sample shape of as many elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The output's per-sample shape.
    pub shape: Vec<usize>,
}

impl Operation for Reshape {
    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property::Affine]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x] = expect_inputs(inputs, ["x"])?;
        let count = self
            .shape
            .iter()
            .try_fold(1usize, |product, &d| product.checked_mul(d));
        if count != Some(elements(x)) {
            return Err(ShapeError::new(
                format!("{x:?}, {} elements", elements(x)),
                format!("as many elements as its shape {:?} has", self.shape),
            ));
        }
        Ok(self.shape.clone())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn is_view(&self) -> bool {
        true
    }

    fn origins(&self, inputs: &[&[usize]]) -> Option<Vec<[usize; 2]>> {
        Some(
            (0..elements(inputs[0]))
                .map(|element| [0, element])
                .collect(),
        )
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn input_gradient(&self, input: &[usize], _node: usize) -> Option<InputGradient> {
        let back = Self {
            shape: input.to_vec(),
        };
        Some(InputGradient::Linear(Box::new(back)))
    }

    fn forward(&self, _context: &Context<'_>, _io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Reshape {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        io.inputs[0].to_vec()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![io.output_gradient.to_vec()],
            parameters: Vec::new(),
        }
    }
}
