// -log N(x | mean, exp(log_variance)) = 1/2 (log(2 pi) + log_variance + (x - mean)^2 exp(-log_variance)), summed over each
// sample's elements: the reconstruction of a decoder that says how certain it is (Kingma and Welling 2014, appendix C.2).
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    batch: u32,
    // Elements of a sample.
    size: u32,
    // 1: add to what the head's gradient holds.
    accumulate: u32,
}

const LOG_TWO_PI: f32 = 1.8378770664093453;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> log_variance: array<f32>;
@group(0) @binding(3) var<storage, read> goal: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

@group(0) @binding(4) var<storage, read> loss_gradient: array<f32>;
// Of one head: each has an entry point of its own, since either may be fixed.
@group(0) @binding(5) var<storage, read_write> head_gradient: array<f32>;

// The squared distance in units of the variance.
fn squared_distance(i: u32) -> f32 {
    let distance = goal[i] - mean[i];
    return distance * distance * exp(-log_variance[i]);
}

@compute @workgroup_size(LANES * ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        sum += 0.5 * ((LOG_TWO_PI + log_variance[first + i]) + squared_distance(first + i));
    }
    sum = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.batch) {
        loss[row] = sum;
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
fn backward_mean(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.size) {
        let slope = (mean[i] - goal[i]) * exp(-log_variance[i]);
        add_to_gradient(i, loss_gradient[i / uniforms.size] * slope);
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
        add_to_gradient(i, loss_gradient[i / uniforms.size] * 0.5 * (1.0 - squared_distance(i)));
    }
}
