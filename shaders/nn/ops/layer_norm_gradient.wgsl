// The gradient through a layer norm, and the gradients of that. With n the normalized x, s its scale, h the gradient of the
// output times the weight and c what arrives, all means over a row:
//   result       s (h - mean(h) - n mean(h n))
//   to gradient  weight s (c - mean(c) - n mean(c n))
//   to x         -s^2 (n (mean(c h) - mean(c) mean(h) - mean(c n) mean(h n))
//                      + mean(h n) (c - mean(c) - n mean(c n)) + mean(c n) (h - mean(h) - n mean(h n)))
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    rows: u32,
    // Elements of a row.
    size: u32,
    epsilon: f32,
    // 1: add to what is written.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
// Of each row: mean and scale of x, mean(h), mean(h n); then mean(c), mean(c n), mean(c h), and nothing.
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(5) var<storage, read> upstream: array<f32>;
@group(0) @binding(6) var<storage, read_write> result: array<f32>;

fn write(i: u32, value: f32) {
    if (uniforms.accumulate != 0u) {
        result[i] += value;
    } else {
        result[i] = value;
    }
}

// The normalized x of an element.
fn normalized(i: u32, row: u32) -> f32 {
    let of_row = sums[2u * row];
    return (x[i] - of_row.x) * of_row.y;
}

// c - mean(c) - n mean(c n) of an element.
fn upstream_flow(i: u32, row: u32) -> f32 {
    let of_upstream = sums[2u * row + 1u];
    return upstream[i] - of_upstream.x - normalized(i, row) * of_upstream.y;
}

// The lanes of a row past the last compute the last one again and write nothing, so that all lanes reach the same barriers.
@compute @workgroup_size(LANES * ROWS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    let first = min(row, uniforms.rows - 1u) * uniforms.size;
    let count = f32(uniforms.size);
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        sum += x[first + i];
    }
    let mean = sum_over_lanes(sum, lane) / count;
    var squares = 0.0;
    var of_gradient = 0.0;
    var product = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let d = x[first + i] - mean;
        let h = gradient[first + i] * weight[i];
        squares += d * d;
        of_gradient += h;
        product += h * d;
    }
    let scale = 1.0 / sqrt(sum_over_lanes(squares, lane) / count + uniforms.epsilon);
    let mean_h = sum_over_lanes(of_gradient, lane) / count;
    let mean_hn = sum_over_lanes(product, lane) * scale / count;
    if (row >= uniforms.rows) {
        return;
    }
    if (lane == 0u) {
        sums[2u * row] = vec4f(mean, scale, mean_h, mean_hn);
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        let n = (x[first + i] - mean) * scale;
        result[first + i] = scale * (gradient[first + i] * weight[i] - mean_h - n * mean_hn);
    }
}

@compute @workgroup_size(LANES * ROWS)
fn backward_sums(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    let own = min(row, uniforms.rows - 1u);
    let first = own * uniforms.size;
    let of_row = sums[2u * own];
    var sum = 0.0;
    var with_x = 0.0;
    var with_gradient = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        let c = upstream[first + i];
        sum += c;
        with_x += c * (x[first + i] - of_row.x);
        with_gradient += c * gradient[first + i] * weight[i];
    }
    let mean_c = sum_over_lanes(sum, lane);
    let mean_cn = sum_over_lanes(with_x, lane) * of_row.y;
    let mean_ch = sum_over_lanes(with_gradient, lane);
    if (lane == 0u && row < uniforms.rows) {
        sums[2u * row + 1u] = vec4f(mean_c, mean_cn, mean_ch, 0.0) / f32(uniforms.size);
    }
}

@compute @workgroup_size(64)
fn backward_gradient(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.rows * uniforms.size) {
        return;
    }
    let row = i / uniforms.size;
    write(i, weight[i % uniforms.size] * sums[2u * row].y * upstream_flow(i, row));
}

@compute @workgroup_size(64)
fn backward_input(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.rows * uniforms.size) {
        return;
    }
    let row = i / uniforms.size;
    let of_row = sums[2u * row];
    let of_upstream = sums[2u * row + 1u];
    let n = normalized(i, row);
    let h = gradient[i] * weight[i % uniforms.size];
    let by_scale = of_upstream.z - of_upstream.x * of_row.z - of_upstream.y * of_row.w;
    let by_upstream = of_row.w * upstream_flow(i, row);
    let by_gradient = of_upstream.y * (h - of_row.z - n * of_row.w);
    write(i, -of_row.y * of_row.y * (n * by_scale + by_upstream + by_gradient));
}

// One invocation for each element of the weight, along all rows.
@compute @workgroup_size(64)
fn backward_weight(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_index(workgroup, workgroups, local, 64u);
    if (column >= uniforms.size) {
        return;
    }
    var to_weight = 0.0;
    for (var row = 0u; row < uniforms.rows; row += 1u) {
        let i = row * uniforms.size + column;
        to_weight += gradient[i] * sums[2u * row].y * upstream_flow(i, row);
    }
    result[column] = to_weight;
}
