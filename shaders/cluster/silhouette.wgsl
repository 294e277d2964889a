// How well a point lies in its cluster (Rousseeuw 1987): its mean distance to the other points of its cluster against that
// to the points of the nearest other cluster, from -1 to 1; 0 for a point alone.
struct Uniforms {
    points: u32,
    starts: u32,
}

// The largest count of clusters.
const MOST: u32 = 64u;

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [points, points]
@group(0) @binding(1) var<storage, read> distances: array<f32>;
// [instances, points]; an instance is one count of clusters with one start
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// [instances, points]
@group(0) @binding(3) var<storage, read_write> silhouettes: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let instance = invocation.y;
    if (i >= uniforms.points) {
        return;
    }
    var sums: array<f32, MOST>;
    var counts: array<f32, MOST>;
    let base = instance * uniforms.points;
    for (var j = 0u; j < uniforms.points; j += 1u) {
        let label = min(labels[base + j], MOST - 1u);
        sums[label] += distances[i * uniforms.points + j];
        counts[label] += 1.0;
    }
    let own = min(labels[base + i], MOST - 1u);
    var near = -1.0;
    for (var cluster = 0u; cluster < min(instance / uniforms.starts + 1u, MOST); cluster += 1u) {
        let mean = sums[cluster] / max(counts[cluster], 1.0);
        if (cluster != own && counts[cluster] > 0.0 && (near < 0.0 || mean < near)) {
            near = mean;
        }
    }
    let within = sums[own] / max(counts[own] - 1.0, 1.0);
    let larger = max(within, near);
    let has_other = near >= 0.0 && counts[own] > 1.0 && larger > 0.0;
    silhouettes[base + i] = select(0.0, (near - within) / max(larger, 1e-30), has_other);
}
