// uses shared/scale.wgsl
// uses shared/plot.wgsl
// Polylines straight from a buffer of values [lines, steps]: six vertices a step, one triangle list.
//
// Every step of a line is a slot: the segment to the next step where both are finite, a dot where a finite value
// has no neighbor, nothing otherwise. A fragment takes its coverage from its distance to the segment and belongs to
// the nearest of the segment and its two neighbors, so that a join is round and no pixel of it is blended twice.
struct Uniforms {
    scale: ValueScale,
    // Left, top, width, height of the plot in pixels.
    rect: vec4f,
    // Step index at the left and right edge, height at the bottom and top edge.
    window: vec4f,
    target_size: vec2f,
    // Half the extent of a mark and its stroke, in pixels.
    mark: vec2f,
    mark_color: vec4f,
    // Around a mark, so that it stands out from the lines below it.
    halo_color: vec4f,
    steps: u32,
    // The first slot of this draw, and the slots of all lines.
    first_slot: u32,
    slots: u32,
}

struct LineStyle {
    line: u32,
    color: u32,
    // In pixels.
    @size(8) width: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage> values: array<f32>;
@group(0) @binding(2) var<storage> lines: array<LineStyle>;

struct Fragment {
    @builtin(position) position: vec4f,
    // Both ends of the segment.
    @location(0) @interpolate(flat) segment: vec4f,
    // The far ends of the segments before and after it.
    @location(1) @interpolate(flat) neighbors: vec4f,
    @location(2) @interpolate(flat) color: vec4f,
    // Width, and whether there is a segment before and after.
    @location(3) @interpolate(flat) shape: vec3f,
}

fn position_of(step: u32, value: f32) -> vec2f {
    return pixel_of(uniforms.rect, uniforms.window, f32(step), height_of(uniforms.scale, value));
}

fn to_clip(pixel: vec2f) -> vec4f {
    let position = pixel / uniforms.target_size;
    return vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
}

fn nothing() -> Fragment {
    var out: Fragment;
    out.position = vec4f(2.0, 2.0, 0.0, 1.0);
    return out;
}

fn corner_of(vertex: u32) -> vec2f {
    return vec2f(vec2u(0x1au >> (vertex % 6u), 0x2cu >> (vertex % 6u)) & vec2u(1u)) * 2.0 - 1.0;
}

@vertex
fn line_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let slot = uniforms.first_slot + vertex / 6u;
    if (slot >= uniforms.slots) {
        return nothing();
    }
    let line = lines[slot / uniforms.steps];
    let step = slot % uniforms.steps;
    let at = line.line * uniforms.steps + step;
    let value = values[at];
    if (!is_finite(value)) {
        return nothing();
    }
    let start = position_of(step, value);
    var before = start;
    var after = start;
    var end = start;
    var shape = vec3f(line.width, 0.0, 0.0);
    if (step > 0u) {
        let earlier = values[at - 1u];
        if (is_finite(earlier)) {
            shape.y = 1.0;
            before = position_of(step - 1u, earlier);
        }
    }
    var follows = false;
    if (step + 1u < uniforms.steps) {
        let next = values[at + 1u];
        if (is_finite(next)) {
            follows = true;
            end = position_of(step + 1u, next);
        }
    }
    if (follows && step + 2u < uniforms.steps) {
        let later = values[at + 2u];
        if (is_finite(later)) {
            shape.z = 1.0;
            after = position_of(step + 2u, later);
        }
    }
    if (!follows) {
        if (shape.y > 0.0) {
            return nothing();
        }
        // A value on its own.
        shape.x = max(line.width, 1.0) * 2.0;
    }
    var out: Fragment;
    out.segment = vec4f(clipped(uniforms.rect, start, end), clipped(uniforms.rect, end, start));
    out.neighbors = vec4f(clipped(uniforms.rect, before, start), clipped(uniforms.rect, after, end));
    out.color = unpack4x8unorm(line.color);
    out.shape = shape;

    // A rectangle around the segment with room for its round ends.
    let reach = 0.5 * shape.x + 1.0;
    let corner = corner_of(vertex);
    var along = out.segment.zw - out.segment.xy;
    let extent = length(along);
    along = select(vec2f(1.0, 0.0), along / max(extent, 1e-20), extent > 1e-6);
    let anchor = select(out.segment.xy, out.segment.zw, corner.x > 0.0);
    out.position = to_clip(anchor + reach * (corner.x * along + corner.y * vec2f(-along.y, along.x)));
    return out;
}

// The part of a pixel that a stroke covers whose middle line is `distance` away.
fn coverage_of(width: f32, distance: f32) -> f32 {
    return clamp(0.5 + 0.5 * width - distance, 0.0, min(width, 1.0));
}

@fragment
fn line_fragment(in: Fragment) -> @location(0) vec4f {
    let point = in.position.xy;
    let start = in.segment.xy;
    let end = in.segment.zw;
    let distance = distance_to(point, start, end);
    if (in.shape.y > 0.0 && distance_to(point, in.neighbors.xy, start) <= distance) {
        discard;
    }
    if (in.shape.z > 0.0 && distance_to(point, end, in.neighbors.zw) < distance) {
        discard;
    }
    return vec4f(in.color.rgb, in.color.a * coverage_of(in.shape.x, distance));
}

// The mark of values that are not finite, a cross: at the last finite value before them, or at the upper rim
// where there is none.
@vertex
fn mark_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let slot = uniforms.first_slot + vertex / 6u;
    if (slot >= uniforms.slots) {
        return nothing();
    }
    let line = lines[slot / uniforms.steps];
    let step = slot % uniforms.steps;
    let at = line.line * uniforms.steps + step;
    if (is_finite(values[at])) {
        return nothing();
    }
    var position = vec2f(position_of(step, 0.0).x, uniforms.rect.y);
    if (step > 0u) {
        let earlier = values[at - 1u];
        if (!is_finite(earlier)) {
            return nothing();
        }
        position = position_of(step - 1u, earlier);
    }
    let reach = uniforms.mark.x + 2.0 * uniforms.mark.y;
    let low = uniforms.rect.xy + vec2f(reach);
    let high = uniforms.rect.xy + uniforms.rect.zw - vec2f(reach);
    // A mark stays inside the plot, unless its step is outside.
    position = vec2f(position.x, clamp(position.y, low.y, max(low.y, high.y)));
    if (position.x >= uniforms.rect.x && position.x <= uniforms.rect.x + uniforms.rect.z) {
        position.x = clamp(position.x, low.x, max(low.x, high.x));
    }
    var out: Fragment;
    out.segment = vec4f(position, position);
    out.position = to_clip(position + (reach + 1.0) * corner_of(vertex));
    return out;
}

@fragment
fn mark_fragment(in: Fragment) -> @location(0) vec4f {
    let arm = uniforms.mark.x;
    // Both diagonals folded onto one.
    let point = abs(in.position.xy - in.segment.xy);
    let distance = distance_to(point, vec2f(0.0), vec2f(arm));
    let stroke = uniforms.mark.y;
    let halo = coverage_of(3.0 * stroke, distance);
    let cross = coverage_of(stroke, distance);
    let color = mix(uniforms.halo_color.rgb, uniforms.mark_color.rgb, cross / max(halo, 1e-6));
    return vec4f(color, halo);
}
