// The distances between all pairs of points: the root of the mean squared difference of their features.
struct Uniforms {
    points: u32,
    features: u32,
    // vec4f that a point takes in memory, padded with zeros.
    quads: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [points, quads]
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
// [points, points]
@group(0) @binding(2) var<storage, read_write> distances: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let j = invocation.y;
    if (i >= uniforms.points || j > i) {
        return;
    }
    var sums = vec4f(0.0);
    for (var k = 0u; k < uniforms.quads; k += 1u) {
        let difference = values[i * uniforms.quads + k] - values[j * uniforms.quads + k];
        sums += difference * difference;
    }
    let distance = sqrt(dot(sums, vec4f(1.0)) / f32(uniforms.features));
    distances[i * uniforms.points + j] = distance;
    distances[j * uniforms.points + i] = distance;
}
