// Counts steps on the GPU, so that a step is a static list of dispatches without writes from the CPU.

@group(0) @binding(0) var<storage, read_write> counter: array<u32>;

@compute @workgroup_size(1)
fn advance() {
    counter[0] += 1u;
}
