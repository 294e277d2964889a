//! Row and column sums of matrices, used for gradients of biases.

use super::operation::{Context, ParameterSlice};
use crate::gpu::{Binding, Buffer, Dispatch, Gpu, Scratch, Shader, Uniform, groups};
use crate::{Result, gpu_struct, shader};

static SUMS: Shader = shader!("nn/sums.wgsl");

gpu_struct! {
    struct SumsUniforms in SUMS::Uniforms {
        rows: u32,
        columns: u32,
    }
}

fn sum_uniform(gpu: &Gpu, rows: usize, columns: usize) -> Uniform {
    gpu.uniform(
        "sum",
        &SumsUniforms {
            rows: rows as u32,
            columns: columns as u32,
        },
    )
}

/// Sums over the rows of a matrix `[rows, columns]`.
pub(super) fn column_sum(
    gpu: &Gpu,
    [rows, columns]: [usize; 2],
    matrix: &Buffer<f32>,
    sums: Binding<'_>,
) -> Dispatch {
    let uniform = sum_uniform(gpu, rows, columns);
    gpu.kernel(&SUMS, "of_columns", &[]).bind(
        gpu,
        &[(0, uniform.binding()), (1, matrix.binding()), (2, sums)],
        [groups(columns, 64), 1, 1],
    )
}

/// The label of the shared memory for sums over positions.
const CHANNEL_SUMS: &str = "channel sums";

/// The shared memory that [`channel_bias_gradient`] uses.
pub(super) fn bias_scratch(batch: usize, [channels, ..]: [usize; 3]) -> Scratch {
    Scratch::new(CHANNEL_SUMS, batch * channels)
}

/// Sums of images' gradients over samples and positions: the gradient of a bias for each channel.
pub(super) fn channel_bias_gradient(
    context: &Context<'_>,
    gradient: &Buffer<f32>,
    [channels, height, width]: [usize; 3],
    bias: &ParameterSlice<'_>,
) -> Result<Vec<Dispatch>> {
    let gpu = context.gpu;
    let rows = context.batch * channels;
    let positions = height * width;
    let sums = gpu.scratch(CHANNEL_SUMS, rows)?;
    let entry = if positions.is_multiple_of(4) {
        "of_rows_by_vectors"
    } else {
        "of_rows_by_scalars"
    };
    let by_row = gpu.kernel(&SUMS, entry, &context.row_constants()).bind(
        gpu,
        &[
            (0, sum_uniform(gpu, rows, positions).binding()),
            (1, gradient.binding()),
            (2, sums.binding()),
        ],
        context.row_grid(rows),
    );
    let over_batch = column_sum(gpu, [context.batch, channels], &sums, bias.gradient());
    Ok(vec![by_row, over_batch])
}
