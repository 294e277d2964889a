//! A vector for each class: trainable (an embedding), or fixed (a table of targets).

use crate::gpu::{Binding, Dispatch, Shader, Uniform, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ParameterSpec, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::{Initialization, Mode, Propagation};
use crate::{Result, gpu_struct, shader};

static EMBEDDING: Shader = shader!("nn/ops/embedding.wgsl");

/// The row of a table that a label names. Input: labels, one `u32` per sample; output `[width]`. Parameter: `weight`
/// `[classes, width]`, standard normal at first, as PyTorch's. A label beyond the table counts as the last class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedding {
    /// Rows of the table.
    pub classes: usize,
    /// Elements of a row.
    pub width: usize,
}

/// The row of a fixed table that a label names, as [`Embedding`] does with a trainable one: targets of classes that are sets
/// of things. Input: labels, one `u32` per sample; output `[width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// `[classes, width]`, row by row.
    pub table: Vec<f32>,
    /// Elements of a row.
    pub width: usize,
}

gpu_struct! {
    struct EmbeddingUniforms in EMBEDDING::Uniforms {
        batch: u32,
        classes: u32,
        width: u32,
    }
}

impl Embedding {
    fn uniform(&self, context: &Context<'_>) -> Uniform {
        context.gpu.uniform(
            "embedding",
            &EmbeddingUniforms {
                batch: context.batch as u32,
                classes: self.classes as u32,
                width: self.width as u32,
            },
        )
    }

    fn class(&self, label: f64) -> usize {
        (label as usize).min(self.classes - 1)
    }

    fn rows(&self, context: &Context<'_>, io: &Forward<'_>, table: Binding<'_>) -> Dispatch {
        context.gpu.kernel(&EMBEDDING, "forward", &[]).bind(
            context.gpu,
            &[
                (0, self.uniform(context).binding()),
                (1, io.inputs[0].binding()),
                (2, table),
                (3, io.output.binding()),
            ],
            grid(context.batch * self.width, 64),
        )
    }

    fn reference_rows(&self, labels: &[f64], table: &[f64]) -> Vec<f64> {
        let rows = labels.iter().flat_map(|&label| {
            let first = self.class(label) * self.width;
            &table[first..first + self.width]
        });
        rows.copied().collect()
    }
}

impl Lookup {
    fn as_embedding(&self) -> Embedding {
        Embedding {
            classes: self.table.len() / self.width.max(1),
            width: self.width,
        }
    }
}

impl Operation for Embedding {
    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [label] = expect_inputs(inputs, ["label"])?;
        if elements(label) != 1 {
            return Err(ShapeError::new(
                format!("labels of shape {label:?}"),
                "one label per sample",
            ));
        }
        let size = self.classes.checked_mul(self.width);
        if size.is_none_or(|size| size == 0 || size > 1 << 28) {
            return Err(ShapeError::new(
                format!("{} classes of width {}", self.classes, self.width),
                "a table of between 1 and 268,435,456 elements",
            ));
        }
        Ok(vec![self.width])
    }

    fn parameters(&self, _inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        vec![ParameterSpec {
            name: "weight",
            shape: vec![self.classes, self.width],
            initialization: Initialization::Normal(1.0),
        }]
    }

    fn differentiable(&self, _input: usize) -> bool {
        false
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        Ok(vec![self.rows(context, io, io.parameters[0].value())])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        if !io.parameter_gradients {
            return Ok(Vec::new());
        }
        Ok(vec![context.gpu.kernel(&EMBEDDING, "backward", &[]).bind(
            context.gpu,
            &[
                (0, self.uniform(context).binding()),
                (1, io.inputs[0].binding()),
                (2, io.output_gradient.binding()),
                (3, io.parameters[0].gradient()),
            ],
            grid(self.classes * self.width, 64),
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Embedding {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        self.reference_rows(io.inputs[0], io.parameters[0])
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let labels = io.forward.inputs[0];
        let mut table = vec![0.0; self.classes * self.width];
        for (&label, upstream) in labels.iter().zip(io.output_gradient.chunks(self.width)) {
            let first = self.class(label) * self.width;
            let row = &mut table[first..first + self.width];
            row.iter_mut().zip(upstream).for_each(|(sum, g)| *sum += g);
        }
        ReferenceGradients {
            inputs: vec![vec![0.0; labels.len()]],
            parameters: vec![table],
        }
    }
}

impl Operation for Lookup {
    fn kind(&self) -> &'static str {
        "lookup"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        if self.width == 0 || !self.table.len().is_multiple_of(self.width) {
            return Err(ShapeError::new(
                format!("a table of {} elements", self.table.len()),
                format!("rows of {}", self.width),
            ));
        }
        self.as_embedding().output_shape(inputs)
    }

    fn differentiable(&self, _input: usize) -> bool {
        false
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let table = context.gpu.upload("table", &self.table)?;
        Ok(vec![self.as_embedding().rows(context, io, table.binding())])
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Lookup {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let table: Vec<f64> = self.table.iter().map(|&value| value.into()).collect();
        self.as_embedding().reference_rows(io.inputs[0], &table)
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients {
            inputs: vec![vec![0.0; io.forward.inputs[0].len()]],
            parameters: Vec::new(),
        }
    }
}
