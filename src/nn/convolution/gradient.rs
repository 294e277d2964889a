//! The gradient of a convolution's weight.

use super::Convolution;
use super::interleave::Interleaved;
use crate::gpu::{AdapterProfile, Binding, Dispatch, MatmulKernel, Reduction, Shader, groups};
use crate::nn::matmul::expect_workgroups;
use crate::nn::operation::Context;
use crate::nn::sums::column_sum;
use crate::{Result, gpu_struct, shader};

static CPU: Shader = shader!("nn/convolution/gradient_cpu.wgsl");
static GPU: Shader = shader!("nn/convolution/gradient_gpu.wgsl");

gpu_struct! {
    struct GradientUniforms in CPU::Gradient {
        samples_by_four: u32,
        output_channels: u32,
        output_height: u32,
        output_width: u32,
        input_channels: u32,
        input_height: u32,
        input_width: u32,
        kernel_height: u32,
        kernel_width: u32,
        stride_y: u32,
        stride_x: u32,
        padding_y: u32,
        padding_x: u32,
        dilation_y: u32,
        dilation_x: u32,
        slice: u32,
    }
}

/// The number of positions, of four samples each.
fn positions(convolution: &Convolution, batch: usize) -> usize {
    batch.div_ceil(4) * convolution.output[1] * convolution.output[2]
}

/// Slices in which the sums over samples and positions are made side by side, so that a small gradient of many positions
/// keeps the adapter busy.
pub(super) fn slices(convolution: &Convolution, profile: &AdapterProfile, batch: usize) -> usize {
    let (tile, wanted) = match profile.reduction {
        Reduction::Serial => (32, 8),
        Reduction::Parallel => (64, 256),
    };
    let tiles = convolution.output[0].div_ceil(tile) * convolution.weights().div_ceil(tile);
    (wanted / tiles)
        .min(positions(convolution, batch) / 64)
        .max(1)
}

/// The dispatches of `gradient = output x im2col(input)^T`.
pub(super) fn dispatches(
    context: &Context<'_>,
    variant: MatmulKernel,
    convolution: &Convolution,
    [output, input]: [&Interleaved; 2],
    gradient: Binding<'_>,
) -> Result<Vec<Dispatch>> {
    let gpu = context.gpu;
    let [output_channels, output_height, output_width] = convolution.output.map(|n| n as u32);
    let [input_channels, input_height, input_width] = convolution.input.map(|n| n as u32);
    let geometry = convolution.geometry;
    let slices = slices(convolution, gpu.profile(), context.batch);
    let all_places = positions(convolution, context.batch);
    let parameters = GradientUniforms {
        samples_by_four: context.batch.div_ceil(4) as u32,
        output_channels,
        output_height,
        output_width,
        input_channels,
        input_height,
        input_width,
        kernel_height: geometry.kernel.y as u32,
        kernel_width: geometry.kernel.x as u32,
        stride_y: geometry.stride.y as u32,
        stride_x: geometry.stride.x as u32,
        padding_y: geometry.padding.y as u32,
        padding_x: geometry.padding.x as u32,
        dilation_y: geometry.dilation.y as u32,
        dilation_x: geometry.dilation.x as u32,
        slice: all_places.div_ceil(slices).next_multiple_of(4) as u32,
    };
    let (rows, columns) = (convolution.output[0], convolution.weights());
    let (kernel, [tile_rows, tile_columns]) = match variant {
        MatmulKernel::Subgroup { lanes } => {
            let lane_rows = variant.lane_rows(rows);
            let constants = [("LANES", f64::from(lanes)), ("ROWS", f64::from(lane_rows))];
            let kernel = gpu.kernel(&CPU, "main", &constants);
            (kernel, [(lane_rows * lanes) as usize, 4 * lanes as usize])
        }
        MatmulKernel::Tiled => (gpu.kernel(&GPU, "main", &[]), [64, 64]),
    };
    let workgroups = [
        groups(columns, tile_columns),
        groups(rows, tile_rows),
        slices as u32,
    ];
    let position = format!("gradient of a convolution's weight [{rows}, {columns}]");
    expect_workgroups(gpu, position, workgroups)?;
    let uniform = gpu.uniform("gradient", &parameters);
    let dispatch = |target: Binding<'_>| {
        let bindings = [
            (0, uniform.binding()),
            (1, variant.operand(output.0.binding())),
            (2, variant.operand(input.0.binding())),
            (3, target),
        ];
        let flops = 2.0 * (rows * columns) as f64 * (4 * all_places) as f64;
        kernel.bind(gpu, &bindings, workgroups).with_flops(flops)
    };
    if slices == 1 {
        return Ok(vec![dispatch(gradient)]);
    }
    let sums = gpu.scratch("gradient slices", slices * rows * columns)?;
    Ok(vec![
        dispatch(sums.binding()),
        column_sum(gpu, [slices, rows * columns], &sums, gradient),
    ])
}
