// Correlations of windows of series with some windows of mean 0 and norm 1, the queries, by direct dot products.
// A lane makes those of four neighboring windows: the values that they share are loaded once.
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

fn sum(values: vec4f) -> f32 {
    return (values.x + values.y) + (values.z + values.w);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let size = uniforms;
    // Lanes past the last four windows repeat them: a branch would cost more.
    let quad = min(invocation.x, size.window_quads - 1u);
    let query = invocation.y;
    let line = invocation.z;
    let at = line * size.window_quads + quad;
    let means = windows[2u * at];
    let scales = windows[2u * at + 1u];
    let first = line * size.series_quads + quad;
    let query_first = (line * size.query_stride + query) * size.query_quads;
    var a = series_at(first);
    var x = vec4f(0.0);
    var y = vec4f(0.0);
    var z = vec4f(0.0);
    var w = vec4f(0.0);
    for (var k = 0u; k < size.query_quads; k += 1u) {
        let b = series_at(first + k + 1u);
        let wanted = query_at(query_first + k);
        x += wanted * (a - vec4f(means.x));
        y += wanted * (vec4f(a.yzw, b.x) - vec4f(means.y));
        z += wanted * (vec4f(a.zw, b.xy) - vec4f(means.z));
        w += wanted * (vec4f(a.w, b.xyz) - vec4f(means.w));
        a = b;
    }
    if (invocation.x < size.window_quads) {
        let products = vec4f(sum(x), sum(y), sum(z), sum(w));
        correlations[(line * size.queries + query) * size.window_quads + quad] = products * scales;
    }
}
