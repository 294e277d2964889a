// The norm of all gradients together, and what they are scaled with so that it stays below a bound. Two passes, each
// with a fixed order of its sums.
// uses shared/scale.wgsl
// uses shared/step_scale.wgsl
// uses shared/workgroup_sum.wgsl

// Lanes of the first pass.
const LANES = 4096u;

struct Uniforms {
    // Vectors of four gradients.
    vectors: u32,
    bound: f32,
    not_a_number: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> step_scale: StepScale;

@compute @workgroup_size(64)
fn partial_sums(@builtin(global_invocation_id) invocation: vec3u) {
    let lane = invocation.x;
    if (lane >= LANES) {
        return;
    }
    var sum = 0.0;
    for (var i = lane; i < uniforms.vectors; i += LANES) {
        let gradient = gradients[i];
        sum += dot(gradient, gradient);
    }
    sums[lane] = sum;
}

@compute @workgroup_size(64)
fn scale(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < LANES; i += 64u) {
        sum += sums[i];
    }
    let all = workgroup_sum(lane, sum);
    if (lane > 0u) {
        return;
    }
    let norm = sqrt(all);
    var scale = uniforms.bound / (norm + 1e-6);
    if (scale > 1.0) {
        scale = 1.0;
    }
    // By bits, because a compiler may assume that floats are finite.
    if (!is_finite(all)) {
        let is_infinite = (bitcast<u32>(all) & 0x007fffffu) == 0u;
        scale = select(bitcast<f32>(uniforms.not_a_number), 0.0, is_infinite);
    }
    step_scale.norm = norm;
    step_scale.scale = scale;
}
