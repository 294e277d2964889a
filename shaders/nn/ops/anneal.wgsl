// Times a share that grows with the step, forward and backward.
// uses shared/grid.wgsl

struct Uniforms {
    // Vectors of four elements.
    vectors: u32,
    // The step from which on the share is 1; 0: it is 1 in every step.
    steps: u32,
    // 1: add to what the output holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    var value = x[i];
    if (step_counter[0] < uniforms.steps) {
        value *= f32(step_counter[0]) / f32(uniforms.steps);
    }
    if (uniforms.accumulate != 0u) {
        value += y[i];
    }
    y[i] = value;
}
