// Which lines come first: those with values that are not finite, then outliers, then the rest. An outlier leaves the
// middle of some column by more than four standard deviations of that column.
// uses common/grid.wgsl

struct Parameters {
    lines: u32,
    pairs: u32,
    // Blocks of lines whose moments are summed apart.
    blocks: u32,
    padding: u32,
}

const BLOCK: u32 = 1024u;
const SENTINEL: f32 = 4.0;
const DEVIATIONS: f32 = 4.0;
// Deviations below this share of the chart's height are noise of a single pixel.
const FLOOR: f32 = 0.002;

const NONFINITE: u32 = 0u;
const OUTLIER: u32 = 1u;
const ORDINARY: u32 = 2u;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
// For each block and pair of columns: sum, sum of squares and count of the middles of two columns.
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> counts: array<vec2f>;
// For each pair of columns: mean and standard deviation of two columns.
@group(0) @binding(4) var<storage, read_write> moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> buckets: array<u32>;

fn middles(envelope: vec4f) -> vec2f {
    return 0.5 * (envelope.xz + envelope.yw);
}

@compute @workgroup_size(64)
fn block_moments(@builtin(global_invocation_id) invocation: vec3u) {
    let pair = invocation.x;
    let block = invocation.y;
    if (pair >= parameters.pairs) {
        return;
    }
    var sum = vec4f(0.0);
    var count = vec2f(0.0);
    for (var line = block * BLOCK; line < min((block + 1u) * BLOCK, parameters.lines); line += 1u) {
        let middle = middles(envelopes[line * parameters.pairs + pair]);
        let finite = select(vec2f(0.0), vec2f(1.0), middle < vec2f(2.0));
        sum += vec4f(middle * finite, middle * middle * finite);
        count += finite;
    }
    sums[block * parameters.pairs + pair] = sum;
    counts[block * parameters.pairs + pair] = count;
}

@compute @workgroup_size(64)
fn column_moments(@builtin(global_invocation_id) invocation: vec3u) {
    let pair = invocation.x;
    if (pair >= parameters.pairs) {
        return;
    }
    var sum = vec4f(0.0);
    var count = vec2f(0.0);
    for (var block = 0u; block < parameters.blocks; block += 1u) {
        sum += sums[block * parameters.pairs + pair];
        count += counts[block * parameters.pairs + pair];
    }
    let mean = sum.xy / max(count, vec2f(1.0));
    let variance = max(sum.zw / max(count, vec2f(1.0)) - mean * mean, vec2f(0.0));
    moments[pair] = vec4f(mean, sqrt(variance));
}

@compute @workgroup_size(64)
fn classify(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let line = linear_index(workgroup, workgroups, local, 64u);
    if (line >= parameters.lines) {
        return;
    }
    var bucket = ORDINARY;
    for (var pair = 0u; pair < parameters.pairs; pair += 1u) {
        let envelope = envelopes[line * parameters.pairs + pair];
        if (any(envelope >= vec4f(SENTINEL))) {
            bucket = NONFINITE;
            break;
        }
        let column = moments[pair];
        let away = abs(middles(envelope) - column.xy);
        if (any(away > DEVIATIONS * column.zw + FLOOR)) {
            bucket = OUTLIER;
        }
    }
    buckets[line] = bucket;
}
