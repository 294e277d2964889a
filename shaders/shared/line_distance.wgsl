// How far apart four heights of two lines are. A height is in [-1, 2], or one of three marks: a gap where a line has no
// value (or its row is padded), and the infinities, which are farther than any radius from all but themselves.
const GAP: f32 = -100.0;
const POSITIVE_INFINITY: f32 = 5.0;
const NEGATIVE_INFINITY: f32 = -4.0;
// Between the marks and the heights.
const ABOVE_GAP: f32 = -50.0;
const ABOVE_NEGATIVE_INFINITY: f32 = -2.0;
const ABOVE_HEIGHTS: f32 = 3.0;

// Whether the lines that are compared have values that are not finite. Lines that have none are compared faster.
override HAS_GAPS: bool = false;

// The differences between heights: 0 where one of the lines has a gap and the other is not infinite.
fn differences(a: vec4f, b: vec4f) -> vec4f {
    let each = abs(a - b);
    if (!HAS_GAPS) {
        return each;
    }
    let low = min(a, b);
    let high = max(a, b);
    let is_infinite = (high > vec4f(ABOVE_HEIGHTS))
        | ((high < vec4f(ABOVE_NEGATIVE_INFINITY)) & (high > vec4f(ABOVE_GAP)));
    return select(each, vec4f(0.0), (low < vec4f(ABOVE_GAP)) & !is_infinite);
}

// Whether both lines have a value at some of these heights. Lines that never have are apart.
fn are_comparable(a: vec4f, b: vec4f) -> bool {
    return !HAS_GAPS || any(min(a, b) > vec4f(ABOVE_GAP));
}
