// What a dream's values are differentiated by: the unit, through the network's input, and the regularizer.
// uses shared/grid.wgsl

struct Uniforms {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    // Weights of the norms and of all differences, and of those in space among the latter.
    range: f32,
    smoothness: f32,
    kappa: f32,
}

const NONE = 0xffffffffu;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// Of each channel: the first channel of its pixel, how many channels that has, and the same channel a frame before and
// a frame after.
@group(0) @binding(1) var<storage, read> pixels: array<vec4u>;
// Of each channel: the input at value 0, how far value 1 is from that, and one over the pixels of all frames.
@group(0) @binding(2) var<storage, read> scales: array<vec4f>;
// Of each row the weight of differences in time among all differences.
@group(0) @binding(3) var<storage, read> chi: array<f32>;
// Rows down and columns to the right by which the input was rolled.
@group(0) @binding(4) var<storage, read> shift: array<u32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;
@group(0) @binding(6) var<storage, read> input_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(64)
fn differentiate(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let positions = uniforms.height * uniforms.width;
    if (i >= uniforms.rows * uniforms.channels * positions) {
        return;
    }
    let position = i % positions;
    let plane = i - position;
    let channel = (i / positions) % uniforms.channels;
    let row = i / (positions * uniforms.channels);
    let pixel = pixels[channel];
    let scale = scales[channel];
    let value = values[i];
    let y = position / uniforms.width;
    let x = position % uniforms.width;

    let rolled_y = (y + shift[0]) % uniforms.height;
    let rolled_x = (x + shift[1]) % uniforms.width;
    let through_network = scale.y * input_gradient[plane + rolled_y * uniforms.width + rolled_x];

    // The derivative of the cubed norm of the pixel.
    var squares = 0.0;
    for (var part = 0u; part < pixel.y; part += 1u) {
        let other = values[i + (pixel.x + part) * positions - channel * positions];
        squares += other * other;
    }
    let of_norm = 3.0 * sqrt(squares) * value;

    // Each difference counts for both of its ends.
    var in_space = 0.0;
    if (x > 0u) {
        in_space += value - values[i - 1u];
    }
    if (x + 1u < uniforms.width) {
        in_space += value - values[i + 1u];
    }
    if (y > 0u) {
        in_space += value - values[i - uniforms.width];
    }
    if (y + 1u < uniforms.height) {
        in_space += value - values[i + uniforms.width];
    }
    var in_time = 0.0;
    if (pixel.z != NONE) {
        in_time += value - values[i + pixel.z * positions - channel * positions];
    }
    if (pixel.w != NONE) {
        in_time += value - values[i + pixel.w * positions - channel * positions];
    }
    let of_differences = 2.0 * (uniforms.kappa * in_space + chi[row] * in_time);

    gradient[i] = through_network
        + scale.z * (uniforms.range * of_norm + uniforms.smoothness * of_differences);
}
