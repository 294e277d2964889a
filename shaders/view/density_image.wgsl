// uses shared/corner.wgsl
// A density image in the colors of the sequential map: the logarithm of lines a pixel, so that one line among
// thousands still shows.
struct Uniforms {
    rect: vec4f,
    target_size: vec2f,
    columns: u32,
    rows: u32,
    colors: array<vec4f, 10>,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// [columns, rows], rows from the top.
@group(0) @binding(1) var<storage> counts: array<f32>;
// The largest count, then those of the columns.
@group(0) @binding(2) var<storage> peaks: array<f32>;

@vertex
fn density_vertex(@builtin(vertex_index) vertex: u32) -> @builtin(position) vec4f {
    let corner = vec2f(corner_of(vertex));
    let position = (uniforms.rect.xy + corner * uniforms.rect.zw) / uniforms.target_size;
    return vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
}

@fragment
fn density_fragment(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let size = vec2f(f32(uniforms.columns), f32(uniforms.rows));
    let cell = vec2i(floor((position.xy - uniforms.rect.xy) / uniforms.rect.zw * size));
    let column = u32(clamp(cell.x, 0, i32(uniforms.columns) - 1));
    let row = u32(clamp(cell.y, 0, i32(uniforms.rows) - 1));
    let count = counts[column * uniforms.rows + row];
    if (count <= 0.0) {
        discard;
    }
    // Small parts of a line fade into the background.
    let gain = 4.0;
    let tone = clamp(log(1.0 + gain * count) / log(1.0 + gain * max(peaks[0], 1.0)), 0.0, 1.0);
    let stop = tone * 9.0;
    let index = min(u32(stop), 8u);
    let color = mix(uniforms.colors[index], uniforms.colors[index + 1u], stop - f32(index));
    return vec4f(color.rgb, clamp(tone * 8.0, 0.0, 1.0));
}
