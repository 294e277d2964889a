// What a discriminator's score costs the discriminator or the generator, one number per sample. With the sign that
// makes a smaller margin better, all objectives are one function of the margin.
// uses shared/grid.wgsl
// uses shared/elementary.wgsl

const CROSS_ENTROPY: u32 = 0u;
const LINEAR: u32 = 1u;
const HINGE: u32 = 2u;
const LOG_SIGMOID: u32 = 3u;
const SQUARE: u32 = 4u;
const SQUARE_FROM_ONE: u32 = 5u;

override OBJECTIVE: u32 = 0u;
// What the target of a real image is less than 1.
override SMOOTHING: f32 = 0.0;

struct Uniforms {
    batch: u32,
    // 1: the score should be low; -1: it should be high.
    sign: f32,
    // 1: add to what the score's gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> score: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> loss: array<vec4f>;

@group(0) @binding(2) var<storage, read> loss_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> score_gradient: array<vec4f>;

fn cost(margin: vec4f) -> vec4f {
    if (OBJECTIVE == CROSS_ENTROPY) {
        if (SMOOTHING != 0.0) {
            return softplus4(margin) - SMOOTHING * margin;
        }
        return softplus4(margin);
    }
    if (OBJECTIVE == HINGE) {
        // NaN stays NaN: a comparison with it is false.
        return select(1.0 + margin, vec4f(0.0), margin <= vec4f(-1.0));
    }
    if (OBJECTIVE == LOG_SIGMOID) {
        return -softplus4(-margin);
    }
    if (OBJECTIVE == SQUARE) {
        return margin * margin;
    }
    if (OBJECTIVE == SQUARE_FROM_ONE) {
        return (margin + (1.0 - SMOOTHING)) * (margin + (1.0 - SMOOTHING));
    }
    return margin;
}

fn derivative(margin: vec4f) -> vec4f {
    if (OBJECTIVE == CROSS_ENTROPY) {
        if (SMOOTHING != 0.0) {
            return sigmoid4(margin) - SMOOTHING;
        }
        return sigmoid4(margin);
    }
    if (OBJECTIVE == HINGE) {
        return select(vec4f(1.0), vec4f(0.0), margin <= vec4f(-1.0));
    }
    if (OBJECTIVE == LOG_SIGMOID) {
        return sigmoid4(-margin);
    }
    if (OBJECTIVE == SQUARE) {
        return 2.0 * margin;
    }
    if (OBJECTIVE == SQUARE_FROM_ONE) {
        return 2.0 * (margin + (1.0 - SMOOTHING));
    }
    return vec4f(1.0);
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (4u * i < uniforms.batch) {
        loss[i] = cost(uniforms.sign * score[i]);
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (4u * i >= uniforms.batch) {
        return;
    }
    var gradient = loss_gradient[i] * uniforms.sign * derivative(uniforms.sign * score[i]);
    if (uniforms.accumulate != 0u) {
        gradient += score_gradient[i];
    }
    score_gradient[i] = gradient;
}
