// z = mu + noise * eps * exp(log_variance / 2), where eps is given for every step: noise that another framework drew.
// uses shared/grid.wgsl

struct Uniforms {
    // Vectors of four elements of a batch.
    vectors: u32,
    // Steps that there is noise for.
    steps: u32,
    noise: f32,
    // 1: add to what the head's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read> log_variance: array<vec4f>;
@group(0) @binding(3) var<storage, read> mu: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> z: array<vec4f>;
// Step after step.
@group(0) @binding(5) var<storage, read> given: array<vec4f>;

@group(0) @binding(3) var<storage, read> z_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> head_gradient: array<vec4f>;

fn deviation(i: u32) -> vec4f {
    let eps = given[(step_counter[0] % uniforms.steps) * uniforms.vectors + i];
    return uniforms.noise * eps * exp(0.5 * log_variance[i]);
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        z[i] = mu[i] + deviation(i);
    }
}

fn add_to_gradient(i: u32, gradient: vec4f) {
    var sum = gradient;
    if (uniforms.accumulate != 0u) {
        sum += head_gradient[i];
    }
    head_gradient[i] = sum;
}

@compute @workgroup_size(64)
fn backward_mu(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        add_to_gradient(i, z_gradient[i]);
    }
}

@compute @workgroup_size(64)
fn backward_log_variance(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        add_to_gradient(i, 0.5 * z_gradient[i] * deviation(i));
    }
}
