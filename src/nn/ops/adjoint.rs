//! The adjoint of a linear operation: from the gradient of its output to that of its input, as an operation of its own.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Scratch};
use crate::nn::operation::{
    Backward, Context, Forward, GradientTarget, Operation, ParameterSlice, ParameterSpec,
    ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved,
    ScratchRequest, ShapeError, elements, expect_inputs,
};
use crate::nn::vectors;

/// Nobody writes this shared memory, so that it holds zeros: the bias that an adjoint does not have.
const NO_BIAS: &str = "bias of adjoint";
/// Where the kernels of a layer leave the gradient of that bias.
const BIAS_GRADIENT: &str = "bias gradient of adjoint";
/// A gradient that is then added to others.
const SUMMAND: &str = "gradient of adjoint";

/// The transpose of an operation that is linear but for its bias. Input: a gradient of the operation's output; output: the
/// gradient of its input. Parameters: the operation's weight, where it has one.
///
/// The kernels are those of the operation: its backward pass is the forward pass here. With `y = W^T g`, a gradient `c` of
/// `y` gives `W c` to `g`, which is the operation's forward pass without a bias, and to the weight what the operation's
/// backward pass gives it for the input `c` and the gradient `g`.
#[derive(Debug, Clone)]
pub struct Adjoint<O> {
    operation: O,
    /// Per-sample shape of the operation's input.
    input: Vec<usize>,
    /// Per-sample shape of its output.
    output: Vec<usize>,
    /// Its index in the graph, by which it draws random numbers.
    node: usize,
}

impl<O: Operation> Adjoint<O> {
    /// The adjoint of an operation that is linear but for its bias, keeps no workspace and has this index in its graph, for
    /// inputs of a shape.
    ///
    /// # Errors
    /// The input does not fit the operation.
    pub fn new(
        operation: O,
        input: &[usize],
        node: usize,
    ) -> std::result::Result<Self, ShapeError> {
        Ok(Self {
            output: operation.output_shape(&[input])?,
            input: input.to_vec(),
            operation,
            node,
        })
    }

    fn specs(&self) -> Vec<ParameterSpec> {
        self.operation.parameters(&[&self.input])
    }

    /// Elements of the operation's bias.
    fn bias_len(&self) -> usize {
        self.specs().get(1).map_or(0, |bias| elements(&bias.shape))
    }

    fn context<'c>(&self, context: &Context<'c>) -> Context<'c> {
        Context {
            node: self.node,
            ..*context
        }
    }

    /// The operation's parameters: its weight, and a bias of zeros whose gradient nobody reads.
    fn with_bias<'p>(
        weight: &[ParameterSlice<'p>],
        [values, gradients]: [&'p Buffer<f32>; 2],
        len: usize,
    ) -> Vec<ParameterSlice<'p>> {
        let bias = ParameterSlice {
            values,
            gradients,
            start: 0,
            len,
        };
        weight
            .iter()
            .copied()
            .chain((len > 0).then_some(bias))
            .collect()
    }

    fn bias_buffers(&self, context: &Context<'_>) -> Result<[Buffer<f32>; 2]> {
        let len = self.bias_len().max(1);
        Ok([
            context.gpu.scratch(NO_BIAS, len)?,
            context.gpu.scratch(BIAS_GRADIENT, len)?,
        ])
    }

    /// What the operation's reference implementation is given for an input.
    fn reference_io<'r>(
        &'r self,
        io: &'r ReferenceForward<'_>,
        x: &'r [f64],
        bias: &'r [f64],
    ) -> ReferenceForward<'r> {
        let (seed, step, _) = io.noise_key;
        let weight = io.parameters.iter().copied();
        ReferenceForward {
            batch: io.batch,
            inputs: vec![x],
            input_shapes: vec![&self.input],
            parameters: weight.chain((!bias.is_empty()).then_some(bias)).collect(),
            output_shape: &self.output,
            noise_key: (seed, step, self.node),
            mode: io.mode,
        }
    }

    fn reference_of_operation(&self) -> &dyn ReferenceOperation {
        let reference = self.operation.reference();
        reference.expect("every operation with an adjoint has a reference implementation")
    }
}

impl<O: Operation> Operation for Adjoint<O> {
    fn kind(&self) -> &'static str {
        "adjoint"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [gradient] = expect_inputs(inputs, ["gradient"])?;
        if elements(gradient) != elements(&self.output) {
            return Err(ShapeError::new(
                format!("{gradient:?}"),
                format!("a gradient of shape {:?}", self.output),
            ));
        }
        Ok(self.input.clone())
    }

    fn parameters(&self, _inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        self.specs().into_iter().take(1).collect()
    }

    fn scratch(&self, request: &ScratchRequest<'_>) -> Vec<Scratch> {
        let mut scratch = self.operation.scratch(&ScratchRequest {
            inputs: &[&self.input],
            input_gradients: true,
            ..*request
        });
        let bias = self.bias_len().max(1);
        scratch.push(Scratch::new(NO_BIAS, bias));
        scratch.push(Scratch::new(BIAS_GRADIENT, bias));
        let summand = request.batch * elements(&self.output);
        scratch.push(Scratch::new(SUMMAND, summand));
        scratch
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: !self.specs().is_empty(),
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let [values, gradients] = &self.bias_buffers(context)?;
        let target = GradientTarget {
            buffer: io.output,
            accumulate: false,
        };
        self.operation.backward(
            &self.context(context),
            &Backward {
                // A linear operation reads its input for the gradients of its parameters alone.
                inputs: io.inputs.clone(),
                input_shapes: vec![&self.input],
                parameters: Self::with_bias(&io.parameters, [values, gradients], self.bias_len()),
                workspace: None,
                output: io.inputs[0],
                output_shape: &self.output,
                output_gradient: io.inputs[0],
                input_gradients: vec![Some(target)],
                parameter_gradients: false,
            },
        )
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let gpu = context.gpu;
        let own = self.context(context);
        let [values, gradients] = &self.bias_buffers(context)?;
        let parameters = Self::with_bias(&io.parameters, [values, gradients], self.bias_len());
        let mut dispatches = Vec::new();
        if io.parameter_gradients && !io.parameters.is_empty() {
            dispatches.extend(self.operation.backward(
                &own,
                &Backward {
                    inputs: vec![io.output_gradient],
                    input_shapes: vec![&self.input],
                    parameters: parameters.clone(),
                    workspace: None,
                    output: io.inputs[0],
                    output_shape: &self.output,
                    output_gradient: io.inputs[0],
                    input_gradients: vec![None],
                    parameter_gradients: true,
                },
            )?);
        }
        if let Some(target) = io.input_gradients[0] {
            let len = context.batch * elements(&self.output);
            let summand = match target.accumulate {
                true => Some(gpu.scratch(SUMMAND, len)?),
                false => None,
            };
            dispatches.extend(self.operation.forward(
                &own,
                &Forward {
                    inputs: vec![io.output_gradient],
                    input_shapes: vec![&self.input],
                    parameters,
                    workspace: None,
                    output: summand.as_ref().unwrap_or(target.buffer),
                    output_shape: &self.output,
                },
            )?);
            if let Some(summand) = summand {
                let (sum, term) = (target.buffer.binding(), summand.binding());
                dispatches.push(vectors::add(gpu, sum, term, 0..len));
            }
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl<O: Operation> ReferenceOperation for Adjoint<O> {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let x = vec![0.0; io.batch * elements(&self.input)];
        let bias = vec![0.0; self.bias_len()];
        let gradients = self
            .reference_of_operation()
            .reference_backward(&ReferenceBackward {
                forward: self.reference_io(io, &x, &bias),
                output: io.inputs[0],
                output_gradient: io.inputs[0],
                rule: crate::nn::BackwardRule::Gradient,
            });
        gradients.inputs.into_iter().next().expect("of its input")
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let bias = vec![0.0; self.bias_len()];
        let forward = self.reference_io(&io.forward, io.output_gradient, &bias);
        let reference = self.reference_of_operation();
        let to_gradient = reference.reference_forward(&forward);
        let of_operation = reference.reference_backward(&ReferenceBackward {
            forward,
            output: io.forward.inputs[0],
            output_gradient: io.forward.inputs[0],
            rule: io.rule,
        });
        ReferenceGradients {
            inputs: vec![to_gradient],
            parameters: of_operation.parameters.into_iter().take(1).collect(),
        }
    }
}
