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

// The standard normal distribution function. exp(z^2) erfc(z) / t with t = 1 / (1 + z / 2) is the exponential of a
// polynomial in t, fitted at Chebyshev nodes: relative error 1.1e-7 for every z >= 0 before rounding.
fn normal_cdf4(x: vec4f) -> vec4f {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.5 * z);
    var p = vec4f(0.1708728777);
    p = p * t - 0.8221522570;
    p = p * t + 1.4885158539;
    p = p * t - 1.1352039576;
    p = p * t + 0.2788680792;
    p = p * t - 0.1862880588;
    p = p * t + 0.0967841893;
    p = p * t + 0.3740919530;
    p = p * t + 1.0000237226;
    p = p * t - 1.2655122280;
    let tail = 0.5 * t * exp(p - z * z);
    return select(1.0 - tail, tail, x < vec4f(0.0));
}
