// z = mu + noise * eps * exp(log_variance / 2), eps ~ N(0, 1) (Kingma and Welling 2014, section 2.4). The noise is
// a function of (seed, step, element): the backward pass draws it again instead of keeping it.
// uses common/grid.wgsl
// uses common/philox.wgsl

struct Parameters {
    key: vec2u,
    stream: u32,
    // Tells several such nodes of one graph apart.
    node: u32,
    // Vectors of four elements.
    vectors: u32,
    noise: f32,
    accumulate_mu: u32,
    accumulate_log_variance: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> clock: array<u32>;
@group(0) @binding(2) var<storage, read> log_variance: array<vec4f>;
@group(0) @binding(3) var<storage, read> mu: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> z: array<vec4f>;

@group(0) @binding(3) var<storage, read> z_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mu_gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> log_variance_gradient: array<vec4f>;

// noise * eps * exp(log_variance / 2); nothing at all without noise, whatever the variance.
fn deviation(i: u32) -> vec4f {
    if (parameters.noise == 0.0) {
        return vec4f(0.0);
    }
    let eps = standard_normal(philox(vec4u(i, clock[0], parameters.stream, parameters.node), parameters.key));
    return parameters.noise * eps * exp(0.5 * log_variance[i]);
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.vectors) {
        z[i] = mu[i] + deviation(i);
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.vectors) {
        var to_mu = z_gradient[i];
        var to_log_variance = 0.5 * z_gradient[i] * deviation(i);
        if (parameters.accumulate_mu != 0u) {
            to_mu += mu_gradient[i];
        }
        if (parameters.accumulate_log_variance != 0u) {
            to_log_variance += log_variance_gradient[i];
        }
        mu_gradient[i] = to_mu;
        log_variance_gradient[i] = to_log_variance;
    }
}
