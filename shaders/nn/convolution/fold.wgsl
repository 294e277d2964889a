// The large side of a convolution from patches: images [sample, channel and element of the kernel, place on the small
// side], as a convolution by a kernel of 1 makes them. Every element of the large side adds up what lies over it.
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
    // Of the large side.
    channels: u32,
    large_height: u32,
    large_width: u32,
    small_height: u32,
    small_width: u32,
    // 1: add to what the images hold.
    accumulate: u32,
    // 1: add bias[channel].
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> patches: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> large: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let area = uniforms.large_height * uniforms.large_width;
    if (i >= uniforms.samples * uniforms.channels * area) {
        return;
    }
    let y = i32(i % area / uniforms.large_width) + PADDING_Y;
    let x = i32(i % uniforms.large_width) + PADDING_X;
    let height = i32(uniforms.small_height);
    let width = i32(uniforms.small_width);
    // Of this sample and channel: the element of the kernel at (0, 0), at the first place.
    let first = i / area * u32(KERNEL_Y * KERNEL_X) * uniforms.small_height * uniforms.small_width;

    // Without dilation only every STRIDE-th element of the kernel meets a place of the small side.
    let first_ky = select(0, y % STRIDE_Y, DILATION_Y == 1);
    let first_kx = select(0, x % STRIDE_X, DILATION_X == 1);
    let step_y = select(1, STRIDE_Y, DILATION_Y == 1);
    let step_x = select(1, STRIDE_X, DILATION_X == 1);

    var sum = 0.0;
    // Counted from 0, so that the number of rounds is the same everywhere.
    for (var down = 0; down < KERNEL_Y; down += step_y) {
        let ky = first_ky + down;
        let from_y = y - ky * DILATION_Y;
        let small_y = from_y / STRIDE_Y;
        let y_meets = ky < KERNEL_Y && from_y >= 0 && small_y * STRIDE_Y == from_y && small_y < height;
        for (var right = 0; right < KERNEL_X; right += step_x) {
            let kx = first_kx + right;
            let from_x = x - kx * DILATION_X;
            let small_x = from_x / STRIDE_X;
            let x_meets = kx < KERNEL_X && from_x >= 0 && small_x * STRIDE_X == from_x && small_x < width;
            if (y_meets && x_meets) {
                sum += patches[first + u32(((ky * KERNEL_X + kx) * height + small_y) * width + small_x)];
            }
        }
    }
    if (uniforms.has_bias != 0u) {
        sum += bias[i / area % uniforms.channels];
    }
    if (uniforms.accumulate != 0u) {
        sum += large[i];
    }
    large[i] = sum;
}
