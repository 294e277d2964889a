// Elementary functions in forms that neither overflow nor hide a NaN: a comparison with NaN is false, so each
// choice is put such that NaN takes the branch that computes with it.

fn exp_of_minus_magnitude(x: vec4f) -> vec4f {
    return exp(-abs(x));
}

// log(1 + e) for e in [0, 1].
fn log1p4(e: vec4f) -> vec4f {
    let series = e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - 0.25 * e)));
    return select(log(1.0 + e), series, e < vec4f(0.01));
}

fn sigmoid4(x: vec4f) -> vec4f {
    let e = exp_of_minus_magnitude(x);
    return select(1.0 / (1.0 + e), e / (1.0 + e), x < vec4f(0.0));
}

fn softplus4(x: vec4f) -> vec4f {
    return max(x, vec4f(0.0)) + log1p4(exp_of_minus_magnitude(x));
}

// Not the built-in one, which overflows on some drivers, hides a NaN on others and is coarse near zero.
fn tanh4(x: vec4f) -> vec4f {
    let s = x * x;
    let series = x * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0 - s * (62.0 / 2835.0)))));
    let e = exp(-2.0 * abs(x));
    let magnitude = (1.0 - e) / (1.0 + e);
    return select(select(magnitude, -magnitude, x < vec4f(0.0)), series, abs(x) < vec4f(0.25));
}
