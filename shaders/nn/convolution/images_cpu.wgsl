// The products of a convolution that give images, for adapters that run on the CPU: a workgroup is one subgroup, whose
// lanes load every value once and hand vectors of A to each other (see subgroup_product.wgsl).
// uses shared/image_loads.wgsl
// uses shared/subgroup_product.wgsl
// uses shared/convolution/implicit_gemm.wgsl
// uses shared/convolution/images.wgsl

@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;

fn b_vector(index: u32) -> vec4f {
    let value = textureLoad(b, texel(select(index, 0u, index == NOWHERE)));
    return select(value, vec4f(0.0), index == NOWHERE);
}

// Vectors of A for one inner index. The lanes load those of four inner indices, ROWS each.
const MOST_VECTORS: u32 = 8u;

fn store_samples(gemm: ImplicitGemm, row: u32, column: Column, samples: u32, values: vec4f) {
    let offset = bias_of(gemm, row);
    // No constant bound, so that the loop is not unrolled, which would take the driver's compiler long.
    for (var j = 0u; j < samples && row < gemm.rows; j += 1u) {
        store(gemm, row, column, j, component(values, j) + offset);
    }
}

fn store_vector(gemm: ImplicitGemm, row: u32, column: Column, samples: u32, rows: array<vec4f, 4>) {
    store_samples(gemm, row, column, samples, rows[0]);
    store_samples(gemm, row + 1u, column, samples, rows[1]);
    store_samples(gemm, row + 2u, column, samples, rows[2]);
    store_samples(gemm, row + 3u, column, samples, rows[3]);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let vectors = LANES * ROWS / 4u;
    let gemm = gemms[workgroup.z];
    let tile_index = workgroup.y * workgroups.x + workgroup.x;
    // Neighbors share their columns, the larger of the two operands.
    let row_tiles = (gemm.rows + 4u * vectors - 1u) / (4u * vectors);
    let first_vector = vectors * (tile_index % row_tiles);
    let first_column = LANES * (tile_index / row_tiles);
    let columns = column_count(gemm);
    if (first_column >= columns) {
        return;
    }
    let column = column_at(gemm, first_column + lane);
    let count = inner_count(gemm);
    let all_vectors = row_vectors(gemm);
    let step = inner_at(gemm, 1u);
    var inner = Inner(0u, 0u, 0u);
    var tile: array<array<vec4f, 4>, MOST_VECTORS>;
    for (var k = 0u; k < count; k += 4u) {
        var b_at: vec4u;
        for (var j = 0u; j < 4u; j += 1u) {
            b_at[j] = b_index(gemm, column, inner);
            inner = advanced(gemm, inner, step);
        }
        var b_block: Block;
        for (var j = 0u; j < 4u; j += 1u) {
            b_block[j] = b_vector(b_at[j]);
        }
        var a_block: Block;
        for (var i = 0u; i < ROWS; i += 1u) {
            let index = i * LANES + lane;
            let a_k = min(k + index / vectors, count - 1u);
            let vector = min(first_vector + index % vectors, all_vectors - 1u);
            let value = textureLoad(a, texel(gemm.packed_first + a_k * all_vectors + vector));
            a_block[i] = select(vec4f(0.0), value, k + index / vectors < count);
        }
        for (var v = 0u; v < vectors; v += 1u) {
            var rows: Block;
            for (var j = 0u; j < 4u; j += 1u) {
                let index = j * vectors + v;
                rows[j] = subgroupShuffle(a_block[index / LANES], index % LANES);
            }
            for (var r = 0u; r < 4u; r += 1u) {
                tile[v][r] += rows[0][r] * b_block[0] + rows[1][r] * b_block[1] + rows[2][r] * b_block[2] + rows[3][r] * b_block[3];
            }
        }
    }
    let samples = select(0u, min(4u, gemm.samples - column.first_sample), first_column + lane < columns);
    // One by one: where the driver does not unroll a loop, it keeps the whole tile in memory, lane by lane.
    let first_row = 4u * first_vector;
    store_vector(gemm, first_row, column, samples, tile[0]);
    store_vector(gemm, first_row + 4u, column, samples, tile[1]);
    if (vectors > 2u) {
        store_vector(gemm, first_row + 8u, column, samples, tile[2]);
        store_vector(gemm, first_row + 12u, column, samples, tile[3]);
    }
    if (vectors > 4u) {
        store_vector(gemm, first_row + 16u, column, samples, tile[4]);
        store_vector(gemm, first_row + 20u, column, samples, tile[5]);
        store_vector(gemm, first_row + 24u, column, samples, tile[6]);
        store_vector(gemm, first_row + 28u, column, samples, tile[7]);
    }
}
