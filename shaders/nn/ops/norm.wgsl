// The Euclidean norm of each row.
// uses shared/grid.wgsl
// uses shared/rows.wgsl

struct Uniforms {
    rows: u32,
    // Elements of a row.
    size: u32,
    // 1: add to what the input's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> norms: array<f32>;

@group(0) @binding(2) var<storage, read> saved_norms: array<f32>;
@group(0) @binding(3) var<storage, read> norm_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;

@compute @workgroup_size(LANES * ROWS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    // The lanes of a row past the last compute the last one again, so that all lanes reach the same barriers.
    let first = min(row, uniforms.rows - 1u) * uniforms.size;
    var squares = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        squares += x[first + i] * x[first + i];
    }
    let norm = sqrt(sum_over_lanes(squares, lane));
    if (lane == 0u && row < uniforms.rows) {
        norms[row] = norm;
    }
}

@compute @workgroup_size(LANES * ROWS)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    if (row >= uniforms.rows) {
        return;
    }
    let first = row * uniforms.size;
    let norm = saved_norms[row];
    var slope = norm_gradient[row] / norm;
    if (norm == 0.0) {
        slope = 0.0;
    }
    for (var i = lane_of(local); i < uniforms.size; i += LANES) {
        let gradient = slope * x[first + i];
        if (uniforms.accumulate != 0u) {
            x_gradient[first + i] += gradient;
        } else {
            x_gradient[first + i] = gradient;
        }
    }
}
