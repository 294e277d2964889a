// Which lines come first: those without any value, those with values that are not finite, then outliers, then the rest. An outlier lies, at
// some height of its row, farther than four standard deviations from the mean of all finite lines.
// uses shared/grid.wgsl
// uses shared/line_distance.wgsl

struct Uniforms {
    lines: u32,
    // vec4f that a line takes in memory.
    quads: u32,
    // Blocks of lines whose moments are summed apart.
    blocks: u32,
}

const BLOCK: u32 = 1024u;
const DEVIATIONS: f32 = 4.0;
// Differences below this share of the chart's height are a pixel's noise.
const FLOOR: f32 = 0.002;

const EMPTY: u32 = 0u;
const NONFINITE: u32 = 1u;
const OUTLIER: u32 = 2u;
const ORDINARY: u32 = 3u;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
// For each block and quad: sums, sums of squares and counts of four heights.
@group(0) @binding(2) var<storage, read_write> sums: array<array<vec4f, 3>>;
// For each quad: means and standard deviations of four heights.
@group(0) @binding(3) var<storage, read_write> moments: array<array<vec4f, 2>>;
@group(0) @binding(4) var<storage, read_write> buckets: array<u32>;
// For each line 1 where a value is not finite, else 0.
@group(0) @binding(5) var<storage, read> nonfinite: array<u32>;

fn are_finite(heights: vec4f) -> vec4<bool> {
    return (heights > vec4f(ABOVE_NEGATIVE_INFINITY)) & (heights < vec4f(ABOVE_HEIGHTS));
}

@compute @workgroup_size(32)
fn block_sums(@builtin(global_invocation_id) invocation: vec3u) {
    let quad = invocation.x;
    let block = invocation.y;
    if (quad >= uniforms.quads || block >= uniforms.blocks) {
        return;
    }
    var sum = vec4f(0.0);
    var squares = vec4f(0.0);
    var count = vec4f(0.0);
    for (var line = block * BLOCK; line < min((block + 1u) * BLOCK, uniforms.lines); line += 1u) {
        let heights = envelopes[line * uniforms.quads + quad];
        let finite = are_finite(heights);
        // About the chart's middle, which keeps squares small.
        let centered = select(vec4f(0.0), heights - 0.5, finite);
        sum += centered;
        squares += centered * centered;
        count += select(vec4f(0.0), vec4f(1.0), finite);
    }
    sums[block * uniforms.quads + quad] = array(sum, squares, count);
}

@compute @workgroup_size(32)
fn column_moments(@builtin(global_invocation_id) invocation: vec3u) {
    let quad = invocation.x;
    if (quad >= uniforms.quads) {
        return;
    }
    var sum = vec4f(0.0);
    var squares = vec4f(0.0);
    var count = vec4f(0.0);
    for (var block = 0u; block < uniforms.blocks; block += 1u) {
        let part = sums[block * uniforms.quads + quad];
        sum += part[0];
        squares += part[1];
        count += part[2];
    }
    let mean = sum / max(count, vec4f(1.0));
    let variance = max(squares / max(count, vec4f(1.0)) - mean * mean, vec4f(0.0));
    moments[quad] = array(mean + 0.5, sqrt(variance));
}

@compute @workgroup_size(64)
fn classify(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let line = linear_index(workgroup, workgroups, local, 64u);
    if (line >= uniforms.lines) {
        return;
    }
    var has_value = false;
    var is_outlier = false;
    for (var quad = 0u; quad < uniforms.quads; quad += 1u) {
        let heights = envelopes[line * uniforms.quads + quad];
        let moment = moments[quad];
        let is_far = abs(heights - moment[0]) > DEVIATIONS * moment[1] + FLOOR;
        has_value = has_value || any(heights > vec4f(ABOVE_GAP));
        is_outlier = is_outlier || any(is_far & are_finite(heights));
    }
    var bucket = select(ORDINARY, OUTLIER, is_outlier);
    if (nonfinite[line] != 0u) {
        bucket = select(EMPTY, NONFINITE, has_value);
    }
    buckets[line] = bucket;
}
