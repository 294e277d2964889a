// KL(N(mu, exp(log_variance)) || N(0, 1)) = -1/2 sum(1 + log_variance - mu^2 - exp(log_variance)), summed over each
// sample's latent units (Kingma and Welling 2014, appendix B).
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
@group(0) @binding(1) var<storage, read> mu: array<f32>;
@group(0) @binding(2) var<storage, read> log_variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> divergence: array<f32>;

@group(0) @binding(3) var<storage, read> divergence_gradient: array<f32>;
// Of one head: each has an entry point of its own, since either may be fixed, and both may be one node.
@group(0) @binding(4) var<storage, read_write> head_gradient: array<f32>;

@compute @workgroup_size(LANES * ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let m = mu[first + i];
        sum += 0.5 * (m * m + exp_minus_tangent(log_variance[first + i]));
    }
    sum = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.batch) {
        divergence[row] = sum;
    }
}

fn add_to_gradient(i: u32, gradient: f32) {
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
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, divergence_gradient[i / uniforms.size] * mu[i]);
    }
}

@compute @workgroup_size(64)
fn backward_log_variance(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        add_to_gradient(i, divergence_gradient[i / uniforms.size] * 0.5 * exp_minus_one(log_variance[i]));
    }
}
