// Copies a matrix into one with other columns: zeros where it has more, cut off where it has fewer.
// uses common/grid.wgsl

struct Parameters {
    rows: u32,
    from_columns: u32,
    to_columns: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> copy: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let row = i / parameters.to_columns;
    let column = i % parameters.to_columns;
    if (row >= parameters.rows) {
        return;
    }
    var value = 0.0;
    if (column < parameters.from_columns) {
        value = source[row * parameters.from_columns + column];
    }
    copy[i] = value;
}
