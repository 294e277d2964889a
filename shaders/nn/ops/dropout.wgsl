// Dropout (Srivastava et al. 2014), scaled such that the mean stays. The mask is a function of (seed, step, element):
// the backward pass draws it again instead of keeping it, and both passes are one kernel.
// uses shared/grid.wgsl
// uses shared/philox.wgsl

struct Uniforms {
    key: vec2u,
    stream: u32,
    // Tells several such nodes of one graph apart.
    node: u32,
    // Vectors of four elements.
    vectors: u32,
    // Share of the elements that become 0.
    probability: f32,
    // Of those that stay.
    scale: f32,
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
    if (uniforms.probability > 0.0) {
        let u = uniform01(philox(vec4u(i, step_counter[0], uniforms.stream, uniforms.node), uniforms.key));
        value = select(value * uniforms.scale, vec4f(0.0), u < vec4f(uniforms.probability));
    }
    if (uniforms.accumulate != 0u) {
        value += y[i];
    }
    y[i] = value;
}
