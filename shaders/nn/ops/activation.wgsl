// Functions of one element, four elements an invocation: activations, and the heads that bound a log-variance.
// uses shared/activation_kinds.wgsl
// uses shared/grid.wgsl
// uses shared/elementary.wgsl
// uses shared/image_loads.wgsl

// Backward: add to what the input's gradient holds.
override ACCUMULATE: bool = false;

struct Uniforms {
    // Vectors of four elements.
    vectors: u32,
    // Of a leaky ReLU below zero; alpha of an ELU; scale of an affine map.
    slope: f32,
    // Of an affine map.
    shift: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// Backward: what was saved is the output for kinds whose derivative follows from it, else the input.
@group(0) @binding(1) var<storage, read> saved: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> x_gradient: array<vec4f>;

// The memory of bindings 1 and 2.
@group(0) @binding(4) var x_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var saved_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var y_gradient_image: texture_storage_2d<rgba32float, read>;

// exp(x) - 1 for x <= 0.
fn expm1_4(x: vec4f) -> vec4f {
    let series = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0))));
    return select(exp(x) - 1.0, series, x > vec4f(-0.05));
}

fn value(x: vec4f) -> vec4f {
    switch KIND {
        case LEAKY_RELU: {
            return select(x, uniforms.slope * x, x < vec4f(0.0));
        }
        case TANH: {
            return tanh4(x);
        }
        case SIGMOID: {
            return sigmoid4(x);
        }
        case SOFTPLUS: {
            return softplus4(x);
        }
        case BOUNDED_LOG_VARIANCE: {
            return BOUND * tanh4(x / BOUND);
        }
        case SOFTPLUS_LOG_VARIANCE: {
            return 2.0 * log(softplus4(x) + FLOOR);
        }
        case GELU: {
            return x * normal_cdf4(x);
        }
        case SILU: {
            return x * sigmoid4(x);
        }
        case AFFINE: {
            return uniforms.slope * x + uniforms.shift;
        }
        case ELU: {
            return select(x, uniforms.slope * expm1_4(min(x, vec4f(0.0))), x < vec4f(0.0));
        }
        default: {
            return select(x, vec4f(0.0), x < vec4f(0.0));
        }
    }
}

fn derivative(saved: vec4f) -> vec4f {
    switch KIND {
        case LEAKY_RELU: {
            return select(vec4f(1.0), vec4f(uniforms.slope), saved <= vec4f(0.0));
        }
        case TANH: {
            return 1.0 - saved * saved;
        }
        case SIGMOID: {
            return saved * (1.0 - saved);
        }
        case SOFTPLUS: {
            return sigmoid4(saved);
        }
        case BOUNDED_LOG_VARIANCE: {
            let t = saved / BOUND;
            return 1.0 - t * t;
        }
        case SOFTPLUS_LOG_VARIANCE: {
            return 2.0 * sigmoid4(saved) / (softplus4(saved) + FLOOR);
        }
        case GELU: {
            return normal_cdf4(saved) + saved * exp(-0.5 * saved * saved) * 0.39894228;
        }
        case SILU: {
            let s = sigmoid4(saved);
            return s * (1.0 + saved * (1.0 - s));
        }
        case AFFINE: {
            return vec4f(uniforms.slope);
        }
        case ELU: {
            return select(vec4f(1.0), saved + uniforms.slope, saved <= vec4f(0.0));
        }
        default: {
            // As in PyTorch, the gradient passes where the input is NaN.
            return select(vec4f(1.0), vec4f(0.0), saved <= vec4f(0.0));
        }
    }
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    if (IMAGE_LOADS) {
        y[i] = value(textureLoad(x_image, texel(i)));
    } else {
        y[i] = value(x[i]);
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    var gradient: vec4f;
    if (IMAGE_LOADS) {
        gradient = derivative(textureLoad(saved_image, texel(i))) * textureLoad(y_gradient_image, texel(i));
    } else {
        gradient = derivative(saved[i]) * y_gradient[i];
    }
    if (ACCUMULATE) {
        gradient += x_gradient[i];
    }
    x_gradient[i] = gradient;
}
