// Products of two tensors, added up place by place over the steps of a range: where a unit was pushed.
// uses shared/grid.wgsl

struct Uniforms {
    // Elements of the map.
    count: u32,
    // Samples that are summed into each.
    samples: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
// What the values were before; they count as differences from it.
@group(0) @binding(3) var<storage, read> values_before: array<f32>;
@group(0) @binding(4) var<storage, read_write> map: array<f32>;

// A map for each sample.
@compute @workgroup_size(64)
fn of_samples(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        map[i] += factors[i] * (values[i] - values_before[i]);
    }
}

// One map of all samples.
@compute @workgroup_size(64)
fn over_samples(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    var sum = 0.0;
    for (var sample = 0u; sample < uniforms.samples; sample += 1u) {
        let at = sample * uniforms.count + i;
        sum += factors[at] * values[at];
    }
    map[i] += sum;
}
