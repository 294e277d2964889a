// The lowest and highest height of each line in each pixel column. A column with a value that is not finite holds a
// sentinel far outside [0, 1], so that such a line is never close to a finite one.
// uses common/grid.wgsl
// uses common/scale.wgsl

struct Parameters {
    scale: ValueScale,
    lines: u32,
    steps: u32,
    columns: u32,
    // Pairs of columns that a line takes in memory.
    pairs: u32,
}

const SENTINEL: f32 = 4.0;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
// (low, high) of two columns; an odd last column stands twice.
@group(0) @binding(2) var<storage, read_write> envelopes: array<vec4f>;

fn extent(line: u32, column: u32) -> vec2f {
    let first = column * parameters.steps / parameters.columns;
    let end = (column + 1u) * parameters.steps / parameters.columns;
    var low = 1e30;
    var high = -1e30;
    for (var step = first; step < end; step += 1u) {
        let value = values[line * parameters.steps + step];
        if (!is_finite(value)) {
            return vec2f(SENTINEL);
        }
        let height = height_of(parameters.scale, value);
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
    if (i >= parameters.lines * parameters.pairs) {
        return;
    }
    let line = i / parameters.pairs;
    let column = 2u * (i % parameters.pairs);
    let last = parameters.columns - 1u;
    envelopes[i] = vec4f(extent(line, column), extent(line, min(column + 1u, last)));
}
