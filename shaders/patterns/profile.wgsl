// The nearest other window of each window of a series: its self-join, also called its matrix profile.
//
// A lane has CHAIN neighboring windows, the columns, and goes through all windows, the rows. The correlations of its first
// column are given (products.wgsl); those of the next follow along the diagonals of the matrix:
//     r(i, j) = r(i-1, j-1) n(i-1)/n(i) n(j-1)/n(j) + f(i) g(j) + f(j) g(i)
// with the norms n and with f and g of what enters and leaves a window (Zimmerman and others, "Matrix Profile XIV", 2019).
// After CHAIN columns a product is given again, so that rounding errors stay small. With CHAIN 1 all are given.
// uses shared/image_loads.wgsl

// 16, 4 or 1. Lanes have 16 columns for 16, else 4.
override CHAIN: u32 = 16u;

// The index of a window that has no other.
const NONE = 0xffffffffu;
// Below every correlation.
const LOWEST = -4.0;

struct Uniforms {
    // Four windows each, of a series.
    window_quads: u32,
    // Lanes of a series.
    lanes: u32,
    // Windows whose starts are at most so far apart overlap too much to be compared.
    zone: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [series, windows]: n(i)/n(i+1), f(i+1) and g(i+1), which lead to the next row, and what is added to a correlation with this
// row: 0.5 where it is constant, -8 where it is not finite.
@group(0) @binding(1) var<storage, read> rows: array<vec4f>;
@group(0) @binding(2) var row_image: texture_storage_2d<rgba32float, read>;
// [series, given columns, window_quads]
@group(0) @binding(3) var<storage, read> given: array<vec4f>;
@group(0) @binding(4) var given_image: texture_storage_2d<rgba32float, read>;
// [series, lanes, columns of a lane / 4]
@group(0) @binding(5) var<storage, read_write> neighbors: array<vec4u>;

fn row_at(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(row_image, texel(i));
    }
    return rows[i];
}

fn given_at(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(given_image, texel(i));
    }
    return given[i];
}

// Four neighboring columns of a lane.
struct Columns {
    // The first of them, less the zone.
    first: u32,
    ratios: vec4f,
    f: vec4f,
    g: vec4f,
    correlations: vec4f,
    best: vec4f,
    nearest: vec4u,
}

// Columns with what leads to them. The first column of a lane is given, so what leads to it does not matter.
fn columns_from(line: u32, lanes: u32, column: u32, zone: u32, window_quads: u32) -> Columns {
    var columns: Columns;
    let last = 4u * window_quads - 1u;
    let start = line * 4u * window_quads;
    let x = row_at(start + min(max(column, 1u) - 1u, last));
    let y = row_at(start + min(column, last));
    let z = row_at(start + min(column + 1u, last));
    let w = row_at(start + min(column + 2u, last));
    // Those of the first row are those of the first column, which the first lane has.
    columns.correlations = given_at(line * lanes * window_quads + min(column / 4u, window_quads - 1u));
    columns.first = column - zone;
    columns.ratios = vec4f(x.x, y.x, z.x, w.x);
    columns.f = vec4f(x.y, y.y, z.y, w.y);
    columns.g = vec4f(x.z, y.z, z.z, w.z);
    columns.best = vec4f(LOWEST);
    columns.nearest = vec4u(NONE);
    return columns;
}

// The correlations of the next row from those of this one with the columns before.
fn advanced(columns: Columns, before: vec4f, row: vec4f) -> vec4f {
    return before * (row.x * columns.ratios) + (row.y * columns.g + row.z * columns.f);
}

// Keeps the row where it is nearer than all before and does not overlap.
fn observe(columns: ptr<function, Columns>, index: u32, row: vec4f, zone: u32) {
    let found = (*columns).correlations + vec4f(row.w);
    // The differences wrap around where the row is below the zone.
    let past = vec4u(index - (*columns).first) - vec4u(0u, 1u, 2u, 3u);
    let is_nearer = (past > vec4u(2u * zone)) & (found > (*columns).best);
    (*columns).best = select((*columns).best, found, is_nearer);
    (*columns).nearest = select((*columns).nearest, vec4u(index), is_nearer);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let size = uniforms;
    // Lanes past the last repeat it: a branch would cost more.
    let lane = min(invocation.x, size.lanes - 1u);
    let line = invocation.y;
    let windows = 4u * size.window_quads;
    let first = lane * max(CHAIN, 4u);
    var a = columns_from(line, size.lanes, first, size.zone, size.window_quads);
    var b: Columns;
    var c: Columns;
    var d: Columns;
    if (CHAIN == 16u) {
        b = columns_from(line, size.lanes, first + 4u, size.zone, size.window_quads);
        c = columns_from(line, size.lanes, first + 8u, size.zone, size.window_quads);
        d = columns_from(line, size.lanes, first + 12u, size.zone, size.window_quads);
    }
    let given_first = (line * (4u * size.lanes) + 4u * lane) * size.window_quads;
    for (var quad = 0u; quad < size.window_quads; quad += 1u) {
        var x: vec4f;
        var y: vec4f;
        var z: vec4f;
        var w: vec4f;
        if (CHAIN == 1u) {
            x = given_at(given_first + quad);
            y = given_at(given_first + size.window_quads + quad);
            z = given_at(given_first + 2u * size.window_quads + quad);
            w = given_at(given_first + 3u * size.window_quads + quad);
        } else {
            x = given_at((line * size.lanes + lane) * size.window_quads + quad);
        }
        for (var i = 0u; i < 4u; i += 1u) {
            let index = 4u * quad + i;
            let row = row_at(line * windows + index);
            if (CHAIN == 1u) {
                a.correlations = vec4f(x.x, y.x, z.x, w.x);
                y = y.yzwx;
                z = z.yzwx;
                w = w.yzwx;
            } else {
                a.correlations.x = x.x;
            }
            x = x.yzwx;
            observe(&a, index, row, size.zone);
            if (CHAIN == 16u) {
                observe(&b, index, row, size.zone);
                observe(&c, index, row, size.zone);
                observe(&d, index, row, size.zone);
                d.correlations = advanced(d, vec4f(c.correlations.w, d.correlations.xyz), row);
                c.correlations = advanced(c, vec4f(b.correlations.w, c.correlations.xyz), row);
                b.correlations = advanced(b, vec4f(a.correlations.w, b.correlations.xyz), row);
            }
            if (CHAIN != 1u) {
                a.correlations = advanced(a, vec4f(0.0, a.correlations.xyz), row);
            }
        }
    }
    if (invocation.x >= size.lanes) {
        return;
    }
    let at = line * size.lanes + lane;
    if (CHAIN == 16u) {
        neighbors[4u * at] = a.nearest;
        neighbors[4u * at + 1u] = b.nearest;
        neighbors[4u * at + 2u] = c.nearest;
        neighbors[4u * at + 3u] = d.nearest;
    } else {
        neighbors[at] = a.nearest;
    }
}
