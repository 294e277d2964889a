//! Rules of attribution around the backward passes of operations.

use crate::gpu::{Buffer, Dispatch, Scratch, Shader, grid};
use crate::nn::operation::{Backward, Context, GradientTarget, Operation, elements};
use crate::nn::vectors::{add, copy};
use crate::nn::{BackwardRule, Propagation};
use crate::{Result, gpu_struct, shader};

static RULES: Shader = shader!("nn/plan/rules.wgsl");

/// Shared memory for what the backward pass of an operation makes under a rule.
const GRADIENT: &str = "attribution gradient";
/// Shared memory for relevances over outputs.
const QUOTIENTS: &str = "attribution quotients";

gpu_struct! {
    struct RuleUniforms in RULES::Uniforms {
        count: u32,
        half_count: u32,
        accumulate: u32,
        epsilon: f32,
    }
}

/// How the rule of a plan treats an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Treatment {
    /// The backward pass of the operation as it is.
    Plain,
    /// The quotient of differences instead of the derivative.
    Rescale,
    /// Relevance is passed on.
    PassOn,
    /// Relevance is divided in proportion to the contributions of the inputs.
    Share { epsilon: f32 },
}

impl Treatment {
    fn of(operation: &dyn Operation, context: &Context<'_>) -> Self {
        match (context.rule, operation.propagation(context.mode)) {
            (BackwardRule::Rescale, Some(Propagation::Elementwise)) => Self::Rescale,
            (BackwardRule::Epsilon { .. }, Some(Propagation::Elementwise)) => Self::PassOn,
            (BackwardRule::Epsilon { epsilon }, Some(Propagation::Affine)) => {
                Self::Share { epsilon }
            }
            _ => Self::Plain,
        }
    }
}

/// What the rule takes of the memory that all operations share, for an operation whose largest input and output have so
/// many elements in a batch.
pub(super) fn scratch(rule: BackwardRule, [input, output]: [usize; 2]) -> Vec<Scratch> {
    if !rule.is_attribution() {
        return Vec::new();
    }
    vec![
        Scratch::new(GRADIENT, input),
        Scratch::new(QUOTIENTS, output),
    ]
}

/// The dispatches of a backward pass under the rule of its plan.
pub(crate) fn backward(
    operation: &dyn Operation,
    context: &Context<'_>,
    io: &Backward<'_>,
) -> Result<Vec<Dispatch>> {
    let treatment = Treatment::of(operation, context);
    if treatment == Treatment::Plain {
        return operation.backward(context, io);
    }
    let gpu = context.gpu;
    let quotients = match treatment {
        Treatment::Share { .. } => Some(gpu.scratch(QUOTIENTS, io.output.len())?),
        _ => None,
    };
    let mut dispatches = Vec::new();
    if let (Treatment::Share { epsilon }, Some(quotients)) = (treatment, &quotients) {
        let tensors = [(2, io.output), (3, io.output_gradient), (5, quotients)];
        dispatches.push(dispatch(context, "divide", &tensors, (epsilon, false)));
    }
    for (input, target) in io.input_gradients.iter().enumerate() {
        let Some(target) = target else {
            continue;
        };
        let result = target.buffer;
        let upstream = io.output_gradient;
        if treatment == Treatment::PassOn {
            let pass = if target.accumulate { add } else { copy };
            let range = 0..context.batch * elements(io.output_shape);
            dispatches.push(pass(gpu, result.binding(), upstream.binding(), range));
            continue;
        }
        // The operation writes one gradient at a time to shared memory.
        let own = gpu.scratch(GRADIENT, result.len())?;
        let upstream_of_operation = quotients.as_ref().unwrap_or(upstream);
        dispatches.extend(operation.backward(
            context,
            &Backward {
                inputs: io.inputs.clone(),
                input_shapes: io.input_shapes.clone(),
                parameters: io.parameters.clone(),
                output_gradient: upstream_of_operation,
                input_gradients: only(input, &own, io.input_gradients.len()),
                ..*io
            },
        )?);
        let x = io.inputs[input];
        let accumulate = (0.0, target.accumulate);
        dispatches.push(if treatment == Treatment::Rescale {
            let tensors = [
                (1, x),
                (2, io.output),
                (3, upstream),
                (4, &own),
                (5, result),
            ];
            dispatch(context, "rescale", &tensors, accumulate)
        } else {
            let tensors = [(1, x), (4, &own), (5, result)];
            dispatch(context, "multiply", &tensors, accumulate)
        });
    }
    Ok(dispatches)
}

/// Targets of which one input has the only one.
fn only(input: usize, buffer: &Buffer<f32>, count: usize) -> Vec<Option<GradientTarget<'_>>> {
    let target = GradientTarget {
        buffer,
        accumulate: false,
    };
    (0..count).map(|i| (i == input).then_some(target)).collect()
}

/// One pass over the last of the tensors, which is written.
fn dispatch(
    context: &Context<'_>,
    entry: &'static str,
    tensors: &[(u32, &Buffer<f32>)],
    (epsilon, accumulate): (f32, bool),
) -> Dispatch {
    let (_, result) = tensors.last().expect("the last tensor is written");
    let count = result.len();
    let uniform = context.gpu.uniform(
        "attribution",
        &RuleUniforms {
            count: count as u32,
            half_count: (count / 2) as u32,
            accumulate: accumulate.into(),
            epsilon,
        },
    );
    let mut bindings = vec![(0, uniform.binding())];
    bindings.extend(
        tensors
            .iter()
            .map(|(slot, buffer)| (*slot, buffer.binding())),
    );
    let kernel = context.gpu.kernel(&RULES, entry, &[]);
    kernel.bind(context.gpu, &bindings, grid(count, 64))
}
