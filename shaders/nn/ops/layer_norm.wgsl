// Layer normalization (Ba, Kiros and Hinton 2016): each row minus its mean, over its deviation, scaled and shifted by
// element. Statistics are taken in two passes over a row.
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    rows: u32,
    // Elements of a row.
    size: u32,
    epsilon: f32,
    // 1: add to what the input's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [rows]: mean and 1 / sqrt(variance + epsilon).
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2f>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@group(0) @binding(5) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> x_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> bias_gradient: array<f32>;

// The row of an invocation, and where it begins in x and y. The lanes of a row past the last compute the last one again and
// write nothing, so that all lanes reach the same barriers.
struct Row {
    is_past_end: bool,
    index: u32,
    first: u32,
    lane: u32,
}

fn own_row(workgroup: vec3u, workgroups: vec3u, local: u32) -> Row {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let own = min(row, uniforms.rows - 1u);
    return Row(row >= uniforms.rows, own, own * uniforms.size, lane_of(local));
}

fn write_gradient(at: u32, gradient: f32) {
    if (uniforms.accumulate != 0u) {
        x_gradient[at] = gradient + x_gradient[at];
    } else {
        x_gradient[at] = gradient;
    }
}

@compute @workgroup_size(LANES * ROWS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = own_row(workgroup, workgroups, local);
    let lane = row.lane;
    let first = row.first;
    let count = f32(uniforms.size);
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        sum += x[first + i];
    }
    let mean = sum_over_lanes(sum, lane) / count;
    var squares = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let d = x[first + i] - mean;
        squares += d * d;
    }
    let scale = 1.0 / sqrt(sum_over_lanes(squares, lane) / count + uniforms.epsilon);
    if (row.is_past_end) {
        return;
    }
    if (lane == 0u) {
        statistics[row.index] = vec2f(mean, scale);
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        y[first + i] = (x[first + i] - mean) * scale * weight[i] + bias[i];
    }
}

@compute @workgroup_size(LANES * ROWS)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = own_row(workgroup, workgroups, local);
    let lane = row.lane;
    let own = row.index;
    let first = row.first;
    let mean = statistics[own].x;
    let scale = statistics[own].y;
    var sum = 0.0;
    var product = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let g = y_gradient[first + i] * weight[i];
        sum += g;
        product += g * (x[first + i] - mean);
    }
    let count = f32(uniforms.size);
    let shift = sum_over_lanes(sum, lane) / count;
    let slope = sum_over_lanes(product, lane) * scale * scale / count;
    if (row.is_past_end) {
        return;
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        let g = y_gradient[first + i] * weight[i];
        write_gradient(first + i, scale * (g - shift - (x[first + i] - mean) * slope));
    }
}

// The gradient with the deviation taken for a constant, as relevance propagation does.
@compute @workgroup_size(LANES * ROWS)
fn backward_fixed_scale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = own_row(workgroup, workgroups, local);
    let lane = row.lane;
    let own = row.index;
    let first = row.first;
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        sum += y_gradient[first + i] * weight[i];
    }
    let shift = sum_over_lanes(sum, lane) / f32(uniforms.size);
    if (row.is_past_end) {
        return;
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        write_gradient(first + i, statistics[own].y * (y_gradient[first + i] * weight[i] - shift));
    }
}

// DeepLIFT between samples (the first half of the rows) and baselines: the exact quotient of differences of
// (x - mean) scale, of whose factors each changes while the other is at its mean.
@compute @workgroup_size(LANES * ROWS)
fn backward_rescale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = own_row(workgroup, workgroups, local);
    let lane = row.lane;
    let own = row.index;
    let half = uniforms.rows / 2u;
    let partner = select(own - half, own + half, own < half);
    let first = row.first;
    let partner_first = partner * uniforms.size;
    let mean = 0.5 * (statistics[own].x + statistics[partner].x);
    let scales = vec2f(statistics[own].y, statistics[partner].y);
    let scale = 0.5 * (scales.x + scales.y);
    var sum = 0.0;
    var product = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let g = y_gradient[first + i] * weight[i];
        sum += g;
        product += g * (0.5 * (x[first + i] + x[partner_first + i]) - mean);
    }
    let count = f32(uniforms.size);
    let shift = sum_over_lanes(sum, lane) / count;
    // The quotient of the differences of scale and variance, without a division by a small number.
    let square = scales.x * scales.y;
    let quotient = -square * square / (scales.x + scales.y);
    let slope = 2.0 * quotient * sum_over_lanes(product, lane) / count;
    if (row.is_past_end) {
        return;
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        let g = y_gradient[first + i] * weight[i];
        let centered = 0.5 * (x[first + i] + x[partner_first + i]) - mean;
        write_gradient(first + i, scale * (g - shift) + centered * slope);
    }
}

// One invocation for each element of weight and bias, along all rows.
@compute @workgroup_size(64)
fn backward_parameters(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_index(workgroup, workgroups, local, 64u);
    if (column >= uniforms.size) {
        return;
    }
    var to_weight = 0.0;
    var to_bias = 0.0;
    for (var row = 0u; row < uniforms.rows; row += 1u) {
        let i = row * uniforms.size + column;
        let g = y_gradient[i];
        to_weight += g * (x[i] - statistics[row].x) * statistics[row].y;
        to_bias += g;
    }
    weight_gradient[column] = to_weight;
    bias_gradient[column] = to_bias;
}
