// Sums over a [rows, columns] matrix: of every column, which is the gradient of a bias, and of every row. The gradient of
// a channel's bias takes both: rows are the channels of all samples, what is left is a [samples, channels] matrix.
// uses common/rows.wgsl
// uses common/grid.wgsl

struct Parameters {
    rows: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

struct Place {
    row: u32,
    lane: u32,
}

fn place_of(workgroup: vec3u, workgroups: vec3u, local: u32) -> Place {
    let group = workgroup.y * workgroups.x + workgroup.x;
    return Place(group * ROWS + local % ROWS, local / ROWS);
}

fn finish(place: Place, sum: f32) {
    let total = sum_over_lanes(sum, place.lane);
    if (place.lane == 0u && place.row < parameters.rows) {
        sums[place.row] = total;
    }
}

// One invocation for each column.
@compute @workgroup_size(64)
fn of_columns(@builtin(global_invocation_id) invocation: vec3u) {
    let column = invocation.x;
    if (column >= parameters.columns) {
        return;
    }
    var sum = 0.0;
    for (var row = 0u; row < parameters.rows; row += 1u) {
        sum += values[row * parameters.columns + column];
    }
    sums[column] = sum;
}

@compute @workgroup_size(64)
fn of_rows_by_scalars(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let place = place_of(workgroup, workgroups, local);
    var sum = 0.0;
    if (place.row < parameters.rows) {
        for (var i = place.lane; i < parameters.columns; i += LANES) {
            sum += values[place.row * parameters.columns + i];
        }
    }
    finish(place, sum);
}

// Where columns are a multiple of four.
@compute @workgroup_size(64)
fn of_rows_by_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let place = place_of(workgroup, workgroups, local);
    let count = parameters.columns / 4u;
    var sum = vec4f(0.0);
    if (place.row < parameters.rows) {
        for (var i = place.lane; i < count; i += LANES) {
            sum += vectors[place.row * count + i];
        }
    }
    finish(place, (sum.x + sum.y) + (sum.z + sum.w));
}
