// Whether a sample's outputs are right: 1 or 0, and 0 where a logit is NaN. One invocation for each sample: outputs are
// few.

struct Uniforms {
    batch: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read_write> correct: array<f32>;

// By its bits: a compiler may assume that floats are finite.
fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

// Whether the first of the largest logits is the label's.
@compute @workgroup_size(64)
fn largest(@builtin(global_invocation_id) invocation: vec3u) {
    let sample = invocation.x;
    if (sample >= uniforms.batch) {
        return;
    }
    let first = sample * uniforms.outputs;
    let label = min(labels[sample], uniforms.outputs - 1u);
    var most = logits[first];
    var best = 0u;
    var any_nan = is_nan(most);
    for (var i = 1u; i < uniforms.outputs; i += 1u) {
        let logit = logits[first + i];
        any_nan = any_nan || is_nan(logit);
        if (logit > most) {
            most = logit;
            best = i;
        }
    }
    correct[sample] = select(0.0, 1.0, best == label && !any_nan);
}

// Whether every logit is above 0 exactly where its target is 1.
@compute @workgroup_size(64)
fn exact_match(@builtin(global_invocation_id) invocation: vec3u) {
    let sample = invocation.x;
    if (sample >= uniforms.batch) {
        return;
    }
    let first = sample * uniforms.outputs;
    var all_match = true;
    for (var i = 0u; i < uniforms.outputs; i += 1u) {
        let logit = logits[first + i];
        let is_right = (logit > 0.0) == (targets[first + i] > 0.5);
        all_match = all_match && is_right && !is_nan(logit);
    }
    correct[sample] = select(0.0, 1.0, all_match);
}
