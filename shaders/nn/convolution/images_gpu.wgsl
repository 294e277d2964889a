// The products of a convolution that give images, for GPUs: a workgroup of 16 x 16 invocations makes a tile of C of 64
// rows and 16 columns of four samples, each invocation four rows of one column in registers; tiles of A and B, 16 deep,
// pass through shared memory, as in matmul_gpu.wgsl.
// uses shared/convolution/implicit_gemm.wgsl
// uses shared/convolution/images.wgsl

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;

fn b_vector(index: u32) -> vec4f {
    return select(b[select(index, 0u, index == NOWHERE)], vec4f(0.0), index == NOWHERE);
}

const TILE: u32 = 16u;
const DEPTH: u32 = 16u;

var<workgroup> a_tile: array<array<vec4f, TILE>, DEPTH>;
var<workgroup> b_tile: array<array<vec4f, TILE>, DEPTH>;

@compute @workgroup_size(TILE, DEPTH)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let gemm = gemms[workgroup.z];
    let tile_index = workgroup.y * workgroups.x + workgroup.x;
    let all_vectors = row_vectors(gemm);
    let row_tiles = (all_vectors + TILE - 1u) / TILE;
    let first_vector = TILE * (tile_index % row_tiles);
    let first_column = TILE * (tile_index / row_tiles);
    let columns = column_count(gemm);
    if (first_column >= columns) {
        return;
    }
    // For the inner index local.y of a tile, an invocation fetches the vector of A and the column local.x.
    let column = column_at(gemm, first_column + local.x);
    let vector = min(first_vector + local.x, all_vectors - 1u);
    let count = inner_count(gemm);
    let step = inner_at(gemm, DEPTH);
    var inner = inner_at(gemm, local.y);
    var tile: array<vec4f, 4>;
    for (var k = 0u; k < count; k += DEPTH) {
        let a_k = min(k + local.y, count - 1u);
        let value = a[gemm.packed_first + a_k * all_vectors + vector];
        a_tile[local.y][local.x] = select(vec4f(0.0), value, k + local.y < count);
        b_tile[local.y][local.x] = b_vector(b_index(gemm, column, inner));
        inner = advanced(gemm, inner, step);
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i += 1u) {
            let rows = a_tile[i][local.y];
            let samples = b_tile[i][local.x];
            tile[0] += rows.x * samples;
            tile[1] += rows.y * samples;
            tile[2] += rows.z * samples;
            tile[3] += rows.w * samples;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r += 1u) {
        let row = 4u * (first_vector + local.y) + r;
        let offset = bias_of(gemm, row);
        for (var j = 0u; j < 4u; j += 1u) {
            if (row < gemm.rows && first_column + local.x < columns && column.first_sample + j < gemm.samples) {
                store(gemm, row, column, j, tile[r][j] + offset);
            }
        }
    }
}
