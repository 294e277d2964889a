// The mean of two buffers, element by element: the values halfway through a step.
// uses shared/grid.wgsl

struct Uniforms {
    count: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> start: array<f32>;
@group(0) @binding(2) var<storage, read> end: array<f32>;
@group(0) @binding(3) var<storage, read_write> middle: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        middle[i] = 0.5 * (start[i] + end[i]);
    }
}
