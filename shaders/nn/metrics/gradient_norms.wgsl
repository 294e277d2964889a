// The Euclidean norm of each parameter's gradient. Two passes, each with a fixed order of its sums.
//
// Squares of float32 numbers do not fit float32, so those of small and of large elements are summed apart, each scaled
// by a power of two that brings them into range.

// uses shared/image_loads.wgsl

// Workgroups of the first pass for each parameter, each with a slice of its elements, and their lanes.
const SLICES = 16u;
override LANES: u32 = 64u;

// From here on an element is large: 2^20.
const LARGE = 1048576.0;
// 2^30 and 2^-78.
const SMALL_SCALE = 1073741824.0;
const LARGE_SCALE = 3.308722450212111e-24;

struct Range {
    // A multiple of 4.
    start: u32,
    len: u32,
}

@group(0) @binding(0) var<storage, read> ranges: array<Range>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
// Sums of small and of large squares.
@group(0) @binding(2) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
// The memory of binding 1.
@group(0) @binding(4) var gradient_image: texture_storage_2d<rgba32float, read>;

fn gradient_vector(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(gradient_image, texel(i));
    }
    return gradients[i];
}

@compute @workgroup_size(LANES)
fn squares(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let range = ranges[workgroup.y];
    let first = range.start / 4u;
    let vectors = (range.len + 3u) / 4u;
    var small = vec4f(0.0);
    var large = vec4f(0.0);
    let slice = (vectors + SLICES - 1u) / SLICES;
    let end = min((workgroup.x + 1u) * slice, vectors);
    for (var i = workgroup.x * slice + lane; i < end; i += LANES) {
        let is_inside = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(range.len);
        let gradient = select(vec4f(0.0), gradient_vector(first + i), is_inside);
        let is_large = abs(gradient) >= vec4f(LARGE);
        let little = select(gradient, vec4f(0.0), is_large) * SMALL_SCALE;
        let much = select(vec4f(0.0), gradient, is_large) * LARGE_SCALE;
        small += little * little;
        large += much * much;
    }
    let slot = (workgroup.y * SLICES + workgroup.x) * LANES + lane;
    sums[slot] = vec2f(small.x + small.y + small.z + small.w, large.x + large.y + large.z + large.w);
}

var<workgroup> shared_sums: array<vec2f, LANES>;

@compute @workgroup_size(LANES)
fn roots(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    var sum = vec2f(0.0);
    let first = workgroup.x * SLICES * LANES;
    for (var slice = 0u; slice < SLICES; slice += 1u) {
        sum += sums[first + slice * LANES + lane];
    }
    shared_sums[lane] = sum;
    workgroupBarrier();
    if (lane > 0u) {
        return;
    }
    var all = vec2f(0.0);
    for (var i = 0u; i < LANES; i += 1u) {
        all += shared_sums[i];
    }
    let roots = sqrt(all) / vec2f(SMALL_SCALE, LARGE_SCALE);
    var norm = roots.x;
    if (all.y > 0.0) {
        let ratio = roots.x / roots.y;
        norm = roots.y * sqrt(1.0 + ratio * ratio);
    }
    norms[workgroup.x] = norm;
}
