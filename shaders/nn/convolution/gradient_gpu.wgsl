// The gradient of a convolution's weight for GPUs: a workgroup of 16 x 16 invocations makes a 64 x 64 tile, each
// invocation 4 x 4 of it in registers; tiles of both sides, 16 deep, pass through shared memory, as in matmul_gpu.wgsl.
// uses shared/convolution/gradient.wgsl

@group(0) @binding(1) var<storage, read> output: array<vec4f>;
@group(0) @binding(2) var<storage, read> input: array<vec4f>;

const TILE: u32 = 64u;
// Positions of four samples.
const DEPTH: u32 = 4u;

// [position and sample][TILE / 4], so that an invocation reads its four rows and its four columns as one vector each.
var<workgroup> row_tile: array<array<vec4f, 16>, 16>;
var<workgroup> column_tile: array<array<vec4f, 16>, 16>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(local_invocation_id) local: vec3u,
    @builtin(local_invocation_index) index: u32,
) {
    let shape = uniforms;
    // Neighboring invocations fetch neighboring positions.
    let depth = index % DEPTH;
    let fetched = index / DEPTH;
    let fetched_row = workgroup.y * TILE + fetched;
    let fetched_column = column_at(shape, workgroup.x * TILE + fetched);
    let begin = workgroup.z * shape.slice;
    let end = min(begin + shape.slice, position_count(shape));
    let step = position_at(shape, DEPTH);
    var position = position_at(shape, begin + depth);
    var tile: array<vec4f, 4>;
    for (var k = begin; k < end; k += DEPTH) {
        let present = k + depth < end;
        // Past the end nothing is loaded.
        let row_index = select(NOWHERE, output_index(shape, fetched_row, position), present);
        let column_index = select(NOWHERE, input_index(shape, fetched_column, position), present);
        let of_row = select(output[select(row_index, 0u, row_index == NOWHERE)], vec4f(0.0), row_index == NOWHERE);
        let of_column = select(input[select(column_index, 0u, column_index == NOWHERE)], vec4f(0.0), column_index == NOWHERE);
        for (var sample = 0u; sample < 4u; sample += 1u) {
            row_tile[4u * depth + sample][fetched / 4u][fetched % 4u] = of_row[sample];
            column_tile[4u * depth + sample][fetched / 4u][fetched % 4u] = of_column[sample];
        }
        position = advanced(shape, position, step);
        workgroupBarrier();
        for (var i = 0u; i < 4u * DEPTH; i += 1u) {
            let rows = row_tile[i][local.y];
            let columns = column_tile[i][local.x];
            tile[0] += rows.x * columns;
            tile[1] += rows.y * columns;
            tile[2] += rows.z * columns;
            tile[3] += rows.w * columns;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r += 1u) {
        let row = workgroup.y * TILE + 4u * local.y + r;
        for (var i = 0u; i < 4u; i += 1u) {
            let column = workgroup.x * TILE + 4u * local.x + i;
            if (row < shape.output_channels && column < column_count(shape)) {
                gradient[(workgroup.z * shape.output_channels + row) * column_count(shape) + column] = tile[r][i];
            }
        }
    }
}
