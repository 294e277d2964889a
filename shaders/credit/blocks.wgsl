// What belongs to one unit, out of a buffer in which it lies in blocks at even distances: a unit's weights out of a layer's,
// a channel out of a batch of images.
// uses shared/grid.wgsl

struct Uniforms {
    // Where the unit's first block begins.
    first: u32,
    block: u32,
    // From block to block.
    stride: u32,
    // Elements that are written.
    count: u32,
    // Where the gathered elements begin.
    gathered_first: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

// The blocks, one behind the other.
@compute @workgroup_size(64)
fn gather(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let at = uniforms.first + (i / uniforms.block) * uniforms.stride + i % uniforms.block;
    result[uniforms.gathered_first + i] = source[at];
}

// The way back: gathered elements where they belong, zeros everywhere else.
@compute @workgroup_size(64)
fn spread(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.count) {
        return;
    }
    let within = i % uniforms.stride;
    var value = 0.0;
    if (within >= uniforms.first && within < uniforms.first + uniforms.block) {
        value = source[uniforms.gathered_first + (i / uniforms.stride) * uniforms.block + within - uniforms.first];
    }
    result[i] = value;
}
