// How a value becomes a height in a chart; the counterpart of `series::ValueScale`.
struct ValueScale {
    low: f32,
    // Sixteen over the extent: one over the largest extents would be subnormal, which adapters may take for zero.
    inverse_extent: f32,
    // 0 means a linear scale.
    @size(8) linear_threshold: f32,
}

fn height_of(scale: ValueScale, value: f32) -> f32 {
    var transformed = value;
    if (scale.linear_threshold > 0.0) {
        transformed = sign(value) * log2(1.0 + abs(value) / scale.linear_threshold) * 0.30102999566398120;
    }
    return transformed * 0.0625 * scale.inverse_extent - scale.low * 0.0625 * scale.inverse_extent;
}

// NaN and infinity by their bits: a compiler may assume that floats are finite.
fn is_finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}
