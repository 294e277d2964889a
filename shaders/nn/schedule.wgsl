// The share of the learning rate that a step uses: a pure function of the step, so that a replayed step uses the same.
// uses shared/step_scale.wgsl

const CONSTANT = 0u;
const STEP = 1u;
const COSINE = 2u;

struct Uniforms {
    kind: u32,
    // Step: steps between two changes. Cosine: steps after the warm-up.
    period: u32,
    warmup: u32,
    // Step: of each change. Cosine: the least share.
    factor: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The step counter is its first word.
@group(0) @binding(1) var<storage, read> step_counter: array<u32>;
@group(0) @binding(2) var<storage, read_write> step_scale: StepScale;

fn power(base: f32, exponent: u32) -> f32 {
    var result = 1.0;
    var square = base;
    for (var left = exponent; left > 0u; left >>= 1u) {
        if ((left & 1u) == 1u) {
            result *= square;
        }
        square *= square;
    }
    return result;
}

// sin(x) for x in [0, pi / 2]: the built-in one may be off by 2^-11.
fn sine(x: f32) -> f32 {
    let s = x * x;
    return x * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0 * (1.0 - s / 110.0 * (1.0 - s / 156.0))))));
}

@compute @workgroup_size(1)
fn main() {
    let step = step_counter[0];
    if (step < uniforms.warmup) {
        step_scale.rate = f32(step + 1u) / f32(uniforms.warmup);
        return;
    }
    let at = step - uniforms.warmup;
    var rate = 1.0;
    if (uniforms.kind == STEP) {
        rate = power(uniforms.factor, at / max(uniforms.period, 1u));
    } else if (uniforms.kind == COSINE) {
        // (1 + cos(pi p)) / 2 = sin(pi (1 - p) / 2)^2, without cancellation at the end.
        let left = f32(uniforms.period - min(at, uniforms.period)) / f32(max(uniforms.period, 1u));
        let s = sine(1.5707963267948966 * left);
        rate = uniforms.factor + (1.0 - uniforms.factor) * s * s;
    }
    step_scale.rate = rate;
}
