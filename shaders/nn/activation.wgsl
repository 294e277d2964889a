// Functions of one element, four elements an invocation: activations, and the heads that bound a log-variance.
// uses common/grid.wgsl
// uses common/elementary.wgsl

override KIND: u32 = 0u;

const RELU = 0u;
const LEAKY_RELU = 1u;
const TANH = 2u;
const SIGMOID = 3u;
const SOFTPLUS = 4u;
// 5 tanh(x / 5): NVAE's soft clamp of a log-variance.
const BOUNDED_LOG_VARIANCE = 5u;
// 2 ln(softplus(x) + floor): a standard deviation that comes out of a softplus.
const SOFTPLUS_LOG_VARIANCE = 6u;

const BOUND: f32 = 5.0;
const FLOOR: f32 = 1e-3;

struct Parameters {
    // Vectors of four elements.
    vectors: u32,
    // 1: add to what the input's gradient holds.
    accumulate: u32,
    // Of a leaky ReLU below zero.
    slope: f32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// Backward: what was saved is the output for kinds whose derivative follows from it, else the input.
@group(0) @binding(1) var<storage, read> saved: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> x_gradient: array<vec4f>;

fn value(x: vec4f) -> vec4f {
    switch KIND {
        case LEAKY_RELU: {
            return select(x, parameters.slope * x, x < vec4f(0.0));
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
        default: {
            return select(x, vec4f(0.0), x < vec4f(0.0));
        }
    }
}

fn derivative(saved: vec4f) -> vec4f {
    switch KIND {
        case LEAKY_RELU: {
            return select(vec4f(1.0), vec4f(parameters.slope), saved <= vec4f(0.0));
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
        default: {
            // As in PyTorch, behind a NaN the gradient passes.
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
    if (i < parameters.vectors) {
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
    if (i < parameters.vectors) {
        var gradient = derivative(saved[i]) * y_gradient[i];
        if (parameters.accumulate != 0u) {
            gradient += x_gradient[i];
        }
        x_gradient[i] = gradient;
    }
}
