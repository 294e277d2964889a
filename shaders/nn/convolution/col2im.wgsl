// The input side of a convolution from the columns of im2col: [sample, channel and element of the kernel, position on the
// output side]. Every element of the input side adds up the columns that it lies in.
// uses shared/grid.wgsl

override KERNEL_Y: i32 = 1;
override KERNEL_X: i32 = 1;
override STRIDE_Y: i32 = 1;
override STRIDE_X: i32 = 1;
override PADDING_Y: i32 = 0;
override PADDING_X: i32 = 0;
override DILATION_Y: i32 = 1;
override DILATION_X: i32 = 1;

struct Uniforms {
    samples: u32,
    // Of the input side.
    channels: u32,
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
    // 1: add to what the images hold.
    accumulate: u32,
    // 1: add bias[channel].
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> columns: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> input: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let area = uniforms.input_height * uniforms.input_width;
    if (i >= uniforms.samples * uniforms.channels * area) {
        return;
    }
    let y = i32(i % area / uniforms.input_width) + PADDING_Y;
    let x = i32(i % uniforms.input_width) + PADDING_X;
    let height = i32(uniforms.output_height);
    let width = i32(uniforms.output_width);
    // Of this sample and channel: the element of the kernel at (0, 0), at the first position.
    let first = i / area * u32(KERNEL_Y * KERNEL_X) * uniforms.output_height * uniforms.output_width;

    // Without dilation only every STRIDE-th element of the kernel meets a position of the output side.
    let first_ky = select(0, y % STRIDE_Y, DILATION_Y == 1);
    let first_kx = select(0, x % STRIDE_X, DILATION_X == 1);
    let step_y = select(1, STRIDE_Y, DILATION_Y == 1);
    let step_x = select(1, STRIDE_X, DILATION_X == 1);

    var sum = 0.0;
    // Counted from 0, so that the number of rounds is the same everywhere.
    for (var down = 0; down < KERNEL_Y; down += step_y) {
        let ky = first_ky + down;
        let from_y = y - ky * DILATION_Y;
        let output_y = from_y / STRIDE_Y;
        let y_meets = ky < KERNEL_Y && from_y >= 0 && output_y * STRIDE_Y == from_y && output_y < height;
        for (var right = 0; right < KERNEL_X; right += step_x) {
            let kx = first_kx + right;
            let from_x = x - kx * DILATION_X;
            let output_x = from_x / STRIDE_X;
            let x_meets = kx < KERNEL_X && from_x >= 0 && output_x * STRIDE_X == from_x && output_x < width;
            if (y_meets && x_meets) {
                sum += columns[first + u32(((ky * KERNEL_X + kx) * height + output_y) * width + output_x)];
            }
        }
    }
    if (uniforms.has_bias != 0u) {
        sum += bias[i / area % uniforms.channels];
    }
    if (uniforms.accumulate != 0u) {
        sum += input[i];
    }
    input[i] = sum;
}
