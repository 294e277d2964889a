// uses shared/corner.wgsl
// uses shared/scale.wgsl
// uses shared/plot.wgsl
// uses shared/polyline.wgsl
// Polylines straight from a buffer of values [lines, steps]: a quad a step.
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

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(2) var<storage> lines: array<LineStyle>;

struct Fragment {
    @builtin(position) position: vec4f,
    // As in `Segment`.
    @location(0) @interpolate(flat) ends: vec4f,
    @location(1) @interpolate(flat) neighbors: vec4f,
    @location(2) @interpolate(flat) color: vec4f,
    // Width, and whether there is a segment before and after.
    @location(3) @interpolate(flat) shape: vec3f,
}

fn plot() -> LinePlot {
    return LinePlot(uniforms.scale, uniforms.rect, uniforms.window, uniforms.steps);
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

@vertex
fn line_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let slot = uniforms.first_slot + vertex / 4u;
    if (slot >= uniforms.slots) {
        return nothing();
    }
    let line = lines[slot / uniforms.steps];
    let segment = segment_at(plot(), line.line, slot % uniforms.steps, line.width);
    if (segment.width <= 0.0) {
        return nothing();
    }
    var out: Fragment;
    out.ends = segment.ends;
    out.neighbors = segment.neighbors;
    out.color = unpack4x8unorm(line.color);
    out.shape = vec3f(segment.width, f32(segment.has_before), f32(segment.has_after));

    // A rectangle around the segment with room for its round ends.
    let reach = 0.5 * segment.width + 1.0;
    let corner = vec2f(corner_of(vertex)) * 2.0 - 1.0;
    var along = out.ends.zw - out.ends.xy;
    let extent = length(along);
    along = select(vec2f(1.0, 0.0), along / max(extent, 1e-20), extent > 1e-6);
    let anchor = select(out.ends.xy, out.ends.zw, corner.x > 0.0);
    out.position = to_clip(anchor + reach * (corner.x * along + corner.y * vec2f(-along.y, along.x)));
    return out;
}

@fragment
fn line_fragment(in: Fragment) -> @location(0) vec4f {
    let segment = Segment(in.ends, in.neighbors, in.shape.x, in.shape.y > 0.0, in.shape.z > 0.0);
    return vec4f(in.color.rgb, in.color.a * coverage_at(segment, in.position.xy));
}

// The mark of values that are not finite, a cross: at the last finite value before them, or at the upper rim
// where there is none.
@vertex
fn mark_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let slot = uniforms.first_slot + vertex / 4u;
    if (slot >= uniforms.slots) {
        return nothing();
    }
    let line = lines[slot / uniforms.steps];
    let step = slot % uniforms.steps;
    let at = line.line * uniforms.steps + step;
    if (is_finite(values[at])) {
        return nothing();
    }
    var position = vec2f(position_of(plot(), step, 0.0).x, uniforms.rect.y);
    if (step > 0u) {
        let earlier = values[at - 1u];
        if (!is_finite(earlier)) {
            return nothing();
        }
        position = position_of(plot(), step - 1u, earlier);
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
    out.ends = vec4f(position, position);
    out.position = to_clip(position + (reach + 1.0) * (vec2f(corner_of(vertex)) * 2.0 - 1.0));
    return out;
}

@fragment
fn mark_fragment(in: Fragment) -> @location(0) vec4f {
    let arm = uniforms.mark.x;
    // Both diagonals folded onto one.
    let point = abs(in.position.xy - in.ends.xy);
    let distance = distance_to(point, vec2f(0.0), vec2f(arm));
    let stroke = uniforms.mark.y;
    let halo = coverage_of(3.0 * stroke, distance);
    let cross = coverage_of(stroke, distance);
    let color = mix(uniforms.halo_color.rgb, uniforms.mark_color.rgb, cross / max(halo, 1e-6));
    return vec4f(color, halo);
}
