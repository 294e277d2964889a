// Lines as rows of heights: for each pixel column its lowest and highest, or, where every column is one step, that
// step's height alone. NaN is no value: a column takes the others, and has a gap where there are none.
// uses shared/grid.wgsl
// uses shared/scale.wgsl
// uses shared/line_distance.wgsl

struct Uniforms {
    scale: ValueScale,
    // Lines of this part, and the line of all at which it begins.
    lines: u32,
    first_line: u32,
    steps: u32,
    // vec4f that a line takes in memory.
    quads: u32,
    // 4 where every column is one step, else 2.
    columns_per_quad: u32,
}

const LOWEST: f32 = -1.0;
const HIGHEST: f32 = 2.0;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The values of this part.
@group(0) @binding(1) var<storage, read> values: array<f32>;
// First step and end of the column at each index of a row; empty where the row is padded.
@group(0) @binding(2) var<storage, read> spans: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> envelopes: array<vec4f>;
// For each line 1 where a value is not finite, else 0.
@group(0) @binding(4) var<storage, read_write> nonfinite: array<atomic<u32>>;

// The height of a value, or the mark of one that is not finite.
fn mark_or_height(value: f32) -> f32 {
    let bits = bitcast<u32>(value);
    if ((bits & 0x7f800000u) != 0x7f800000u) {
        return clamp(height_of(uniforms.scale, value), LOWEST, HIGHEST);
    }
    if ((bits & 0x007fffffu) != 0u) {
        return GAP;
    }
    return select(POSITIVE_INFINITY, NEGATIVE_INFINITY, (bits & 0x80000000u) != 0u);
}

fn extent(line: u32, index: u32) -> vec2f {
    let span = spans[index];
    var low = POSITIVE_INFINITY;
    var high = GAP;
    var all_finite = true;
    for (var step = span.x; step < min(span.y, uniforms.steps); step += 1u) {
        let height = mark_or_height(values[line * uniforms.steps + step]);
        all_finite = all_finite && height >= LOWEST && height <= HIGHEST;
        if (height > ABOVE_GAP) {
            low = min(low, height);
            high = max(high, height);
        }
    }
    if (!all_finite) {
        atomicStore(&nonfinite[uniforms.first_line + line], 1u);
    }
    return select(vec2f(low, high), vec2f(GAP), high < ABOVE_GAP);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.lines * uniforms.quads) {
        return;
    }
    let line = i / uniforms.quads;
    let index = uniforms.columns_per_quad * (i % uniforms.quads);
    let at = uniforms.first_line * uniforms.quads + i;
    if (uniforms.columns_per_quad == 4u) {
        envelopes[at] = vec4f(
            extent(line, index).x,
            extent(line, index + 1u).x,
            extent(line, index + 2u).x,
            extent(line, index + 3u).x,
        );
    } else {
        envelopes[at] = vec4f(extent(line, index), extent(line, index + 1u));
    }
}
