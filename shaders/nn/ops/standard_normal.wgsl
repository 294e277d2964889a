// Standard normal numbers, a function of (seed, step, node, element).
// uses shared/grid.wgsl
// uses shared/philox.wgsl

struct Uniforms {
    key: vec2u,
    stream: u32,
    // Tells several such nodes of one graph apart.
    node: u32,
    // Vectors of four elements.
    vectors: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        output[i] = standard_normal(philox(vec4u(i, step_counter[0], uniforms.stream, uniforms.node), uniforms.key));
    }
}
