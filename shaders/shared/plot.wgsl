// Where values land in a picture; the counterpart of `view::Plot`. A plot is its rectangle (left, top, width, height in
// pixels) and its window (step index at the left and right edge, height at the bottom and top edge).

// The pixel of a step index and a height.
fn pixel_of(rect: vec4f, window: vec4f, step: f32, height: f32) -> vec2f {
    let right = (step - window.x) / (window.y - window.x);
    let down = (window.w - clamp(height, -1e30, 1e30)) / (window.w - window.z);
    return rect.xy + rect.zw * vec2f(right, down);
}

// The end `end` of the segment to `other`, moved along it to at most one plot height above or below the plot:
// far ends would cost precision and pixels.
fn clipped(rect: vec4f, end: vec2f, other: vec2f) -> vec2f {
    let top = rect.y - rect.w;
    let bottom = rect.y + 2.0 * rect.w;
    let y = clamp(end.y, top, bottom);
    let fall = other.y - end.y;
    if (y == end.y || fall == 0.0) {
        return vec2f(end.x, y);
    }
    return vec2f(end.x + clamp((y - end.y) / fall, 0.0, 1.0) * (other.x - end.x), y);
}

// The distance from `point` to a segment whose ends come in the order of the line: the same bits, whichever of
// two neighbors asks.
fn distance_to(point: vec2f, start: vec2f, end: vec2f) -> f32 {
    let along = end - start;
    let squared = dot(along, along);
    let t = dot(point - start, along);
    if (t <= 0.0 || squared == 0.0) {
        return length(point - start);
    }
    if (t >= squared) {
        return length(point - end);
    }
    return length(point - start - along * (t / squared));
}
