// Softmax over all values of a sample, one row for each.
// uses shared/rows.wgsl

struct Uniforms {
    // Samples.
    batch: u32,
    // Values of a sample.
    size: u32,
    // 1: add to what the input's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> x_gradient: array<f32>;

@compute @workgroup_size(LANES * ROWS)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    // Every lane looks for the largest value itself: rows are short.
    var largest = x[first];
    for (var i = 1u; i < uniforms.size; i += 1u) {
        largest = max(largest, x[first + i]);
    }
    var sum = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        sum += exp(x[first + i] - largest);
    }
    sum = sum_over_lanes(sum, lane);
    if (row >= uniforms.batch) {
        return;
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        y[first + i] = exp(x[first + i] - largest) / sum;
    }
}

@compute @workgroup_size(LANES * ROWS)
fn backward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let row = workgroup.x * ROWS + row_of(local);
    let lane = lane_of(local);
    let first = min(row, uniforms.batch - 1u) * uniforms.size;
    var mean = 0.0;
    for (var i = lane; i < uniforms.size; i += LANES) {
        mean += saved[first + i] * y_gradient[first + i];
    }
    mean = sum_over_lanes(mean, lane);
    if (row >= uniforms.batch) {
        return;
    }
    for (var i = lane; i < uniforms.size; i += LANES) {
        var gradient = saved[first + i] * (y_gradient[first + i] - mean);
        if (uniforms.accumulate != 0u) {
            gradient += x_gradient[first + i];
        }
        x_gradient[first + i] = gradient;
    }
}
