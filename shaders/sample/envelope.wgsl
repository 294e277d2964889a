// Lines as rows of heights: for each pixel column its lowest and highest, or, where every column is one step, that
// step's height alone. A column with a value that is not finite holds a sentinel far from all heights, so that such a
// line is never close to a finite one.
// uses shared/grid.wgsl
// uses shared/scale.wgsl

struct Uniforms {
    scale: ValueScale,
    lines: u32,
    steps: u32,
    // vec4f that a line takes in memory.
    quads: u32,
    // 4 where every column is one step, else 2.
    columns_per_quad: u32,
}

const LOWEST: f32 = -1.0;
const HIGHEST: f32 = 2.0;
const SENTINEL: f32 = 5.0;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<f32>;
// First step and end of the column at each index of a row; empty where the row is padded.
@group(0) @binding(2) var<storage, read> spans: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> envelopes: array<vec4f>;

fn extent(line: u32, index: u32) -> vec2f {
    let span = spans[index];
    if (span.x >= span.y) {
        return vec2f(0.0);
    }
    var low = HIGHEST;
    var high = LOWEST;
    for (var step = span.x; step < min(span.y, uniforms.steps); step += 1u) {
        let value = values[line * uniforms.steps + step];
        if (!is_finite(value)) {
            return vec2f(SENTINEL);
        }
        let height = clamp(height_of(uniforms.scale, value), LOWEST, HIGHEST);
        low = min(low, height);
        high = max(high, height);
    }
    return vec2f(low, high);
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
    if (uniforms.columns_per_quad == 4u) {
        envelopes[i] = vec4f(
            extent(line, index).x,
            extent(line, index + 1u).x,
            extent(line, index + 2u).x,
            extent(line, index + 3u).x,
        );
    } else {
        envelopes[i] = vec4f(extent(line, index), extent(line, index + 1u));
    }
}
