// The gradient of a bias: sums over the rows of a [rows, columns] matrix, one invocation for each column.

struct Parameters {
    rows: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let column = invocation.x;
    if (column >= parameters.columns) {
        return;
    }
    var sum = 0.0;
    for (var row = 0u; row < parameters.rows; row += 1u) {
        sum += matrix[row * parameters.columns + column];
    }
    sums[column] = sum;
}
