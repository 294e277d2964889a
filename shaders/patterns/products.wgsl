// Correlations of windows of series with some windows of mean 0 and norm 1, the queries, by direct dot products.
// A lane makes those of eight neighboring windows: the values that they share are loaded once, and loads are what costs on a
// software adapter.
// uses shared/image_loads.wgsl

struct Uniforms {
    // vec4f of a series, padded so that the last window's last vector is inside.
    series_quads: u32,
    // Four windows each, of a series.
    window_quads: u32,
    // vec4f of a query, padded with zeros.
    query_quads: u32,
    // Queries that a series is compared with.
    queries: u32,
    // Queries from those of one series to those of the next; 0: all series have the same.
    query_stride: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [series, series_quads]
@group(0) @binding(1) var<storage, read> series: array<vec4f>;
@group(0) @binding(2) var series_image: texture_storage_2d<rgba32float, read>;
// [series, window_quads, 2]: the means of four windows, and what their deviations are multiplied by; 0 for constant ones.
@group(0) @binding(3) var<storage, read> windows: array<vec4f>;
// [.., query_quads]
@group(0) @binding(4) var<storage, read> queries: array<vec4f>;
@group(0) @binding(5) var query_image: texture_storage_2d<rgba32float, read>;
// [series, queries, window_quads]
@group(0) @binding(6) var<storage, read_write> correlations: array<vec4f>;

fn series_at(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(series_image, texel(i));
    }
    return series[i];
}

fn query_at(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(query_image, texel(i));
    }
    return queries[i];
}

// The sums of products of four neighboring windows, four parts each.
struct Sums {
    x: vec4f,
    y: vec4f,
    z: vec4f,
    w: vec4f,
}

// Adds the products of four values of a query with those of four windows that begin in `a`.
fn add_products(sums: ptr<function, Sums>, query: vec4f, a: vec4f, b: vec4f, means: vec4f) {
    (*sums).x += query * (a - vec4f(means.x));
    (*sums).y += query * (vec4f(a.yzw, b.x) - vec4f(means.y));
    (*sums).z += query * (vec4f(a.zw, b.xy) - vec4f(means.z));
    (*sums).w += query * (vec4f(a.w, b.xyz) - vec4f(means.w));
}

fn sum(values: vec4f) -> f32 {
    return (values.x + values.y) + (values.z + values.w);
}

fn total(sums: Sums) -> vec4f {
    return vec4f(sum(sums.x), sum(sums.y), sum(sums.z), sum(sums.w));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let size = uniforms;
    // What lies past the last four windows repeats them: a branch would cost more.
    let last = size.window_quads - 1u;
    let quad = min(2u * invocation.x, last);
    let next = min(2u * invocation.x + 1u, last);
    let query = invocation.y;
    let line = invocation.z;
    let window_first = line * size.window_quads;
    let means = windows[2u * (window_first + quad)];
    let next_means = windows[2u * (window_first + next)];
    let first = line * size.series_quads + quad;
    let query_first = (line * size.query_stride + query) * size.query_quads;
    var a = series_at(first);
    var b = series_at(first + 1u);
    var sums = Sums();
    var next_sums = Sums();
    for (var k = 0u; k < size.query_quads; k += 1u) {
        let c = series_at(first + k + 2u);
        let wanted = query_at(query_first + k);
        add_products(&sums, wanted, a, b, means);
        add_products(&next_sums, wanted, b, c, next_means);
        a = b;
        b = c;
    }
    let at = (line * size.queries + query) * size.window_quads;
    if (2u * invocation.x <= last) {
        correlations[at + quad] = total(sums) * windows[2u * (window_first + quad) + 1u];
    }
    if (2u * invocation.x < last) {
        correlations[at + next] = total(next_sums) * windows[2u * (window_first + next) + 1u];
    }
}
