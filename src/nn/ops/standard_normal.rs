//! Latent vectors of a generator: standard normal numbers, new ones in each step.

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::nn::{Mode, Propagation};
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static STANDARD_NORMAL: Shader = shader!("nn/ops/standard_normal.wgsl");

/// Draws from the standard normal distribution. No inputs; output: a tensor of the shape named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardNormal {
    /// Per-sample shape.
    pub shape: Vec<usize>,
}

gpu_struct! {
    struct StandardNormalUniforms in STANDARD_NORMAL::Uniforms {
        key: [u32; 2],
        stream: u32,
        node: u32,
        vectors: u32,
    }
}

impl Operation for StandardNormal {
    fn kind(&self) -> &'static str {
        "standard_normal"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [] = expect_inputs(inputs, [])?;
        Ok(self.shape.clone())
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn propagation(&self, _mode: Mode) -> Option<Propagation> {
        Some(Propagation::Routing)
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let vectors = (context.batch * elements(io.output_shape)).div_ceil(4);
        let uniform = context.gpu.uniform(
            "standard normal",
            &StandardNormalUniforms {
                key: random::key(context.seed),
                stream: Stream::Generator as u32,
                node: context.node as u32,
                vectors: vectors as u32,
            },
        );
        let kernel = context.gpu.kernel(&STANDARD_NORMAL, "forward", &[]);
        Ok(vec![kernel.bind(
            context.gpu,
            &[
                (0, uniform.binding()),
                (1, context.step_counter.binding()),
                (2, io.output.binding()),
            ],
            grid(vectors, 64),
        )])
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for StandardNormal {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (seed, step, node) = io.noise_key;
        let count = io.batch * elements(io.output_shape);
        (0..count.div_ceil(4) as u32)
            .flat_map(|vector| {
                let counter = [vector, step, Stream::Generator as u32, node as u32];
                random::standard_normal(random::philox(counter, random::key(seed)))
            })
            .take(count)
            .collect()
    }

    fn reference_backward(&self, _io: &ReferenceBackward<'_>) -> ReferenceGradients {
        ReferenceGradients::default()
    }
}
