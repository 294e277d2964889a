//! Copies column blocks between matrices; implements concatenation and slices.

use super::operation::Context;
use crate::gpu::{Buffer, Dispatch, Shader, grid};
use crate::{gpu_struct, shader};

static COPY: Shader = shader!("nn/copy.wgsl");

gpu_struct! {
    struct CopyUniforms in COPY::Uniforms {
        rows: u32,
        columns: u32,
        source_stride: u32,
        source_start: u32,
        result_stride: u32,
        result_start: u32,
        accumulate: u32,
    }
}

/// A block of columns in a matrix: the buffer, the number of columns of the matrix, and the first column of the block.
pub(super) type Block<'a> = (&'a Buffer<f32>, usize, usize);

/// Copies `columns` columns of one matrix into another, or adds them there; both have a row for each sample.
pub(super) fn copy(
    context: &Context<'_>,
    columns: usize,
    source: Block<'_>,
    result: Block<'_>,
    accumulate: bool,
) -> Dispatch {
    let numbers = [columns, source.1, source.2, result.1, result.2];
    let (entry, unit) = if numbers.iter().all(|number| number.is_multiple_of(4)) {
        ("by_vectors", 4)
    } else {
        ("by_scalars", 1)
    };
    let [
        columns,
        source_stride,
        source_start,
        result_stride,
        result_start,
    ] = numbers.map(|number| (number / unit) as u32);
    let gpu = context.gpu;
    let uniform = gpu.uniform(
        "copy",
        &CopyUniforms {
            rows: context.batch as u32,
            columns,
            source_stride,
            source_start,
            result_stride,
            result_start,
            accumulate: accumulate.into(),
        },
    );
    gpu.kernel(&COPY, entry, &[]).bind(
        gpu,
        &[
            (0, uniform.binding()),
            (1, source.0.binding()),
            (2, result.0.binding()),
        ],
        grid(context.batch * columns as usize, 64),
    )
}
