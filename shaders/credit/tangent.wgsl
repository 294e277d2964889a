// Small changes on their way forward, where neither the forward nor the backward pass of an operation carries them.
// uses shared/grid.wgsl

struct Uniforms {
    // Elements that are written.
    count: u32,
    // Elements of a plane of the input, or gains.
    period: u32,
    // Elements of a plane of the output.
    outputs: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> changes: array<f32>;
@group(0) @binding(2) var<storage, read> gains: array<f32>;
// Where each window has its maximum, within its plane.
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

// The change of a maximum is that of the element which is the maximum.
@compute @workgroup_size(64)
fn at_maximum(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        result[i] = changes[(i / uniforms.outputs) * uniforms.period + chosen[i]];
    }
}

// The change of what is normalized, times the gain of its element.
@compute @workgroup_size(64)
fn times_gain(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        result[i] = changes[i] * gains[i % uniforms.period];
    }
}
