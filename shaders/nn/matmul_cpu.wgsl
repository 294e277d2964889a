// C = A B (+ bias) for adapters that run on the CPU: a workgroup is one subgroup.
//
// Stored shapes: A is [m, k], or [k, m] with TRANSPOSE_A; B is [k, n], or [n, k] with TRANSPOSE_B; C is [m, n].
// `aligned` needs the contiguous dimensions of A, B and C to be multiples of 4; `unaligned` fetches elements one by one,
// with ROWS 1, because many small loads and stores take the driver's compiler long.
// uses shared/image_loads.wgsl
// uses shared/subgroup_product.wgsl

override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
// Also write the sum of each row of A: the gradient of the bias, where A is the gradient of a layer's output.
override BIAS_GRADIENT: bool = false;
// Add to what C holds. A constant, because llvmpipe walks through the lanes of a load in a branch that is not taken.
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

// Not uniform: Mesa compiles the values of uniforms that decide branches into the kernel, anew for every dispatch, and
// keeps each copy until the end.
@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> bias_gradient: array<f32>;
// The same, element by element.
@group(0) @binding(3) var<storage, read> bias_elements: array<f32>;
@group(0) @binding(4) var<storage, read_write> c_elements: array<f32>;

fn a_vector(i: u32) -> vec4f {
    return textureLoad(a, texel(i));
}

fn b_vector(i: u32) -> vec4f {
    return textureLoad(b, texel(i));
}

// A[row + i, k + j], 0 past the last k. What lies past the last row repeats the last ones and is never stored.
fn a_block(size: Uniforms, row: u32, k: u32) -> Block {
    var block: Block;
    if (TRANSPOSE_A) {
        let m4 = size.m / 4u;
        let row4 = min(row / 4u, m4 - 1u);
        for (var j = 0u; j < 4u; j += 1u) {
            let values = a_vector(min(k + j, size.k - 1u) * m4 + row4);
            block[j] = select(vec4f(0.0), values, k + j < size.k);
        }
        block = transposed(block);
        if (row % 4u == 2u) {
            return Block(block[2], block[3], block[2], block[3]);
        }
        return block;
    }
    for (var i = 0u; i < ROWS; i += 1u) {
        block[i] = a_vector(min(row + i, size.m - 1u) * (size.k / 4u) + k / 4u);
    }
    return block;
}

// B[k + i, column + j], 0 past the last k. What lies past the last column repeats the last ones and is never stored.
fn b_block(size: Uniforms, k: u32, column: u32) -> Block {
    var block: Block;
    if (TRANSPOSE_B) {
        for (var j = 0u; j < 4u; j += 1u) {
            block[j] = b_vector(min(column + j, size.n - 1u) * (size.k / 4u) + k / 4u);
        }
        return transposed(block);
    }
    let n4 = size.n / 4u;
    let column4 = min(column / 4u, n4 - 1u);
    for (var i = 0u; i < 4u; i += 1u) {
        let values = b_vector(min(k + i, size.k - 1u) * n4 + column4);
        block[i] = select(vec4f(0.0), values, k + i < size.k);
    }
    return block;
}

// A[row, k], 0 outside of A.
fn a_element(size: Uniforms, row: u32, k: u32) -> f32 {
    if (row >= size.m || k >= size.k) {
        return 0.0;
    }
    let i = select(row * size.k + k, k * size.m + row, TRANSPOSE_A);
    return component(a_vector(i / 4u), i % 4u);
}

// B[k, column], 0 outside of B.
fn b_element(size: Uniforms, k: u32, column: u32) -> f32 {
    if (column >= size.n || k >= size.k) {
        return 0.0;
    }
    let i = select(k * size.n + column, column * size.k + k, TRANSPOSE_B);
    return component(b_vector(i / 4u), i % 4u);
}

// As a_block and b_block.
fn a_block_of_elements(size: Uniforms, row: u32, k: u32) -> Block {
    var block: Block;
    for (var i = 0u; i < ROWS; i += 1u) {
        block[i] = vec4f(a_element(size, row + i, k), a_element(size, row + i, k + 1u), a_element(size, row + i, k + 2u), a_element(size, row + i, k + 3u));
    }
    return block;
}

fn b_block_of_elements(size: Uniforms, k: u32, column: u32) -> Block {
    var block: Block;
    for (var i = 0u; i < 4u; i += 1u) {
        block[i] = vec4f(b_element(size, k + i, column), b_element(size, k + i, column + 1u), b_element(size, k + i, column + 2u), b_element(size, k + i, column + 3u));
    }
    return block;
}

// Adds what a lane's rows of A hold to the sums of those rows.
fn add_rows(sums: ptr<function, vec4f>, rows: Block) {
    if (BIAS_GRADIENT) {
        *sums += vec4f(sum(rows[0]), sum(rows[1]), sum(rows[2]), sum(rows[3]));
    }
}

fn sum(values: vec4f) -> f32 {
    return (values.x + values.y) + (values.z + values.w);
}

// The sums of a lane's rows, by the first of the workgroups that share them.
fn store_sums(size: Uniforms, sums: vec4f, row: u32, column_of_workgroups: u32) {
    if (!BIAS_GRADIENT || column_of_workgroups != 0u) {
        return;
    }
    for (var i = 0u; i < ROWS; i += 1u) {
        if (row + i < size.m) {
            bias_gradient[row + i] = sums[i];
        }
    }
}

@compute @workgroup_size(LANES)
fn aligned(@builtin(workgroup_id) workgroup: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    // Once, since the driver turns even these loads into loops over the lanes where they stand in a loop.
    let size = uniforms;
    let row = ROWS * (workgroup.x * LANES + lane);
    let column = 4u * (workgroup.y * LANES + lane);
    let k_end = min((workgroup.z + 1u) * size.slice, size.k);
    var tile = Tile();
    var sums = vec4f(0.0);
    for (var k = workgroup.z * size.slice; k < k_end; k += 4u) {
        let rows = a_block(size, row, k);
        add_products(&tile, rows, b_block(size, k, column));
        add_rows(&sums, rows);
    }
    store_sums(size, sums, row, workgroup.y);
    let column4 = column / 4u;
    let n4 = size.n / 4u;
    if (column4 >= n4) {
        return;
    }
    var offset = vec4f(0.0);
    if (HAS_BIAS) {
        offset = bias[column4];
    }
    for (var i = 0u; i < ROWS; i += 1u) {
        for (var source = 0u; source < LANES; source += 1u) {
            let row = ROWS * (workgroup.x * LANES + source) + i;
            if (row < size.m) {
                let index = (workgroup.z * size.m + row) * n4 + column4;
                var value = tile[i][source] + offset;
                if (ACCUMULATE) {
                    value += c[index];
                }
                c[index] = value;
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn unaligned(@builtin(workgroup_id) workgroup: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let size = uniforms;
    let row = ROWS * (workgroup.x * LANES + lane);
    let column = 4u * (workgroup.y * LANES + lane);
    let k_end = min((workgroup.z + 1u) * size.slice, size.k);
    var tile = Tile();
    var sums = vec4f(0.0);
    for (var k = workgroup.z * size.slice; k < k_end; k += 4u) {
        let rows = a_block_of_elements(size, row, k);
        add_products(&tile, rows, b_block_of_elements(size, k, column));
        add_rows(&sums, rows);
    }
    store_sums(size, sums, row, workgroup.y);
    // The innermost loop has no constant bound, so that it is not unrolled: that too would take long to compile.
    let columns = min(column + 4u, size.n);
    for (var i = 0u; i < ROWS; i += 1u) {
        for (var source = 0u; source < LANES; source += 1u) {
            let row = ROWS * (workgroup.x * LANES + source) + i;
            let values = tile[i][source];
            for (var at = column; at < columns && row < size.m; at += 1u) {
                let index = (workgroup.z * size.m + row) * size.n + at;
                var value = values[at - column];
                if (HAS_BIAS) {
                    value += bias_elements[at];
                }
                if (ACCUMULATE) {
                    value += c_elements[index];
                }
                c_elements[index] = value;
            }
        }
    }
}
