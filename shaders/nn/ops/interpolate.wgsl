// Points between the samples of two tensors, one random share for each sample: a function of (seed, step, sample).
// uses shared/grid.wgsl
// uses shared/philox.wgsl

struct Uniforms {
    key: vec2u,
    stream: u32,
    // Tells several such nodes of one graph apart.
    node: u32,
    count: u32,
    // Elements of a sample.
    size: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let counter = vec4u(i / uniforms.size, step_counter[0], uniforms.stream, uniforms.node);
    let u = uniform01(philox(counter, uniforms.key)).x;
    between[i] = u * a[i] + (1.0 - u) * b[i];
}
