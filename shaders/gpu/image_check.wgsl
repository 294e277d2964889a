// Whether an image of a buffer's memory shows what kernels have written into the buffer: `fill` writes the buffer, and
// `copy_image` reads the image, in the dispatch after it.

@group(0) @binding(0) var<storage, read_write> values: array<vec4f>;

@group(0) @binding(1) var image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn fill(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&values)) {
        values[id.x] = vec4f(f32(4u * id.x)) + vec4f(0.0, 1.0, 2.0, 3.0);
    }
}

@compute @workgroup_size(64)
fn copy_image(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&result)) {
        result[id.x] = textureLoad(image, vec2u(id.x % 1024u, id.x / 1024u));
    }
}
