// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A value depends only on its key and counter, so any invocation draws any number in any
// order, and a replayed step draws the same. The CPU reference is `random::philox`.

// High and low word of a product; WGSL has no wide multiply, so it goes by halves.
fn multiply_wide(a: u32, b: u32) -> vec2u {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 16u);
    let carry = a_low * b_high + (middle & 0xffffu);
    return vec2u(a_high * b_high + (middle >> 16u) + (carry >> 16u), a * b);
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round += 1u) {
        let p = multiply_wide(0xD2511F53u, c.x);
        let q = multiply_wide(0xCD9E8D57u, c.z);
        c = vec4u(q.x ^ c.y ^ k.x, q.y, p.x ^ c.w ^ k.y, p.y);
        k += vec2u(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// In [0, 1), from the upper 24 bits.
fn uniform01(bits: vec4u) -> vec4f {
    return vec4f(bits >> vec4u(8u)) * (1.0 / 16777216.0);
}

// -log(1 - u) for u in [0, 1). Next to 1 the built-in logarithm keeps few digits on some drivers: a series there.
fn exponential(u: vec2f) -> vec2f {
    let series = u * (1.0 + u * (1.0 / 2.0 + u * (1.0 / 3.0 + u * (1.0 / 4.0 + u * (1.0 / 5.0 + u / 6.0)))));
    // 1 - u lies in (0, 1]: the logarithm stays finite.
    return select(-log(1.0 - u), series, u < vec2f(0.05));
}

// Four standard normal numbers (Box-Muller).
fn standard_normal(bits: vec4u) -> vec4f {
    let u = uniform01(bits);
    let radius = sqrt(2.0 * exponential(u.xz));
    let angle = 6.283185307179586 * u.yw;
    return vec4f(radius.x * cos(angle.x), radius.x * sin(angle.x), radius.y * cos(angle.y), radius.y * sin(angle.y));
}
