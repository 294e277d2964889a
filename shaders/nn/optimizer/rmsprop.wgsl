// RMSprop (Hinton 2012) in PyTorch's form, over all parameters at once. One entry point for each set of moments.
// uses shared/grid.wgsl
// uses shared/step_scale.wgsl

struct Uniforms {
    // Vectors of four parameters.
    vectors: u32,
    learning_rate: f32,
    // 1 - alpha, rounded from float64.
    complement: f32,
    epsilon: f32,
    momentum: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> step_scale: StepScale;
@group(0) @binding(2) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> squares: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> velocities: array<vec4f>;

fn gradient_of(i: u32) -> vec4f {
    return clipped(gradients[i], step_scale.scale) + uniforms.weight_decay * weights[i];
}

// The direction of plain RMSprop.
fn direction_of(i: u32) -> vec4f {
    let gradient = gradient_of(i);
    return gradient / (sqrt(next_square(i, gradient)) + uniforms.epsilon);
}

// The same with squares about the mean.
fn centered_direction_of(i: u32) -> vec4f {
    let gradient = gradient_of(i);
    let square = next_square(i, gradient);
    return gradient / (sqrt(variance(i, gradient, square)) + uniforms.epsilon);
}

fn next_square(i: u32, gradient: vec4f) -> vec4f {
    let square = (1.0 - uniforms.complement) * squares[i] + uniforms.complement * gradient * gradient;
    squares[i] = square;
    return square;
}

// The square's distance from the squared mean. Rounding may put it below zero, where PyTorch gives NaN.
fn variance(i: u32, gradient: vec4f, square: vec4f) -> vec4f {
    let mean = means[i] + uniforms.complement * (gradient - means[i]);
    means[i] = mean;
    let variance = square - mean * mean;
    return select(variance, vec4f(0.0), variance < vec4f(0.0));
}

fn next_velocity(i: u32, direction: vec4f) -> vec4f {
    let velocity = uniforms.momentum * velocities[i] + direction;
    velocities[i] = velocity;
    return velocity;
}

fn apply(i: u32, direction: vec4f) {
    let update = -(uniforms.learning_rate * step_scale.rate) * direction;
    if (KEEP_UPDATES) {
        gradients[i] = update;
    }
    weights[i] += update;
}

@compute @workgroup_size(64)
fn plain(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        apply(i, direction_of(i));
    }
}

@compute @workgroup_size(64)
fn with_momentum(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        apply(i, next_velocity(i, direction_of(i)));
    }
}

@compute @workgroup_size(64)
fn centered(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        apply(i, centered_direction_of(i));
    }
}

@compute @workgroup_size(64)
fn centered_with_momentum(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        apply(i, next_velocity(i, centered_direction_of(i)));
    }
}
