// Moves the cursor of training one batch on.

struct Uniforms {
    count: u32,
    batch: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// step, epoch, offset in the epoch, spare
@group(0) @binding(1) var<storage, read_write> cursor: vec4u;

@compute @workgroup_size(1)
fn advance() {
    // The offset is below the count and both are at most 2^30: the sum cannot wrap.
    let position = cursor.z + uniforms.batch;
    cursor = vec4u(cursor.x + 1u, cursor.y + position / uniforms.count, position % uniforms.count, 0u);
}
