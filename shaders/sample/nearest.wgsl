// For each of some lines the nearest of the kept lines, and its distance: the largest difference between their heights. Of
// equally near ones the first counts. Only lines nearer than the radius are looked for, since one is known to be there.
// uses shared/grid.wgsl
// uses shared/line_distance.wgsl

struct Uniforms {
    lines: u32,
    // The kept lines to compare with begin here and end there.
    kept_from: u32,
    kept_to: u32,
    // vec4f that a line takes in memory.
    quads: u32,
    radius: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
@group(0) @binding(2) var<storage, read> kept_envelopes: array<vec4f>;
// The lines to find the nearest of; what is found has their order.
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> nearest: array<u32>;
@group(0) @binding(5) var<storage, read_write> distances: array<f32>;

fn difference(a: vec4f, b: vec4f) -> f32 {
    let each = differences(a, b);
    return max(max(each.x, each.y), max(each.z, each.w));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.lines) {
        return;
    }
    let quads = uniforms.quads;
    let second = min(1u, quads - 1u);
    let start = chosen[i] * quads;
    let head0 = envelopes[start];
    let head1 = envelopes[start + second];
    var best = uniforms.radius;
    var best_index = 0u;
    if (uniforms.kept_from > 0u) {
        best = distances[i];
        best_index = nearest[i];
    }
    for (var k = uniforms.kept_from; k < uniforms.kept_to; k += 1u) {
        let other = k * quads;
        var distance = max(
            difference(head0, kept_envelopes[other]),
            difference(head1, kept_envelopes[other + second]),
        );
        var comparable = are_comparable(head0, kept_envelopes[other])
            || are_comparable(head1, kept_envelopes[other + second]);
        for (var quad = 2u; distance < best && quad < quads; quad += 1u) {
            distance = max(distance, difference(envelopes[start + quad], kept_envelopes[other + quad]));
            comparable = comparable || are_comparable(envelopes[start + quad], kept_envelopes[other + quad]);
        }
        if (distance < best && comparable) {
            best = distance;
            best_index = k;
        }
    }
    nearest[i] = best_index;
    distances[i] = best;
}
