// Sums over a [rows, columns] matrix: of every column, which is the gradient of a bias, and of every row. The gradient of
// a channel's bias takes both: rows are the channels of all samples, what is left is a [samples, channels] matrix.
// uses shared/rows.wgsl
// uses shared/grid.wgsl

struct Uniforms {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

fn finish(row: u32, lane: u32, sum: f32) {
    let total = sum_over_lanes(sum, lane);
    if (lane == 0u && row < uniforms.rows) {
        sums[row] = total;
    }
}

// One invocation for each column.
@compute @workgroup_size(64)
fn of_columns(@builtin(global_invocation_id) invocation: vec3u) {
    let column = invocation.x;
    if (column >= uniforms.columns) {
        return;
    }
    var sum = 0.0;
    for (var row = 0u; row < uniforms.rows; row += 1u) {
        sum += values[row * uniforms.columns + column];
    }
    sums[column] = sum;
}

@compute @workgroup_size(LANES * ROWS)
fn of_rows_by_scalars(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    var sum = 0.0;
    if (row < uniforms.rows) {
        for (var i = lane; i < uniforms.columns; i += LANES) {
            sum += values[row * uniforms.columns + i];
        }
    }
    finish(row, lane, sum);
}

// Where columns are a multiple of four.
@compute @workgroup_size(LANES * ROWS)
fn of_rows_by_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, row_of(local), ROWS);
    let lane = lane_of(local);
    let count = uniforms.columns / 4u;
    var sum = vec4f(0.0);
    if (row < uniforms.rows) {
        for (var i = lane; i < count; i += LANES) {
            sum += vectors[row * count + i];
        }
    }
    finish(row, lane, (sum.x + sum.y) + (sum.z + sum.w));
}
