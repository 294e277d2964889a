// uses shared/scale.wgsl
// uses shared/plot.wgsl
// The line that passes nearest to a pixel. One workgroup: an invocation looks at every 256th line, at the few segments
// of it that come near the pixel, and a tree of minima over (distance, line) finds the nearest of all. Values that are
// not finite have no position and are never picked.
struct Uniforms {
    scale: ValueScale,
    rect: vec4f,
    window: vec4f,
    // The pixel.
    point: vec2f,
    // Lines farther away than so many pixels are not picked.
    reach: f32,
    steps: u32,
    lines: u32,
}

struct Pick {
    // All ones where no line is near.
    line: u32,
    step: u32,
    value: f32,
    distance: f32,
}

// The nearest line so far, and the end of its nearest segment.
struct Nearest {
    distance: f32,
    line: u32,
    step: u32,
}

const NO_LINE: u32 = 0xffffffffu;
const INVOCATIONS: u32 = 256u;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// [lines, steps]
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> picked: Pick;

var<workgroup> nearest: array<Nearest, INVOCATIONS>;

fn position_of(step: u32, value: f32) -> vec2f {
    return pixel_of(uniforms.rect, uniforms.window, f32(step), height_of(uniforms.scale, value));
}

// The step index at an x in pixels.
fn step_at(x: f32) -> f32 {
    let part = (x - uniforms.rect.x) / uniforms.rect.z;
    return uniforms.window.x + part * (uniforms.window.y - uniforms.window.x);
}

fn nearer(a: Nearest, b: Nearest) -> Nearest {
    let is_first = a.distance < b.distance || (a.distance == b.distance && a.line <= b.line);
    if (is_first) {
        return a;
    }
    return b;
}

// What the slot at `step` of a line adds: the segment to the next step, or a dot where a finite value has no neighbor.
fn look_at(found: Nearest, line: u32, step: u32) -> Nearest {
    let base = line * uniforms.steps;
    let value = values[base + step];
    if (!is_finite(value)) {
        return found;
    }
    let start = position_of(step, value);
    var end = start;
    var closer = step;
    if (step + 1u < uniforms.steps && is_finite(values[base + step + 1u])) {
        end = position_of(step + 1u, values[base + step + 1u]);
        if (abs(uniforms.point.x - end.x) < abs(uniforms.point.x - start.x)) {
            closer = step + 1u;
        }
    }
    let a = clipped(uniforms.rect, start, end);
    let b = clipped(uniforms.rect, end, start);
    return nearer(found, Nearest(distance_to(uniforms.point, a, b), line, closer));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) local: u32) {
    var found = Nearest(uniforms.reach, NO_LINE, 0u);
    let last = f32(uniforms.steps - 1u);
    let first = u32(clamp(floor(step_at(uniforms.point.x - uniforms.reach)) - 1.0, 0.0, last));
    let end = u32(clamp(ceil(step_at(uniforms.point.x + uniforms.reach)), 0.0, last));
    for (var line = local; line < uniforms.lines; line += INVOCATIONS) {
        for (var step = first; step <= end; step += 1u) {
            found = look_at(found, line, step);
        }
    }
    nearest[local] = found;
    workgroupBarrier();
    for (var half = INVOCATIONS / 2u; half > 0u; half /= 2u) {
        if (local < half) {
            nearest[local] = nearer(nearest[local], nearest[local + half]);
        }
        workgroupBarrier();
    }
    if (local == 0u) {
        let winner = nearest[0];
        if (winner.line == NO_LINE) {
            picked = Pick(NO_LINE, 0u, 0.0, winner.distance);
        } else {
            let value = values[winner.line * uniforms.steps + winner.step];
            picked = Pick(winner.line, winner.step, value, winner.distance);
        }
    }
}
