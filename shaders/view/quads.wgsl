// uses shared/corner.wgsl
// Solid rectangles and glyphs.
struct Uniforms {
    target_size: vec2f,
}

struct Quad {
    // Left, top, width, height in pixels.
    rect: vec4f,
    // Left and top in the atlas; all ones for a solid rectangle.
    atlas: vec2u,
    color: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage> quads: array<Quad>;
@group(0) @binding(2) var atlas: texture_2d<f32>;

struct Fragment {
    @builtin(position) position: vec4f,
    @location(0) @interpolate(flat) rect: vec4f,
    @location(1) @interpolate(flat) atlas: vec2u,
    @location(2) @interpolate(flat) color: vec4f,
}

@vertex
fn quad_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let quad = quads[min(vertex / 4u, arrayLength(&quads) - 1u)];
    let corner = corner_of(vertex);
    // Whole pixels around the rectangle: those at its edges are covered in part.
    let low = floor(quad.rect.xy);
    let high = ceil(quad.rect.xy + quad.rect.zw);
    let position = mix(low, high, vec2f(corner)) / uniforms.target_size;
    var out: Fragment;
    out.position = vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
    out.rect = quad.rect;
    out.atlas = quad.atlas;
    out.color = unpack4x8unorm(quad.color);
    return out;
}

@fragment
fn quad_fragment(in: Fragment) -> @location(0) vec4f {
    let local = in.position.xy - in.rect.xy;
    var coverage = 0.0;
    if (in.atlas.x == 0xffffffffu) {
        let overlap = min(local + vec2f(0.5), in.rect.zw) - max(local - vec2f(0.5), vec2f(0.0));
        let covered = clamp(overlap, vec2f(0.0), vec2f(1.0));
        coverage = covered.x * covered.y;
    } else {
        coverage = textureLoad(atlas, vec2i(in.atlas) + vec2i(floor(local)), 0).r;
    }
    return vec4f(in.color.rgb, in.color.a * coverage);
}
