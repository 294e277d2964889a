// Passes over whole buffers, element by element.
// uses shared/grid.wgsl

struct Uniforms {
    // Elements from `first` on.
    first: u32,
    count: u32,
    // What is filled in, or the largest magnitude that is kept.
    value: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read_write> elements: array<f32>;
@group(0) @binding(2) var<storage, read> others: array<f32>;

@compute @workgroup_size(64)
fn fill(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        elements[uniforms.first + i] = uniforms.value;
    }
}

@compute @workgroup_size(64)
fn add(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        elements[uniforms.first + i] += others[uniforms.first + i];
    }
}

@compute @workgroup_size(64)
fn copy(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        elements[uniforms.first + i] = others[uniforms.first + i];
    }
}

// Into [-value, value]; NaN stays NaN, because a comparison with it is false.
@compute @workgroup_size(64)
fn clamp_elements(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let element = elements[uniforms.first + i];
    if (element > uniforms.value) {
        elements[uniforms.first + i] = uniforms.value;
    }
    if (element < -uniforms.value) {
        elements[uniforms.first + i] = -uniforms.value;
    }
}
