// An exponential moving average of the weights, which begins with the weights after the first step.
// uses shared/grid.wgsl

struct Uniforms {
    // Vectors of four parameters.
    vectors: u32,
    // 1 - decay, rounded from float64.
    complement: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> averages: array<vec4f>;

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
    let weight = weights[i];
    if (step_counter[0] == 0u) {
        averages[i] = weight;
        return;
    }
    let average = averages[i];
    averages[i] = average + uniforms.complement * (weight - average);
}
