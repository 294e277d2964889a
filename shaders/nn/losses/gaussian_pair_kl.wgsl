// KL(N(mu_q, exp(log_variance_q)) || N(mu_p, exp(log_variance_p))) =
// 1/2 sum(exp(d) - 1 - d + (mu_q - mu_p)^2 exp(-log_variance_p)) with d = log_variance_q - log_variance_p, summed over each
// sample's latent units: a posterior from a prior that is learned (Rezende et al. 2014, Burda et al. 2016).
// uses shared/exponential.wgsl
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    batch: u32,
    // Latent units.
    size: u32,
    // 1: add to what the head's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> mu_q: array<f32>;
@group(0) @binding(2) var<storage, read> log_variance_q: array<f32>;
@group(0) @binding(3) var<storage, read> mu_p: array<f32>;
@group(0) @binding(4) var<storage, read> log_variance_p: array<f32>;
@group(0) @binding(5) var<storage, read_write> divergence: array<f32>;

@group(0) @binding(5) var<storage, read> divergence_gradient: array<f32>;
// Of one head: each has an entry point of its own, since any may be fixed, and several may be one node.
@group(0) @binding(6) var<storage, read_write> head_gradient: array<f32>;

// How much wider the first Gaussian is, as a logarithm.
fn log_ratio(i: u32) -> f32 {
    return log_variance_q[i] - log_variance_p[i];
}

// The distance of the means in units of the second variance.
fn scaled_distance(i: u32) -> f32 {
    return (mu_q[i] - mu_p[i]) * exp(-log_variance_p[i]);
}

@compute @workgroup_size(LANES * ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    var sum = 0.0;
    for (var i = first + lane; i < first + uniforms.size; i += LANES) {
        sum += 0.5 * (exp_minus_tangent(log_ratio(i)) + (mu_q[i] - mu_p[i]) * scaled_distance(i));
    }
    sum = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.batch) {
        divergence[row] = sum;
    }
}

fn add_to_gradient(i: u32, slope: f32) {
    var sum = divergence_gradient[i / uniforms.size] * slope;
    if (uniforms.accumulate != 0u) {
        sum += head_gradient[i];
    }
    head_gradient[i] = sum;
}

@compute @workgroup_size(64)
fn backward_mu_q(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, scaled_distance(i));
    }
}

@compute @workgroup_size(64)
fn backward_log_variance_q(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, 0.5 * exp_minus_one(log_ratio(i)));
    }
}

@compute @workgroup_size(64)
fn backward_mu_p(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, -scaled_distance(i));
    }
}

@compute @workgroup_size(64)
fn backward_log_variance_p(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, -0.5 * (exp_minus_one(log_ratio(i)) + (mu_q[i] - mu_p[i]) * scaled_distance(i)));
    }
}
