// The gradient of a convolution's weight for adapters that run on the CPU: a workgroup is one subgroup.
// uses shared/image_loads.wgsl
// uses shared/subgroup_product.wgsl
// uses shared/convolution/gradient.wgsl

@group(0) @binding(1) var output: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var input: texture_storage_2d<rgba32float, read>;

fn store_row(shape: Gradient, slice: u32, row: u32, first_column: u32, values: vec4f) {
    let first = (slice * shape.output_channels + row) * column_count(shape);
    let end = min(first_column + 4u, column_count(shape));
    // No constant bound, so that the loop is not unrolled, which would take the driver's compiler long.
    for (var column = first_column; column < end && row < shape.output_channels; column += 1u) {
        gradient[first + column] = component(values, column - first_column);
    }
}

// The same row of all lanes.
fn store_rows(shape: Gradient, slice: u32, row: u32, column: u32, values: array<vec4f, 8>) {
    store_row(shape, slice, row, column, values[0]);
    store_row(shape, slice, row + ROWS, column, values[1]);
    store_row(shape, slice, row + 2u * ROWS, column, values[2]);
    store_row(shape, slice, row + 3u * ROWS, column, values[3]);
    if (LANES > 4u) {
        store_row(shape, slice, row + 4u * ROWS, column, values[4]);
        store_row(shape, slice, row + 5u * ROWS, column, values[5]);
        store_row(shape, slice, row + 6u * ROWS, column, values[6]);
        store_row(shape, slice, row + 7u * ROWS, column, values[7]);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    // Once, since the driver turns even these loads into loops over the lanes where they stand in a loop.
    let shape = uniforms;
    let row = ROWS * (workgroup.y * LANES + lane);
    let first_column = 4u * (workgroup.x * LANES + lane);
    var columns: array<Column, 4>;
    for (var j = 0u; j < 4u; j += 1u) {
        columns[j] = column_at(shape, first_column + j);
    }
    let begin = workgroup.z * shape.slice;
    let end = min(begin + shape.slice, position_count(shape));
    let step = position_at(shape, 1u);
    var position = position_at(shape, begin);
    var tile = Tile();
    for (var k = begin; k < end; k += 1u) {
        var rows: Block;
        for (var i = 0u; i < ROWS; i += 1u) {
            rows[i] = textureLoad(output, texel(output_index(shape, row + i, position)));
        }
        var by_column: Block;
        for (var j = 0u; j < 4u; j += 1u) {
            let index = input_index(shape, columns[j], position);
            let value = textureLoad(input, texel(select(index, 0u, index == NOWHERE)));
            by_column[j] = select(value, vec4f(0.0), index == NOWHERE);
        }
        add_products(&tile, rows, transposed(by_column));
        position = advanced(shape, position, step);
    }
    // One by one: where the driver does not unroll a loop, it keeps the whole tile in memory, lane by lane.
    let first_row = workgroup.y * LANES * ROWS;
    store_rows(shape, workgroup.z, first_row, first_column, tile[0]);
    if (ROWS > 1u) {
        store_rows(shape, workgroup.z, first_row + 1u, first_column, tile[1]);
    }
    if (ROWS > 2u) {
        store_rows(shape, workgroup.z, first_row + 2u, first_column, tile[2]);
        store_rows(shape, workgroup.z, first_row + 3u, first_column, tile[3]);
    }
}
