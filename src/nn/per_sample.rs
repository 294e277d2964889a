//! The dispatches that losses and metrics share: a kernel that makes one number of each sample.
//!
//! Such a kernel binds its uniforms to 0 and its inputs to the numbers after it, then what it writes; a backward pass binds
//! the gradient of the output before the gradient of the input.

use super::operation::{Backward, Context, Forward, GradientTarget};
use crate::gpu::{Dispatch, Kernel, UniformData};

/// One number for each sample from all inputs.
pub(super) fn forward<U: UniformData>(
    context: &Context<'_>,
    io: &Forward<'_>,
    kernel: &Kernel,
    uniforms: &U,
    workgroups: [u32; 3],
) -> Vec<Dispatch> {
    let uniform = context.gpu.uniform(kernel.label(), uniforms);
    let mut bindings = vec![(0, uniform.binding())];
    let tensors = io.inputs.iter().chain([&io.output]);
    bindings.extend((1..).zip(tensors.map(|tensor| tensor.binding())));
    vec![kernel.bind(context.gpu, &bindings, workgroups)]
}

/// The gradient of an input, from the inputs `read` (by their numbers) and the gradient of each sample's number.
pub(super) fn backward<U: UniformData>(
    context: &Context<'_>,
    io: &Backward<'_>,
    kernel: &Kernel,
    (target, read): (GradientTarget<'_>, &[usize]),
    uniforms: &U,
    workgroups: [u32; 3],
) -> Dispatch {
    let uniform = context.gpu.uniform(kernel.label(), uniforms);
    let mut bindings = vec![(0, uniform.binding())];
    let inputs = read.iter();
    bindings.extend(inputs.map(|&input| (1 + input as u32, io.inputs[input].binding())));
    let next = 1 + io.inputs.len() as u32;
    bindings.push((next, io.output_gradient.binding()));
    bindings.push((next + 1, target.buffer.binding()));
    kernel.bind(context.gpu, &bindings, workgroups)
}
