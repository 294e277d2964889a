// First and second derivatives of activation functions times gradients, four elements an invocation.
// uses shared/activation_kinds.wgsl
// uses shared/grid.wgsl
// uses shared/elementary.wgsl

struct Uniforms {
    // Vectors of four elements.
    vectors: u32,
    // Of a leaky ReLU below zero; alpha of an ELU; scale of an affine map.
    slope: f32,
    // 1: add to what is written.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> upstream: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4f>;

// 1 - tanh(x)^2 without the difference of numbers near 1.
fn tanh_slope(x: vec4f) -> vec4f {
    let e = exp(-2.0 * abs(x));
    let d = 1.0 + e;
    return 4.0 * e / (d * d);
}

// The slope of the logistic function, likewise.
fn sigmoid_slope(x: vec4f) -> vec4f {
    let e = exp(-abs(x));
    let d = 1.0 + e;
    return e / (d * d);
}

fn normal_density(x: vec4f) -> vec4f {
    return exp(-0.5 * x * x) * 0.39894228;
}

fn first_derivative(x: vec4f) -> vec4f {
    switch KIND {
        case LEAKY_RELU: {
            return select(vec4f(1.0), vec4f(uniforms.slope), x <= vec4f(0.0));
        }
        case TANH: {
            return tanh_slope(x);
        }
        case SIGMOID: {
            return sigmoid_slope(x);
        }
        case SOFTPLUS: {
            return sigmoid4(x);
        }
        case BOUNDED_LOG_VARIANCE: {
            return tanh_slope(x / BOUND);
        }
        case SOFTPLUS_LOG_VARIANCE: {
            return 2.0 * sigmoid4(x) / (softplus4(x) + FLOOR);
        }
        case GELU: {
            return normal_cdf4(x) + x * normal_density(x);
        }
        case SILU: {
            return sigmoid4(x) + x * sigmoid_slope(x);
        }
        case ELU: {
            return select(vec4f(1.0), uniforms.slope * exp(min(x, vec4f(0.0))), x <= vec4f(0.0));
        }
        case AFFINE: {
            return vec4f(uniforms.slope);
        }
        default: {
            return select(vec4f(1.0), vec4f(0.0), x <= vec4f(0.0));
        }
    }
}

fn second_derivative(x: vec4f) -> vec4f {
    switch KIND {
        case TANH: {
            return -2.0 * tanh4(x) * tanh_slope(x);
        }
        case SIGMOID: {
            return -tanh4(0.5 * x) * sigmoid_slope(x);
        }
        case SOFTPLUS: {
            return sigmoid_slope(x);
        }
        case BOUNDED_LOG_VARIANCE: {
            return -2.0 / BOUND * tanh4(x / BOUND) * tanh_slope(x / BOUND);
        }
        case SOFTPLUS_LOG_VARIANCE: {
            let p = softplus4(x) + FLOOR;
            let s = sigmoid4(x);
            return 2.0 * (sigmoid_slope(x) * p - s * s) / (p * p);
        }
        case GELU: {
            return normal_density(x) * (2.0 - x * x);
        }
        case SILU: {
            return sigmoid_slope(x) * (2.0 - x * tanh4(0.5 * x));
        }
        case ELU: {
            return select(vec4f(0.0), uniforms.slope * exp(min(x, vec4f(0.0))), x <= vec4f(0.0));
        }
        default: {
            return vec4f(0.0);
        }
    }
}

fn write(i: u32, value: vec4f) {
    if (uniforms.accumulate != 0u) {
        result[i] += value;
    } else {
        result[i] = value;
    }
}

@compute @workgroup_size(64)
fn slope(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    write(i, first_derivative(x[i]) * gradient[i]);
}

@compute @workgroup_size(64)
fn curvature(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.vectors) {
        return;
    }
    write(i, second_derivative(x[i]) * gradient[i] * upstream[i]);
}
