// uses shared/corner.wgsl
// uses shared/scale.wgsl
// One row of images side by side, each pixel of them a square of whole pixels.
struct Uniforms {
    nonfinite: vec4f,
    // The top left pixel of the first image.
    origin: vec2f,
    target_size: vec2f,
    // From one image to the next, with the gap.
    tile: vec2u,
    // Width and height of an image.
    shape: vec2u,
    channels: u32,
    columns: u32,
    count: u32,
    zoom: u32,
    // The image at the left.
    first: u32,
    logits: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// [count, channels, height, width]
@group(0) @binding(1) var<storage> images: array<f32>;

@vertex
fn image_vertex(@builtin(vertex_index) vertex: u32) -> @builtin(position) vec4f {
    let corner = vec2f(corner_of(vertex));
    let extent = vec2f(uniforms.tile * vec2u(uniforms.columns, 1u));
    let position = (uniforms.origin + corner * extent) / uniforms.target_size;
    return vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
}

@fragment
fn image_fragment(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let local = vec2u(max(position.xy - uniforms.origin, vec2f(0.0)));
    let column = local.x / uniforms.tile.x;
    let inside = vec2u(local.x % uniforms.tile.x, local.y) / uniforms.zoom;
    let image = uniforms.first + column;
    if (column >= uniforms.columns || image >= uniforms.count || any(inside >= uniforms.shape)) {
        discard;
    }
    let plane = uniforms.shape.x * uniforms.shape.y;
    let at = image * uniforms.channels * plane + inside.y * uniforms.shape.x + inside.x;
    var color = vec3f(images[at]);
    if (uniforms.channels == 3u) {
        color = vec3f(color.x, images[at + plane], images[at + 2u * plane]);
    }
    if (!is_finite(color.x) || !is_finite(color.y) || !is_finite(color.z)) {
        return uniforms.nonfinite;
    }
    if (uniforms.logits != 0u) {
        // Beyond 30 the sigmoid is 0 or 1 to more bits than a pixel has.
        color = vec3f(1.0) / (vec3f(1.0) + exp(-clamp(color, vec3f(-30.0), vec3f(30.0))));
    }
    return vec4f(clamp(color, vec3f(0.0), vec3f(1.0)), 1.0);
}
