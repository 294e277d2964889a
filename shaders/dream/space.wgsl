// From dreamt values to a network's input and back into their bounds. Values are in units of what real inputs reach,
// [rows, channels, positions].
// uses shared/grid.wgsl
// uses shared/philox.wgsl

struct Uniforms {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    // The largest shift of an image, in pixels, and the seed and stream that it is drawn from.
    jitter: u32,
    stream: u32,
    seed_low: u32,
    seed_high: u32,
    // Whether inputs lie in [0, 1].
    is_boxed: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// Of each channel: the first channel of its pixel, and how many channels the pixel has.
@group(0) @binding(1) var<storage, read> pixels: array<vec4u>;
// Of each channel: the input at value 0, and how far value 1 is from that.
@group(0) @binding(2) var<storage, read> scales: array<vec4f>;
@group(0) @binding(3) var<storage, read> step_counter: array<u32>;
@group(0) @binding(4) var<storage, read_write> drawn: array<u32>;
// Rows down and columns to the right by which the image is rolled.
@group(0) @binding(5) var<storage, read> shift: array<u32>;
@group(0) @binding(6) var<storage, read> source: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(1)
fn draw_shift() {
    // Step 0 of the stream is the start.
    let counter = vec4u(0u, step_counter[0] + 1u, uniforms.stream, 0u);
    let bits = philox(counter, vec2u(uniforms.seed_low, uniforms.seed_high));
    let span = 2u * uniforms.jitter + 1u;
    drawn[0] = (bits.x % span + uniforms.height - uniforms.jitter) % uniforms.height;
    drawn[1] = (bits.y % span + uniforms.width - uniforms.jitter) % uniforms.width;
}

// The network's input: rolled, and in the units of the data.
@compute @workgroup_size(64)
fn to_input(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let positions = uniforms.height * uniforms.width;
    if (i >= uniforms.rows * uniforms.channels * positions) {
        return;
    }
    let position = i % positions;
    let y = (position / uniforms.width + uniforms.height - shift[0]) % uniforms.height;
    let x = (position % uniforms.width + uniforms.width - shift[1]) % uniforms.width;
    let scale = scales[(i / positions) % uniforms.channels];
    values[i] = scale.x + scale.y * source[i - position + y * uniforms.width + x];
}

// Each pixel's norm is brought to 1 where it is above, then inputs into [0, 1]. An invocation does all pixels of a place.
@compute @workgroup_size(64)
fn project(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let positions = uniforms.height * uniforms.width;
    if (i >= uniforms.rows * positions) {
        return;
    }
    let start = i / positions * uniforms.channels * positions + i % positions;
    var first = 0u;
    while (first < uniforms.channels) {
        let end = first + pixels[first].y;
        var squares = 0.0;
        for (var channel = first; channel < end; channel += 1u) {
            let value = values[start + channel * positions];
            squares += value * value;
        }
        var factor = 1.0;
        if (squares > 1.0) {
            factor = 1.0 / sqrt(squares);
        }
        for (var channel = first; channel < end; channel += 1u) {
            var value = factor * values[start + channel * positions];
            if (uniforms.is_boxed != 0u) {
                let scale = scales[channel];
                let low = -scale.x / scale.y;
                let high = (1.0 - scale.x) / scale.y;
                // NaN stays NaN, because a comparison with it is false.
                if (value < low) {
                    value = low;
                }
                if (value > high) {
                    value = high;
                }
            }
            values[start + channel * positions] = value;
        }
        first = end;
    }
}
