// Products of two tensors [samples, units, places], summed for each unit: first over places, then over samples, so that
// the order is fixed and rounding errors grow with neither number alone.
// uses shared/grid.wgsl

struct Uniforms {
    samples: u32,
    units: u32,
    places: u32,
    // Where the sums of the units begin in the result.
    first: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
// What the values were before; they count as differences from it.
@group(0) @binding(3) var<storage, read> values_before: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

// For each sample and unit, the sum of factors times values.
@compute @workgroup_size(64)
fn products(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.samples * uniforms.units) {
        return;
    }
    var sum = 0.0;
    for (var at = i * uniforms.places; at < (i + 1u) * uniforms.places; at += 1u) {
        sum += factors[at] * values[at];
    }
    result[i] = sum;
}

// For each sample and unit, the sum of factors times differences.
@compute @workgroup_size(64)
fn products_of_differences(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.samples * uniforms.units) {
        return;
    }
    var sum = 0.0;
    for (var at = i * uniforms.places; at < (i + 1u) * uniforms.places; at += 1u) {
        sum += factors[at] * (values[at] - values_before[at]);
    }
    result[i] = sum;
}

// For each unit, the sum over samples of what the other entry points leave in `values`.
@compute @workgroup_size(64)
fn over_samples(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let unit = linear_index(workgroup, workgroups, local, 64u);
    if (unit >= uniforms.units) {
        return;
    }
    var sum = 0.0;
    for (var sample = 0u; sample < uniforms.samples; sample += 1u) {
        sum += values[sample * uniforms.units + unit];
    }
    result[uniforms.first + unit] = sum;
}
