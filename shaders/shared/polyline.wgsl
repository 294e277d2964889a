// uses shared/scale.wgsl
// uses shared/plot.wgsl
// The segments of polylines in pixels, and what they cover.
struct LinePlot {
    scale: ValueScale,
    // Left, top, width, height of the plot in pixels.
    rect: vec4f,
    // Step index at the left and right edge, height at the bottom and top edge.
    window: vec4f,
    steps: u32,
}

// How one line is drawn.
struct LineStyle {
    line: u32,
    color: u32,
    // In pixels.
    @size(8) width: f32,
}

// [lines, steps]
@group(0) @binding(1) var<storage> values: array<f32>;

// Every step of a line is a slot: the segment to the next step where both are finite, a dot where a finite value has no
// neighbor, nothing otherwise.
struct Segment {
    // Both ends.
    ends: vec4f,
    // The far ends of the segments before and after it.
    neighbors: vec4f,
    // 0 where there is nothing.
    width: f32,
    has_before: bool,
    has_after: bool,
}

fn position_of(plot: LinePlot, step: u32, value: f32) -> vec2f {
    return pixel_of(plot.rect, plot.window, f32(step), height_of(plot.scale, value));
}

// What is in the slot of a step.
fn segment_at(plot: LinePlot, line: u32, step: u32, width: f32) -> Segment {
    var out: Segment;
    let at = line * plot.steps + step;
    let value = values[at];
    if (!is_finite(value)) {
        return out;
    }
    let start = position_of(plot, step, value);
    var before = start;
    var after = start;
    var end = start;
    if (step > 0u) {
        let earlier = values[at - 1u];
        if (is_finite(earlier)) {
            out.has_before = true;
            before = position_of(plot, step - 1u, earlier);
        }
    }
    var follows = false;
    if (step + 1u < plot.steps) {
        let next = values[at + 1u];
        if (is_finite(next)) {
            follows = true;
            end = position_of(plot, step + 1u, next);
        }
    }
    if (follows && step + 2u < plot.steps) {
        let later = values[at + 2u];
        if (is_finite(later)) {
            out.has_after = true;
            after = position_of(plot, step + 2u, later);
        }
    }
    if (!follows && out.has_before) {
        return out;
    }
    // A value on its own is a dot.
    out.width = select(max(width, 1.0) * 2.0, width, follows);
    out.ends = vec4f(clipped(plot.rect, start, end), clipped(plot.rect, end, start));
    out.neighbors = vec4f(clipped(plot.rect, before, start), clipped(plot.rect, after, end));
    return out;
}

// The part of a pixel that a stroke covers whose middle line is `distance` away.
fn coverage_of(width: f32, distance: f32) -> f32 {
    return clamp(0.5 + 0.5 * width - distance, 0.0, min(width, 1.0));
}

// The part of a pixel that a segment covers: a pixel belongs to the nearest of the segment and its two neighbors, so that
// a join is round and no pixel of it is blended twice.
fn coverage_at(segment: Segment, point: vec2f) -> f32 {
    let start = segment.ends.xy;
    let end = segment.ends.zw;
    let distance = distance_to(point, start, end);
    let coverage = coverage_of(segment.width, distance);
    if (coverage <= 0.0
        || (segment.has_before && distance_to(point, segment.neighbors.xy, start) <= distance)
        || (segment.has_after && distance_to(point, end, segment.neighbors.zw) < distance)) {
        return 0.0;
    }
    return coverage;
}
