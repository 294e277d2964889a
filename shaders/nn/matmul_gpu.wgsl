// C = A B (+ bias) for GPUs: a workgroup of 16 x 16 invocations makes a 64 x 64 tile of C, each invocation 4 x 4 of
// it in registers; tiles of A and B, 16 deep, pass through shared memory. Any shape: what lies outside is zero.
//
// Stored shapes: A is [m, k], or [k, m] with TRANSPOSE_A; B is [k, n], or [n, k] with TRANSPOSE_B; C is [m, n].

override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
// Also write the sum of each row of A: the gradient of the bias, where A is the gradient of a layer's output.
override BIAS_GRADIENT: bool = false;
// Add to what C holds.
override ACCUMULATE: bool = false;
// Add bias[column].
override HAS_BIAS: bool = false;

struct Uniforms {
    m: u32,
    n: u32,
    k: u32,
    // Columns of A that one slice sums over (a multiple of 16); slice z writes the z-th matrix of C.
    slice: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> bias_gradient: array<f32>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

// [DEPTH][TILE / 4], so that an invocation reads its four rows and its four columns as one vector each.
var<workgroup> a_tile: array<array<vec4f, 16>, 16>;
var<workgroup> b_tile: array<array<vec4f, 16>, 16>;

fn a_element(row: u32, k: u32) -> f32 {
    if (row >= uniforms.m || k >= uniforms.k) {
        return 0.0;
    }
    return a[select(row * uniforms.k + k, k * uniforms.m + row, TRANSPOSE_A)];
}

fn b_element(k: u32, column: u32) -> f32 {
    if (column >= uniforms.n || k >= uniforms.k) {
        return 0.0;
    }
    return b[select(k * uniforms.n + column, column * uniforms.k + k, TRANSPOSE_B)];
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(local_invocation_id) local: vec3u,
    @builtin(local_invocation_index) index: u32,
) {
    let first_row = workgroup.y * TILE;
    let first_column = workgroup.x * TILE;
    var tile: array<vec4f, 4>;
    for (var r = 0u; r < 4u; r += 1u) {
        tile[r] = vec4f(0.0);
    }
    // The first workgroup of a row of them sums rows of A, one an invocation.
    let sums_rows = BIAS_GRADIENT && workgroup.x == 0u && index < TILE;
    var row_sum = 0.0;
    // The columns of A that this slice sums over.
    let k_begin = workgroup.z * uniforms.slice;
    let k_end = min(k_begin + uniforms.slice, uniforms.k);
    for (var k0 = k_begin; k0 < k_end; k0 += DEPTH) {
        // Neighboring invocations fetch neighboring addresses, whichever way the operand lies.
        for (var i = 0u; i < 4u; i += 1u) {
            let flat = index + 256u * i;
            var at = vec2u(flat / DEPTH, flat % DEPTH);
            if (TRANSPOSE_A) {
                at = vec2u(flat % TILE, flat / TILE);
            }
            a_tile[at.y][at.x / 4u][at.x % 4u] = a_element(first_row + at.x, k0 + at.y);
            at = vec2u(flat % TILE, flat / TILE);
            if (TRANSPOSE_B) {
                at = vec2u(flat / DEPTH, flat % DEPTH);
            }
            b_tile[at.y][at.x / 4u][at.x % 4u] = b_element(k0 + at.y, first_column + at.x);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 1u) {
            let rows = a_tile[k][local.y];
            let columns = b_tile[k][local.x];
            tile[0] += rows.x * columns;
            tile[1] += rows.y * columns;
            tile[2] += rows.z * columns;
            tile[3] += rows.w * columns;
        }
        if (sums_rows) {
            for (var k = 0u; k < DEPTH; k += 1u) {
                row_sum += a_tile[k][index / 4u][index % 4u];
            }
        }
        workgroupBarrier();
    }
    if (sums_rows && first_row + index < uniforms.m) {
        bias_gradient[first_row + index] = row_sum;
    }
    let first = workgroup.z * uniforms.m * uniforms.n;
    for (var r = 0u; r < 4u; r += 1u) {
        let row = first_row + 4u * local.y + r;
        for (var i = 0u; i < 4u; i += 1u) {
            let column = first_column + 4u * local.x + i;
            if (row < uniforms.m && column < uniforms.n) {
                var value = tile[r][i];
                if (HAS_BIAS) {
                    value += bias[column];
                }
                if (ACCUMULATE) {
                    value += c[first + row * uniforms.n + column];
                }
                c[first + row * uniforms.n + column] = value;
            }
        }
    }
}
