// Stochastic gradient descent with momentum and L2 weight decay, in PyTorch's form, over all parameters at once.
// uses shared/grid.wgsl
// uses shared/step_scale.wgsl

struct Uniforms {
    // Vectors of four parameters.
    vectors: u32,
    learning_rate: f32,
    momentum: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocities: array<vec4f>;
@group(0) @binding(4) var<storage, read> step_scale: StepScale;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    let weight = weights[i];
    let gradient = clipped(gradients[i], step_scale.scale) + uniforms.weight_decay * weight;
    let velocity = uniforms.momentum * velocities[i] + gradient;
    let update = -(uniforms.learning_rate * step_scale.rate) * velocity;
    velocities[i] = velocity;
    if (KEEP_UPDATES) {
        gradients[i] = update;
    }
    weights[i] = weight + update;
}
