// Rules of attribution around the backward pass of an operation, element by element.
// uses shared/grid.wgsl

struct Uniforms {
    // Elements of the tensor that is written.
    count: u32,
    // Elements of half a batch: samples come first, then their baselines.
    half_count: u32,
    // 1: add to what the result holds.
    accumulate: u32,
    // Added to the magnitude of what is divided by.
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// Input and output of the operation.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> upstream: array<f32>;
// What the backward pass of the operation has written.
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> result: array<f32>;

// Differences of the input below this share of its magnitude say nothing about the slope.
const SMALLEST_DIFFERENCE = 1e-6;

fn write(i: u32, value: f32) {
    if (uniforms.accumulate != 0u) {
        result[i] += value;
    } else {
        result[i] = value;
    }
}

// Of a function of each element: the quotient of differences between sample and baseline instead of the derivative.
@compute @workgroup_size(64)
fn rescale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let other = select(i - uniforms.half_count, i + uniforms.half_count, i < uniforms.half_count);
    let difference = x[i] - x[other];
    if (abs(difference) > SMALLEST_DIFFERENCE * (abs(x[i]) + abs(x[other]))) {
        write(i, (y[i] - y[other]) / difference * upstream[i]);
    } else {
        write(i, gradient[i]);
    }
}

// Relevance of each output over the output itself.
@compute @workgroup_size(64)
fn divide(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        let value = y[i];
        write(i, upstream[i] / select(value + uniforms.epsilon, value - uniforms.epsilon, value < 0.0));
    }
}

// Relevance of each input from what the backward pass made of the quotients.
@compute @workgroup_size(64)
fn multiply(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.count) {
        write(i, x[i] * gradient[i]);
    }
}
