// Spectral normalization (Miyato et al. 2018): a weight [rows, columns] over its largest singular value, estimated by
// one step of power iteration. The gradient takes the singular vectors for constants, as PyTorch does.
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    rows: u32,
    columns: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
// W^T u or W v, before it has length 1.
@group(0) @binding(2) var<storage, read_write> product: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
// [0]: the singular value. [1]: the sum of the scaled weight's elements times their gradients.
@group(0) @binding(5) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(6) var<storage, read_write> scaled: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> vector: array<f32>;

// W^T u: one invocation for each column.
@compute @workgroup_size(64)
fn multiply_left(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_index(workgroup, workgroups, local, 64u);
    if (column >= uniforms.columns) {
        return;
    }
    var sum = 0.0;
    for (var row = 0u; row < uniforms.rows; row += 1u) {
        sum += weight[row * uniforms.columns + column] * u[row];
    }
    product[column] = sum;
}

// W v: one row for each invocation or workgroup.
@compute @workgroup_size(LANES * ROWS)
fn multiply_right(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    let first = min(row, uniforms.rows - 1u) * uniforms.columns;
    var sum = 0.0;
    for (var column = lane; column < uniforms.columns; column += LANES) {
        sum += weight[first + column] * v[column];
    }
    sum = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.rows) {
        product[row] = sum;
    }
}

var<workgroup> partials: array<f32, 256>;

// The sum over one workgroup of 256 lanes, in a fixed order.
fn sum_over_workgroup(value: f32, lane: u32) -> f32 {
    partials[lane] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 256u; i += 1u) {
        sum += partials[i];
    }
    workgroupBarrier();
    return sum;
}

// v from W^T u.
@compute @workgroup_size(256)
fn normalize_v(@builtin(local_invocation_index) lane: u32) {
    var squares = 0.0;
    for (var i = lane; i < uniforms.columns; i += 256u) {
        squares += product[i] * product[i];
    }
    let length = max(sqrt(sum_over_workgroup(squares, lane)), uniforms.epsilon);
    for (var i = lane; i < uniforms.columns; i += 256u) {
        vector[i] = product[i] / length;
    }
}

// u from W v, and the singular value u^T W v.
@compute @workgroup_size(256)
fn normalize_u(@builtin(local_invocation_index) lane: u32) {
    var squares = 0.0;
    for (var i = lane; i < uniforms.rows; i += 256u) {
        squares += product[i] * product[i];
    }
    let length = max(sqrt(sum_over_workgroup(squares, lane)), uniforms.epsilon);
    var sum = 0.0;
    for (var i = lane; i < uniforms.rows; i += 256u) {
        let unit = product[i] / length;
        vector[i] = unit;
        sum += unit * product[i];
    }
    let sigma = sum_over_workgroup(sum, lane);
    if (lane == 0u) {
        scalars[0] = sigma;
    }
}

// The singular value u^T W v of vectors that stay as they are.
@compute @workgroup_size(256)
fn measure(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < uniforms.rows; i += 256u) {
        sum += u[i] * product[i];
    }
    let sigma = sum_over_workgroup(sum, lane);
    if (lane == 0u) {
        scalars[0] = sigma;
    }
}

@compute @workgroup_size(64)
fn scale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.rows * uniforms.columns) {
        scaled[i] = weight[i] / scalars[0];
    }
}

// The sum of all elements of the scaled weight times their gradients.
@compute @workgroup_size(256)
fn project(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < uniforms.rows * uniforms.columns; i += 256u) {
        sum += scaled[i] * gradient[i];
    }
    let all = sum_over_workgroup(sum, lane);
    if (lane == 0u) {
        scalars[1] = all;
    }
}

// From the gradient of the scaled weight to that of the weight, in place.
@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.rows * uniforms.columns) {
        let outer = u[i / uniforms.columns] * v[i % uniforms.columns];
        gradient[i] = (gradient[i] - scalars[1] * outer) / scalars[0];
    }
}
