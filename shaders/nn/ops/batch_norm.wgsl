// Batch normalization (Ioffe and Szegedy 2015) over [batch, channels, positions]. A workgroup's lanes are spread over
// CHANNELS side by side, POSITIONS of each and, as many times as they fit, samples; neighboring lanes read neighboring
// elements. Sums run along each lane first, then over the lanes of a channel, in a fixed order.

// Lanes of a workgroup: a multiple of CHANNELS * POSITIONS, at most 256.
override LANES: u32 = 64u;
override CHANNELS: u32 = 64u;
override POSITIONS: u32 = 1u;

struct Uniforms {
    batch: u32,
    channels: u32,
    // Of a channel in one sample.
    positions: u32,
    // Samples that a workgroup walks over in kernels that go element by element.
    chunk: u32,
    epsilon: f32,
    // Share of the batch in the running statistics, and what is left.
    momentum: f32,
    keep: f32,
    // 1: add to what the input's gradient holds.
    accumulate: u32,
}

struct Statistics {
    mean: f32,
    // 1 / sqrt(variance + epsilon)
    scale: f32,
    // Without Bessel's correction.
    variance: f32,
    padding: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<Statistics>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> running_mean: array<f32>;
@group(0) @binding(7) var<storage, read> running_variance: array<f32>;

@group(0) @binding(6) var<storage, read_write> next_mean: array<f32>;
@group(0) @binding(7) var<storage, read_write> next_variance: array<f32>;
@group(0) @binding(8) var<storage, read_write> batches: array<f32>;

@group(0) @binding(5) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> bias_gradient: array<f32>;

@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;
@group(0) @binding(6) var<storage, read> weight_sums: array<f32>;
@group(0) @binding(7) var<storage, read> bias_sums: array<f32>;

var<workgroup> partials: array<vec2f, 256>;

struct Lane {
    position: u32,
    // Within the workgroup's channels.
    channel: u32,
    sample: u32,
}

fn lane_of(local: u32) -> Lane {
    return Lane(local % POSITIONS, local / POSITIONS % CHANNELS, local / POSITIONS / CHANNELS);
}

fn samples_side_by_side() -> u32 {
    return LANES / (POSITIONS * CHANNELS);
}

// Over the lanes of a channel; every lane of the workgroup must call it.
fn sum_over_channel(value: vec2f, lane: Lane, local: u32) -> vec2f {
    if (CHANNELS == LANES) {
        return value;
    }
    partials[local] = value;
    workgroupBarrier();
    var sum = vec2f(0.0);
    for (var sample = 0u; sample < samples_side_by_side(); sample += 1u) {
        for (var position = 0u; position < POSITIONS; position += 1u) {
            sum += partials[(sample * CHANNELS + lane.channel) * POSITIONS + position];
        }
    }
    workgroupBarrier();
    return sum;
}

fn count() -> f32 {
    return f32(uniforms.batch) * f32(uniforms.positions);
}

// Lanes beyond the last channel walk along that and write nothing.
fn channel_of(workgroup: vec3u, lane: Lane) -> u32 {
    return min(workgroup.x * CHANNELS + lane.channel, uniforms.channels - 1u);
}

fn writes(workgroup: vec3u, lane: Lane) -> bool {
    return workgroup.x * CHANNELS + lane.channel < uniforms.channels;
}

fn first_of(sample: u32, channel: u32) -> u32 {
    return (sample * uniforms.channels + channel) * uniforms.positions;
}

// Mean and variance in two passes; the second one also corrects the rounding of the first.
@compute @workgroup_size(LANES)
fn measure(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    let channel = channel_of(workgroup, lane);
    var sum = 0.0;
    for (var sample = lane.sample; sample < uniforms.batch; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            sum += x[first + position];
        }
    }
    let rough = sum_over_channel(vec2f(sum, 0.0), lane, local).x / count();
    var deviations = vec2f(0.0);
    for (var sample = lane.sample; sample < uniforms.batch; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            let d = x[first + position] - rough;
            deviations += vec2f(d, d * d);
        }
    }
    deviations = sum_over_channel(deviations, lane, local) / count();
    if (lane.position == 0u && lane.sample == 0u && writes(workgroup, lane)) {
        let variance = deviations.y - deviations.x * deviations.x;
        let scale = 1.0 / sqrt(variance + uniforms.epsilon);
        statistics[channel] = Statistics(rough + deviations.x, scale, variance, 0.0);
    }
}

// The running statistics, with Bessel's correction of the variance.
@compute @workgroup_size(64)
fn keep_track(@builtin(global_invocation_id) invocation: vec3u) {
    let channel = invocation.x;
    if (channel >= uniforms.channels) {
        return;
    }
    let now = statistics[channel];
    let unbiased = now.variance * (count() / (count() - 1.0));
    next_mean[channel] = uniforms.keep * next_mean[channel] + uniforms.momentum * now.mean;
    next_variance[channel] = uniforms.keep * next_variance[channel] + uniforms.momentum * unbiased;
    if (channel == 0u) {
        batches[0] += 1.0;
    }
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    if (!writes(workgroup, lane)) {
        return;
    }
    let channel = channel_of(workgroup, lane);
    let now = statistics[channel];
    let slope = now.scale * weight[channel];
    let shift = bias[channel];
    let end = min((workgroup.y + 1u) * uniforms.chunk, uniforms.batch);
    for (var sample = workgroup.y * uniforms.chunk + lane.sample; sample < end; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            y[first + position] = (x[first + position] - now.mean) * slope + shift;
        }
    }
}

@compute @workgroup_size(LANES)
fn infer(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    if (!writes(workgroup, lane)) {
        return;
    }
    let channel = channel_of(workgroup, lane);
    let mean = running_mean[channel];
    let slope = weight[channel] / sqrt(running_variance[channel] + uniforms.epsilon);
    let shift = bias[channel];
    let end = min((workgroup.y + 1u) * uniforms.chunk, uniforms.batch);
    for (var sample = workgroup.y * uniforms.chunk + lane.sample; sample < end; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            y[first + position] = (x[first + position] - mean) * slope + shift;
        }
    }
}

// The running statistics as those that the backward pass reads.
@compute @workgroup_size(64)
fn recall(@builtin(global_invocation_id) invocation: vec3u) {
    let channel = invocation.x;
    if (channel >= uniforms.channels) {
        return;
    }
    let variance = running_variance[channel];
    let scale = 1.0 / sqrt(variance + uniforms.epsilon);
    statistics[channel] = Statistics(running_mean[channel], scale, variance, 0.0);
}

// The gradients of weight and bias, which are also the sums that the input's gradient needs in training.
@compute @workgroup_size(LANES)
fn backward_parameters(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    let channel = channel_of(workgroup, lane);
    let mean = statistics[channel].mean;
    var sums = vec2f(0.0);
    for (var sample = lane.sample; sample < uniforms.batch; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            let g = y_gradient[first + position];
            sums += vec2f(g * (x[first + position] - mean), g);
        }
    }
    sums = sum_over_channel(sums, lane, local);
    if (lane.position == 0u && lane.sample == 0u && writes(workgroup, lane)) {
        weight_gradient[channel] = sums.x * statistics[channel].scale;
        bias_gradient[channel] = sums.y;
    }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    if (!writes(workgroup, lane)) {
        return;
    }
    let channel = channel_of(workgroup, lane);
    let now = statistics[channel];
    let factor = now.scale * weight[channel];
    let shift = bias_sums[channel] / count();
    let slope = now.scale * weight_sums[channel] / count();
    let end = min((workgroup.y + 1u) * uniforms.chunk, uniforms.batch);
    for (var sample = workgroup.y * uniforms.chunk + lane.sample; sample < end; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            let i = first + position;
            var gradient = factor * (y_gradient[i] - shift - (x[i] - now.mean) * slope);
            if (uniforms.accumulate != 0u) {
                gradient += x_gradient[i];
            }
            x_gradient[i] = gradient;
        }
    }
}

// The input's gradient where the statistics are the running ones, which do not depend on the input.
@compute @workgroup_size(LANES)
fn backward_fixed(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    if (!writes(workgroup, lane)) {
        return;
    }
    let channel = channel_of(workgroup, lane);
    let factor = statistics[channel].scale * weight[channel];
    let end = min((workgroup.y + 1u) * uniforms.chunk, uniforms.batch);
    for (var sample = workgroup.y * uniforms.chunk + lane.sample; sample < end; sample += samples_side_by_side()) {
        let first = first_of(sample, channel);
        for (var position = lane.position; position < uniforms.positions; position += POSITIONS) {
            let i = first + position;
            var gradient = factor * y_gradient[i];
            if (uniforms.accumulate != 0u) {
                gradient += x_gradient[i];
            }
            x_gradient[i] = gradient;
        }
    }
}
