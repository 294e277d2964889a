// Maxima and sums of windows that move over images, and their gradients. The input side is the input of a
// pooling and the output of an upsampling. One invocation for each element that is written.
// uses shared/grid.wgsl

struct Uniforms {
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
    kernel: vec2u,
    stride: vec2u,
    padding: vec2u,
    // Samples * channels.
    planes: u32,
    // 1: add to what the target holds.
    accumulate: u32,
    // Factor of sums.
    scale: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
// Where each window has its maximum, within its plane.
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(4) var<storage, read> was_chosen: array<u32>;
// The input of the forward pass.
@group(0) @binding(5) var<storage, read> values: array<f32>;

fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

struct Position {
    inside: bool,
    index: u32,
    plane: u32,
    y: u32,
    x: u32,
}

fn position_of(workgroup: vec3u, workgroups: vec3u, local: u32, height: u32, width: u32) -> Position {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let plane = i / (height * width);
    let rest = i % (height * width);
    return Position(plane < uniforms.planes, i, plane, rest / width, rest % width);
}

fn write(at: u32, value: f32) {
    if (uniforms.accumulate != 0u) {
        result[at] += value;
    } else {
        result[at] = value;
    }
}

// First and end of the rows or columns of the input side that lie in a window.
fn covered(position: u32, kernel: u32, stride: u32, padding: u32, size: u32) -> vec2u {
    let first = position * stride;
    return vec2u(max(first, padding) - padding, min(first + kernel, size + padding) - padding);
}

// First and end of the windows that a row or column of the input side lies in.
fn covering(position: u32, kernel: u32, stride: u32, padding: u32, size: u32) -> vec2u {
    let at = position + padding;
    var first = 0u;
    if (at >= kernel) {
        first = (at - kernel) / stride + 1u;
    }
    return vec2u(first, min(at / stride + 1u, size));
}

// First and end of rows and columns.
struct Area {
    rows: vec2u,
    columns: vec2u,
}

// What of the input side lies in the window at a position of the output side.
fn window_of(position: Position) -> Area {
    let p = uniforms;
    return Area(
        covered(position.y, p.kernel.y, p.stride.y, p.padding.y, p.input_height),
        covered(position.x, p.kernel.x, p.stride.x, p.padding.x, p.input_width),
    );
}

// The windows of the output side that a position of the input side lies in.
fn windows_over(position: Position) -> Area {
    let p = uniforms;
    return Area(
        covering(position.y, p.kernel.y, p.stride.y, p.padding.y, p.output_height),
        covering(position.x, p.kernel.x, p.stride.x, p.padding.x, p.output_width),
    );
}

// Writes the scaled sum over an area of the position's plane, which has so many rows and columns.
fn write_sum(position: Position, area: Area, height: u32, width: u32) {
    let start = position.plane * height * width;
    var sum = 0.0;
    for (var y = area.rows.x; y < area.rows.y; y += 1u) {
        for (var x = area.columns.x; x < area.columns.y; x += 1u) {
            sum += source[start + y * width + x];
        }
    }
    write(position.index, uniforms.scale * sum);
}

// The first of equal maxima counts; a NaN is greater than everything, the last of several NaNs counts.
@compute @workgroup_size(64)
fn maximum(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let position = position_of(workgroup, workgroups, local, uniforms.output_height, uniforms.output_width);
    if (!position.inside) {
        return;
    }
    let p = uniforms;
    let window = window_of(position);
    let start = position.plane * p.input_height * p.input_width;
    var best_at = window.rows.x * p.input_width + window.columns.x;
    var best = source[start + best_at];
    var has_nan = is_nan(best);
    for (var y = window.rows.x; y < window.rows.y; y += 1u) {
        for (var x = window.columns.x; x < window.columns.y; x += 1u) {
            let at = y * p.input_width + x;
            let value = source[start + at];
            let nan = is_nan(value);
            if (nan || (!has_nan && value > best)) {
                best = value;
                best_at = at;
                has_nan = has_nan || nan;
            }
        }
    }
    result[position.index] = best;
    chosen[position.index] = best_at;
}

@compute @workgroup_size(64)
fn maximum_backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let position = position_of(workgroup, workgroups, local, uniforms.input_height, uniforms.input_width);
    if (!position.inside) {
        return;
    }
    let p = uniforms;
    let windows = windows_over(position);
    let start = position.plane * p.output_height * p.output_width;
    let own = position.y * p.input_width + position.x;
    var sum = 0.0;
    for (var y = windows.rows.x; y < windows.rows.y; y += 1u) {
        for (var x = windows.columns.x; x < windows.columns.y; x += 1u) {
            let at = start + y * p.output_width + x;
            if (was_chosen[at] == own) {
                sum += source[at];
            }
        }
    }
    write(position.index, sum);
}

// DeepLIFT between samples (the first half of the planes) and baselines: the difference of two maxima is shared between the
// positions of both, so that nothing is lost where the maximum moves.
@compute @workgroup_size(64)
fn maximum_rescale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let position = position_of(workgroup, workgroups, local, uniforms.input_height, uniforms.input_width);
    if (!position.inside) {
        return;
    }
    let p = uniforms;
    let windows = windows_over(position);
    let half = p.planes / 2u;
    let partner = select(position.plane - half, position.plane + half, position.plane < half);
    let window_count = p.output_height * p.output_width;
    let pixels = p.input_height * p.input_width;
    let own = position.y * p.input_width + position.x;
    var sum = 0.0;
    for (var y = windows.rows.x; y < windows.rows.y; y += 1u) {
        for (var x = windows.columns.x; x < windows.columns.y; x += 1u) {
            let at = y * p.output_width + x;
            let here = was_chosen[position.plane * window_count + at];
            let there = was_chosen[partner * window_count + at];
            if (here != own && there != own) {
                continue;
            }
            // How far each maximum lies above the other image's value there; neither is negative.
            let lead = values[position.plane * pixels + here] - values[position.plane * pixels + there];
            let partner_lead = values[partner * pixels + there] - values[partner * pixels + here];
            var share = 0.5;
            if (lead + partner_lead > 0.0) {
                share = lead / (lead + partner_lead);
            }
            let upstream = source[position.plane * window_count + at];
            sum += select(0.0, share, here == own) * upstream;
            sum += select(0.0, 1.0 - share, there == own) * upstream;
        }
    }
    write(position.index, sum);
}

@compute @workgroup_size(64)
fn sum_windows(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let position = position_of(workgroup, workgroups, local, uniforms.output_height, uniforms.output_width);
    if (!position.inside) {
        return;
    }
    write_sum(position, window_of(position), uniforms.input_height, uniforms.input_width);
}

@compute @workgroup_size(64)
fn spread_windows(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let position = position_of(workgroup, workgroups, local, uniforms.input_height, uniforms.input_width);
    if (!position.inside) {
        return;
    }
    write_sum(position, windows_over(position), uniforms.output_height, uniforms.output_width);
}
