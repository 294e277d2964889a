// z = mu + noise * eps * exp(log_variance / 2), eps ~ N(0, 1) (Kingma and Welling 2014, section 2.4). The noise is
// a function of (seed, step, element): the backward pass draws it again instead of keeping it. Or it is given for every
// step, as another framework has drawn it.
// uses shared/grid.wgsl
// uses shared/philox.wgsl

struct Uniforms {
    key: vec2u,
    stream: u32,
    // Tells several such nodes of one graph apart.
    node: u32,
    // Vectors of four elements.
    vectors: u32,
    noise: f32,
    // Steps that there is given noise for.
    steps: u32,
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
// Of one head: each has an entry point of its own, since either may be fixed, and both may be one node.
@group(0) @binding(4) var<storage, read_write> head_gradient: array<vec4f>;

// noise * eps * exp(log_variance / 2); nothing at all without noise, whatever the variance.
fn deviation(i: u32) -> vec4f {
    if (uniforms.noise == 0.0) {
        return vec4f(0.0);
    }
    let eps = standard_normal(philox(vec4u(i, step_counter[0], uniforms.stream, uniforms.node), uniforms.key));
    return uniforms.noise * eps * exp(0.5 * log_variance[i]);
}

fn given_deviation(i: u32) -> vec4f {
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

@compute @workgroup_size(64)
fn forward_given(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        z[i] = mu[i] + given_deviation(i);
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

@compute @workgroup_size(64)
fn backward_log_variance_given(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        add_to_gradient(i, 0.5 * z_gradient[i] * given_deviation(i));
    }
}
