// Losses of predictions against targets of the same shape, summed over each sample's elements.
// uses shared/grid.wgsl
// uses shared/rows.wgsl
// uses shared/elementary.wgsl

const BCE_WITH_LOGITS: u32 = 0u;
const SQUARED_ERROR: u32 = 1u;
const BCE: u32 = 2u;
const NEGATIVE_LOG_LIKELIHOOD: u32 = 3u;

override KIND: u32 = 0u;

struct Uniforms {
    // Samples.
    batch: u32,
    // Elements of a sample.
    size: u32,
    // 1: add to what the prediction's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> prediction: array<vec4f>;
@group(0) @binding(2) var<storage, read> goal: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> loss_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> prediction_gradient: array<vec4f>;

// -weight log(p), 0 where the weight is.
fn log_term(weight: vec4f, p: vec4f) -> vec4f {
    return select(-weight * log(p), vec4f(0.0), weight == vec4f(0.0));
}

// weight / p, 0 where the weight is.
fn quotient(weight: vec4f, p: vec4f) -> vec4f {
    return select(weight / p, vec4f(0.0), weight == vec4f(0.0));
}

fn element_loss(x: vec4f, t: vec4f) -> vec4f {
    if (KIND == SQUARED_ERROR) {
        return (x - t) * (x - t);
    }
    if (KIND == BCE) {
        return log_term(t, x) + log_term(1.0 - t, 1.0 - x);
    }
    if (KIND == NEGATIVE_LOG_LIKELIHOOD) {
        return log_term(t, x);
    }
    // Never the logarithm of a sigmoid that rounded to 0 or 1; and the large terms cancel before the small one comes.
    return (max(x, vec4f(0.0)) - x * t) + log1p4(exp_of_minus_magnitude(x));
}

fn element_derivative(x: vec4f, t: vec4f) -> vec4f {
    if (KIND == SQUARED_ERROR) {
        return 2.0 * (x - t);
    }
    if (KIND == BCE) {
        return quotient(1.0 - t, 1.0 - x) - quotient(t, x);
    }
    if (KIND == NEGATIVE_LOG_LIKELIHOOD) {
        return -quotient(t, x);
    }
    return sigmoid4(x) - t;
}

@compute @workgroup_size(LANES * ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    var sum = 0.0;
    if (uniforms.size % 4u == 0u) {
        var sums = vec4f(0.0);
        for (var i = lane; i < uniforms.size / 4u; i += LANES) {
            sums += element_loss(prediction[first / 4u + i], goal[first / 4u + i]);
        }
        sum = (sums.x + sums.y) + (sums.z + sums.w);
    } else {
        for (var i = lane; i < uniforms.size; i += LANES) {
            let at = first + i;
            sum += element_loss(vec4f(prediction[at / 4u][at % 4u]), vec4f(goal[at / 4u][at % 4u])).x;
        }
    }
    sum = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.batch) {
        loss[row] = sum;
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let count = uniforms.batch * uniforms.size;
    if (4u * i >= count) {
        return;
    }
    let last = uniforms.batch - 1u;
    var upstream = vec4f(loss_gradient[4u * i / uniforms.size]);
    if (uniforms.size % 4u != 0u) {
        upstream.y = loss_gradient[min((4u * i + 1u) / uniforms.size, last)];
        upstream.z = loss_gradient[min((4u * i + 2u) / uniforms.size, last)];
        upstream.w = loss_gradient[min((4u * i + 3u) / uniforms.size, last)];
    }
    var gradient = upstream * element_derivative(prediction[i], goal[i]);
    if (uniforms.accumulate != 0u) {
        gradient += prediction_gradient[i];
    }
    prediction_gradient[i] = gradient;
}
