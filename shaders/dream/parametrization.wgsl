// Changes of basis of dreamt values [rows, channels, height, width].
// uses shared/grid.wgsl

struct Uniforms {
    count: u32,
    // Values of a channel.
    positions: u32,
    channels: u32,
    // Length of the transformed axis, and how far its neighbors are apart.
    side: u32,
    stride: u32,
    // Whether the weights count for what goes in (1), for what comes out (2), or not at all (0).
    weighted: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// A symmetric matrix [side, side], or one of three colors.
@group(0) @binding(1) var<storage, read> basis: array<f32>;
// For each position of a channel.
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> source: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

// The transform along one axis.
@compute @workgroup_size(64)
fn transform(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let at = (i / uniforms.stride) % uniforms.side;
    let first = i - at * uniforms.stride;
    var sum = 0.0;
    for (var k = 0u; k < uniforms.side; k += 1u) {
        let from_index = first + k * uniforms.stride;
        var value = source[from_index];
        if (uniforms.weighted == 1u) {
            value *= weights[from_index % uniforms.positions];
        }
        sum += basis[at * uniforms.side + k] * value;
    }
    if (uniforms.weighted == 2u) {
        sum *= weights[i % uniforms.positions];
    }
    result[i] = sum;
}

// The first three channels mixed, the others as they are.
@compute @workgroup_size(64)
fn mix_colors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let channel = (i / uniforms.positions) % uniforms.channels;
    if (channel > 2u) {
        result[i] = source[i];
        return;
    }
    let red = i - channel * uniforms.positions;
    result[i] = basis[3u * channel] * source[red]
        + basis[3u * channel + 1u] * source[red + uniforms.positions]
        + basis[3u * channel + 2u] * source[red + 2u * uniforms.positions];
}
