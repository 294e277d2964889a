// Cross-entropy of softmax(logits) against class labels: log(sum(exp(logits))) - logits[label], with the largest
// logit taken out of the sum. With label smoothing, a share of the label is spread over all classes, so that a share of
// logits[label] becomes the mean of the logits. One invocation for each sample: classes are few.

override SMOOTHING: f32 = 0.0;

struct Uniforms {
    batch: u32,
    classes: u32,
    // 1: add to what the logits' gradient holds.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> loss_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits_gradient: array<f32>;

struct Normalizer {
    largest: f32,
    // sum(exp(logit - largest))
    sum: f32,
}

fn normalizer(first: u32) -> Normalizer {
    var n = Normalizer(logits[first], 0.0);
    for (var i = 1u; i < uniforms.classes; i += 1u) {
        n.largest = max(n.largest, logits[first + i]);
    }
    for (var i = 0u; i < uniforms.classes; i += 1u) {
        n.sum += exp(logits[first + i] - n.largest);
    }
    return n;
}

fn label_of(sample: u32) -> u32 {
    return min(labels[sample], uniforms.classes - 1u);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) invocation: vec3u) {
    let sample = invocation.x;
    if (sample >= uniforms.batch) {
        return;
    }
    let first = sample * uniforms.classes;
    let n = normalizer(first);
    let of_label = n.largest - logits[first + label_of(sample)];
    if (SMOOTHING == 0.0) {
        loss[sample] = log(n.sum) + of_label;
        return;
    }
    var distances = 0.0;
    for (var i = 0u; i < uniforms.classes; i += 1u) {
        distances += n.largest - logits[first + i];
    }
    let spread = SMOOTHING * (distances / f32(uniforms.classes));
    loss[sample] = log(n.sum) + ((1.0 - SMOOTHING) * of_label + spread);
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) invocation: vec3u) {
    let sample = invocation.x;
    if (sample >= uniforms.batch) {
        return;
    }
    let first = sample * uniforms.classes;
    let n = normalizer(first);
    let label = label_of(sample);
    for (var i = 0u; i < uniforms.classes; i += 1u) {
        let probability = exp(logits[first + i] - n.largest) / n.sum;
        var wanted = select(0.0, 1.0, i == label);
        if (SMOOTHING != 0.0) {
            wanted = (1.0 - SMOOTHING) * wanted + SMOOTHING / f32(uniforms.classes);
        }
        var gradient = loss_gradient[sample] * (probability - wanted);
        if (uniforms.accumulate != 0u) {
            gradient += logits_gradient[first + i];
        }
        logits_gradient[first + i] = gradient;
    }
}
