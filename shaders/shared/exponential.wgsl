// The exponential less the first terms of its series, without the cancellation near zero.

// exp(v) - 1.
fn exp_minus_one(v: f32) -> f32 {
    if (abs(v) < 0.3) {
        return v * (1.0 + v / 2.0 * (1.0 + v / 3.0 * (1.0 + v / 4.0 * (1.0 + v / 5.0 * (1.0 + v / 6.0 * (1.0 + v / 7.0))))));
    }
    return exp(v) - 1.0;
}

// exp(v) - 1 - v.
fn exp_minus_tangent(v: f32) -> f32 {
    if (abs(v) < 0.3) {
        return 0.5 * v * v * (1.0 + v / 3.0 * (1.0 + v / 4.0 * (1.0 + v / 5.0 * (1.0 + v / 6.0 * (1.0 + v / 7.0)))));
    }
    return exp(v) - 1.0 - v;
}
