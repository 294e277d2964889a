// The straight path from a baseline to each sample: its points, and the mean of the gradients there.
// uses shared/grid.wgsl

struct Uniforms {
    // Elements of all samples.
    count: u32,
    // Elements of one sample.
    sample_size: u32,
    // Points of this part of the path, and the number of the first.
    points: u32,
    first: u32,
    // Points of the whole path.
    path: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// Samples, or gradients [points, samples, size].
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> baseline: array<f32>;
// Points [points, samples, size], or the mean gradients.
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

// Points are the middles of even parts of the path.
@compute @workgroup_size(64)
fn interpolate(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.points * uniforms.count) {
        return;
    }
    let point = i / uniforms.count;
    let element = i % uniforms.count;
    let t = (f32(uniforms.first + point) + 0.5) / f32(uniforms.path);
    let from_value = baseline[element % uniforms.sample_size];
    result[i] = from_value + t * (values[element] - from_value);
}

// The first part of the path overwrites what the result held.
@compute @workgroup_size(64)
fn accumulate(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    var sum = 0.0;
    for (var point = 0u; point < uniforms.points; point += 1u) {
        sum += values[point * uniforms.count + i];
    }
    let share = sum / f32(uniforms.path);
    if (uniforms.first == 0u) {
        result[i] = share;
    } else {
        result[i] += share;
    }
}
