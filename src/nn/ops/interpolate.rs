//! Points between the samples of two tensors, as a gradient penalty looks at (Gulrajani et al. 2017).

use crate::gpu::{Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ReferenceBackward, ReferenceForward, ReferenceGradients,
    ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static INTERPOLATE: Shader = shader!("nn/ops/interpolate.wgsl");

/// `u a + (1 - u) b` of two tensors of one shape, with one `u` for each sample, uniform in `[0, 1)` and new in each step.
/// Nothing flows back to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interpolate;

gpu_struct! {
    struct InterpolateUniforms in INTERPOLATE::Uniforms {
        key: [u32; 2],
        stream: u32,
        node: u32,
        count: u32,
        size: u32,
    }
}

impl Operation for Interpolate {
    fn kind(&self) -> &'static str {
        "interpolate"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [a, b] = expect_inputs(inputs, ["a", "b"])?;
        if elements(a) != elements(b) {
            return Err(ShapeError::new(
                format!("{a:?} and {b:?}"),
                "two tensors of one size",
            ));
        }
        Ok(a.to_vec())
    }

    fn differentiable(&self, _input: usize) -> bool {
        false
    }

    fn saved(&self) -> Saved {
        Saved::default()
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let size = elements(io.output_shape);
        let count = context.batch * size;
        let uniform = context.gpu.uniform(
            "interpolate",
            &InterpolateUniforms {
                key: random::key(context.seed),
                stream: Stream::Interpolation as u32,
                node: context.node as u32,
                count: count as u32,
                size: size as u32,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, context.step_counter.binding()),
            (2, io.inputs[0].binding()),
            (3, io.inputs[1].binding()),
            (4, io.output.binding()),
        ];
        let kernel = context.gpu.kernel(&INTERPOLATE, "main", &[]);
        Ok(vec![kernel.bind(context.gpu, &bindings, grid(count, 64))])
    }

    fn backward(&self, _context: &Context<'_>, _io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Interpolate {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let (seed, step, node) = io.noise_key;
        let size = elements(io.output_shape);
        let pairs = io.inputs[0].iter().zip(io.inputs[1]).enumerate();
        pairs
            .map(|(index, (a, b))| {
                let sample = (index / size) as u32;
                let counter = [sample, step, Stream::Interpolation as u32, node as u32];
                let u = random::uniform(random::philox(counter, random::key(seed))[0]);
                u * a + (1.0 - u) * b
            })
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let zeros = |x: &&[f64]| vec![0.0; x.len()];
        ReferenceGradients {
            inputs: io.forward.inputs.iter().map(zeros).collect(),
            parameters: Vec::new(),
        }
    }
}
