// C = A B (+ bias) for adapters that run on the CPU: eight lanes side by side along the columns, no shared memory
// and no barriers. Each lane keeps 16 rows x 2 vec4 of C in registers. A is read at addresses that are the same
// for all lanes (one scalar load and a broadcast), B as vec4.
//
// Stored shapes: A is [m, k], or [k, m] with TRANSPOSE_A; B is [k, n], or [n, k] with TRANSPOSE_B; C is [m, n].
// ALIGNED says that the contiguous dimensions of A, B and C are multiples of 4; without it elements are fetched
// one by one.

override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
override ALIGNED: bool = true;
// Vectors of four columns per lane: 2, or 1 for a C of at most 32 columns.
override VECTORS: u32 = 2u;

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    // 1: add to what C holds.
    accumulate: u32,
    // 1: add bias[column].
    has_bias: u32,
    // Columns of A that one slice sums over (a multiple of 16); slice z writes the z-th matrix of C.
    slice: u32,
    padding1: u32,
    padding2: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c_scalar: array<f32>;

const ROWS: u32 = 16u;

fn a_element(row: u32, k: u32) -> f32 {
    if (row >= parameters.m || k >= parameters.k) {
        return 0.0;
    }
    let index = select(row * parameters.k + k, k * parameters.m + row, TRANSPOSE_A);
    return a[index / 4u][index % 4u];
}

fn b_element(k: u32, column: u32) -> f32 {
    if (column >= parameters.n || k >= parameters.k) {
        return 0.0;
    }
    let index = select(k * parameters.n + column, column * parameters.k + k, TRANSPOSE_B);
    return b[index / 4u][index % 4u];
}

// A[row, 4 k4 ..], four neighbours along k.
fn a_along_k(row: u32, row_start: u32, k4: u32) -> vec4f {
    if (ALIGNED) {
        return a[row_start + k4];
    }
    let k = 4u * k4;
    return vec4f(a_element(row, k), a_element(row, k + 1u), a_element(row, k + 2u), a_element(row, k + 3u));
}

// A[4 row4 .., k], four neighbours along the rows.
fn a_along_m(row4: u32, k: u32) -> vec4f {
    if (ALIGNED) {
        return a[k * (parameters.m / 4u) + min(row4, parameters.m / 4u - 1u)];
    }
    let row = 4u * row4;
    return vec4f(a_element(row, k), a_element(row + 1u, k), a_element(row + 2u, k), a_element(row + 3u, k));
}

// B[k, 4 column4 ..], four neighbours along the columns.
fn b_along_n(k: u32, column4: u32) -> vec4f {
    if (ALIGNED) {
        return b[k * (parameters.n / 4u) + min(column4, parameters.n / 4u - 1u)];
    }
    let column = 4u * column4;
    return vec4f(b_element(k, column), b_element(k, column + 1u), b_element(k, column + 2u), b_element(k, column + 3u));
}

// B[4 k4 .., column], four neighbours along k.
fn b_along_k(k4: u32, column: u32) -> vec4f {
    if (ALIGNED) {
        return b[min(column, parameters.n - 1u) * (parameters.k / 4u) + k4];
    }
    let k = 4u * k4;
    return vec4f(b_element(k, column), b_element(k + 1u, column), b_element(k + 2u, column), b_element(k + 3u, column));
}

// The first of the lane's columns in vector `v`, in units of four columns.
fn column4_of(workgroup: vec3u, lane: u32, v: u32) -> u32 {
    return workgroup.x * 8u * VECTORS + 8u * v + lane;
}

alias Tile = array<array<vec4f, 2>, 16>;

fn product(workgroup: vec3u, lane: u32) -> Tile {
    var tile: Tile;
    for (var r = 0u; r < ROWS; r += 1u) {
        tile[r][0] = vec4f(0.0);
        tile[r][1] = vec4f(0.0);
    }
    let row = workgroup.y * ROWS;
    let column4 = vec2u(column4_of(workgroup, lane, 0u), column4_of(workgroup, lane, 1u));
    // Columns of A, and vectors of them, that this slice sums over.
    let k_begin = workgroup.z * parameters.slice;
    let k_end = min(k_begin + parameters.slice, parameters.k);
    let k4_begin = k_begin / 4u;
    let k4_end = (k_end + 3u) / 4u;
    // Where each row of A begins, in vectors; rows past the last repeat it and are never stored.
    var a_row: array<u32, 16>;
    for (var r = 0u; r < ROWS; r += 1u) {
        a_row[r] = min(row + r, parameters.m - 1u) * (parameters.k / 4u);
    }
    if (TRANSPOSE_A) {
        // Weight gradients: one outer product for each k. B is never transposed here.
        for (var k = k_begin; k < k_end; k += 1u) {
            var b_row: array<vec4f, 2>;
            b_row[0] = b_along_n(k, column4.x);
            if (VECTORS > 1u) {
                b_row[1] = b_along_n(k, column4.y);
            }
            for (var q = 0u; q < ROWS / 4u; q += 1u) {
                let rows = a_along_m(row / 4u + q, k);
                for (var v = 0u; v < VECTORS; v += 1u) {
                    tile[4u * q][v] += rows.x * b_row[v];
                    tile[4u * q + 1u][v] += rows.y * b_row[v];
                    tile[4u * q + 2u][v] += rows.z * b_row[v];
                    tile[4u * q + 3u][v] += rows.w * b_row[v];
                }
            }
        }
    } else if (TRANSPOSE_B) {
        for (var k4 = k4_begin; k4 < k4_end; k4 += 1u) {
            for (var v = 0u; v < VECTORS; v += 1u) {
                let column = 4u * column4[v];
                let b0 = b_along_k(k4, column);
                let b1 = b_along_k(k4, column + 1u);
                let b2 = b_along_k(k4, column + 2u);
                let b3 = b_along_k(k4, column + 3u);
                let x = vec4f(b0.x, b1.x, b2.x, b3.x);
                let y = vec4f(b0.y, b1.y, b2.y, b3.y);
                let z = vec4f(b0.z, b1.z, b2.z, b3.z);
                let w = vec4f(b0.w, b1.w, b2.w, b3.w);
                for (var r = 0u; r < ROWS; r += 1u) {
                    let ar = a_along_k(row + r, a_row[r], k4);
                    tile[r][v] += ar.x * x + ar.y * y + ar.z * z + ar.w * w;
                }
            }
        }
    } else {
        for (var k4 = k4_begin; k4 < k4_end; k4 += 1u) {
            for (var v = 0u; v < VECTORS; v += 1u) {
                // With ALIGNED k is a multiple of 4; without it, rows of B behind the last are zero.
                let x = b_along_n(4u * k4, column4[v]);
                let y = b_along_n(4u * k4 + 1u, column4[v]);
                let z = b_along_n(4u * k4 + 2u, column4[v]);
                let w = b_along_n(4u * k4 + 3u, column4[v]);
                for (var r = 0u; r < ROWS; r += 1u) {
                    let ar = a_along_k(row + r, a_row[r], k4);
                    tile[r][v] += ar.x * x + ar.y * y + ar.z * z + ar.w * w;
                }
            }
        }
    }
    return tile;
}

@compute @workgroup_size(8)
fn aligned(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    var tile = product(workgroup, lane);
    let n4 = parameters.n / 4u;
    let first = workgroup.z * parameters.m * n4;
    for (var v = 0u; v < VECTORS; v += 1u) {
        let column4 = column4_of(workgroup, lane, v);
        if (column4 < n4) {
            var offset = vec4f(0.0);
            if (parameters.has_bias != 0u) {
                offset = bias[column4];
            }
            for (var r = 0u; r < ROWS; r += 1u) {
                let row = workgroup.y * ROWS + r;
                if (row < parameters.m) {
                    var value = tile[r][v] + offset;
                    if (parameters.accumulate != 0u) {
                        value += c[first + row * n4 + column4];
                    }
                    c[first + row * n4 + column4] = value;
                }
            }
        }
    }
}

@compute @workgroup_size(8)
fn unaligned(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    var tile = product(workgroup, lane);
    let first = workgroup.z * parameters.m * parameters.n;
    for (var v = 0u; v < VECTORS; v += 1u) {
        for (var r = 0u; r < ROWS; r += 1u) {
            let row = workgroup.y * ROWS + r;
            for (var i = 0u; i < 4u; i += 1u) {
                let column = 4u * column4_of(workgroup, lane, v) + i;
                if (row < parameters.m && column < parameters.n) {
                    var value = tile[r][v][i];
                    if (parameters.has_bias != 0u) {
                        value += bias[column / 4u][column % 4u];
                    }
                    if (parameters.accumulate != 0u) {
                        value += c_scalar[first + row * parameters.n + column];
                    }
                    c_scalar[first + row * parameters.n + column] = value;
                }
            }
        }
    }
}
