// Sums of the squared deviations of a batch's samples from their mean, over all elements. Two passes, each with a
// fixed order of its sums.
// uses shared/workgroup_sum.wgsl

// Lanes of the first pass.
const LANES = 1024u;

struct Uniforms {
    batch: u32,
    // Elements of a sample.
    size: u32,
    // What the sum is multiplied with.
    scale: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

// Moments are taken about the first sample: it is no farther from the mean than the samples are apart, and equal
// samples give exactly 0.
@compute @workgroup_size(64)
fn deviations(@builtin(global_invocation_id) invocation: vec3u) {
    let lane = invocation.x;
    if (lane >= LANES) {
        return;
    }
    var all = 0.0;
    for (var element = lane; element < uniforms.size; element += LANES) {
        let origin = values[element];
        var sum = 0.0;
        var squares = 0.0;
        for (var sample = 1u; sample < uniforms.batch; sample += 1u) {
            let deviation = values[sample * uniforms.size + element] - origin;
            sum += deviation;
            squares += deviation * deviation;
        }
        let about_the_mean = squares - sum * (sum / f32(uniforms.batch));
        // Rounding may leave less than nothing; NaN stays NaN.
        if (about_the_mean < 0.0) {
            continue;
        }
        all += about_the_mean;
    }
    sums[lane] = all;
}

@compute @workgroup_size(64)
fn total(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < LANES; i += 64u) {
        sum += sums[i];
    }
    let all = workgroup_sum(lane, sum);
    if (lane > 0u) {
        return;
    }
    result[0] = all * uniforms.scale;
}
