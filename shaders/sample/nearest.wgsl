// For each line the nearest of the kept lines, and its distance: the largest difference over all columns. Of equally
// near ones the first counts.
// uses common/grid.wgsl

struct Parameters {
    lines: u32,
    kept: u32,
    pairs: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
@group(0) @binding(2) var<storage, read> kept_envelopes: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> nearest: array<u32>;
@group(0) @binding(4) var<storage, read_write> distances: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let line = linear_index(workgroup, workgroups, local, 64u);
    let start = min(line, parameters.lines - 1u) * parameters.pairs;
    var best = 1e30;
    var best_index = 0u;
    for (var k = 0u; k < parameters.kept; k += 1u) {
        var distance = 0.0;
        for (var pair = 0u; pair < parameters.pairs; pair += 1u) {
            let difference = abs(envelopes[start + pair] - kept_envelopes[k * parameters.pairs + pair]);
            distance = max(distance, max(max(difference.x, difference.y), max(difference.z, difference.w)));
            if (distance >= best) {
                break;
            }
        }
        if (distance < best) {
            best = distance;
            best_index = k;
        }
    }
    if (line < parameters.lines) {
        nearest[line] = best_index;
        distances[line] = best;
    }
}
