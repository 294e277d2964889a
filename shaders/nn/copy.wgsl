// Copies a block of columns of one matrix into one of another, or adds it there.
// uses shared/grid.wgsl

struct Uniforms {
    rows: u32,
    // Of the block, in units of what is copied: elements, or vectors of four.
    columns: u32,
    source_stride: u32,
    source_start: u32,
    result_stride: u32,
    result_start: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@group(0) @binding(1) var<storage, read> source_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> result_vectors: array<vec4f>;

@compute @workgroup_size(64)
fn by_scalars(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let row = i / uniforms.columns;
    if (row >= uniforms.rows) {
        return;
    }
    let column = i % uniforms.columns;
    var value = source[row * uniforms.source_stride + uniforms.source_start + column];
    let at = row * uniforms.result_stride + uniforms.result_start + column;
    if (uniforms.accumulate != 0u) {
        value += result[at];
    }
    result[at] = value;
}

// Where all numbers are multiples of four; they come divided by it.
@compute @workgroup_size(64)
fn by_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let row = i / uniforms.columns;
    if (row >= uniforms.rows) {
        return;
    }
    let column = i % uniforms.columns;
    var value = source_vectors[row * uniforms.source_stride + uniforms.source_start + column];
    let at = row * uniforms.result_stride + uniforms.result_start + column;
    if (uniforms.accumulate != 0u) {
        value += result_vectors[at];
    }
    result_vectors[at] = value;
}
