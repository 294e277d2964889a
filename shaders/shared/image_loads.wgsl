// Buffers that are read as images: four values a texel, row after row. src/gpu/image_alias.rs says why.

// Whether a kernel with a choice of both loads from images instead of buffers.
override IMAGE_LOADS: bool = false;

// The coordinates of vector i.
fn texel(i: u32) -> vec2u {
    return vec2u(i % 1024u, i / 1024u);
}
