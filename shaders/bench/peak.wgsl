// As many multiplications and additions as the adapter can do: chains of vectors that do not wait for each other and
// are few enough for the registers of any adapter, and no memory but a store that keeps them alive.

const ROUNDS = 256u;
const CHAINS = 3u;

@group(0) @binding(0) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    let factor = vec4f(0.999, 0.998, 0.997, 0.996);
    let start = vec4f(f32(invocation.x & 7u));
    var chains: array<vec4f, CHAINS>;
    for (var i = 0u; i < CHAINS; i += 1u) {
        chains[i] = start + vec4f(f32(i));
    }
    for (var round = 0u; round < ROUNDS; round += 1u) {
        for (var i = 0u; i < CHAINS; i += 1u) {
            chains[i] = fma(chains[i], factor, start);
        }
    }
    var sum = vec4f(0.0);
    for (var i = 0u; i < CHAINS; i += 1u) {
        sum += chains[i];
    }
    if (invocation.x < arrayLength(&result)) {
        result[invocation.x] = sum;
    }
}
