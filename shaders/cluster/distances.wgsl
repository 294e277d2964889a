// The distances between all pairs of points: the root of the mean squared difference of their features.
struct Uniforms {
    points: u32,
    features: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [points, features]
@group(0) @binding(1) var<storage, read> values: array<f32>;
// [points, points]
@group(0) @binding(2) var<storage, read_write> distances: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let j = invocation.y;
    if (i >= uniforms.points || j > i) {
        return;
    }
    var sum = 0.0;
    for (var k = 0u; k < uniforms.features; k += 1u) {
        let difference = values[i * uniforms.features + k] - values[j * uniforms.features + k];
        sum += difference * difference;
    }
    let distance = sqrt(sum / f32(uniforms.features));
    distances[i * uniforms.points + j] = distance;
    distances[j * uniforms.points + i] = distance;
}
