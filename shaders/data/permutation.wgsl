// uses shared/philox.wgsl
// The order of an epoch as a keyed bijection of 0..count: a Feistel network on the next power of four, walked on
// until it falls inside. The CPU reference is `data::Permutation`. A shader that uses this one uses philox as well.

const SHUFFLE_STREAM = 2u;

struct Permutation {
    count: u32,
    half_bits: u32,
    seed: vec2u,
}

fn permutation_mix(word: u32) -> u32 {
    var x = word;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

// `place` is below the count.
fn permuted(order: Permutation, epoch: u32, place: u32) -> u32 {
    let first = philox(vec4u(0u, epoch, SHUFFLE_STREAM, 0u), order.seed);
    let second = philox(vec4u(1u, epoch, SHUFFLE_STREAM, 0u), order.seed);
    let mask = (1u << order.half_bits) - 1u;
    let domain = 1u << (2u * order.half_bits);
    var value = place;
    for (var walk = 0u; walk < domain; walk += 1u) {
        var left = value >> order.half_bits;
        var right = value & mask;
        for (var round = 0u; round < 8u; round += 1u) {
            let key = select(second, first, round < 4u)[round & 3u];
            let next = left ^ (permutation_mix(right ^ key) & mask);
            left = right;
            right = next;
        }
        value = (left << order.half_bits) | right;
        if (value < order.count) {
            break;
        }
    }
    return value;
}
