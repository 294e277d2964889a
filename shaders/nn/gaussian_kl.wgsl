// KL(N(mu, exp(log_variance)) || N(0, 1)) = -1/2 sum(1 + log_variance - mu^2 - exp(log_variance)), summed over each
// sample's latent units (Kingma and Welling 2014, appendix B).
// uses common/grid.wgsl
// uses common/rows.wgsl

struct Parameters {
    batch: u32,
    // Latent units.
    size: u32,
    accumulate_mu: u32,
    accumulate_log_variance: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> mu: array<f32>;
@group(0) @binding(2) var<storage, read> log_variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> divergence: array<f32>;

@group(0) @binding(3) var<storage, read> divergence_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> mu_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> log_variance_gradient: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let row = workgroup.x * ROWS + local.y;
    let first = min(row, parameters.batch - 1u) * parameters.size;
    var sum = 0.0;
    for (var i = local.x; i < parameters.size; i += LANES) {
        let m = mu[first + i];
        let v = log_variance[first + i];
        sum += 0.5 * (m * m + (exp(v) - 1.0 - v));
    }
    sum = sum_over_lanes(sum, local.x);
    if (local.x == 0u && row < parameters.batch) {
        divergence[row] = sum;
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= parameters.batch * parameters.size) {
        return;
    }
    let upstream = divergence_gradient[i / parameters.size];
    var to_mu = upstream * mu[i];
    var to_log_variance = upstream * 0.5 * (exp(log_variance[i]) - 1.0);
    if (parameters.accumulate_mu != 0u) {
        to_mu += mu_gradient[i];
    }
    if (parameters.accumulate_log_variance != 0u) {
        to_log_variance += log_variance_gradient[i];
    }
    mu_gradient[i] = to_mu;
    log_variance_gradient[i] = to_log_variance;
}
