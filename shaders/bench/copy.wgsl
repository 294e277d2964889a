// Copies a buffer, four vectors an invocation and neighbors side by side: what memory gives when nothing is computed.

const LANES = 64u;
const VECTORS = 4u;

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_vectors: array<vec4f>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let first = (workgroup.y * workgroups.x + workgroup.x) * LANES * VECTORS + local;
    let len = arrayLength(&source);
    for (var i = 0u; i < VECTORS; i += 1u) {
        let at = first + i * LANES;
        if (at < len) {
            target_vectors[at] = source[at];
        }
    }
}
