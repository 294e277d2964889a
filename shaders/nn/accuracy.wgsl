// Whether the first of the largest logits is the label's: 1 or 0 for each sample, and 0 where a logit is NaN. One
// invocation for each sample: classes are few.

struct Parameters {
    batch: u32,
    classes: u32,
    padding0: u32,
    padding1: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> correct: array<f32>;

// By its bits: a compiler may assume that floats are finite.
fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let sample = invocation.x;
    if (sample >= parameters.batch) {
        return;
    }
    let first = sample * parameters.classes;
    let label = min(labels[sample], parameters.classes - 1u);
    var largest = logits[first];
    var best = 0u;
    var any_nan = is_nan(largest);
    for (var i = 1u; i < parameters.classes; i += 1u) {
        let logit = logits[first + i];
        any_nan = any_nan || is_nan(logit);
        if (logit > largest) {
            largest = logit;
            best = i;
        }
    }
    correct[sample] = select(0.0, 1.0, best == label && !any_nan);
}
