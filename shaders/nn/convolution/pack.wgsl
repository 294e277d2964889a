// A convolution's weight as its products read it: [inner, row] of each product one behind the other, with rows in whole
// vectors, the last of them filled up with zeros.
// uses shared/grid.wgsl
// uses shared/convolution/implicit_gemm.wgsl

@group(0) @binding(0) var<storage, read> gemms: array<ImplicitGemm>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let gemm = gemms[workgroup.z];
    let i = linear_index(workgroup, workgroups, local, 64u);
    let vectors = row_vectors(gemm);
    if (i >= inner_count(gemm) * vectors) {
        return;
    }
    let inner = inner_at(gemm, i / vectors);
    let first = gemm.weight_first + inner.channel * gemm.weight_channel
        + inner.y * gemm.weight_y + inner.x * gemm.weight_x;
    var vector = vec4f(0.0);
    for (var j = 0u; j < 4u; j += 1u) {
        let row = 4u * (i % vectors) + j;
        if (row < gemm.rows) {
            vector[j] = weight[first + row * gemm.weight_row];
        }
    }
    packed[gemm.packed_first + i] = vector;
}
