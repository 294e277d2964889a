// uses shared/corner.wgsl
// What `polylines_cpu.wgsl` has blended, as an image.
struct Uniforms {
    // The top left pixel, columns and rows.
    rect: vec4f,
    target_size: vec2f,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// [columns, rows], rows from the top: the color times its opacity, and its opacity.
@group(0) @binding(1) var<storage> cells: array<vec4f>;

@vertex
fn lines_vertex(@builtin(vertex_index) vertex: u32) -> @builtin(position) vec4f {
    let position = (uniforms.rect.xy + vec2f(corner_of(vertex)) * uniforms.rect.zw) / uniforms.target_size;
    return vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
}

@fragment
fn lines_fragment(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let cell = clamp(vec2u(position.xy - uniforms.rect.xy), vec2u(0u), vec2u(uniforms.rect.zw) - vec2u(1u));
    let blended = cells[cell.x * u32(uniforms.rect.w) + cell.y];
    return vec4f(blended.rgb / max(blended.a, 1e-6), blended.a);
}
