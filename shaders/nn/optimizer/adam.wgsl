// Adam (Kingma and Ba 2015) with L2 weight decay, and AdamW (Loshchilov and Hutter 2019), whose decay is apart from the
// gradient; in PyTorch's form, over all parameters at once.
// uses shared/grid.wgsl
// uses shared/image_loads.wgsl
// uses shared/step_scale.wgsl

// Weight decay acts on the weights, not through the moments.
override DECOUPLED: bool = false;

struct Uniforms {
    // Vectors of four parameters.
    vectors: u32,
    learning_rate: f32,
    // 1 - beta, rounded from float64: a difference of float32 numbers would keep few of its digits.
    complement1: f32,
    complement2: f32,
    // Natural logarithms of the betas, rounded from float64.
    log_beta1: f32,
    log_beta2: f32,
    epsilon: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moments: array<vec4f>;
@group(0) @binding(6) var<storage, read> step_scale: StepScale;

// 1 - exp(x) for x <= 0, without the cancellation near zero that would spoil the first steps.
fn one_minus_exp(x: f32) -> f32 {
    if (x > -0.3) {
        return -x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0)))));
    }
    return 1.0 - exp(x);
}

// A vector of each: weights, gradients and moments.
struct Vectors {
    weight: vec4f,
    gradient: vec4f,
    first: vec4f,
    second: vec4f,
}

// Read before any branch, where a load of one address is one load on llvmpipe too.
struct Step {
    learning_rate: f32,
    // Of the gradients.
    scale: f32,
    correction1: f32,
    correction2: f32,
}

fn this_step() -> Step {
    let t = f32(step_counter[0] + 1u);
    return Step(
        uniforms.learning_rate * step_scale.rate,
        step_scale.scale,
        one_minus_exp(t * uniforms.log_beta1),
        one_minus_exp(t * uniforms.log_beta2),
    );
}

fn update_vector(i: u32, step: Step, before: Vectors) {
    var gradient = clipped(before.gradient, step.scale);
    if (!DECOUPLED) {
        gradient += uniforms.weight_decay * before.weight;
    }
    let first = (1.0 - uniforms.complement1) * before.first + uniforms.complement1 * gradient;
    let second = (1.0 - uniforms.complement2) * before.second + uniforms.complement2 * gradient * gradient;
    let denominator = sqrt(second) / sqrt(step.correction2) + uniforms.epsilon;
    var update = -(step.learning_rate / step.correction1) * first / denominator;
    if (DECOUPLED) {
        update -= step.learning_rate * uniforms.weight_decay * before.weight;
    }
    first_moments[i] = first;
    second_moments[i] = second;
    if (KEEP_UPDATES) {
        gradients[i] = update;
    }
    weights[i] = before.weight + update;
}

// The same memory as images.
@group(0) @binding(7) var weight_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(8) var gradient_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(9) var first_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(10) var second_image: texture_storage_2d<rgba32float, read>;

fn vectors_at(i: u32) -> Vectors {
    if (IMAGE_LOADS) {
        return Vectors(
            textureLoad(weight_image, texel(i)),
            textureLoad(gradient_image, texel(i)),
            textureLoad(first_image, texel(i)),
            textureLoad(second_image, texel(i)),
        );
    }
    return Vectors(weights[i], gradients[i], first_moments[i], second_moments[i]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let step = this_step();
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.vectors) {
        update_vector(i, step, vectors_at(i));
    }
}
